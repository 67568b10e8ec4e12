#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# remote.bats - code from a URL: what is fetched, what is refused, and what is said about it.
#
# The hosts are real HTTPS servers on loopback (tests/support/code_origin.py), reached by names that
# the operator's configuration fixes, through the address guard that it opens for loopback.
load common.bash

HELLO_SHA=$(printf "print('hello from afar')\n" | sha256sum | cut -d' ' -f1)
BOM_SHA=$(printf "\xef\xbb\xbfprint('hello from afar')\n" | sha256sum | cut -d' ' -f1)

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    "$ISOL8_SOURCE/tests/support/make_code_certs.sh" .
    mkfifo stop ports
    python3 "$ISOL8_SOURCE/tests/support/code_origin.py" . <stop >ports 3>&- &
    exec 9>stop
    read -r HTTPS HTTP EXPIRED WRONG UNKNOWN UPSTREAM SIX <ports
    export HTTPS HTTP EXPIRED WRONG UNKNOWN UPSTREAM SIX
}

teardown_file() {
    exec 9>&-
}

# configure [REMOTE_KEYS] [NETWORK_KEYS] - config.json in the working directory
configure() {
    cat >"$BATS_TEST_TMPDIR/config.json" <<END
{ "remoteCode": { "enabled": true, "allowedSchemes": [${SCHEMES-"\"https\", \"http\""}],
                  "fetchTimeoutMs": ${FETCH_MS-5000} ${1:+, $1} },
  "network": {
    "hosts": { "code.test": "127.0.0.1", "other.test": ["127.0.0.1"], "six.test": "::1",
               "inner.test": "10.1.2.3", "mixed.test": ["127.0.0.1", "10.1.2.3"] },
    "allowAddresses": ["127.0.0.1/32", "::1/128"],
    "ports": [$HTTPS, $HTTP, $EXPIRED, $WRONG, $UNKNOWN, $SIX],
    "caFile": "$BATS_FILE_TMPDIR/ca.pem" ${2:+, $2} } }
END
}

setup() {
    start_in_own_folder
    export ISOL8_DATA_ROOT=$BATS_TEST_TMPDIR/data
    configure
    code=https://code.test:$HTTPS
}

# fetch URL FLAGS... - run code from there on the machine's own python
fetch() {
    isol8 run --config "$BATS_TEST_TMPDIR/config.json" --image host --url "$@"
}

# seen PATH - how often a path was asked for
seen() {
    curl -sS --noproxy '*' "http://127.0.0.1:$HTTP/count$1"
}

@test "runs what is there; the runtime is that of the path's extension, and so is the script's" {
    fetch "$code/ok/a.py"
    is "$status:$out:$err" "0:hello from afar:"
    fetch "$code/file/x.py?v=1.sh#frag.js"
    is "$out" "/sandbox/main.py"
    fetch "$code/bash/x.sh"
    is "$out" "/sandbox/main.sh"
    fetch "$code/file/none" --runtime python
    is "$out" "/sandbox/main.py"
    fetch "$code/file/page.txt" --runtime python
    is "$out" "/sandbox/main.py"
    fetch "$code/file/x.pyw" --runtime python
    is "$out" "/sandbox/main.pyw"
    fetch "  $code/ok/space.py  "
    is "$out" "hello from afar"
    fetch "$code/ok/a.py" --no-stream --persistent
    is "$out" "hello from afar"
}

@test "the command line: combinations, runtimes, shorthands, before anything is fetched" {
    fetch "$code/ok" --cmd ls
    fails_with "[ERR] --cmd cannot be combined with file input, --eval, --url, --github, or --gist."
    fetch "$code/ok" -e 1
    fails_with "[ERR] --url/--github/--gist cannot be used with file input or --eval."
    isol8 run --github a/b/c/d.py some.py
    fails_with "[ERR] --url/--github/--gist cannot be used with file input or --eval."
    fetch "$code/ok"
    fails_with "[ERR] Cannot detect runtime from URL path. Use --runtime to specify."
    fetch "code.py"
    fails_with "[ERR] Invalid code URL: code.py"
    for bad in a a/b a/b/c a/b/c/ //c/d /b/c/d a/b/c//d.py a/b/../d.py a/b/c/%2e%2e/d.py 'a/b/c/d\e.py' a/b/c/d%2fe.py; do
        isol8 run --github "$bad"
        fails_with "[ERR] --github format must be owner/repo/ref/path/to/file"
    done
    isol8 run --github owner/repo/feature%2Fx/f.py
    fails_with "[ERR] --github format must be owner/repo/ref/path/to/file; a ref with '/' in it cannot be told from the path: give the whole address by --url"
    for bad in a a/ /b.py a//b.py a/b/c/d.py ../b.py; do
        isol8 run --gist "$bad"
        fails_with "[ERR] --gist format must be gistId/file.ext"
    done
    isol8 run --hash "$HELLO_SHA" -e 'print(1)'
    fails_with "[ERR] --hash can only be used with --url, --github, or --gist."
    fetch "$code/ok/a.py" --hash abc
    fails_with "[ERR] codeHash: 'abc' is not a SHA-256 of 64 hexadecimal digits"
}

