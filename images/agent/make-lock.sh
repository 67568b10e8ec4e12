#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make-lock.sh VERSION > lock.json - resolve the agent's dependency tree (needs npm; runs nothing of
# it). One line per package: install path, version, integrity. Addresses are left out: the host's
# configured registry serves the bytes, and the integrity decides whether they are the right ones.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
printf '{"dependencies":{"@mariozechner/pi-coding-agent":"%s"}}' "$1" > package.json
npm install --package-lock-only --ignore-scripts --no-audit --no-fund >&2
node -e '
const lock = require("./package-lock.json").packages;
/* Native clipboard and FFI helpers: optional, useless without a screen, and large. */
const skip = /node_modules\/(@mariozechner\/clipboard|koffi$|@types\/)/;
const rows = Object.entries(lock).filter(([path]) => path !== "" && !skip.test(path));
const lines = rows.sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, p]) => {
    const name = p.name ?? path.slice(path.lastIndexOf("node_modules/") + 13);
    return JSON.stringify({ path, name, version: p.version, integrity: p.integrity });
});
process.stdout.write("[\n" + lines.join(",\n") + "\n]\n");
'
