#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# header.sh CC BUILD_DIR NODE_INCLUDE - the public header compiles alone as strict C11 and as C++
# shellcheck source=tests/support/lint/lib.sh
. "$(dirname "$0")/lib.sh"

cc=$1
node=${3:-.} # a build without the package for Node.js has no such folder
dir=$(mktemp -d "$2/header-XXXXXX")
trap 'rm -rf "$dir"' EXIT

printf '#include <isol8/isol8.h>\nint main(void) { return isol8_version() == 0; }\n' >"$dir/a.c"
cp "$dir/a.c" "$dir/a.cc"
strict=(-Iinclude -Wall -Wextra -Werror -pedantic-errors -fsyntax-only)
"$cc" -std=c11 "${strict[@]}" "$dir/a.c" || problem "isol8.h is not strict C11"
if command -v g++ >/dev/null; then
    g++ -std=c++11 "${strict[@]}" "$dir/a.cc" || problem "isol8.h is not C++11"
else
    problem "g++ is not installed: apt-get install g++"
fi
# Every private header as well: each must include what it uses.
n=1
while read -r file; do
    [[ $file != bindings/* || -f $node/node_api.h ]] || continue # their headers are not installed
    n=$((n + 1))
    printf '#include "%s"\n' "$file" >"$dir/b.c"
    "$cc" -std=gnu17 -D_GNU_SOURCE -I. -Iinclude -isystem "$node" -Wall -Wextra -Werror -Wno-unused-function \
        -fsyntax-only "$dir/b.c" || problem "$file does not compile alone"
done < <(sources "${modules[@]}" | grep '\.h$')
finish "$n headers"
