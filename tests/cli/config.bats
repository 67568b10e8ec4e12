#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# config.bats - where the configuration comes from, what is refused, how it is shown.
load common.bash

setup() {
    start_in_own_folder
    [ ! -e /etc/isol8/config.json ] || skip "this machine has a configuration of its own"
}

PLACES="/etc/isol8/config.json, ~/.isol8/config.json or a file named by --config or ISOL8_CONFIG"

@test "defaults" {
    isol8 config
    is "$status" 0
    is "$err" ""
    has "$out" "  Source: defaults (no config file found)"
    has "$out" "  Timeout:         30000ms"
    has "$out" "  Max idle time:   3600000ms (60min)"
    has "$out" "  Pool size:       1,1"
    isol8 config --json
    is "$(printf '%s\n' "$out" | head -4)" '{
  "maxConcurrent": 10,
  "defaults": {
    "timeoutMs": 30000,'
    keys=$(printf '%s\n' "$out" | sed -n 's/^  "\([A-Za-z]*\)".*/\1/p' | xargs)
    is "$keys" "maxConcurrent defaults network cleanup poolStrategy poolSize security remoteCode audit auth prebuiltImages debug"
}

@test "the first file that exists is the only one" {
    mkdir -p "$HOME/.isol8"
    echo '{"maxConcurrent": 2}' >"$HOME/.isol8/config.json"
    isol8 config
    has "$out" "  Source: $HOME/.isol8/config.json"
    has "$out" "  Max concurrent:  2"
    echo '{"debug": false}' >isol8.config.json
    isol8 config
    has "$out" "  Source: $PWD/isol8.config.json"
    has "$out" "  Max concurrent:  10"
    echo '{"maxConcurrent": 4}' >env.json
    ISOL8_CONFIG=env.json isol8 config
    has "$out" "  Max concurrent:  4"
    echo '{"maxConcurrent": 5}' >named.json
    ISOL8_CONFIG=env.json isol8 config --config named.json
    has "$out" "  Max concurrent:  5"
    isol8 --config=named.json config
    has "$out" "  Source: $PWD/named.json"
}

@test "a named file must exist" {
    isol8 config --config nowhere.json
    fails_with "[ERR] nowhere.json: No such file or directory"
    ISOL8_CONFIG=nowhere.json isol8 config
    fails_with "[ERR] ISOL8_CONFIG: nowhere.json: No such file or directory"
    isol8 config --config ""
    fails_with "[ERR] --config needs the name of a file."
}

@test "/dev/null stands for the defaults" {
    echo '{"maxConcurrent": 4}' >isol8.config.json
    ISOL8_CONFIG=/dev/null isol8 config
    is "$status" 0
    has "$out" "  Max concurrent:  10"
}

@test "errors name file, line and key" {
    printf '{"network": {"whitelist": ["a",\n  "b",\n  3]}}' >isol8.config.json
    isol8 config
    fails_with "[ERR] isol8.config.json:3: network.whitelist[2]: expected string, got number"
    isol8 run -e 1
    fails_with "[ERR] isol8.config.json:3: network.whitelist[2]: expected string, got number"
    printf '{\n"defaults": {"timeoutMs": 0}}' >isol8.config.json
    isol8 config --json
    fails_with "[ERR] isol8.config.json:2: defaults.timeoutMs: expected a whole number from 1 to 604800000, got 0"
    printf '{\n "debug": maybe }' >isol8.config.json
    isol8 config
    fails_with "[ERR] isol8.config.json:2:11: not valid JSON"
    : >isol8.config.json
    isol8 config
    is "$status" 1
    has "$err" "isol8.config.json:1:1: not valid JSON"
}

@test "unknown keys are warnings" {
    printf '{"maxConcurent": 3,\n"dependencies": {"python": []},\n"cleanup": {"x": 1}}' >isol8.config.json
    isol8 config --json
    is "$status" 0
    is "$err" "[WARN] isol8.config.json:1: maxConcurent: unknown key (did you mean maxConcurrent?)
[WARN] isol8.config.json:2: dependencies: unknown key (see prebuiltImages)
[WARN] isol8.config.json:3: cleanup.x: unknown key"
    has "$out" '"x": 1'
}

# refused JSON MESSAGE: by the project's file, and taken from a trusted one
refused() {
    echo "$1" >isol8.config.json
    isol8 config
    fails_with "[ERR] isol8.config.json:1: $2" || return 1
    mv isol8.config.json trusted.json
    isol8 config --config trusted.json
    is "$status" 0
    is "$err" ""
    ISOL8_CONFIG=$PWD/trusted.json isol8 config
    is "$status" 0
}

@test "a project's file cannot set what could attack its reader" {
    no="not allowed in a project's file; set it in $PLACES"
    refused '{"runtime": "./evil"}' "runtime: $no"
    refused '{"cgroupParent": "x"}' "cgroupParent: $no"
    refused '{"stateRoot": "/x"}' "stateRoot: $no"
    refused '{"dataRoot": "/x"}' "dataRoot: $no"
    refused '{"audit": {"postLogScript": "x"}}' "audit.postLogScript: $no"
    refused '{"security": {"customProfilePath": "x"}}' "security.customProfilePath: $no"
    refused '{"network": {"hosts": {"a": "10.0.0.1"}}}' "network.hosts: $no"
    refused '{"network": {"allowAddresses": ["10.0.0.0/8"]}}' "network.allowAddresses: $no"
    refused '{"network": {"ports": [80]}}' "network.ports: $no"
    refused '{"network": {"upstreamProxy": "http://proxy.example:3128"}}' "network.upstreamProxy: $no"
    refused '{"network": {"caFile": "x"}}' "network.caFile: $no"
    refused '{"network": {"limits": {"bytes": 1}}}' "network.limits.bytes: $no"
    refused '{"defaults": {"network": "host"}}' "defaults.network: \"host\" is $no"
    refused '{"security": {"seccomp": "unconfined"}}' "security.seccomp: \"unconfined\" is $no"
    refused '{"security": {"userNamespace": "off"}}' "security.userNamespace: \"off\" is $no"
    refused '{"audit": {"logDir": "/var/log"}}' \
        "audit.logDir: must stay inside this directory; other places can be set in $PLACES"
}

@test "a log directory inside, not through a link" {
    echo '{"audit": {"logDir": "logs/here"}}' >isol8.config.json
    isol8 config
    is "$status" 0
    has "$out" "  Log directory:   logs/here"
    ln -s /tmp logs
    isol8 config
    is "$status" 1
    has "$err" "audit.logDir: must stay inside this directory"
}

@test "a trusted file that everybody may write is refused" {
    echo '{}' >named.json
    chmod o+w named.json
    isol8 config --config named.json
    fails_with "[ERR] $PWD/named.json: everybody may write this file; repair it with: chmod o-w $PWD/named.json"
}

@test "a key given twice is refused" {
    printf '{"runtime": null,\n"runtime": "./evil"}' >isol8.config.json
    isol8 config
    fails_with "[ERR] isol8.config.json:2: runtime: given twice"
}

@test "a FIFO in the working directory does not hang" {
    mkfifo isol8.config.json
    isol8 config
    fails_with "[ERR] isol8.config.json: is not a regular file"
}

@test "debug lines go to stderr" {
    isol8 config --json --debug
    is "$status" 0
    has "$err" "[DEBUG] [CLI] Command: config"
    is "${out:0:1}" "{"
}

@test "the schema and the program agree" {
    python3 -c 'import jsonschema' 2>/dev/null || skip "python3-jsonschema is missing"
    python3 "$BATS_TEST_DIRNAME/schema_agrees.py" "$ISOL8" \
        "$BATS_TEST_DIRNAME/../../schema/isol8.config.schema.json"
}
