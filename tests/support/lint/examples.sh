#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# examples.sh PREFIX CC EXAMPLES - each example is built against the installed library, shared and
# static, by what pkg-config says, and then run
# shellcheck source=tests/support/lint/lib.sh
. "$(dirname "$0")/lib.sh"

prefix=$1
cc=$2
pc=$(find "$prefix" -name isol8.pc | head -n 1)
[ -n "$pc" ] || {
    problem "there is no isol8.pc below $prefix"
    finish "nothing checked"
}
export PKG_CONFIG_PATH=${pc%/*}
libdir=$(pkg-config --variable=libdir isol8)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

n=0
for source in "$3"/*.c; do
    [ -f "$source" ] || continue
    name=$(basename "$source" .c)
    n=$((n + 1))
    flags=(-std=c11 -Wall -Wextra -Werror)
    read -ra shared < <(pkg-config --cflags --libs isol8)
    read -ra static < <(pkg-config --static --cflags --libs isol8)
    "$cc" "${flags[@]}" "$source" -o "$dir/$name" "${shared[@]}" ||
        problem "$name does not build against the shared library"
    static=("${static[@]/#-lisol8/-l:libisol8.a}")
    "$cc" "${flags[@]}" "$source" -o "$dir/$name-static" "${static[@]}" ||
        problem "$name does not build against the static library"
    for program in "$name" "$name-static"; do
        echo "== $program"
        if [ -x "$dir/$program" ]; then
            (cd "$dir" && LD_LIBRARY_PATH=$libdir "./$program") || problem "$program failed"
        fi
    done
done
[ $n -gt 0 ] || problem "there are no examples in $3"
finish "$n examples"
