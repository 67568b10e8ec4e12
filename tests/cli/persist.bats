#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# persist.bats - `isol8 run` with setup scripts, with --persistent and with --persist.
load common.bash

setup() {
    start_in_own_folder
}

teardown() {
    "$ISOL8" cleanup --force >/dev/null 2>&1 || true
}

host() {
    isol8 run --image host "$@"
}

# kept_id - the id that stderr names
kept_id() {
    sed -n 's/^\[Run\] Sandbox \([0-9a-f]\{12\}\) is kept\.$/\1/p' "$BATS_TEST_TMPDIR/err"
}

nothing_is_left() {
    is "$(ls "$ISOL8_STATE_ROOT/sandboxes" "$ISOL8_STATE_ROOT/ids" "$ISOL8_STATE_ROOT/runc" |
        grep -v -e : -e '^$')" ""
}

# ---- Setup scripts -------------------------------------------------------------------------------

@test "setup: commands and files, in order, before the program" {
    printf 'echo "from file in $PWD"\nexport LOST=1' >prepare.sh
    mkdir dir
    host --setup 'echo one >>made' --setup prepare.sh --setup '' --setup 'echo two >>made; dir() { :; }' \
        --setup dir --cmd 'cat made; echo "${LOST-unset}"'
    is "$status" 0
    is "$(xargs <<<"$out")" "from file in /sandbox one two unset"
    is "$err" ""
    host --setup 'echo a; echo b >&2' --cmd 'echo c; echo d >&2'
    is "$(xargs <<<"$out") $(xargs <<<"$err")" "a c b d"
}

@test "setup: its output is neither in results nor in --out" {
    for form in --no-stream --json; do
        host $form --setup 'echo a; echo b >&2' --cmd 'echo c'
        is "$status" 0
        is "$err" ""
        [[ "$out" == *c* && "$out" != *a\\n* ]]
    done
    host --no-stream --setup 'echo a' --cmd 'echo c'
    is "$out" c
    host --out file --setup 'echo a' --cmd 'echo c'
    is "$(cat file)" c
}

@test "setup: sees variables and secrets, and is masked" {
    host --env A=b --secret TOKEN=hunter2 --setup 'echo "$A $TOKEN"' --cmd 'echo "$TOKEN"'
    is "$(xargs <<<"$out")" "b *** ***"
    host --secret TOKEN=hunter2 --setup 'echo "$TOKEN" >&2; exit 3' --no-stream --cmd true
    is "$status" 1
    is "$err" "[ERR] Setup script failed (exit code 3): ***"
}

@test "setup: a failure ends the run" {
    host --setup 'echo before; echo why >&2; exit 5' --cmd 'echo never'
    is "$status" 5
    is "$out" before
    has "$err" why
    has "$err" "[ERR] Setup script failed (exit code 5)"
    host --no-stream --setup 'echo before; echo why >&2; exit 5' --cmd 'echo never'
    fails_with "[ERR] Setup script failed (exit code 5): why"
    host --timeout 500 --setup 'sleep 100' --cmd 'echo never'
    is "$status" 137
    is "$out" ""
    has "$err" "[ERR] SETUP SCRIPT TIMED OUT"
    nothing_is_left
}

# ---- Sessions ------------------------------------------------------------------------------------

@test "persistent: a session that ends with the command" {
    host --persistent --setup 'echo x >f' --cmd 'cat f'
    is "$status" 0
    is "$out" x
    [[ "$err" =~ ^\[Run\]\ Session\ ID:\ cli-[0-9]{13}$ ]]
    host --persistent --persist --cmd 'sleep 1000 >/dev/null 2>&1 & exit 4'
    is "$status" 4
    is "$(kept_id)" ""
    nothing_is_left
}

# ---- Kept sandboxes ------------------------------------------------------------------------------

@test "persist: kept with what is in it, until cleanup" {
    host --persist --secret TOKEN=hunter2 --cmd 'echo data >f; sleep 1000 >/dev/null 2>&1 & exit 3'
    is "$status" 3
    is "$out" ""
    id=$(kept_id)
    is "${#id}" 12
    has "$err" "isol8 exec -t $id bash"
    has "$err" "isol8 cleanup"
    isol8 ps
    [[ "$(tail -n 1 <<<"$out" | xargs)" =~ ^$id\ host\ .*\ kept\ -$ ]]
    isol8 exec "$id" sh -c 'cat f; echo "${TOKEN-unset}"; cat /proc/self/status'
    is "$(head -n 2 <<<"$out" | xargs)" "data unset"
    [[ "$out" =~ Seccomp_filters:.2 ]]
    # Other runs, which look for what is left over, leave it alone.
    host --cmd true
    isol8 exec "$id" true
    is "$status" 0
    isol8 cleanup --yes
    is "$status" 0
    has "$out" "  * kept $id | host | created "
    is "$(tail -n 1 <<<"$err")" "Removed 1 container(s)"
    isol8 exec "$id" true
    fails_with "[ERR] there is no sandbox '$id' (see 'isol8 ps')"
    nothing_is_left
}

@test "persist: in every form of output" {
    host --persist --json --cmd 'echo x'
    is "$status" 0
    has "$out" "\"containerId\":\"$(kept_id)"
    host --persist --no-stream --cmd 'echo x'
    is "$out" x
    is "$(kept_id | wc -c)" 13
    isol8 cleanup --yes
    has "$err" "Removed 2 container(s)"
    nothing_is_left
}

@test "persist: the filtered network is closed" {
    host --persist --net filtered --allow '^good\.example$' --cmd true
    id=$(kept_id)
    isol8 exec "$id" timeout 5 bash -c 'exec 3<>/dev/tcp/198.18.0.1/8118 && echo connected'
    [ "$status" != 0 ]
    is "$out" ""
    isol8 cleanup --yes
    nothing_is_left
}

@test "persist: when its runtime has died, the next start removes it" {
    host --persist --cmd true
    id=$(kept_id)
    pkill -KILL -f -- "--bundle $ISOL8_STATE_ROOT/sandboxes/$id"
    sleep 0.2
    isol8 ps --json
    is "$out" "[]"
    nothing_is_left
}
