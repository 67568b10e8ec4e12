#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# spdx.sh - every source names its licence in its first two lines
# shellcheck source=tests/support/lint/lib.sh
. "$(dirname "$0")/lib.sh"

n=0
while read -r file; do
    n=$((n + 1))
    head -n 2 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
        problem "$file: no SPDX line"
done < <({
    sources "${modules[@]}" include tests docs
    find . -path './build*' -prune -o \( -name CMakeLists.txt -o -name '*.cmake' -o -name '*.sh' \
        -o -name '*.bats' \) -print
    find bindings tests \( -name '*.js' -o -name '*.mjs' -o -name '*.ts' -o -name '*.map' \) -print
    find scripts .ci -type f
})
finish "$n files"
