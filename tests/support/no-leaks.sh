#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# no-leaks.sh COMMAND... - run a test with roots of its own, then compare the machine with before
#
# Exit code: the test's, or 1 when something is left: a process of ours, a mount, a cgroup, a
# network namespace or link, a record. Images are kept between tests in ISOL8_TEST_DATA (default:
# the machine's own data root), since building them takes minutes.
set -euo pipefail

if [ "$(id -u)" != 0 ]; then
    echo "no-leaks: this test needs root" >&2
    exit 1
fi

work=$(mktemp -d /run/isol8-test-XXXXXX)
chmod 0755 "$work"
export ISOL8_STATE_ROOT=$work/state
export ISOL8_DATA_ROOT=${ISOL8_TEST_DATA:-/var/lib/isol8}
export ISOL8_TEST_DIR=$work
unset ISOL8_CONFIG

# Things that exist, one a line and sorted. Only what carries our names or kinds, so that the rest
# of the machine may go about its business meanwhile.
snapshot() {
    {
        ps -eo pid=,comm=,args= | awk -v me=$$ \
            '$1 != me && ($2 ~ /^(runc|isol8|guest)/ || $3 ~ /isol8-init/) { print "process", $1, $2 }'
        awk '/isol8|runc/ { print "mount", $5 }' /proc/self/mountinfo
        find /sys/fs/cgroup -mindepth 1 -type d \( -name 'isol8*' -o -path '*/isol8*/*' \) \
            -printf 'cgroup %p\n' 2>/dev/null || true
        find /run/netns -mindepth 1 -printf 'netns %p\n' 2>/dev/null || true
        find /sys/class/net -mindepth 1 -printf 'link %f\n'
        find "$ISOL8_STATE_ROOT"/sandboxes "$ISOL8_STATE_ROOT"/runc -mindepth 1 -maxdepth 1 \
            -printf 'record %p\n' 2>/dev/null || true
    } | sort -u
}

snapshot >"$work/before"
status=0
"$@" || status=$?

# The kernel takes a moment to bury namespaces and cgroups: up to two seconds.
for _ in $(seq 40); do
    snapshot >"$work/after"
    left=$(comm -13 "$work/before" "$work/after")
    [ -n "$left" ] || break
    sleep 0.05
done
rm -rf --one-file-system "$work" || status=1
if [ -n "$left" ]; then
    printf 'no-leaks: left behind by the test:\n%s\n' "$left" >&2
    status=1
fi
exit "$status"