@test "shorthands lead to GitHub's hosts; --url comes before --github before --gist" {
    configure '"allowedHosts": ["^nothing$"]'
    local run=(run --config "$BATS_TEST_TMPDIR/config.json" --image host)
    isol8 "${run[@]}" --github o/r/main/dir/a.py
    fails_with "[ERR] Blocked code URL host: raw.githubusercontent.com"
    isol8 "${run[@]}" --gist 12ab/a.py
    fails_with "[ERR] Blocked code URL host: gist.githubusercontent.com"
    isol8 "${run[@]}" --gist owner/12ab/a.py --github o/r/main/a.py
    fails_with "[ERR] Blocked code URL host: raw.githubusercontent.com"
    isol8 "${run[@]}" --github o/r/main/a.py --url https://x.test/a.py
    fails_with "[ERR] Blocked code URL host: x.test"
}

# Their hosts as an upstream proxy has them: it leads every port 443 to our own.
@test "shorthands are fetched; what is odd in a part is encoded; a 404 may be due to the ref" {
    configure '' "\"upstreamProxy\": \"http://127.0.0.1:$UPSTREAM\""
    local run=(run --config "$BATS_TEST_TMPDIR/config.json" --image host)
    isol8 "${run[@]}" --github 'path/repo/main/dir/a b#?%20%x.py'
    is "$status:$out" "0:/path/repo/main/dir/a%20b%23%3F%20%25x.py"
    isol8 "${run[@]}" --gist path/12ab/a.py
    is "$out" "/path/12ab/raw/a.py"
    isol8 "${run[@]}" --gist path/a.py
    is "$out" "/path/raw/a.py"
    isol8 "${run[@]}" --github no/repo/main/a.py
    fails_with "[ERR] Failed to fetch remote code: HTTP 404"
    isol8 "${run[@]}" --github no/repo/refs/heads/feature/x/a.py
    fails_with "[ERR] Failed to fetch remote code: HTTP 404"
    isol8 "${run[@]}" --github no/repo/feature/x/a.py
    fails_with "[ERR] Failed to fetch remote code: HTTP 404 (--github takes one part as the ref; a ref with '/' in it needs the whole address by --url)"
}

@test "disabled unless configured; the switch comes before everything else" {
    isol8 run --image host --url "not an address://" --runtime python
    fails_with "[ERR] Remote code fetching is disabled. Set remoteCode.enabled=true to allow it."
}

@test "addresses, schemes, hosts, ports: refused in the reference's words" {
    fetch "https://u:secret@code.test/x.py"
    fails_with "[ERR] Invalid code URL: https://code.test/x.py"
    fetch 'https://code.test\@evil.test/x.py'
    has "$err" "[ERR] Invalid code URL: "
    fetch "https:///x.py"
    fails_with "[ERR] Invalid code URL: https:///x.py"
    fetch "ftp://code.test/x.py"
    fails_with "[ERR] URL scheme not allowed: ftp"
    fetch "file:///etc/passwd" --runtime python
    fails_with "[ERR] URL scheme not allowed: file"
    fetch "http://code.test:$HTTP/ok/x.py"
    fails_with "[ERR] Insecure code URL blocked. Use allowInsecureCodeUrl=true to allow HTTP."
    fetch "http://code.test:$HTTP/ok/x.py" --allow-insecure-code-url
    is "$out" "hello from afar"
    fetch "https://code.test:1/x.py"
    fails_with "[ERR] Blocked code URL port: 1 is neither 80 or 443 nor in network.ports"
    for host in localhost LOCALHOST. 127.0.0.1 2130706433 0x7f.1 10.0.0.1 169.254.169.254 metadata.google.internal; do
        fetch "https://$host/x.py"
        has "$err" "[ERR] Blocked code URL host: "
    done
    for host in 100.64.0.1 0.0.0.0 '[::ffff:10.0.0.1]' '[64:ff9b::a00:1]' '[2002:a00:1::]' '[fe80::1]' '[::]' 224.0.0.1 255.255.255.255 198.18.0.1 192.0.0.8 inner.test mixed.test; do
        fetch "https://$host/x.py"
        is "$status" 1
        has "$err" "[ERR] Blocked code URL host: "
    done
    fetch "https://no-such-host.invalid/x.py"
    fails_with "[ERR] Failed to resolve code URL host: no-such-host.invalid"
    SCHEMES='"HTTPS"' configure
    fetch "http://code.test:$HTTP/ok/x.py" --allow-insecure-code-url
    fails_with "[ERR] URL scheme not allowed: http"
}

