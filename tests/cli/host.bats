#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# host.bats - run --host and session, on a server of this machine

load common

setup_file() {
    export SERVER_DIR=$BATS_FILE_TMPDIR
    export ISOL8_API_KEY=a-key-of-the-tests-which-nobody-can-guess
    cat >"$SERVER_DIR/config.json" <<'END'
{ "cgroupParent": "isol8-host-bats", "maxConcurrent": 8,
  "server": { "image": "host", "images": ["host"], "shutdownGraceMs": 3000 } }
END
    port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    HOME=$SERVER_DIR "$ISOL8" --config "$SERVER_DIR/config.json" serve --port "$port" \
        --auth-db "$SERVER_DIR/keys.db" \
        >"$SERVER_DIR/log" 2>&1 3>&- &
    echo $! >"$SERVER_DIR/pid"
    for _ in $(seq 300); do
        ! grep -q "listening on" "$SERVER_DIR/log" || break
        sleep 0.1
    done
    grep "listening on" "$SERVER_DIR/log"
    export HOST=http://127.0.0.1:$port
}

teardown_file() {
    kill "$(cat "$SERVER_DIR/pid")"
    tail --pid="$(cat "$SERVER_DIR/pid")" -f /dev/null
    ! grep -E "ERROR: |runtime error" "$SERVER_DIR/log"
}

setup() {
    start_in_own_folder
}

on_host() {
    isol8 run --host "$HOST" "$@"
}

sessions() {
    isol8 session list --host "$HOST" --json
    is "$status" 0
}

@test "both streams and the exit code" {
    on_host --cmd 'echo out; echo err >&2; exit 7'
    is "$status" 7
    is "$out" out
    is "$err" err
    on_host --no-stream --cmd 'echo out; echo err >&2; exit 7'
    is "$status" 7
    is "$out" out
    is "$err" err
    on_host --json --cmd 'exit 7'
    is "$status" 7
    has "$out" '"exitCode":7'
    on_host --cmd 'kill -SEGV $$'
    is "$status" 139
}

@test "output comes as it is written" {
    "$ISOL8" run --host "$HOST" --cmd 'echo first; sleep 20' >got &
    pid=$!
    for _ in $(seq 100); do
        [ ! -s got ] || break
        sleep 0.1
    done
    is "$(cat got)" first
    kill $pid
    ! wait $pid
}

@test "bytes of UTF-8 and NUL arrive as they were written" {
    "$ISOL8" run --host "$HOST" --cmd 'for i in $(seq 20000); do printf "gr\303\274\303\237e\0 %d\n" $i; done' >got
    for i in $(seq 20000); do printf 'gr\303\274\303\237e\0 %d\n' "$i"; done >wanted
    cmp got wanted
}

@test "code, stdin, variables, secrets, working directory" {
    echo 'print(input(), __import__("os").environ["A"])' >x.py
    on_host --stdin in --env A=b x.py
    is "$status" 0
    is "$out" "in b"
    on_host --secret S=topsecret --cmd 'echo "<$S>"'
    is "$out" "<***>"
    on_host --setup 'mkdir d; echo setup' --workdir /sandbox/d --cmd pwd
    is "$out" "setup
/sandbox/d"
    echo 'echo piped' >code
    "$ISOL8" run --host "$HOST" -r bash <code >got
    is "$(cat got)" piped
}

@test "--files: text and other bytes, nested" {
    mkdir -p project/sub/.git
    echo "grüße" >project/a
    head -c 100000 /dev/urandom >project/sub/b
    : >project/empty
    on_host --files project --cmd 'cat a; sha256sum <sub/b; stat -c %s empty; ls -A sub'
    is "$status" 0
    is "$out" "grüße
$(sha256sum <project/sub/b)
0
b"
}

@test "--out, in both modes" {
    for mode in "" --no-stream; do
        # shellcheck disable=SC2086
        on_host $mode --out result --cmd 'printf "a\nb\n"; exit 2'
        is "$status" 2
        is "$out" "a
b"
        is "$err" "[Run] Output written to result"
        has "$(cat result)" "a
b"
    done
}

@test "time, output and memory limits" {
    on_host --timeout 500 --cmd 'echo a; sleep 30'
    is "$status" 137
    is "$out" a
    is "$err" "[ERR] EXECUTION TIMED OUT"
    on_host --no-stream --timeout 500 --cmd 'echo a; sleep 30'
    is "$status" 137
    has "$err" "--- EXECUTION TIMED OUT ---"
    on_host --no-stream --max-output 10 --cmd 'seq 1000'
    is "$status" 0
    has "$err" "[WARN] Output was truncated"
}

