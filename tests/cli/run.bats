#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# run.bats - `isol8 run` with real sandboxes, most of them without an image ("host").
load common.bash

setup() {
    start_in_own_folder
}

# On the machine's own /usr.
host() {
    isol8 run --image host "$@"
}

# bytes_of FILE - its content in hex
bytes_of() {
    od -An -v -tx1 "$1" | tr -d ' \n'
}

# Until FILE holds TEXT, while process PID lives
wait_for_text() {
    until grep -q -- "$2" "$1" 2>/dev/null; do
        kill -0 "$3" 2>/dev/null || return 1
        sleep 0.05
    done
}

# Nothing of a sandbox is left in the state root.
nothing_is_left() {
    is "$(ls "$ISOL8_STATE_ROOT/sandboxes" "$ISOL8_STATE_ROOT/ids" "$ISOL8_STATE_ROOT/runc" |
        grep -v -e : -e '^$')" ""
}

# ---- Where the code comes from -------------------------------------------------------------------

@test "code from --cmd, -e, a file and stdin" {
    host --cmd 'echo from cmd'
    is "$status" 0
    is "$out" "from cmd"
    is "$err" ""
    host --runtime bash -e 'echo from eval $0'
    is "$out" "from eval /sandbox/main.sh"
    echo 'echo from file $0' >script.sh
    host script.sh
    is "$out" "from file /sandbox/main.sh"
    mkdir -p dir.d && cp script.sh dir.d/Makefile
    host --runtime bash dir.d/Makefile
    is "$out" "from file /sandbox/main.sh"
    echo 'echo from stdin $0' >in
    host --runtime bash <in
    is "$out" "from stdin /sandbox/main.sh"
}

@test "the caller's stdin is not the program's" {
    echo secret >in
    host --cmd 'wc -c' <in
    is "$out" 0
    host --stdin 'given data' --cmd cat <in
    is "$out" "given data"
    host --stdin '' --cmd 'wc -c' <in
    is "$out" 0
}

@test "empty code is refused" {
    host --runtime bash -e '   '
    fails_with "[ERR] ExecutionRequest must include exactly one of: code, codeUrl, or cmd."
    : >empty.sh
    host empty.sh
    fails_with "[ERR] ExecutionRequest must include exactly one of: code, codeUrl, or cmd."
    host --runtime bash </dev/null
    fails_with "[ERR] ExecutionRequest must include exactly one of: code, codeUrl, or cmd."
}

@test "code with NUL bytes, and of 10 MB" {
    { echo 'wc -c <"$0"; exit 0'; head -c 5000 /dev/zero; } >nul.sh
    host nul.sh
    is "$status" 0
    is "$out" 5020
    { echo 'wc -c <"$0"; exit 0'; head -c 10485760 /dev/zero | tr '\0' '#'; } >big.sh
    host big.sh
    is "$out" 10485780
    host --runtime bash <big.sh
    is "$out" 10485780
}

# ---- Output ---------------------------------------------------------------------------------------

@test "both streams are exact, byte for byte" {
    host --cmd 'printf "a\0\377\r\n\303"; printf "\376 no newline" >&2; exit 5'
    is "$status" 5
    is "$(bytes_of "$BATS_TEST_TMPDIR/out")" 6100ff0d0ac3
    is "$(bytes_of "$BATS_TEST_TMPDIR/err")" fe206e6f206e65776c696e65
}

@test "large output arrives whole" {
    host --max-output 20000000 --cmd 'head -c 10000000 /dev/zero | tr "\0" z'
    is "$status" 0
    is "$(wc -c <"$BATS_TEST_TMPDIR/out")" 10000000
    is "$(tr -d z <"$BATS_TEST_TMPDIR/out")" ""
}

@test "--no-stream trims the end of the text" {
    host --no-stream --cmd 'printf "  a\n\n \n"; printf "e \n\n" >&2; exit 4'
    is "$status" 4
    is "$(bytes_of "$BATS_TEST_TMPDIR/out")" 2020610a
    is "$(bytes_of "$BATS_TEST_TMPDIR/err")" 650a
    host --no-stream --cmd 'true'
    is "$(wc -c <"$BATS_TEST_TMPDIR/out")" 0
}