@test "host patterns: allowed, blocked, either form of IPv6, and bad ones named at the start" {
    configure '"allowedHosts": ["^CODE\\.test$", "^\\[::1\\]$"], "blockedHosts": ["^other\\."]'
    fetch "$code/ok/x.py"
    is "$out" "hello from afar"
    fetch "https://other.test:$HTTPS/ok/x.py"
    fails_with "[ERR] Blocked code URL host: other.test"
    fetch "https://[::1]:$SIX/ok/x.py"
    is "$out" "hello from afar"
    configure '"blockedHosts": ["^\\[::1\\]$"]'
    fetch "https://[::1]:$SIX/ok/x.py"
    fails_with "[ERR] Blocked code URL host: [::1]"
    configure '"blockedHosts": ["^::1$"]'
    fetch "https://[0:0::1]:$SIX/ok/x.py"
    fails_with "[ERR] Blocked code URL host: [::1]"
    configure '"allowedHosts": ["ok", "a("]'
    isol8 run --config "$BATS_TEST_TMPDIR/config.json" --image host -e 1
    is "$status" 1
    has "$err" "[ERR] remoteCode.allowedHosts[1]: 'a(' at offset 2"
    sed -i 's/"enabled": true/"enabled": false/' "$BATS_TEST_TMPDIR/config.json"
    isol8 run --config "$BATS_TEST_TMPDIR/config.json" --image host -e 1
    has "$err" "[ERR] remoteCode.allowedHosts[1]: 'a(' at offset 2"
}

@test "IPv6 by name" {
    fetch "https://six.test:$SIX/ok/x.py"
    is "$status:$out" "0:hello from afar"
}

@test "TLS: expired, another name, unknown authority" {
    for port in "$EXPIRED" "$WRONG" "$UNKNOWN"; do
        fetch "https://code.test:$port/ok/x.py"
        is "$status:$out" "1:"
        has "$err" "[ERR] Failed to fetch remote code: SSL"
    done
    sed -i '/caFile/s/"caFile": "[^"]*"/"caFile": "none.pem"/' "$BATS_TEST_TMPDIR/config.json"
    fetch "$code/ok/x.py"
    is "$status" 1
    has "$err" "network.caFile"
}

