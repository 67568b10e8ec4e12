# SPDX-License-Identifier: Apache-2.0
# Runs in a sandbox over the bash image, with the package hosts in reach and nothing else. "words"
# names the packages; what goes to standard output becomes a layer of a custom image.
set -eu
exec 3>&1 >&2
mapfile -t packages <words
/usr/lib/isol8/apt-install --bake "${packages[@]}"
tar -C /sandbox/root --hard-dereference -cf - . >&3
