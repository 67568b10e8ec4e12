#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# types.sh PACKAGE - programs in TypeScript against the package's types: right ones pass, and what
# is marked as wrong is refused
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
command -v tsc >/dev/null || {
    echo "types.sh: there is no tsc: apt-get install node-typescript" >&2
    exit 1
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# The package where a program finds it, and the little of @types/node that it names.
mkdir -p "$dir/node_modules/@types/node"
ln -s "$1" "$dir/node_modules/isol8"
cp "$here/types/node.d.ts" "$dir/node_modules/@types/node/index.d.ts"
cp "$here"/types/*.ts "$dir"
rm "$dir/node.d.ts"
echo '{ "type": "module" }' >"$dir/package.json"
options=(--noEmit --strict --target es2022 --lib es2022 --preserveSymlinks)
tsc "${options[@]}" --module node16 --moduleResolution node16 "$dir"/*.ts
tsc "${options[@]}" --module commonjs --moduleResolution node --esModuleInterop "$dir"/*.ts
echo "types agree"