@test "redirects: each hop is checked anew, at most five, never to http" {
    fetch "$code/hops/5/x.py"
    is "$out" "hello from afar"
    fetch "$code/hops/6/x.py"
    fails_with "[ERR] Failed to fetch remote code: more than 5 redirects"
    fetch "$code/loop/x.py"
    fails_with "[ERR] Failed to fetch remote code: more than 5 redirects"
    for status_code in 301 302 303 307 308; do
        fetch "$code/redirect/$status_code/https:%2F%2Fother.test:$HTTPS%2Fok%2Fx.py"
        is "$out" "hello from afar"
    done
    fetch "$code/redirect/302/%2F%2Fother.test:$HTTPS%2Fok%2Fy.py"
    is "$out" "hello from afar"
    fetch "$code/redirect/302/http:%2F%2Fcode.test:$HTTP%2Fok%2Fx.py"
    fails_with "[ERR] Insecure code URL blocked. Use allowInsecureCodeUrl=true to allow HTTP."
    fetch "$code/redirect/302/http:%2F%2Fcode.test:$HTTP%2Fok%2Fx.py" --allow-insecure-code-url
    fails_with "[ERR] Insecure code URL blocked. A redirect led from https to http."
    fetch "http://code.test:$HTTP/redirect/302/https:%2F%2Fcode.test:$HTTPS%2Fok%2Fx.py" --allow-insecure-code-url
    is "$out" "hello from afar"
    fetch "$code/redirect/302/https:%2F%2Finner.test%2Fx.py"
    fails_with "[ERR] Blocked code URL host: inner.test"
    fetch "$code/redirect/302/https:%2F%2F169.254.169.254%2Fx.py"
    fails_with "[ERR] Blocked code URL host: 169.254.169.254"
    fetch "$code/redirect/302/https:%2F%2Fmixed.test:$HTTPS%2Fx.py"
    fails_with "[ERR] Blocked code URL host: mixed.test"
    fetch "$code/redirect/302/file:%2F%2F%2Fetc%2Fpasswd.py"
    fails_with "[ERR] URL scheme not allowed: file"
    fetch "$code/redirect/302/https:%2F%2Fu:p@code.test:$HTTPS%2Fok%2Fx.py"
    fails_with "[ERR] Invalid code URL: https://code.test:$HTTPS/ok/x.py"
    fetch "$code/nowhere/x.py"
    fails_with "[ERR] Failed to fetch remote code: HTTP 302"
    fetch "$code/none/304/x.py"
    fails_with "[ERR] Failed to fetch remote code: HTTP 304"
    configure '"allowedHosts": ["^code\\.test$"]'
    fetch "$code/redirect/302/https:%2F%2Fother.test:$HTTPS%2Fok%2Fx.py"
    fails_with "[ERR] Blocked code URL host: other.test"
}

@test "statuses and bodies: 404, 500, 204, empty, wrong lengths, parts" {
    fetch "$code/status/404/x.py"
    fails_with "[ERR] Failed to fetch remote code: HTTP 404"
    fetch "$code/status/500/x.py"
    fails_with "[ERR] Failed to fetch remote code: HTTP 500"
    fetch "$code/none/204/x.py"
    fails_with "[ERR] Remote code response body is empty"
    fetch "$code/empty/x.py"
    is "$status:$out:$err" "0::"
    fetch "$code/short/x.py"
    is "$status" 1
    has "$err" "[ERR] Failed to fetch remote code: "
    fetch "$code/long/x.py"
    is "$out" "hello from afar"
    fetch "$code/chunked/x.py"
    is "$out" "in parts"
    fetch "https://code.test:$HTTP/ok/x.py"
    is "$status" 1
    has "$err" "[ERR] Failed to fetch remote code: "
}

@test "sizes: exactly the limit, one more, announced or not, compressed" {
    configure '"maxCodeSize": 2000'
    fetch "$code/size/2000/x.py"
    is "$status:$out:$err" "0::"
    fetch "$code/nolength/2000/x.py"
    is "$status:$out:$err" "0::"
    fetch "$code/size/2001/x.py"
    fails_with "[ERR] Remote code exceeds maxCodeSize (2000 bytes): 2001 bytes"
    fetch "$code/nolength/2001/x.py"
    fails_with "[ERR] Remote code exceeds maxCodeSize (2000 bytes)"
    fetch "$code/endless/x.py"
    fails_with "[ERR] Remote code exceeds maxCodeSize (2000 bytes)"
    fetch "$code/gzip/x.py"
    is "$out" "hello from afar"
    fetch "$code/badgzip/x.py"
    is "$status" 1
    has "$err" "[ERR] Failed to fetch remote code: "
    configure '"maxCodeSize": 1000000' # the bomb has 65 kB, and 64 MiB in it
    fetch "$code/bomb/x.py"
    fails_with "[ERR] Remote code exceeds maxCodeSize (1000000 bytes)"
    fetch "$code/head/x.py"
    fails_with "[ERR] Failed to fetch remote code: the response's head is larger than 262144 bytes"
}

@test "time: one limit for the whole fetch, and the execution's own above it" {
    FETCH_MS=1000 configure
    for slow in trickle stall pause/9000; do
        fetch "$code/$slow/x.py"
        fails_with "[ERR] Remote code fetch timed out after 1000ms"
    done
    configure
    fetch "$code/stall/x.py" --timeout 500
    is "$status" 137
    has "$err" "[ERR] EXECUTION TIMED OUT"
    # What the fetch took is taken off the time of the program.
    fetch "$code/pause/1000/x.py" --timeout 1900
    is "$status:$out" "0:hello from afar"
    fetch "$code/pause/1000/x.py" --timeout 1900 --setup 'sleep 1.2'
    is "$status" 137
}

