#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# kept.bats - `isol8 ps`, and `isol8 exec` in a sandbox that is marked as a kept one.
load common.bash

setup() {
    start_in_own_folder
    "$ISOL8" run --image host --timeout 60000 --secret TOKEN=hunter2 \
        --cmd 'echo before >file; echo up; sleep 60' >run.out 2>&1 &
    run_pid=$!
    until grep -q up run.out; do
        kill -0 "$run_pid"
        sleep 0.05
    done
    id=$("$ISOL8" ps --json | sed -n 's/.*"id": "\([0-9a-f]*\)".*/\1/p')
    is "${#id}" 64
}

teardown() {
    kill "$run_pid" 2>/dev/null || true
    wait "$run_pid" || true
}

# As the engine does at the end of a run with --persist.
mark_kept() {
    printf '{"version":1,"strict":%s}\n' "${1:-true}" >"$ISOL8_STATE_ROOT/sandboxes/$id/kept"
}

@test "ps: what is there, for people and for programs" {
    isol8 ps
    is "$status" 0
    is "$err" ""
    is "$(head -n 1 <<<"$out" | xargs)" "ID IMAGE CREATED STATE OWNER"
    [[ "$(tail -n 1 <<<"$out" | xargs)" =~ ^${id:0:12}\ host\ [-0-9]{10}\ [:0-9]{8}\ running\ $run_pid$ ]]
    isol8 ps --json
    has "$out" "\"id\": \"$id\""
    has "$out" '"state": "running"'
    has "$out" "\"ownerPid\": $run_pid"
    mark_kept
    isol8 ps
    has "$out" "  kept  "
    kill "$run_pid"
    wait "$run_pid" || true
    isol8 ps --json
    is "$status" 0
    is "$out" "[]"
}

@test "exec: which sandbox" {
    isol8 exec "${id:0:12}" true
    fails_with "[ERR] sandbox '${id:0:12}' is not a kept one: it belongs to process $run_pid and ends with its execution"
    mark_kept
    for beginning in "${id:0:4}" "${id:0:12}" "$id"; do
        isol8 exec "$beginning" echo yes
        is "$status" 0
        is "$out" yes
        is "$err" ""
    done
    for beginning in "${id:0:3}" "" "${id}0" xyz1 ../..; do
        isol8 exec "$beginning" true
        fails_with "[ERR] '$beginning' is no sandbox id: at least its first 4 hex digits are needed"
    done
    other=$(tr '0-9a-f' '1-9a-f0' <<<"${id:0:12}")
    isol8 exec "$other" true
    fails_with "[ERR] there is no sandbox '$other' (see 'isol8 ps')"
}

@test "exec: the program's user, limits, environment, files" {
    mark_kept
    isol8 exec "$id" sh -c 'id -u; id -g; pwd; umask; ulimit -c; ulimit -n; cat file
        cat /proc/self/oom_score_adj; ls /proc/self/fd | wc -l; tr "\0" " " </proc/1/cmdline'
    is "$status" 0
    is "$(xargs <<<"$out")" "100 101 /sandbox 0022 0 1024 before 1000 4 /.isol8/init"
    isol8 exec "$id" grep -E '^(NoNewPrivs|Seccomp|Seccomp_filters|CapPrm|CapEff|CapBnd|CapAmb):' /proc/self/status
    is "$(xargs <<<"$out")" "CapPrm: 0000000000000000 CapEff: 0000000000000000 CapBnd: 0000000000000000 CapAmb: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 Seccomp_filters: 2"
    FROM_CALLER=x isol8 exec -e 'A=b c' --env FROM_CALLER -e PYTHONUNBUFFERED= "$id" env
    has "$out" "A=b c"
    has "$out" "FROM_CALLER=x"
    has "$out" "HOME=/sandbox"
    [[ "$out" == *PYTHONUNBUFFERED=* && "$out" != *PYTHONUNBUFFERED=1* ]]
    [[ "$out" != *TOKEN* && "$out" != *hunter2* ]]
    isol8 exec "$id" mkdir -p sub/dir
    isol8 exec -w sub/dir "$id" pwd
    is "$out" /sandbox/sub/dir
    isol8 exec -w nowhere "$id" pwd
    fails_with "[ERR] Working directory does not exist in the sandbox: /sandbox/nowhere"
    isol8 exec -w ../etc "$id" pwd
    fails_with "[ERR] Working directory must be inside /sandbox"
}

