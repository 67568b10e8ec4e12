#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# format.sh - clang-format changes nothing; one pinned version, since they differ
# shellcheck source=tests/support/lint/lib.sh
. "$(dirname "$0")/lib.sh"

formatter=clang-format-14
command -v $formatter >/dev/null || {
    problem "$formatter is not installed: apt-get install $formatter"
    finish "nothing checked"
}
mapfile -t files < <(sources "${modules[@]}" include tests docs)
$formatter --dry-run -Werror --ferror-limit=3 "${files[@]}" ||
    problem "run: $formatter -i on the files named above"
finish "${#files[@]} files"
