#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shell.sh - shellcheck finds nothing in our scripts
# shellcheck source=tests/support/lint/lib.sh
. "$(dirname "$0")/lib.sh"

command -v shellcheck >/dev/null || {
    problem "shellcheck is not installed: apt-get install shellcheck"
    finish "nothing checked"
}
mapfile -t files < <(find scripts .ci images tests docs -type f -not -path '*/corpus/*' -exec \
    grep -lE -m 1 '^#!.*\b(ba)?sh$|^# shellcheck shell=' {} + | LC_ALL=C sort)
shellcheck -x "${files[@]}" || problem "shellcheck: see above"
finish "${#files[@]} scripts"
