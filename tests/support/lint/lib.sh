# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# lib.sh - what the lint tests share; they run in the source directory.
set -euo pipefail

# Modules of the product, whose code is held to every rule. Tests are held to the form only.
# shellcheck disable=SC2034
modules=(base client config oci netns proxy executor server cli bindings)

problems=0
problem() {
    printf '%s\n' "$*" >&2
    problems=$((problems + 1))
}

# End of a lint test: what was looked at, and the verdict.
finish() {
    echo "$*"
    [ "$problems" = 0 ] || {
        echo "$problems problem(s)" >&2
        exit 1
    }
    exit 0
}

# C sources below the given folders that exist, one a line.
sources() {
    local dir
    for dir in "$@"; do
        [ ! -d "$dir" ] || find "$dir" -name '*.[ch]' | LC_ALL=C sort
    done
}
