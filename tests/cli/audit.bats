#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# audit.bats - what `isol8 run` writes down about its runs.
load common.bash

log=.isol8_audit/executions.log

setup() {
    start_in_own_folder
    unset ISOL8_AUDIT_DIR
    configure '{"enabled": true}'
}

# configure AUDIT-SECTION - of the project
configure() {
    printf '{"audit": %s}\n' "$1" >isol8.config.json
}

host() {
    isol8 run --image host "$@"
}

# field NAME - of the last record; an absent one is "None"
field() {
    python3 -c 'import json, sys
record = [json.loads(line) for line in open(sys.argv[1])][-1]
print(record.get(sys.argv[2]))' "$log" "$1"
}

@test "a run is written down, for its owner only" {
    host --json --cmd 'echo hello'
    is "$status" 0
    is "$(wc -l <"$log")" 1
    is "$(stat -c %a .isol8_audit) $(stat -c %a "$log")" "700 600"
    is "$(field runtime) $(field exitCode) $(field outcome) $(field userId)" "bash 0 ok "
    is "$(field codeHash)" "$(printf 'echo hello' | sha256sum | cut -d' ' -f1)"
    [[ "$(field timestamp)" =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z$ ]]
    [ "$(field durationMs)" -ge 0 ]
    has "$(field resourceUsage)" cpuPercent
    for name in code stdout stderr networkLogs securityEvents metadata error; do
        is "$(field $name)" None
    done
    has "$out" "\"executionId\":\"$(field executionId)\""
    has "$out" "\"containerId\":\"$(field containerId)\""
}

@test "whatever became of it, streamed or not" {
    host --cmd 'exit 3'
    is "$(field exitCode) $(field outcome)" "3 exit"
    host --no-stream --cmd 'kill -9 $$'
    is "$(field exitCode) $(field outcome)" "137 signal"
    host --timeout 300 --cmd 'sleep 10'
    is "$(field exitCode) $(field outcome)" "137 timeout"
    host --setup 'echo oops >&2; exit 4' --cmd true
    is "$(field outcome)" error
    has "$(field error)" "Setup script failed (exit code 4)"
    host --no-stream --setup 'exit 5' --cmd true
    is "$(field outcome)" error
    has "$(field error)" "Setup script failed (exit code 5)"
    is "$(wc -l <"$log")" 5
}

@test "nothing when it is off" {
    configure '{"enabled": false, "destination": "nowhere"}'
    host --cmd true
    is "$status" 0
    [ ! -e .isol8_audit ]
    rm isol8.config.json
    host --cmd true
    [ ! -e .isol8_audit ]
}

@test "code and output on demand, without secrets" {
    configure '{"enabled": true, "includeCode": true, "includeOutput": true, "trackResources": false}'
    for form in "" --no-stream --json; do
        # shellcheck disable=SC2086
        host $form --secret TOKEN=hunter2 --cmd 'echo "$TOKEN" hunter2; echo err >&2'
        is "$status" 0
        is "$(field code)" 'echo "$TOKEN" ***; echo err >&2'
        is "$(field stdout)" "*** ***"
        is "$(field stderr)" err
        is "$(field resourceUsage)" None
    done
    run grep -c hunter2 "$log"
    is "$output" 0
}

@test "what the filtered network refused" {
    host --net filtered --allow '^good\.example$' --log-network --secret S=blocked \
        --cmd 'getent hosts blocked.example; true'
    is "$status" 0
    has "$(field securityEvents)" "'host': '***.example'"
    has "$(field networkLogs)" "'action': 'BLOCK'"
}

@test "destinations" {
    configure '{"enabled": true, "destination": "stdout"}'
    host --cmd true
    is "$status" 0
    [[ "$out" =~ ^AUDIT_LOG:\ \{\"executionId\":\".*\"outcome\":\"ok\"\}$ ]]
    [ ! -e .isol8_audit ]
    configure '{"enabled": true, "destination": "syslog"}'
    host --cmd true
    fails_with '[ERR] Unsupported audit destination: "syslog". Expected one of: filesystem, file, stdout'
    configure '{"enabled": true, "destination": "file", "logDir": "logs/audit"}'
    host --cmd true
    is "$(wc -l <logs/audit/executions.log)" 1
    configure '{"enabled": true}'
    ISOL8_AUDIT_DIR=$PWD/elsewhere host --cmd true
    is "$(wc -l <elsewhere/executions.log)" 1
    [ ! -e .isol8_audit ]
}

@test "a script after each record, from a trusted file" {
    mkfifo told
    printf '#!/bin/sh\necho "$# $1 $(wc -l <"$1")" >%s/told\n' "$PWD" >hook
    chmod +x hook
    mkdir -p "$HOME/.isol8"
    rm isol8.config.json
    printf '{"audit": {"enabled": true, "postLogScript": "%s/hook"}}\n' "$PWD" \
        >"$HOME/.isol8/config.json"
    host --cmd true
    is "$status" 0
    is "$err" ""
    is "$(timeout 10 cat told)" "1 $PWD/$log 1"
    printf '{"audit": {"enabled": true, "postLogScript": "/nonexistent/hook"}}\n' \
        >"$HOME/.isol8/config.json"
    host --cmd 'echo hi'
    is "$status" 0
    is "$out" hi
    has "$err" "[ERROR] Failed to run post-log script: cannot start '/nonexistent/hook'"
    is "$(wc -l <"$log")" 2
}

@test "yesterday's log gets its day's name, and old ones go" {
    mkdir .isol8_audit
    echo '{}' >"$log"
    touch -d '2 days ago' "$log"
    echo '{}' >.isol8_audit/executions-2020-01-01.log
    touch -d '100 days ago' .isol8_audit/executions-2020-01-01.log
    host --cmd true
    is "$status" 0
    is "$(ls .isol8_audit | xargs)" "executions-$(date -u -d '2 days ago' +%F).log executions.log"
}

@test "what cannot be written is said, and the run goes on" {
    ln -s /etc .isol8_audit # as a hostile project would
    host --cmd 'echo hi'
    is "$status" 0
    is "$out" hi
    is "$err" "[ERROR] Failed to create audit dir: '.isol8_audit': Not a directory"
    [ ! -e /etc/executions.log ]
    rm .isol8_audit
    mkdir .isol8_audit
    echo precious >victim
    ln -s ../victim "$log"
    host --cmd 'echo hi'
    is "$status" 0
    is "$out" hi
    has "$err" "[ERROR] Failed to write audit record: cannot open 'executions.log'"
    is "$(cat victim)" precious
}

@test "many at once: every record whole" {
    for i in 1 2 3 4 5 6; do
        "$ISOL8" run --image host --cmd "exit $i" &
    done
    wait
    is "$(python3 -c 'import json, sys
print(sorted(json.loads(line)["exitCode"] for line in open(sys.argv[1])))' "$log")" \
        "[1, 2, 3, 4, 5, 6]"
}
