#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# exports.sh PREFIX - the shared library exports the public functions, all of them and nothing else
# shellcheck source=tests/support/lint/lib.sh
. "$(dirname "$0")/lib.sh"

library=$(find "$1" -name libisol8.so | head -n 1)
[ -n "$library" ] || {
    problem "there is no libisol8.so below $1"
    finish "nothing checked"
}
exported=$(nm -D --defined-only "$library" | awk '{ print $3 }' | sed 's/@.*//' | LC_ALL=C sort -u)
declared=$(gcc -E -P -Iinclude -include isol8/isol8.h -x c /dev/null |
    grep -oE '__attribute__ *\(\(visibility\("default"\)\)\)[^;]*' |
    grep -oE '\bisol8_[a-z0-9_]+ *\(' | tr -d ' (' | LC_ALL=C sort -u)
for name in $(comm -23 <(echo "$exported") <(echo "$declared")); do
    problem "$name is exported, but not in isol8.h"
done
for name in $(comm -13 <(echo "$exported") <(echo "$declared")); do
    problem "$name is in isol8.h, but not exported"
done
finish "$(wc -l <<<"$exported") functions"
