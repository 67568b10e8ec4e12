#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ldd.sh PREFIX - isol8 starts in a millisecond only while it links next to nothing
# shellcheck source=tests/support/lint/lib.sh
. "$(dirname "$0")/lib.sh"

program=$1/bin/isol8
[ -x "$program" ] || {
    problem "there is no $program"
    finish "nothing checked"
}
while read -r name _; do
    case ${name##*/} in
    linux-vdso.so.1 | libc.so.6 | libm.so.6 | libcjson.so.1 | ld-linux-*) ;;
    *) problem "isol8 links $name: load it on first use (base/dl.h)" ;;
    esac
done < <(ldd "$program")
finish "$(ldd "$program" | wc -l) libraries"
