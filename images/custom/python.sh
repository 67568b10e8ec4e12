# SPDX-License-Identifier: Apache-2.0
# Runs in a sandbox over the python image, with the package hosts in reach and nothing else. "words"
# names the packages; what goes to standard output becomes a layer of a custom image.
set -eu
exec 3>&1 >&2
mapfile -t packages <words
root=/sandbox/root
mkdir -p "$root/usr/local"
pip install --root="$root" --no-compile --no-cache-dir --break-system-packages --no-input \
    --disable-pip-version-check --no-warn-script-location --progress-bar=off --quiet \
    --retries=1 --timeout=30 -- "${packages[@]}"

# Compiled now, as the image's own modules: the root is read-only later. "unchecked": never compared
# with the source, whose time stamps are lost. What cannot be compiled is a template, or not for
# this Python.
python3 -m compileall -q -j 4 --invalidation-mode unchecked-hash -s "$root" -p / "$root" >/dev/null ||
    true
tar -C "$root" --hard-dereference -cf - usr/local >&3
