#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# runtimes.bats - each language in its own image.
load common.bash

setup() {
    start_in_own_folder
}

@test "python" {
    isol8 run -e 'import sys, platform, json, ssl, sqlite3; print("hello from", platform.python_version()); print("e", file=sys.stderr)'
    is "$status" 0
    [[ "$out" == "hello from 3."* ]]
    is "$err" e
    echo 'import sys; sys.exit(len(open(__file__).read()))' >code.py
    isol8 run code.py
    is "$status" "$(wc -c <code.py)"
    isol8 run -e 'import threading as t; x = [t.Thread(target=print, args=(i,)) for i in range(8)]; [i.start() for i in x]; [i.join() for i in x]'
    is "$status" 0
    is "$(sort <<<"$out" | tr -d '\n')" 01234567
}

@test "a python program that reads 200 files" {
    mkdir tree
    for i in $(seq 200); do echo "$i" >"tree/n$i.txt"; done
    isol8 run --files tree -e 'import glob; print(sum(int(open(f).read()) for f in glob.glob("*.txt")))'
    is "$out" 20100
}

@test "node: ES modules, CommonJS, JSON on stdin" {
    isol8 run --runtime node -e 'import os from "node:os"; console.log("hello", await Promise.resolve(os.hostname()))'
    is "$status" 0
    is "$out" "hello isol8"
    echo 'const os = require("node:os"); console.log(typeof module, os.userInfo().uid)' >code.cjs
    isol8 run code.cjs
    is "$out" "object 100"
    echo 'import fs from "node:fs"; console.log(JSON.parse(fs.readFileSync(0, "utf8")).a * 2)' >code.mjs
    isol8 run --stdin '{"a": 21}' code.mjs
    is "$out" 42
    isol8 run --runtime node -e 'process.exit(9)'
    is "$status" 9
}

@test "node collects garbage instead of being killed" {
    isol8 run --runtime node --memory 256m --timeout 60000 -e \
        'let n = 0; for (let i = 0; i < 400; i++) n += new Array(100000).fill(i).map(x => ({ x })).length; console.log(n)'
    is "$status" 0
    is "$out" 40000000
}

@test "bun runs TypeScript" {
    echo 'interface A { n: number } const a: A = { n: 41 }; console.log("hello", a.n + 1, typeof Bun)' >code.ts
    isol8 run code.ts
    is "$status" 0
    is "$out" "hello 42 object"
    is "$err" ""
}

@test "deno runs TypeScript" {
    echo 'const f = (n: number): string => `hello ${n}`; console.log(f(42), typeof Deno)' >code.mts
    isol8 run code.mts
    is "$status" 0
    is "$out" "hello 42 object"
    is "$err" ""
}

@test "bash, and a pipeline of twenty lines" {
    isol8 run --runtime bash -e 'echo "hello $BASH_VERSION"'
    is "$status" 0
    [[ "$out" == "hello 5."* ]]
    isol8 run --cmd 'set -euo pipefail
        mkdir -p data
        for i in $(seq 100); do
            echo "$i $((i * i)) name$((i % 7))" >>data/all
        done
        cut -d" " -f3 data/all |
            sort |
            uniq -c |
            sort -rn -k1,1 |
            head -3 |
            while read -r n name; do
                echo "$name: $n"
            done |
            sort >data/top
        awk "{ s += \$2 } END { print \"sum\", s }" data/all
        grep -c name3 data/all
        sed -n 1p data/top | tr a-z A-Z
        find data -type f | wc -l
        test ! -e data/none'
    is "$status" 0
    is "$out" "sum 338350
14
NAME1: 15
2"
}

@test "agent: the program starts" {
    isol8 run --runtime agent --net host --cmd 'pi --version'
    is "$status" 0
    [[ "$out" =~ ^[0-9]+\.[0-9]+\.[0-9]+ ]]
    isol8 run --runtime agent -e 'hello'
    is "$status" 1
    has "$err" "Agent runtime requires network access."
}

@test "an image has what the recipe says, and nothing of the host" {
    isol8 run --cmd 'cat /etc/passwd | grep sandbox: | cut -d: -f1,3,4; ls -A /home /root 2>/dev/null | grep -v -e : -e "^$"; test ! -e /var/lib/isol8'
    is "$status" 0
    is "$out" "sandbox:100:101"
    [[ "$(cat "$BATS_TEST_TMPDIR/out")" != *"$(hostname)"* ]]
}
