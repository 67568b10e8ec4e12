#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# includes.sh - includes point down the layer table of docs/ARCHITECTURE.md and nowhere else
#
# A row of the table: | `oci` | include, base | ... |. An entry that names a file (server/server.h)
# allows that file only.
# shellcheck source=tests/support/lint/lib.sh
. "$(dirname "$0")/lib.sh"

table=docs/ARCHITECTURE.md
names='include(/isol8)?|base|client|config|oci|netns|proxy|executor|server|cli|bindings'
declare -A allowed
while IFS='|' read -r _ module may _; do
    module=$(tr -d '` ' <<<"$module")
    allowed[${module%%/*}]=$(tr -d '`,—' <<<"$may")
done < <(grep -E "^\| *.?($names).? *\|" "$table" || true)
if [ -z "${allowed[base]+set}" ] || [ -z "${allowed[cli]+set}" ]; then
    problem "$table: the layer table with a row for every module is missing"
    finish "no table"
fi

# may_include MODULE HEADER
may_include() {
    local top=${2%%/*} entry

    [ "$top" = "$1" ] && return 0
    for entry in ${allowed[$1]-}; do
        if [ "$entry" = "$2" ]; then
            return 0
        fi
        # A folder, but never its internals.
        if [ "$entry" = "$top" ] && [[ $2 != *_internal.h ]]; then
            return 0
        fi
    done
    return 1
}

present=()
for module in "${modules[@]}"; do
    [ ! -d "$module" ] || present+=("$module")
done

n=0
for module in "${modules[@]}"; do
    while read -r file; do
        n=$((n + 1))
        while IFS=: read -r line header; do
            if [[ $header != */* ]]; then
                # No such file: generated while building, in a folder of its own.
                [ -z "$(find "${present[@]}" -name "$header" -print -quit)" ] ||
                    problem "$file:$line: \"$header\" without its folder"
            elif ! may_include "$module" "$header"; then
                problem "$file:$line: $module may not include $header"
            fi
        done < <(sed -nE '/^ *# *include *"/{=;s/.*"([^"]*)".*/\1/p}' "$file" | paste -d: - -)
        # Public header and outside libraries.
        if grep -qE '^ *# *include *<isol8/' "$file" && ! may_include "$module" include/isol8.h; then
            problem "$file: $module may not include the public header"
        fi
        if grep -qE '^ *# *include *<cjson/' "$file" && [ "$file" != base/json.h ]; then
            problem "$file: cJSON is included through base/json.h"
        fi
    done < <(sources "$module")
    # One file per module and library.
    for library in curl/ archive openssl/ seccomp.h pcre2 nftables/ microhttpd sqlite3 ares; do
        mapfile -t users < <(sources "$module" | xargs -r grep -lE "^ *# *include *<$library" || true)
        if [ ${#users[@]} -gt 1 ]; then
            problem "<$library> is included by more than one file: ${users[*]}"
        fi
    done
done
finish "$n files"
