#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sizes.sh - functions of at most 80 lines, files of at most 800, lines of at most 100 columns
#
# A flat switch or table may be longer: NOLINT(function-size) with its reason on the line above.
# shellcheck source=tests/support/lint/lib.sh
. "$(dirname "$0")/lib.sh"

function_max=80
file_max=800

n=0
while read -r file; do
    n=$((n + 1))
    lines=$(wc -l <"$file")
    if [ "$lines" -gt $file_max ]; then
        problem "$file: $lines lines, more than $file_max"
    fi
    if awk 'length($0) > 100 { exit 1 }' "$file"; then :; else
        problem "$file: a line longer than 100 columns"
    fi
done < <(sources "${modules[@]}" include tests)

functions=0
while IFS=$'\t' read -r name file _ _ line end; do
    functions=$((functions + 1))
    line=${line#line:}
    end=${end#end:}
    size=$((end - line + 1))
    if [ "$size" -gt $function_max ] &&
        ! sed -n "$((line > 3 ? line - 3 : 1)),${line}p" "$file" | grep -q 'NOLINT(function-size)'; then
        problem "$file:$line: $name has $size lines, more than $function_max"
    fi
done < <(sources "${modules[@]}" tests | ctags -L - -f - --languages=C --langmap=C:.c.h \
    --kinds-C=f --fields=+ne --excmd=number | grep -v '^!' |
    awk -F'\t' -v OFS='\t' '{ l = e = ""; for (i = 4; i <= NF; i++) {
        if ($i ~ /^line:/) l = $i; if ($i ~ /^end:/) e = $i }
        if (e != "") print $1, $2, $3, $4, l, e }')
if [ $functions = 0 ]; then
    problem "ctags found no function: is universal-ctags installed?"
fi
finish "$n files, $functions functions"