@test "content: UTF-8, no NUL, byte order mark taken off" {
    fetch "$code/latin/x.py"
    fails_with "[ERR] Fetched code is not valid UTF-8"
    fetch "$code/nul/x.py"
    fails_with "[ERR] Fetched code appears to be binary content"
    fetch "$code/bom/x.sh" --runtime bash
    is "$status" 2 # python in bash is a syntax error, but no stray byte is part of it
    has "$err" "syntax error near unexpected token \`'hello"
}

@test "hashes: either case, of the bytes as they came or without their mark; wrong or missing: nothing runs" {
    fetch "$code/ok/x.py" --hash "$HELLO_SHA" --debug
    is "$status" 0
    has "$out" "hello from afar"
    has "$err" "Code SHA-256: $HELLO_SHA"
    fetch "$code/ok/x.py" --hash "${HELLO_SHA^^}"
    is "$out" "hello from afar"
    fetch "$code/bom/x.py" --hash "$BOM_SHA"
    is "$out" "hello from afar"
    fetch "$code/bom/y.py" --hash "$HELLO_SHA"
    is "$out" "hello from afar"
    fetch "$code/ok/x.py" --hash "${HELLO_SHA/[0-9a-f]/z}"
    is "$status" 1
    fetch "$code/ok/x.py" --hash "$(printf x | sha256sum | cut -d' ' -f1)"
    fails_with "[ERR] Remote code hash mismatch"
    configure '"requireHash": true'
    fetch "$code/ok/x.py"
    fails_with "[ERR] Hash verification required: provide codeHash for remote code execution."
    fetch "$code/ok/x.py" --hash "$HELLO_SHA"
    is "$out" "hello from afar"
    isol8 run --image host --debug -e 'print(1)'
    has "$err" "Code SHA-256: $(printf 'print(1)' | sha256sum | cut -d' ' -f1)"
}

@test "the audit record has the hash of what ran" {
    sed -i 's/^{ "remoteCode"/{ "audit": { "enabled": true, "includeCode": true }, "remoteCode"/' "$BATS_TEST_TMPDIR/config.json"
    ISOL8_AUDIT_DIR=$PWD/log fetch "$code/bom/x.py"
    is "$out" "hello from afar"
    has "$(cat log/*)" "\"codeHash\":\"$HELLO_SHA\""
    has "$(cat log/*)" "\"code\":\"print('hello from afar')"
    ISOL8_AUDIT_DIR=$PWD/log2 fetch "$code/status/404/x.py"
    has "$(cat log2/*)" '"codeHash":""'
}

@test "no cookie, no netrc, no proxy of the environment" {
    printf 'default login me password secret\n' >"$HOME/.netrc"
    export https_proxy=http://127.0.0.1:1 http_proxy=http://127.0.0.1:1 ALL_PROXY=http://127.0.0.1:1
    fetch "$code/jar/x.py"
    is "$status" 0
    is "$(grep -ciE 'cookie|authorization|secret' <<<"$out")" 0
}

@test "the operator's upstream proxy, and the guard with it" {
    configure '' "\"upstreamProxy\": \"http://127.0.0.1:$UPSTREAM\""
    sed -i 's/"code.test": "127.0.0.1", //' "$BATS_TEST_TMPDIR/config.json"
    no_proxy='*' fetch "$code/ok/proxied.py" # code.test is the proxy's to resolve
    is "$status:$out" "0:hello from afar"
    is "$(seen "/proxy/code.test:$HTTPS")" 1
    fetch "http://code.test:$HTTP/ok/proxied.py" --allow-insecure-code-url
    is "$out" "hello from afar"
    fetch "https://10.0.0.1/x.py"
    fails_with "[ERR] Blocked code URL host: 10.0.0.1"
    fetch "$code/redirect/302/https:%2F%2F10.0.0.1%2Fx.py"
    fails_with "[ERR] Blocked code URL host: 10.0.0.1"
}

