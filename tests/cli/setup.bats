#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# setup.bats - builds in data roots of their own: interrupted, out of space, two at once.
load common.bash

setup() {
    start_in_own_folder
    # Sandboxes must be able to search every directory above it.
    export ISOL8_DATA_ROOT=$ISOL8_TEST_DIR/data-$BATS_TEST_NUMBER
    mkdir -p "$ISOL8_DATA_ROOT"
}

teardown() {
    if mountpoint -q "$ISOL8_DATA_ROOT"; then
        umount "$ISOL8_DATA_ROOT"
    fi
    [ -z "${pid:-}" ] || kill -9 "$pid" 2>/dev/null || true
    rm -rf --one-file-system "$ISOL8_DATA_ROOT"
}

# Nothing unfinished lies about: complete layers and blobs only, no sandbox, no mount.
nothing_half_made() {
    is "$(cd "$ISOL8_DATA_ROOT" && find layers skeleton images images/blobs/sha256 -mindepth 1 \
        -maxdepth 1 \( -name 'tmp-*' -o -name '.*' \))" ""
    is "$(ls "$ISOL8_STATE_ROOT/sandboxes" 2>/dev/null)" ""
    ! grep "$ISOL8_DATA_ROOT/" /proc/self/mountinfo
}

# Until a build is under way: it has said what it does.
until_building() {
    until grep -q Building "$1" 2>/dev/null; do
        kill -0 "$pid"
        sleep 0.05
    done
}

@test "two set-ups at once do not fight, and a third has nothing to do" {
    "$ISOL8" setup bash >first 2>&1 &
    one=$!
    "$ISOL8" setup bash >second 2>&1 &
    two=$!
    wait $one
    wait $two
    isol8 run --cmd 'echo works'
    is "$out" works
    isol8 setup bash
    is "$status" 0
    has "$out$err" "bash"
    [[ "$out$err" != *Building* ]]
    nothing_half_made
}

@test "interrupted by SIGINT, killed, then repeated" {
    "$ISOL8" setup bash >log 2>&1 &
    pid=$!
    until_building log
    kill -INT $pid
    code=0
    wait $pid || code=$?
    is "$code" 130
    nothing_half_made

    "$ISOL8" setup bash >log2 2>&1 &
    pid=$!
    until_building log2
    sleep 1 # somewhere in the middle
    kill -9 $pid
    wait $pid || true
    pid=

    isol8 setup bash
    is "$status" 0
    isol8 run --cmd 'echo works'
    is "$out" works
    nothing_half_made
}

@test "no space left gives a clear error and leaves nothing half-made" {
    mount -t tmpfs -o size=24m none "$ISOL8_DATA_ROOT"
    isol8 setup bash
    is "$status" 1
    has "$err" "[ERR]"
    has "$err" "o space left"
    is "$(find "$ISOL8_DATA_ROOT/layers" -mindepth 1 -maxdepth 1)" ""
    isol8 run --image host --cmd 'echo still works'
    is "$out" "still works"
    nothing_half_made
}

@test "an unknown image name" {
    isol8 setup perl
    is "$status" 1
    has "$err" perl
    isol8 setup ../x
    is "$status" 1
}