@test "--out takes stdout in both modes" {
    for mode in "" --no-stream; do
        rm -f result
        host $mode --out result --cmd 'printf "to file\n\n"; echo not this >&2'
        is "$status" 0
        is "$(bytes_of result)" 746f2066696c650a0a
        has "$err" "[Run] Output written to result"
    done
    host --out nowhere/result --cmd 'echo x'
    is "$status" 1
    has "$err" "[ERR] Cannot write nowhere/result: No such file or directory"
}

@test "--max-output cuts, and says so" {
    for mode in "" --no-stream; do
        host $mode --max-output 10 --cmd 'echo 0123456789abcdef; exit 3'
        is "$status" 3
        is "${out:0:10}" 0123456789
        [[ "$out" != *abcdef* ]]
        has "$err" "isol8: output cut: limit of 10 bytes a stream reached"
    done
}

@test "--json gives the result" {
    host --json --cmd 'echo text; exit 2'
    is "$status" 2
    has "$out" '"stdout":"text"'
    has "$out" '"exitCode":2'
    has "$out" '"verdict":"exit"'
}

@test "a reader that goes away ends the run" {
    status=0
    { "$ISOL8" run --image host --timeout 60000 --cmd 'yes' 2>err || echo $? >code; } | head -c 5 >got
    is "$(cat got | head -1)" y
    [ -s code ]
    nothing_is_left
}

# ---- How it ends -------------------------------------------------------------------------------------

@test "exit codes" {
    for code in 0 1 42 255; do
        host --cmd "exit $code"
        is "$status" "$code"
        is "$err" ""
    done
    host --cmd 'kill -SEGV $$'
    is "$status" 139
    is "$err" "isol8: killed: signal 11 (SIGSEGV)"
    host --cmd no-such-program
    is "$status" 127
}

@test "timeout: 137 in both modes" {
    for mode in "" --no-stream; do
        host $mode --timeout 500 --cmd 'echo before; trap "" TERM; sleep 50'
        is "$status" 137
        is "$out" before
        has "$err" "EXECUTION TIMED OUT"
        has "$err" "isol8: killed: time limit 500 ms reached"
        nothing_is_left
    done
}

@test "SIGINT and SIGTERM end the program: 130 and 143, nothing left" {
    for signal in INT TERM HUP; do
        : >sig.out
        "$ISOL8" run --image host --timeout 60000 \
            --cmd 'trap "" INT TERM HUP; echo ready; sleep 50 & wait; sleep 50' >sig.out 2>sig.err &
        pid=$!
        wait_for_text sig.out ready $pid
        kill -s $signal $pid
        code=0
        wait $pid || code=$?
        is "$code" $((128 + $(kill -l $signal)))
        nothing_is_left
    done
}

@test "memory, pids and disk limits say which" {
    host --memory 32m --cmd 'x=a; while :; do x=$x$x; done'
    is "$status" 137
    is "$err" "isol8: killed: memory limit 32m reached"
    mkdir tree && cp "$ISOL8_GUEST" tree/guest
    host --pids-limit 8 --files tree --cmd 'cp guest g && chmod +x g && exec ./g fork 20'
    has "$err" "isol8: failed: limit of 8 processes reached"
    host --sandbox-size 4m --cmd 'head -c 8m /dev/zero >x'
    is "$status" 1
    has "$err" "isol8: failed: /sandbox is full (limit 4m)"
    host --tmp-size 2m --cmd 'head -c 8m /dev/zero >/tmp/x'
    has "$err" "isol8: failed: /tmp is full (limit 2m)"
}

@test "sizes and --cpu reach the sandbox" {
    host --sandbox-size 100m --tmp-size 50m --memory 1g --cpu 0.5 --cmd \
        'df --output=size -m /sandbox /tmp | tail -n +2 | tr -d " \n"
         cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max'
    is "$out" 100501073741824
    host --memory 0 --cpu 0 --pids-limit 0 --cmd 'echo unlimited'
    is "$out" unlimited
}

