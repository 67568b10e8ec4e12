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
    is "$commands" "setup build list-custom run serve config cleanup ps exec doctor policy login logout session help"
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
    for command in "" run setup config cleanup ps exec doctor policy login logout session help; do
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

@test "a group's commands have help of their own" {
    isol8 session
    is "$status" 1
    is "$out" ""
    for command in list stop help; do
        has "$err" "  $command "
    done
    isol8 help session
    is "$status" 0
    has "$out" "Usage: isol8 session <command>"
    isol8 session help list
    is "$status" 0
    has "$out" "Usage: isol8 session list [options]"
    has "$out" "--host <url>"
    isol8 session stop --help
    is "$status" 0
    has "$out" "Usage: isol8 session stop [options] <id>"
    isol8 session help nothing
    is "$status" 1
    is "$out" ""
    isol8 session lst
    fails_with "error: unknown command 'lst'
(Did you mean list?)"
    isol8 session stop a b
    fails_with "error: too many arguments for 'stop'. Expected 1 argument but got 2."
}

@test "options of the remote command line" {
    unset ISOL8_API_KEY
    isol8 run --session-id x -e 1
    fails_with "[ERR] --session-id requires --host (remote server). Session IDs are managed by the server."
    isol8 run --host http://localhost:1 -e 1
    fails_with "[ERR] API key required. Use --key, ISOL8_API_KEY env var, or \`isol8 login\`."
    isol8 session list --host http://localhost:1
    fails_with "[ERR] API key required. Use --key, ISOL8_API_KEY env var, or \`isol8 login\`."
    isol8 session list
    fails_with "error: required option '--host <url>' not specified"
    isol8 session stop
    fails_with "error: missing required argument 'id'"
    isol8 login --host http://localhost:1
    fails_with "error: required option '--key <key>' not specified"
    isol8 login --host http://localhost:1 --key k --ttl 5s
    fails_with "error: option '--ttl <ms>' argument '5s' is invalid. Expected a whole number of milliseconds, 1 or more."
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
