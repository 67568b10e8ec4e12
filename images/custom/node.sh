# SPDX-License-Identifier: Apache-2.0
# Runs in a sandbox over the node image, with the package hosts in reach and nothing else. "words"
# names the packages; what goes to standard output becomes a layer of a custom image.
set -euo pipefail
exec 3>&1 >&2
mapfile -t packages <words
root=/sandbox/root
mkdir -p "$root/usr/local"
npm install --global --prefix="$root/usr/local" --no-audit --no-fund --no-update-notifier \
    --fetch-retries=1 --loglevel=error -- "${packages[@]}" 2>&1 |
    { grep -vE 'A complete log|^npm error [A-Z0-9]+ *$|Note that you can|tarball, folder' || true; }
# require() finds them by NODE_PATH; import looks in the directories above the program only.
ln -s usr/local/lib/node_modules "$root/node_modules"
tar -C "$root" --hard-dereference -cf - usr/local node_modules >&3