@test "what the server refuses is said" {
    on_host --image other --cmd true
    is "$status" 1
    has "$err" "[ERR] options.image: 'other' is not among the images"
    on_host --no-stream --image other --cmd true
    is "$status" 1
    has "$err" "[ERR] Execution failed: options.image: 'other' is not among the images"
    on_host --key wrong --no-stream --cmd true
    fails_with "[ERR] Execution failed: Invalid API key"
    on_host --key wrong --cmd true
    fails_with "[ERR] Stream failed: Invalid API key"
    isol8 session list --host "$HOST" --key wrong
    fails_with "[ERR] Failed to list sessions: Invalid API key"
    isol8 session stop x --host "$HOST" --key wrong
    fails_with "[ERR] Failed to delete session: Invalid API key"
    on_host -r ruby -e 1
    is "$status" 1
    has "$err" 'Unknown runtime: "ruby"'
}

@test "a named session keeps its files and is listed, until it is stopped" {
    for mode in "" --no-stream; do
        # shellcheck disable=SC2086
        on_host $mode --session-id "mine$mode" --cmd 'echo kept >f'
        is "$status" 0
        is "$err" "[Run] Session ID: mine$mode"
        on_host --session-id "mine$mode" --cmd 'cat f'
        is "$out" kept
        sessions
        has "$out" "\"id\": \"mine$mode\""
        isol8 session list --host "$HOST/"
        has "$out" "  1 active session(s):"
        has "$out" "  mine$mode  [idle]  last accessed: 20"
        isol8 session stop "mine$mode" --host "$HOST"
        is "$out" "[OK] Session \"mine$mode\" destroyed."
        isol8 session list --host "$HOST"
        is "$out" "[INFO] No active sessions."
    done
    isol8 session stop never-there --host "$HOST"
    is "$status" 0
    on_host --session-id 'a b' --cmd true
    is "$status" 1
    has "$err" "sessionId: must be 1 to 128 letters"
}

@test "an automatic session ends with its command" {
    on_host --persistent --cmd true
    is "$status" 0
    has "$err" "[Run] Session ID: cli-"
    sessions
    is "$out" "[]"
}

@test "a signal ends the program, and the exit code says which" {
    for number in INT TERM; do
        "$ISOL8" run --host "$HOST" --persistent --cmd 'echo go; exec sleep 987.6' >got 2>err &
        pid=$!
        for _ in $(seq 100); do
            [ ! -s got ] || break
            sleep 0.1
        done
        kill -$number $pid
        status=0
        wait $pid || status=$?
        is "$status" $((128 + $(kill -l $number)))
        sessions
        is "$out" "[]"
    done
    for _ in $(seq 50); do
        pgrep -f "sleep 987.6" >/dev/null || return 0
        sleep 0.1
    done
    return 1
}

@test "the program gets the signal, and has the last word" {
    for number in INT TERM; do
        # shellcheck disable=SC2016
        "$ISOL8" run --host "$HOST" --cmd 'trap "echo got it; exit 3" '$number'
            echo go; while :; do sleep 0.1; done' >got 2>/dev/null &
        pid=$!
        for _ in $(seq 100); do
            [ ! -s got ] || break
            sleep 0.1
        done
        kill -$number $pid
        status=0
        wait $pid || status=$?
        is "$status" $((128 + $(kill -l $number)))
        is "$(cat got)" "go
got it"
    done
}

@test "streams go over a WebSocket" {
    on_host --debug --cmd true
    has "$err" "[DEBUG] [Run] Transport: WebSocket"
    on_host --debug --no-stream --cmd true
    has "$err" "[DEBUG] [Run] Transport: buffered"
}

@test "a server that is not there" {
    isol8 run --host http://127.0.0.1:1 --cmd true
    is "$status" 1
    has "$err" "[ERR] Cannot reach http://127.0.0.1:1: "
}

@test "login: a token that runs programs, until logout" {
    isol8 login --host "$HOST/" --key "$ISOL8_API_KEY" --name mine --ttl 60000
    is "$status" 0
    is "$err" "Authenticated successfully"
    has "$out" "  Host:    $HOST
  Expires: 20"
    has "$out" "  Stored:  ~/.isol8/credentials.json"
    is "$(stat -c %a "$HOME/.isol8/credentials.json")" 600
    is "$(jq -r 'keys_unsorted | join(" ")' "$HOME/.isol8/credentials.json")" "host token expiresAt keyId"
    unset ISOL8_API_KEY
    on_host --cmd 'echo by token'
    is "$status" 0
    is "$out" "by token"
    isol8 login --host "$HOST" --key "$(jq -r .token "$HOME/.isol8/credentials.json")"
    fails_with "[ERR] Authentication failed: Master key required for this operation"
    isol8 logout
    is "$out" "[OK] Credentials removed from ~/.isol8/credentials.json"
    on_host --cmd true
    fails_with "[ERR] API key required. Use --key, ISOL8_API_KEY env var, or \`isol8 login\`."
}

@test "login: a token that has ended" {
    isol8 login --host "$HOST" --key "$ISOL8_API_KEY" --ttl 100
    is "$status" 0
    unset ISOL8_API_KEY
    sleep 0.2
    on_host --cmd true
    fails_with "[WARN] Stored credentials have expired. Run \`isol8 login\` to re-authenticate.
[ERR] API key required. Use --key, ISOL8_API_KEY env var, or \`isol8 login\`."
}