@test "cache: with the hash given, no network; corrupted, too old, off, removed" {
    local dir=$ISOL8_DATA_ROOT/code-cache
    fetch "$code/ok/cached.py" --hash "$HELLO_SHA"
    fetch "$code/ok/cached.py" --hash "$HELLO_SHA"
    is "$out:$(seen /ok/cached.py)" "hello from afar:1"
    fetch "https://no-such-host.invalid/x.py" --hash "$HELLO_SHA"
    is "$out" "hello from afar"
    fetch "$code/ok/cached.py"
    is "$out:$(seen /ok/cached.py)" "hello from afar:2"
    is "$(ls "$dir")" "$HELLO_SHA"
    echo "print('evil')" >"$dir/$HELLO_SHA"
    fetch "$code/ok/cached.py" --hash "$HELLO_SHA"
    is "$out:$(seen /ok/cached.py)" "hello from afar:3"
    is "$(sha256sum <"$dir/$HELLO_SHA" | cut -d' ' -f1)" "$HELLO_SHA"
    rm "$dir/$HELLO_SHA"
    ln -s /etc/passwd "$dir/$HELLO_SHA"
    fetch "$code/ok/cached.py" --hash "$HELLO_SHA"
    is "$out:$(seen /ok/cached.py)" "hello from afar:4"
    touch -d '2 hours ago' "$dir/$HELLO_SHA"
    fetch "$code/ok/cached.py" --hash "$HELLO_SHA"
    is "$out:$(seen /ok/cached.py)" "hello from afar:5"
    # The policy counts for what is cached, too.
    fetch "https://10.0.0.1/x.py" --hash "$HELLO_SHA"
    fails_with "[ERR] Blocked code URL host: 10.0.0.1"
    configure '"enableCache": false'
    fetch "$code/ok/cached.py" --hash "$HELLO_SHA"
    is "$(seen /ok/cached.py)" 6
    configure '"cacheTtl": 0'
    fetch "$code/ok/cached.py" --hash "$HELLO_SHA"
    is "$(seen /ok/cached.py)" 7
}

@test "cleanup --cache: dry, as JSON, for good" {
    fetch "$code/ok/cleaned.py" --hash "$HELLO_SHA"
    isol8 cleanup --dry-run
    is "$out" ""
    has "$err" "No isol8 containers found"
    isol8 cleanup --cache --dry-run
    is "$err" "Found 0 isol8 container(s)
Found 1 file(s) of fetched code"
    isol8 cleanup --cache --json --dry-run
    has "$out" '"foundCached": 1'
    has "$out" '"removedCached": 0'
    isol8 cleanup --cache --json --yes
    has "$out" '"removedCached": 1'
    isol8 cleanup --cache --yes
    is "$err" "No isol8 containers or fetched code found"
    fetch "$code/ok/cleaned.py" --hash "$HELLO_SHA"
    is "$(seen /ok/cleaned.py)" 2
    isol8 cleanup --cache --yes
    has "$err" "Removed 1 cached file(s)"
}

@test "a cache that cannot be written to is none" {
    mkdir -p "$ISOL8_DATA_ROOT"
    : >"$ISOL8_DATA_ROOT/code-cache" # root writes to folders without permission; not into a file
    fetch "$code/ok/ro.py" --hash "$HELLO_SHA"
    fetch "$code/ok/ro.py" --hash "$HELLO_SHA"
    is "$out:$err:$(seen /ok/ro.py)" "hello from afar::2"
    rm "$ISOL8_DATA_ROOT/code-cache"
    mkdir "$ISOL8_DATA_ROOT/code-cache"
    mount --bind "$ISOL8_DATA_ROOT/code-cache" "$ISOL8_DATA_ROOT/code-cache"
    mount -o remount,bind,ro "$ISOL8_DATA_ROOT/code-cache"
    fetch "$code/ok/ro.py" --hash "$HELLO_SHA"
    umount "$ISOL8_DATA_ROOT/code-cache"
    is "$out:$err:$(seen /ok/ro.py)" "hello from afar::3"
    is "$(ls "$ISOL8_DATA_ROOT/code-cache")" ""
}

@test "Ctrl-C ends a fetch at once, with 130" {
    "$ISOL8" run --config "$BATS_TEST_TMPDIR/config.json" --image host --url "$code/stall/int.py" &
    pid=$!
    until [ "$(seen /stall/int.py)" = 1 ]; do sleep 0.05; done
    before=$(date +%s%N)
    kill -INT "$pid"
    got=0
    wait "$pid" || got=$?
    is "$got" 130
    [ $(($(date +%s%N) - before)) -lt 1500000000 ]
}

@test "a terminal shows how far a slow download is" {
    configure
    env -u CI TERM=xterm script -qec "\"$ISOL8\" run --config \"$BATS_TEST_TMPDIR/config.json\" --image host --url $code/slow/300000/x.py" typescript >/dev/null
    has "$(cat typescript)" "Fetching code ["
    has "$(cat typescript)" "% of 0.3 MB"
}