@test "sizes from the configuration, flags above them" {
    echo '{"defaults": {"sandboxSize": "64m", "tmpSize": "32m", "timeoutMs": 400}}' >isol8.config.json
    host --cmd 'df --output=size -m /sandbox /tmp | tail -n +2 | tr -d " \n"'
    is "$out" 6432
    host --cmd 'sleep 50'
    is "$status" 137
    has "$err" "400 ms"
    host --sandbox-size 16m --timeout 30000 --cmd 'df --output=size -m /sandbox | tail -n +2 | tr -d " "'
    is "$out" 16
}

@test "wrong memory texts" {
    for value in -1 x 64x 1e3 '1 0' 1.5.5m; do
        host --memory "$value" --cmd true
        is "$status" 1
        is "$out" ""
        has "$err" "$value"
    done
    host --memory 1k --cmd true
    is "$status" 1
    has "$err" "1k"
}

# ---- Secrets and variables --------------------------------------------------------------------------

@test "--secret KEY=VALUE and --secret KEY" {
    host --secret 'TOKEN=correct horse=x' --cmd 'echo "[$TOKEN] ${#TOKEN}"; echo "$TOKEN" >&2'
    is "$out" "[***] 15"
    is "$err" "***"
    FROM_CALLER=hunter2-hunter2 host --secret FROM_CALLER --cmd 'echo "[$FROM_CALLER] ${#FROM_CALLER}"'
    is "$out" "[***] 15"
    FROM_CALLER=hunter2-hunter2 host --cmd 'echo "[$FROM_CALLER]"'
    is "$out" "[]"
    host --secret EMPTY= --cmd 'echo "[${EMPTY-unset}]"'
    is "$out" "[]"
}

@test "a secret in pieces, and one cut by the limit" {
    for mode in "" --no-stream; do
        host $mode --secret K=abcdefghij --cmd \
            'for c in a b c d e f g h i j "|" a b c x; do printf %s "$c"; sleep 0.01; done; echo'
        is "$out" "***|abcx"
        host $mode --secret K=QWERTZ --max-output 5 --cmd 'printf "123%s" "$K"'
        is "${out:0:5}" "123**"
        [[ "$out" != *Q* ]]
    done
}

@test "--env" {
    host --env 'A=b c' --env HOME=/tmp --cmd 'echo "$A $HOME"'
    is "$out" "b c /tmp"
}

# ---- Files and places ----------------------------------------------------------------------------------

@test "--files with 200 files and folders" {
    for i in $(seq 200); do
        mkdir -p "tree/d$((i % 7))/e"
        echo "file $i" >"tree/d$((i % 7))/e/f$i"
    done
    head -c 100000 /dev/urandom >tree/binary
    mkdir -p tree/.git tree/node_modules tree/d1/__pycache__
    touch tree/.git/no tree/node_modules/no tree/d1/__pycache__/no
    ln -s binary tree/link
    mkfifo tree/fifo
    host --files tree --cmd 'find . -type f | wc -l; cat d3/e/f157; sha256sum <binary; ls -A | tr "\n" " "'
    is "$status" 0
    is "$out" "201
file 157
$(sha256sum <tree/binary)
binary d0 d1 d2 d3 d4 d5 d6 "
}

@test "--workdir" {
    mkdir -p tree/sub && touch tree/sub/x
    host --files tree --workdir sub --cmd 'pwd; ls'
    is "$out" "/sandbox/sub
x"
    host --workdir nowhere --cmd pwd
    is "$status" 1
    is "$out" ""
    is "$err" "[ERR] Working directory does not exist in the sandbox: /sandbox/nowhere"
    for dir in / /etc ../x /sandboxx a/../..; do
        host --workdir "$dir" --cmd pwd
        fails_with "[ERR] Working directory must be inside /sandbox"
    done
}

@test "the root is read-only unless --writable" {
    host --cmd 'touch /etc/x'
    is "$status" 1
    has "$err" "Read-only file system"
    host --writable --cmd 'touch /etc/x && ls /etc/x'
    is "$out" /etc/x
    [ ! -e /etc/x ]
}

# ---- Network -------------------------------------------------------------------------------------------

