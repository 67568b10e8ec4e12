#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs.sh PREFIX - help, man page, README and changelog speak of the same commands and options
#
# Every command and option that --help shows is in the man page; every option that the README or the
# man page gives to isol8 exists.
# shellcheck source=tests/support/lint/lib.sh
. "$(dirname "$0")/lib.sh"

isol8=$1/bin/isol8
man=docs/man/isol8.1
export ISOL8_CONFIG=/dev/null

options_of() {
    { grep -oE '(^|[^-[:alnum:]])--[a-z][a-z-]*' || true; } | grep -oE -- '--[a-z-]+' | LC_ALL=C sort -u
}

if [ ! -x "$isol8" ] || [ ! -f "$man" ] || [ ! -f README.md ]; then
    problem "missing: $isol8, $man or README.md"
    finish "nothing checked"
fi
# Both macro languages: in mdoc "Fl -json" is --json.
plain_man=$(sed 's/\\-/-/g; s/\\f[BIRP]//g; s/\\&//g; s/Fl -/--/g' "$man")
man_options=$(options_of <<<"$plain_man")
help=$("$isol8" --help)
# The commands are the words at the start of the indented lines below "Commands:".
commands=$(awk '/^[Cc]ommands:/ { on = 1; next } /^[^ ]/ { on = 0 } on && /^  [a-z]/ { print $1 }' \
    <<<"$help")
[ -n "$commands" ] || problem "isol8 --help lists no commands"

all_options=$(options_of <<<"$help")
for command in $commands; do
    grep -qwE -- "$command" <<<"$plain_man" || problem "$man: no word on the command '$command'"
    options=$("$isol8" "$command" --help | options_of)
    all_options+=$'\n'$options
    for option in $options; do
        grep -qxF -- "$option" <<<"$man_options" || problem "$man: no word on $command $option"
    done
done
for option in $man_options; do
    [ "$option" != --name ] || continue # stands for any option where the page explains the form
    grep -qxF -- "$option" <<<"$all_options" || problem "$man: isol8 has no option $option"
done
while read -r option; do
    grep -qxF -- "$option" <<<"$all_options" || problem "README.md: isol8 has no option $option"
done < <(grep -E '(^|[`$ /])(isol8|quickstart) +[a-z]' README.md | options_of)
finish "$(wc -w <<<"$commands") commands, $(LC_ALL=C sort -u <<<"$all_options" | wc -w) options"
