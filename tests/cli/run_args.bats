#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# run_args.bats - what `isol8 run` refuses before any sandbox is made.
load common.bash

setup() {
    start_in_own_folder
}

# bad OPTION-FORM VALUE TEXT ARGS...
bad() {
    local form=$1 value=$2 text=$3
    shift 3
    isol8 run "$@"
    fails_with "error: option '$form' argument '$value' is invalid. $text"
}

@test "numbers are strict" {
    local ms="Expected a whole number of milliseconds, 1 to 604800000 (a week)."
    for value in 0 -1 5s 1.5 1e3 "" " 1" 99999999999999999999; do
        bad '--timeout <ms>' "$value" "$ms" --timeout "$value" -e 1
    done
    local cores="Expected a number of cores, such as 0.5 or 2; 0: no limit."
    for value in -1 x 1e2 .5 4097; do
        bad '--cpu <cores>' "$value" "$cores" --cpu "$value" -e 1
    done
    local pids="Expected a whole number from 1 to 4194304; 0 or -1: no limit."
    for value in -2 x 1.5 4194305; do
        bad '--pids-limit <n>' "$value" "$pids" --pids-limit "$value" -e 1
    done
    for value in -1 1m x; do
        bad '--max-output <bytes>' "$value" "Expected a whole number of bytes." \
            --max-output "$value" -e 1
    done
}

@test "sizes are strict" {
    for value in 0 -1 50% x 1gib 1e3 ""; do
        bad '--sandbox-size <size>' "$value" "Expected a size, such as 512m or 1.5g." \
            --sandbox-size "$value" -e 1
        bad '--tmp-size <size>' "$value" "Expected a size, such as 512m or 1.5g." \
            --tmp-size "$value" -e 1
    done
}

@test "network modes" {
    bad '--net <mode>' internet "Allowed choices are none, host, filtered." --net internet -e 1
    bad '--net <mode>' '' "Allowed choices are none, host, filtered." --net= -e 1
}

@test "a bad pattern is named by list and number before anything starts" {
    for mode in none filtered; do
        isol8 run --net $mode --allow '^a$' --allow '^(b$' -e 1
        is "$status" 1
        has "$err" "[ERR] network.whitelist[1]: '^(b$'"
        isol8 run --net $mode --deny '[z-a]' -e 1
        is "$status" 1
        has "$err" "[ERR] network.blacklist[0]: '[z-a]'"
    done
    echo '{"network": {"blacklist": ["*"]}}' >isol8.config.json
    isol8 run --net filtered -e 1
    is "$status" 1
    has "$err" "[ERR] network.blacklist[0]: '*'"
    isol8 policy check https://example.org/
    is "$status" 1
    has "$err" "network.blacklist[0]: '*'"
}

@test "policy check needs its word and an address" {
    for args in "" check "chek https://example.org/"; do
        # shellcheck disable=SC2086
        isol8 policy $args
        fails_with "[ERR] usage: isol8 policy check [options] URL..."
    done
    isol8 policy check 'http://user@[::1/'
    is "$status" 1
    is "$out" ""
    has "$err" "is not an address"
}

@test "secrets and variables" {
    local text="error: option '--secret <KEY=VALUE>' argument is invalid."
    for value in =x "" "a b=x" 1a=x "hunter 2"; do
        isol8 run --secret "$value" -e 1
        is "$status" 1
        has "$err" "$text Expected KEY=VALUE"
        [[ "$err" != *hunter* ]]
    done
    unset hunter2
    isol8 run --secret hunter2 -e 1
    is "$status" 1
    has "$err" "$text There is no such variable in the environment"
    [[ "$err" != *hunter2* ]]
    isol8 run --env NOT_THERE -e 1
    is "$status" 1
    has "$err" "argument 'NOT_THERE' is invalid. There is no such variable"
}

@test "sources that exclude each other" {
    local text="[ERR] --cmd cannot be combined with file input, --eval, --url, --github, or --gist."
    touch a.py
    isol8 run --cmd true a.py
    fails_with "$text"
    isol8 run --cmd true -e 1
    fails_with "$text"
}

@test "files that are not there, or of no known kind" {
    isol8 run nowhere.py
    fails_with "[ERR] File not found: nowhere.py"
    isol8 run nowhere.xyz
    fails_with "[ERR] File not found: nowhere.xyz"
    echo x >notes.txt
    isol8 run notes.txt
    fails_with "[ERR] Cannot detect runtime for notes.txt. Use --runtime to specify."
    mkdir folder.py
    isol8 run folder.py
    fails_with "[ERR] Cannot read folder.py: Is a directory"
}

@test "--files wants a directory" {
    touch file
    isol8 run --files file -e 1
    fails_with "[ERR] --files path is not a directory: file"
    isol8 run --files nowhere -e 1
    fails_with "[ERR] --files path is not a directory: nowhere"
}

@test "setup scripts that cannot be read" {
    head -c 10 /dev/zero >zeros.sh
    isol8 run --setup 'echo 1' --setup zeros.sh -e 1
    fails_with "[ERR] zeros.sh is no script: it has NUL bytes"
    truncate -s 17M big.sh
    tr '\0' ' ' <big.sh >big2.sh
    isol8 run --setup big2.sh -e 1
    fails_with "[ERR] The setup script is larger than 16777216 bytes"
}
