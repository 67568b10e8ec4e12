#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# egress.bats - attempts to get past the filter, each through the explicit proxy and, where it
# applies, through interception.
#
# tests/support/egress_client.py runs in the sandbox and knows the tricks; here stands what must
# come of each. web.test is an origin on port 80, where intercepted HTTP is judged by request.
load common.bash

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=api.test \
        -addext 'subjectAltName=DNS:api.test' -keyout host.key -out host.pem 2>/dev/null
    mkfifo stop ports
    python3 "$ISOL8_SOURCE/tests/support/origin.py" host.pem host.key 127.0.0.80 <stop >ports 3>&- &
    exec 9>stop
    read -r HTTP HTTPS TCP _ <ports
    export HTTP HTTPS TCP
    cat >config.json <<END
{ "network": {
    "hosts": { "api.test": "127.0.0.1", "other.test": "127.0.0.1", "web.test": "127.0.0.80",
               "inner.test": "10.1.2.3", "mixed.test": ["169.254.169.254", "127.0.0.1"],
               "xn--bcher-kva.test": "127.0.0.1" },
    "allowAddresses": ["127.0.0.1", "127.0.0.80"] } }
END
    export CONFIG=$BATS_FILE_TMPDIR/config.json
    mkdir client
    cp "$ISOL8_SOURCE/tests/support/egress_client.py" client/
}

teardown_file() {
    exec 9>&-
}

setup() {
    start_in_own_folder
}

# try NAME [ALLOW...] - run one trick of the client in a sandbox
try() {
    local trick=$1 allow=()
    shift
    for pattern in "${@:-^(api|web|inner|mixed)\.test$}"; do allow+=(--allow "$pattern"); done
    isol8 run --config "$CONFIG" --net filtered "${allow[@]}" --timeout 60000 --runtime python \
        --files "$BATS_FILE_TMPDIR/client" \
        --cmd "python3 egress_client.py $trick $HTTP $HTTPS $TCP"
    is "$err" ""
    is "$status" 0
}

@test "upper case and a trailing dot name the same host" {
    try case '^api\.test$'
    is "$out" "explicit API.TEST 200
explicit api.test. 200
explicit OTHER.TEST 403
explicit other.test. 403
dns API.TEST yes
dns api.test. yes
dns OTHER.TEST no
dns other.test. no"
}

@test "NUL, control bytes and blanks in a host are refused" {
    try control '^api\.test$' '.*'
    [ "$(sort -u <<<"$out")" = "refused" ]
}

@test "international names are judged in their ASCII form" {
    try idna '^xn--bcher-kva\.test$'
    is "$out" "200
200
403"
}

@test "user information in a URL does not hide the host" {
    try userinfo '^api\.test$'
    [ "$(grep -c 200 <<<"$out")" = 0 ]
}

@test "every way to write a private or loopback address is that address" {
    isol8 run --net filtered --timeout 60000 --runtime python --files "$BATS_FILE_TMPDIR/client" \
        --cmd "python3 egress_client.py addresses $HTTP $HTTPS $TCP"
    is "$status" 0
    # Nothing is opened here, so each of them is refused.
    [ "$(grep -cv 403 <<<"$out")" = 0 ]
    [ "$(wc -l <<<"$out")" -ge 24 ]
}

@test "a name with only private addresses leads nowhere; with one good one, to that one" {
    try resolve
    is "$out" "explicit inner.test 403
explicit mixed.test 200
intercepted inner.test no
intercepted mixed.test yes"
}

@test "TLS for another name is cut, in a tunnel and intercepted, however the hello is split" {
    try sni
    is "$out" "explicit api.test 1000 yes
explicit api.test 1 yes
explicit other.test 1000 no
explicit other.test 1 no
intercepted api.test 1000 yes
intercepted api.test 1 yes
intercepted other.test 1000 no
intercepted other.test 1 no"
}

@test "a Host header for another host is refused, also in a second request" {
    try host
    is "$out" "explicit differs no
intercepted right yes
intercepted wrong no
intercepted second no"
}

@test "ambiguous framing is refused on both ways in" {
    try smuggle
    [ "$(grep -v ' refused$' <<<"$out")" = "" ]
    [ "$(wc -l <<<"$out")" = 18 ]
}

@test "half-closed connections go on in the other direction" {
    try halfclose
    is "$out" "explicit you said bye
intercepted you said bye"
}

@test "clients that never read, and many that stay silent, disturb nobody" {
    try stalled
    is "$out" "200"
}

@test "a head that comes byte by byte is cut in the end" {
    try slow
    is "$out" "explicit cut
intercepted cut"
}

@test "no other protocol gets anywhere: UDP, QUIC, ICMP, IPv6, raw packets" {
    try protocols
    [ "$(grep -v ' refused$' <<<"$out")" = "" ]
    [ "$(wc -l <<<"$out")" = 7 ]
}

@test "a borrowed source address opens nothing" {
    try source
    is "$out" "nothing"
}
