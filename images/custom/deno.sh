# SPDX-License-Identifier: Apache-2.0
# Runs in a sandbox over the deno image, with the package hosts in reach and nothing else. "words"
# names the packages; what goes to standard output becomes a layer of a custom image.
set -eu
exec 3>&1 >&2
mapfile -t packages <words
root=/sandbox/root
mkdir -p "$root/usr/local/lib/deno" work
# Where the image's DENO_DIR points later.
export DENO_DIR=$root/usr/local/lib/deno NO_COLOR=1
# Which hosts may be imported from is decided outside. After "--" it would take no names at all.
(cd work && deno cache --quiet --allow-import "${packages[@]}")
rm -f "$DENO_DIR"/*_cache_v* # made anew in memory; they hold time stamps
tar -C "$root" --hard-dereference -cf - usr/local >&3
