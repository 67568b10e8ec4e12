#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# release.sh SOURCE BUILD PREFIX CC NODE - build as it is shipped, with ISOL8_NODE=NODE, and install
set -euo pipefail

cmake -S "$1" -B "$2" -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER="$4" \
    -DCMAKE_INSTALL_PREFIX="$3" -DISOL8_WERROR=ON -DISOL8_TESTS=OFF -DISOL8_NODE="$5" >/dev/null
cmake --build "$2" -j "$(nproc)" >/dev/null
rm -rf "$3"
cmake --install "$2" >/dev/null
find "$3" -type f -printf '%s %P\n'
