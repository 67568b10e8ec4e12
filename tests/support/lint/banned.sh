#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# banned.sh - functions that have a safer wrapper or no place in a library
# shellcheck source=tests/support/lint/lib.sh
. "$(dirname "$0")/lib.sh"

names='strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|strtol|strerror|system|popen|alloca'
names+='|tmpnam|signal|usleep|mktemp'

n=0
while read -r file; do
    n=$((n + 1))
    # The preprocessor removes comments and keeps the lines; then strings go.
    hits=$(gcc -fpreprocessed -dD -E -P "$file" 2>/dev/null | sed 's/"\([^"\\]\|\\.\)*"/""/g' |
        grep -oE "(^|[^A-Za-z0-9_.>])($names) *\(" | tr -d ' (' || true)
    for hit in $hits; do
        problem "$file: uses ${hit##*[^a-z]}()"
    done
done < <(sources "${modules[@]}")
finish "$n files"
