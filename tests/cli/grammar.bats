#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# grammar.bats - options, help, usage errors.
load common.bash

setup() {
    start_in_own_folder
}

@test "no argument: help on stdout" {
    isol8
    is "$status" 0
    is "$err" ""
    has "$out" "Usage: isol8 [options] [command]"
    isol8 --help
    is "$status" 0
    has "$out" "Usage: isol8 [options] [command]"
}

@test "help lists the commands in order, and only those that work" {
    isol8 help
    is "$status" 0
    commands=$(printf '%s\n' "$out" | sed -n '/^Commands:/,$p' | awk '/^  [a-z]/ { print $1 }' | xargs)
    is "$commands" "setup build list-custom run serve config cleanup ps exec doctor policy help"
}

@test "help of a command, in all its spellings" {
    isol8 run --help
    is "$status" 0
    first=$out
    isol8 run -h
    is "$out" "$first"
    isol8 help run
    is "$out" "$first"
    isol8 run --bogus --help
    is "$status" 0
    is "$out" "$first"
    has "$out" "Usage: isol8 run [options] [file]"
    has "$out" "  -e, --eval <code> "
    has "$out" "  -h, --help "
}

@test "no line of help is longer than 80 columns" {
    for command in "" run setup config cleanup ps exec doctor policy help; do
        isol8 help $command
        is "$status" 0
        long=$(printf '%s\n' "$out" | awk 'length > 80')
        is "$long" ""
    done
}

@test "help of what does not exist: stderr, exit 1" {
    isol8 help nonsense
    is "$status" 1
    is "$out" ""
    has "$err" "Usage: isol8 [options] [command]"
}

@test "version" {
    isol8 --version
    is "$status" 0
    [[ "$out" =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]
    version=$out
    isol8 -V
    is "$out" "$version"
    isol8 -v
    fails_with "error: unknown option '-v'"
}

@test "unknown commands and options" {
    isol8 rn
    fails_with "error: unknown command 'rn'
(Did you mean run?)"
    isol8 frobnicate
    fails_with "error: unknown command 'frobnicate'"
    isol8 run --timeot 5
    fails_with "error: unknown option '--timeot'
(Did you mean --timeout?)"
    isol8 run --tmeout=secret
    fails_with "error: unknown option '--tmeout'
(Did you mean --timeout?)"
    isol8 --nonsense
    fails_with "error: unknown option '--nonsense'"
}

@test "missing values and too many operands" {
    isol8 run -e
    fails_with "error: option '-e, --eval <code>' argument missing"
    isol8 run --timeout
    fails_with "error: option '--timeout <ms>' argument missing"
    isol8 run a b
    fails_with "error: too many arguments for 'run'. Expected 1 argument but got 2."
    isol8 config a
    fails_with "error: too many arguments for 'config'. Expected 0 arguments but got 1."
}

@test "control bytes of a wrong option do not reach the terminal" {
    isol8 run $'--\e[31m'
    is "$status" 1
    has "$err" '\x1b[31m'
    [[ "$err" != *$'\e'* ]]
}

@test "commands and flags that this build does not have say so" {
    for command in login logout session; do
        isol8 $command --whatever
        fails_with "[ERR] '$command' is not available in this build yet."
        isol8 help $command
        fails_with "[ERR] '$command' is not available in this build yet."
    done
    for flag in --host=x --key=x --session-id=x; do
        isol8 run $flag -e 1
        fails_with "[ERR] ${flag%%=*} is not available in this build yet."
    done
    isol8 run --help
    [[ "$out" != *--host* && "$out" != *--session-id* ]]
    has "$out" "--install <package>"
}

@test "output that cannot be written is an error" {
    status=0
    "$ISOL8" config --json >/dev/full 2>"$BATS_TEST_TMPDIR/err" || status=$?
    is "$status" 1
    is "$(cat "$BATS_TEST_TMPDIR/err")" "[ERR] Cannot write to stdout: No space left on device"
}

@test "closed streams do no harm" {
    "$ISOL8" config --json >&- 2>&- <&-
}

@test "exec: its options stand before the id, the program's own behind it" {
    isol8 exec
    fails_with "error: missing required argument 'id'"
    for args in 1234 "1234 --" "-t 1234"; do
        # shellcheck disable=SC2086
        isol8 exec $args
        fails_with "error: missing required argument 'command'"
    done
    isol8 exec 1234 -t bash
    fails_with "error: options of 'exec' stand before the sandbox's id"
    isol8 exec --bogus 1234 true
    fails_with "error: unknown option '--bogus'"
    isol8 exec -e 1a=x 1234 true
    is "$status" 1
    has "$err" "error: option '-e, --env <KEY=VALUE>' argument is invalid. Expected KEY=VALUE"
    isol8 exec --help
    is "$status" 0
    has "$out" "Usage: isol8 exec [options] <id> [--] <command...>"
}
