#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# engine.sh ENGINE PACKAGE [NAME...] - run the tests of the package under one JavaScript engine
#
# ENGINE is node (the machine's), or image-node or bun: the ones that the images bring, which are a
# current Node.js and Bun without anything to install. PACKAGE is the package's folder. Without a
# NAME, all tests run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# from_image PROGRAM - the first layer that has it
from_image() {
    find "$ISOL8_DATA_ROOT"/layers/*/usr/local/bin/"$1" -maxdepth 0 2>/dev/null | head -n 1
}

case $1 in
node) program=$(command -v node || command -v nodejs || true) ;;
image-node) program=$(from_image node) ;;
bun) program=$(from_image bun) ;;
*) program= ;;
esac
if [ -z "$program" ]; then
    echo "engine.sh: there is no $1: install nodejs, or build the images with isol8 setup" >&2
    exit 1
fi
[ -f "$2/isol8.node" ] || {
    echo "engine.sh: $2 has no isol8.node: configure with -DISOL8_NODE=ON" >&2
    exit 1
}
export ISOL8_NODE_PACKAGE=$2
shift 2
[ $# -gt 0 ] || set -- options run stream filtered remote session process server example

status=0
for name in "$@"; do
    echo "== $name: $("$program" --version)"
    env ${ISOL8_PRELOAD:+LD_PRELOAD="$ISOL8_PRELOAD"} "$program" "$here/$name.test.mjs" || status=1
done
exit $status
