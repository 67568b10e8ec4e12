#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gen_strict_bad.sh GENERATOR OUTPUT - every mistake of strict_bad.c is named, nothing is written
set -u

rm -f "$2"
if said=$("$1" x86_64 "$2" 2>&1); then
    echo "the generator accepts bad tables"
    exit 1
fi
expected="strict profile: 'read' is listed twice
strict profile: 'opne' is no system call
strict profile: 'read' is listed twice
strict profile: 'socket' is allowed and has a rule as well
strict profile: 'write' is listed twice
strict profile: 'mount' must be refused, but is allowed
strict profile: 'clone3' must be refused, but is allowed
strict profile: 'sokcet' is no system call"
if [ "$said" != "$expected" ]; then
    echo "$said"
    exit 1
fi
if [ -e "$2" ]; then
    echo "a profile was written all the same"
    exit 1
fi
