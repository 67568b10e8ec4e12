# SPDX-License-Identifier: Apache-2.0
# common.bash - loaded by every bats file: $ISOL8 in a folder of its own, without configuration.

# Nothing of the machine's or the user's may show.
start_in_own_folder() {
    unset ISOL8_CONFIG CI
    export HOME=$BATS_TEST_TMPDIR/home
    mkdir -p "$HOME" "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work"
}

# isol8 ARGS... - run it; $status, $out and $err hold what came of it
isol8() {
    status=0
    "$ISOL8" "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
    out=$(cat "$BATS_TEST_TMPDIR/out")
    err=$(cat "$BATS_TEST_TMPDIR/err")
}

# is ACTUAL EXPECTED
is() {
    if [ "$1" != "$2" ]; then
        printf 'expected: %s\ngot:      %s\n' "$2" "$1"
        return 1
    fi
}

# fails_with MESSAGE - exit 1, nothing on stdout, exactly this on stderr
fails_with() {
    is "$status" 1 && is "$out" "" && is "$err" "$1"
}

# has TEXT PART
has() {
    if [[ "$1" != *"$2"* ]]; then
        printf 'missing: %s\nin: %s\n' "$2" "$1"
        return 1
    fi
}
