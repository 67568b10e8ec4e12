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
    is "$commands" "setup run config cleanup doctor policy help"
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
    for command in "" run setup config cleanup doctor help; do
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
    for command in build list-custom serve login logout session exec ps; do
        isol8 $command --whatever
        fails_with "[ERR] '$command' is not available in this build yet."
        isol8 help $command
        fails_with "[ERR] '$command' is not available in this build yet."
    done
    for flag in --setup=x --url=x --github=x --gist=x --hash=x --allow-insecure-code-url --host=x \
        --key=x --session-id=x --persistent --persist --agent-flags=x; do
        isol8 run $flag -e 1
        fails_with "[ERR] ${flag%%=*} is not available in this build yet."
    done
    isol8 run --help
    [[ "$out" != *--setup* && "$out" != *--persist* ]]
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
