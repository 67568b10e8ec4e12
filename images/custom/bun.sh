# SPDX-License-Identifier: Apache-2.0
# Runs in a sandbox over the bun or agent image, with the package hosts in reach and nothing else.
# "words" names the packages; what goes to standard output becomes a layer of a custom image.
set -euo pipefail
exec 3>&1 >&2
mapfile -t packages <words
root=/sandbox/root
mkdir -p "$root/usr/local/bin"
# Bun puts node_modules into its global directory: here, where NODE_PATH looks first.
export BUN_INSTALL_GLOBAL_DIR=$root/usr/local/lib
export BUN_INSTALL_BIN=$root/usr/local/bin BUN_INSTALL_CACHE_DIR=/sandbox/cache
bun add --global --no-progress --no-summary -- "${packages[@]}" 2>&1 |
    { grep -vE '^(bun add|Resolving|Resolved|Saved lockfile|warn: To run)|^ *$|/usr/local/bin$' || true; }
rm -f "$root"/usr/local/lib/{package.json,bun.lock,bun.lockb}
tar -C "$root" --hard-dereference -cf - usr/local >&3