@test "exec: clone3 and new namespaces are refused, as in a run" {
    cat >try.py <<'END'
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(435, 0, 0), ctypes.get_errno())
print(libc.unshare(0x10000000), ctypes.get_errno())
END
    mark_kept
    isol8 exec "$id" python3 - <try.py
    is "$(xargs <<<"$out")" "-1 38 -1 1"
    isol8 exec "$id" sh -c 'exec /.isol8/init exec' # without a job
    is "$status" 127
    isol8 exec "$id" cat /.isol8/init
    is "$status" 1
    # With a profile of the operator's own there is no second filter.
    mark_kept false
    isol8 exec "$id" sh -c 'grep Seccomp_filters: /proc/self/status'
    is "$(xargs <<<"$out")" "Seccomp_filters: 1"
}

@test "exec: exit codes, streams, bytes" {
    mark_kept
    isol8 exec "$id" sh -c 'echo out; echo err >&2; exit 7'
    is "$status" 7
    is "$out" out
    is "$err" err
    isol8 exec "$id" sh -c 'kill -9 $$'
    is "$status" 137
    isol8 exec "$id" no-such-program
    is "$status" 127
    is "$err" "isol8: cannot start 'no-such-program': No such file or directory"
    isol8 exec "$id" /etc/passwd
    is "$status" 126
    is "$err" "isol8: cannot start '/etc/passwd': Permission denied"
    head -c 300000 /dev/urandom >in
    "$ISOL8" exec "$id" cat <in >copy
    cmp in copy
    isol8 exec "$id" -- printf '%s' $'\xff\xfe' --debug
    is "$(od -An -tx1 <"$BATS_TEST_TMPDIR/out" | head -n 1 | xargs)" "ff fe 2d 2d 64 65 62 75 67"
    isol8 exec -t "$id" true </dev/null
    fails_with "[ERR] terminal: standard input is not a terminal"
}

@test "exec: a signal reaches the program, and its exit code comes back" {
    mark_kept
    for signal in INT TERM HUP; do
        "$ISOL8" exec "$id" bash -c 'trap "exit 9" INT TERM HUP; echo ready
            while :; do sleep 0.05; done' >out &
        pid=$!
        until grep -q ready out; do
            sleep 0.05
        done
        kill -$signal $pid
        status=0
        wait $pid || status=$?
        is "$status" 9
    done
    # Killed itself, it leaves no runtime behind: the program gets SIGTERM.
    "$ISOL8" exec "$id" sh -c 'echo ready; exec sleep 1000' >out &
    pid=$!
    until grep -q ready out; do
        sleep 0.05
    done
    kill -KILL $pid
    wait $pid || true
    for _ in $(seq 100); do
        isol8 exec "$id" pgrep -x -f 'sleep 1000'
        [ "$status" = 0 ] || break
        sleep 0.05
    done
    is "$out" ""
}

@test "exec: a terminal" {
    mark_kept
    cat >terminal.py <<'END'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
out = b""
while True:
    try:
        got = os.read(fd, 1000)
    except OSError:
        break
    if not got:
        break
    out += got
    if b"ready" in out and b"^C" not in out:
        os.write(fd, b"\x03")
print(out.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
    run python3 terminal.py "$ISOL8" exec -t "$id" bash -c 'tty; echo $TERM; trap "exit 5" INT; echo ready
        while :; do sleep 0.05; done'
    has "$output" /dev/pts/0
    has "$output" xterm
    has "$output" ^C
    has "$output" " 5"
    # Without one of its own, Ctrl-C is the kernel's signal to all of us.
    run python3 terminal.py "$ISOL8" exec "$id" bash -c 'tty; trap "exit 6" INT; echo ready
        while :; do sleep 0.05; done'
    has "$output" "not a tty"
    has "$output" " 6"
}

@test "cleanup: shown as kept, and left alone while its owner lives" {
    mark_kept
    isol8 cleanup --yes
    is "$status" 0
    has "$out" "  * kept ${id:0:12} | host | created "
    has "$err" "1 container(s) are in use by a running isol8"
    isol8 cleanup --json
    has "$out" '"kept": true'
    isol8 cleanup --force
    is "$status" 0
    has "$err" "Removed 1 container(s)"
    wait "$run_pid" || true
    is "$(ls "$ISOL8_STATE_ROOT/sandboxes")" ""
}
