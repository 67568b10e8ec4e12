#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# images_build.bats - every image is built, or up to date; the tests that use images follow.
load common.bash

setup() {
    start_in_own_folder
}

@test "every image is built" {
    isol8 setup
    printf '%s\n' "$err"
    is "$status" 0
    has "$out" "[DONE] Setup complete!"
}

@test "built images are up to date" {
    isol8 setup
    is "$status" 0
    [[ "$err" != *Building* ]]
    for name in python node bun deno bash agent; do
        has "$err" "[OK] $name"
    done
}