@test "--net none has no network, --net host reaches the machine" {
    host --cmd 'cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d " "; echo >/dev/tcp/192.0.2.1/80'
    is "$out" lo
    [ "$status" != 0 ]

    perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1") or die $!;
        open my $f, ">", "port.new"; print $f $s->sockport, "\n"; close $f;
        rename "port.new", "port";
        while (my $c = $s->accept) { print $c "hello from the host\n"; close $c }' &
    server=$!
    until [ -s port ]; do
        kill -0 $server
        sleep 0.02
    done
    host --net host --cmd "cat </dev/tcp/127.0.0.1/$(cat port)"
    kill $server
    is "$out" "hello from the host"
}

@test "a sandbox without network does not reach the host's loopback" {
    perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1") or die $!;
        open my $f, ">", "port.new"; print $f $s->sockport, "\n"; close $f;
        rename "port.new", "port"; sleep 60' &
    server=$!
    until [ -s port ]; do
        kill -0 $server
        sleep 0.02
    done
    host --cmd "cat </dev/tcp/127.0.0.1/$(cat port) && echo connected"
    kill $server
    is "$out" ""
    [ "$status" != 0 ]
}

# ---- What is not right --------------------------------------------------------------------------------

@test "images that are not there, or not a name" {
    for image in nowhere isol8:nowhere ../../etc isol8:../../x /etc 'a b'; do
        isol8 run --image "$image" --cmd true
        is "$status" 1
        is "$out" ""
        has "$err" "[ERR] "
    done
    nothing_is_left
}

@test "an unknown runtime" {
    host --runtime perl -e 1
    fails_with '[ERR] Unknown runtime: "perl". Available: python, node, bun, bash, deno, agent'
}

@test "a state directory that cannot be used" {
    ISOL8_STATE_ROOT=/proc/isol8 host --cmd true
    is "$status" 1
    is "$out" ""
    has "$err" "[ERR] "
    has "$err" "/proc/isol8"
    touch occupied
    ISOL8_STATE_ROOT=$PWD/occupied host --cmd true
    is "$status" 1
    has "$err" "occupied"
    ISOL8_STATE_ROOT=relative/path host --cmd true
    is "$status" 1
    has "$err" "relative/path"
}

@test "a user without the rights gets a clear message" {
    cp "$ISOL8" ./isol8-copy
    chmod 755 . "$BATS_TEST_TMPDIR" ./isol8-copy
    status=0
    ASAN_OPTIONS=detect_leaks=0 HOME=/ setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$(readlink -f ./isol8-copy)" run --image host --cmd true >out 2>err || status=$?
    [ "$status" = 1 ] || [ "$status" = 126 ] # 126: the test folder itself is closed to that user
    is "$(cat out)" ""
    [ -s err ]
}

@test "the OCI runtime is missing, or fails" {
    echo '{"runtime": "no-such-runtime"}' >isol8.config.json
    isol8 run --config isol8.config.json --image host --cmd true
    is "$status" 1
    is "$out" ""
    has "$err" "no-such-runtime"
    printf '%s\n' '#!/bin/sh' \
        'case "$*" in *--version*) exec runc --version ;; esac' \
        'case "$*" in *run*) echo "time=now level=error msg=\"this runtime does nothing\"" >&2 ;; esac' \
        'exit 1' >fake
    chmod +x fake
    echo "{\"runtime\": \"$PWD/fake\"}" >isol8.config.json
    isol8 run --config isol8.config.json --image host --cmd true
    is "$status" 1
    has "$err" "could not start the sandbox"
    has "$err" "this runtime does nothing"
    nothing_is_left
}

@test "doctor names a runtime that is too old, or missing" {
    printf '#!/bin/sh\necho "runc version 1.0.0"\necho "spec: 1.0.2"\n' >old
    chmod +x old
    echo "{\"runtime\": \"$PWD/old\"}" >isol8.config.json
    isol8 doctor --json --config isol8.config.json
    is "$status" 1
    has "$out" "1.0.0"
    echo '{"runtime": "no-such-runtime"}' >isol8.config.json
    isol8 doctor --config isol8.config.json
    is "$status" 1
    has "$out$err" "no-such-runtime"
}

@test "ten at once" {
    for i in $(seq 10); do
        "$ISOL8" run --image host --cmd "echo $i" >many.$i 2>&1 &
        pids[i]=$!
    done
    for i in $(seq 10); do
        wait "${pids[i]}"
        is "$(cat many.$i)" "$i"
    done
    nothing_is_left
}
