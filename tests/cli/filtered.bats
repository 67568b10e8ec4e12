#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# filtered.bats - --net filtered: what gets out, what does not, and what is said about it.
#
# The test hosts are servers on loopback, reached by names that the operator's configuration fixes,
# through the address guard that the same configuration opens for them.
load common.bash

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca \
        -keyout ca.key -out ca.pem 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=api.test \
        -keyout host.key -out host.csr 2>/dev/null
    printf 'subjectAltName=DNS:api.test,DNS:other.test\n' >san
    openssl x509 -req -in host.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san \
        -out host.pem 2>/dev/null
    mkfifo stop ports
    python3 "$ISOL8_SOURCE/tests/support/origin.py" host.pem host.key <stop >ports 3>&- &
    exec 9>stop
    read -r HTTP HTTPS TCP UPSTREAM <ports
    export HTTP HTTPS TCP UPSTREAM
    cat >config.json <<END
{ "network": {
    "hosts": { "api.test": "127.0.0.1", "other.test": ["127.0.0.1"], "inner.test": "10.1.2.3",
               "mixed.test": ["10.1.2.3", "127.0.0.1"], "meta.test": "169.254.169.254" },
    "allowAddresses": ["127.0.0.1/32"],
    "caFile": "$BATS_FILE_TMPDIR/ca.pem" } }
END
    export CONFIG=$BATS_FILE_TMPDIR/config.json
}

teardown_file() {
    exec 9>&-
}

setup() {
    start_in_own_folder
}

# filtered ARGS... - in a filtered sandbox that may talk to api.test
filtered() {
    isol8 run --config "$CONFIG" --net filtered --allow '^api\.test$' "$@"
}

@test "python's urllib: allowed is served, blocked is 403 with the reason" {
    filtered -e "
import urllib.request, urllib.error
print(urllib.request.urlopen('http://api.test:$HTTP/a').read().decode())
try:
    urllib.request.urlopen('http://other.test:$HTTP/a')
except urllib.error.HTTPError as e:
    print(e.code, e.read().decode())"
    is "$status" 0
    is "$out" "api.test:$HTTP /a
403 isol8: request to other.test blocked by network filter"
}

@test "https through CONNECT, with the operator's certificate, in every runtime that has fetch" {
    filtered -e "import urllib.request; print(urllib.request.urlopen('https://api.test:$HTTPS/s').read().decode())"
    is "$out" "api.test:$HTTPS /s"
    for runtime in node bun deno; do
        filtered --runtime "$runtime" -e "console.log(await (await fetch('https://api.test:$HTTPS/s')).text())"
        is "$out" "api.test:$HTTPS /s"
    done
    filtered --runtime bash --cmd "curl -sS https://api.test:$HTTPS/c; curl -sS https://other.test:$HTTPS/ -o /dev/null -w '%{http_connect}\n'"
    has "$out" "api.test:$HTTPS /c"
    has "$out" 403
}

@test "framing: HEAD, 204, chunked both ways, large bodies, keep-alive, 100-continue" {
    filtered --runtime bash --cmd "
        u=http://api.test:$HTTP
        curl -sS -I \$u/x | head -1 | tr -d '\r'
        curl -sS \$u/none -w '%{http_code}\n'
        curl -sS \$u/chunks -w '\n'
        curl -sS \$u/big | wc -c
        head -c 3000000 /dev/zero | curl -sS --data-binary @- \$u/up -w '\n'
        head -c 3000000 /dev/zero | curl -sS -H 'Transfer-Encoding: chunked' --data-binary @- \$u/up -w '\n'
        head -c 3000000 /dev/zero | curl -sS -H 'Expect: 100-continue' --data-binary @- \$u/up -w '\n'
        curl -sS \$u/1 \$u/2 -w ' %{num_connects}\n'"
    is "$status" 0
    is "$out" "HTTP/1.1 200 OK
204
one two three
20971520
got 3000000
got 3000000
got 3000000
api.test:$HTTP /1 1
api.test:$HTTP /2 0"
}

@test "clients that know no proxy: by name, any port, also when the server speaks first" {
    filtered -e "
import socket
s = socket.create_connection(('api.test', $TCP), 5)
f = s.makefile('rwb')
print(f.readline().strip().decode())
f.write(b'hello\n'); f.flush()
print(f.readline().strip().decode())
s = socket.create_connection(('api.test', $HTTP), 5)
s.sendall(b'GET /raw HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n')
print(s.makefile('rb').read().split(b'\r\n\r\n')[1].decode())"
    is "$status" 0
    is "$out" "SSH-2.0-test
you said hello
api.test /raw"
}

@test "what is not allowed fails at once: names by NXDOMAIN, addresses by a reset" {
    filtered -e "
import socket, time
start = time.monotonic()
for name in 'other.test', 'no-such-name.invalid':
    try:
        print(socket.getaddrinfo(name, 80))
    except socket.gaierror as e:
        print(e.errno == socket.EAI_NONAME)
for address in ('10.0.0.1', 22), ('169.254.169.254', 80), ('192.0.2.1', 443), ('127.0.0.2', $HTTP):
    try:
        s = socket.create_connection(address, 20)
        print(s.recv(1))
    except ConnectionResetError:
        print('reset')
    except ConnectionRefusedError:
        print('refused')
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.connect(('192.0.2.1', 123)); u.send(b'x'); u.settimeout(20)
try:
    print(u.recv(1))
except OSError as e:
    print(type(e).__name__ != 'TimeoutError')
try:
    socket.create_connection(('2001:db8::1', 80), 20)
except OSError as e:
    print('no ipv6')
print(time.monotonic() - start < 15)"
    is "$status" 0
    is "$out" "True
True
reset
reset
reset
refused
True
no ipv6
True"
}

@test "the guard looks at addresses: private, metadata, and one good among bad" {
    isol8 run --config "$CONFIG" --net filtered -e "
import urllib.request, urllib.error
for name in 'inner.test', 'meta.test', 'mixed.test', '127.1', '2130706433', '0x7f000001':
    try:
        print(name, urllib.request.urlopen('http://' + name + ':$HTTP/g', timeout=20).status)
    except urllib.error.HTTPError as e:
        print(name, e.code)"
    is "$status" 0
    # The loopback address is open here, whichever way it is written; a private one is not.
    is "$out" "inner.test 403
meta.test 403
mixed.test 200
127.1 200
2130706433 200
0x7f000001 200"
}

@test "names: upper case and a trailing dot are the same host" {
    isol8 run --config "$CONFIG" --net filtered --deny '^other\.test$' --runtime bash --cmd "
        for h in OTHER.TEST other.test. Other.Test.; do
            curl -s -o /dev/null -w '%{http_code} ' http://\$h:$HTTP/
        done
        curl -s -o /dev/null -w '%{http_code}\n' http://API.TEST.:$HTTP/"
    is "$out" "403 403 403 200"
}

@test "a second request on the same connection is judged anew; smuggling is refused" {
    filtered -e "
import os, re, socket
from urllib.parse import urlparse
p = urlparse(os.environ['HTTP_PROXY'])
def talk(*parts):
    s = socket.create_connection((p.hostname, p.port), 10)
    s.settimeout(10)
    for part in parts: s.sendall(part)
    data = b''
    try:
        while True:
            b = s.recv(65536)
            if not b: break
            data += b
    except (TimeoutError, ConnectionResetError): pass
    return re.findall(r'HTTP/1\.1 \d+', data.decode('latin1'))
def get(host, extra='', tail='Connection: close\r\n'):
    return ('GET http://%s:$HTTP/ HTTP/1.1\r\nHost: %s:$HTTP\r\n%s%s\r\n' % (host, host, extra, tail)).encode()
print(talk(get('api.test', tail=''), get('other.test')))
print(talk(get('api.test', 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n')))
print(talk(get('api.test', 'Content-Length: 3\r\nContent-Length: 4\r\n')))
print(talk(b'GET http://api.test:$HTTP/ HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n'))
print(talk(b'CONNECT 198.18.0.1:8118 HTTP/1.1\r\nHost: x\r\n\r\n'))"
    is "$status" 0
    is "$(sed -n 1p <<<"$out")" "['HTTP/1.1 200', 'HTTP/1.1 403']"
    has "$(sed -n 2p <<<"$out")" "HTTP/1.1 400"
    has "$(sed -n 3p <<<"$out")" "HTTP/1.1 400"
    [[ "$(sed -n 4p <<<"$out")" != *200* ]]
    has "$(sed -n 5p <<<"$out")" "HTTP/1.1 403"
}

@test "TLS that is not for the name it was opened for is cut" {
    filtered -e "
import socket, ssl
c = ssl.create_default_context(); c.check_hostname = False
for name in 'api.test', 'other.test':
    s = socket.create_connection(('api.test', $HTTPS), 10)
    try:
        t = c.wrap_socket(s, server_hostname=name)
        print(name, 'ok')
    except (ssl.SSLError, OSError) as e:
        print(name, 'cut')"
    is "$out" "api.test ok
other.test cut"
}

@test "--log-network prints decisions with reasons, in both modes, and --json carries them" {
    program="import urllib.request
for h in 'api.test', 'other.test':
    try: urllib.request.urlopen('http://%s:$HTTP/p?q=1' % h).read()
    except OSError: pass"
    filtered --log-network -e "$program"
    is "$status" 0
    is "$out" ""
    is "$(sed -n 1,2p <<<"$err")" "
--- Network Logs ---"
    is "$(sed -n '3,$p' <<<"$err" | jq -c '[.method,.host,.path,.action,.port,.reason]')" \
        "[\"GET\",\"api.test\",\"/p?q=1\",\"ALLOW\",$HTTP,\"allowed by rule\"]
[\"GET\",\"other.test\",\"/p?q=1\",\"BLOCK\",$HTTP,\"not on the allow list\"]"
    filtered --log-network --no-stream -e "$program"
    has "$err" "--- Network Logs ---"
    filtered --log-network --json -e "$program"
    is "$(jq '.networkLogs | length' <<<"$out")" 2
    is "$(jq '.resourceUsage.networkBytesIn > 0' <<<"$out")" true
    filtered -e "$program"
    is "$err" ""
    filtered --json -e "$program"
    is "$(jq -c '[.networkLogs, (.securityEvents[] | [.type, .details.host, .details.reason])]' <<<"$out")" \
        '[null,["network_blocked","other.test","filter_mismatch"]]'
}

@test "patterns: a bad one is named before anything starts, an exploding one blocks" {
    isol8 run --config "$CONFIG" --net filtered --allow 'ok' --allow '(' -e 'print(1)'
    is "$status" 1
    is "$out" ""
    has "$err" "whitelist[1]"
    isol8 run --config "$CONFIG" --net filtered --allow '^(a+)+$' --runtime bash --cmd "
        curl -s -o /dev/null -w '%{http_code}' http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab:$HTTP/"
    is "$out" 403
}

@test "lists: flags replace the configuration's; an unanchored pattern earns a warning" {
    jq '.network.whitelist = ["^other\\.test$"]' "$CONFIG" >lists.json
    codes="curl -s -w '%{http_code} ' -o /dev/null http://api.test:$HTTP/ -o /dev/null http://other.test:$HTTP/"
    isol8 run --config lists.json --net filtered --runtime bash --cmd "$codes"
    is "$out" "403 200 "
    isol8 run --config lists.json --net filtered --allow '^api\.test$' --runtime bash --cmd "$codes"
    is "$out" "200 403 "
    isol8 policy check --config lists.json --allow 'api' https://other.test/
    has "$err" "network.whitelist[0]: 'api' also matches inside longer names"
}

@test "git and WebSocket" {
    git init -q --bare -b main repo.git
    git init -q work && git -C work -c user.name=t -c user.email=t@t commit -q --allow-empty -m first
    git -C work push -q ../repo.git HEAD:main && git -C repo.git update-server-info
    python3 -u -m http.server --bind 127.0.0.1 0 >server.log 2>&1 3>&- &
    server=$!
    until port=$(grep -oE 'port [0-9]+' server.log); do kill -0 $server; sleep 0.05; done
    filtered --runtime bash --cmd "git clone -q http://api.test:${port#port }/repo.git r 2>&1; git -C r log --oneline --format=%s origin/main"
    kill $server
    is "$out" "first"
    # A WebSocket client opens a tunnel and upgrades inside it: bytes both ways, at any time.
    filtered -e "
import os, socket
from urllib.parse import urlparse
p = urlparse(os.environ['HTTP_PROXY'])
s = socket.create_connection((p.hostname, p.port), 10)
s.sendall(b'CONNECT api.test:$TCP HTTP/1.1\r\nHost: api.test:$TCP\r\n\r\n')
f = s.makefile('rwb')
print(f.readline().strip().decode())
while f.readline().strip(): pass
print(f.readline().strip().decode())
f.write(b'ping\n'); f.flush()
print(f.readline().strip().decode())"
    is "$out" "HTTP/1.1 200 Connection Established
SSH-2.0-test
you said ping"
}

@test "psql, which knows no proxy" {
    bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
    dir=$(mktemp -d /tmp/isol8-pg-XXXXXX)
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    chown postgres "$dir"
    cd "$dir"
    runuser -u postgres -- "$bin/initdb" -D data -A trust >log 2>&1
    runuser -u postgres -- "$bin/pg_ctl" -D data -l server.log -w start \
        -o "-p $port -h 127.0.0.1 -k $dir" >>log 2>&1 3>&-
    filtered --image host --runtime bash --cmd "
        $bin/psql -h api.test -p $port -U postgres -Atc 'select 6 * 7'
        $bin/psql -h other.test -p $port -U postgres -Atc 'select 1' 2>&1 | grep -o 'could not translate host name'
        $bin/psql -h 10.1.2.3 -p $port -U postgres -Atc 'select 1' 2>&1 | grep -oE 'reset|closed the connection'"
    runuser -u postgres -- "$bin/pg_ctl" -D data -m immediate stop >>log
    cd /
    rm -rf "$dir"
    [[ "$out" == "42
could not translate host name
"* ]]
    is "$(wc -l <<<"$out")" 3
}

@test "two sandboxes at once keep to their own rules, and reach nothing of each other" {
    isol8 run --config "$CONFIG" --net filtered --allow '^other\.test$' --runtime bash --cmd "
        sleep 1; curl -s -w '%{http_code} ' -o /dev/null http://api.test:$HTTP/ -o /dev/null http://other.test:$HTTP/" &
    other=$!
    filtered --runtime bash --cmd "
        curl -s -w '%{http_code} ' -o /dev/null http://api.test:$HTTP/ -o /dev/null http://other.test:$HTTP/
        for i in 1 2 5 6; do curl -s -m 5 -o /dev/null -w '%{http_code} ' --noproxy '*' http://10.88.0.\$i:9999/ || true; done"
    wait $other
    is "$out" "200 403 000 000 000 000 "
}

@test "the machine's namespace sees no link, rule or address of ours" {
    ip -o link >before
    filtered --runtime bash --cmd "curl -s http://api.test:$HTTP/ -o /dev/null" &
    pid=$!
    ip -o link >during
    wait $pid
    ip -o link >after
    diff before during
    diff before after
    if command -v nft >/dev/null; then is "$(nft list tables 2>/dev/null | grep -c isol8)" 0; fi
}

@test "upstream proxy: names are sent to it, literals stay guarded" {
    cat >upstream.json <<END
{ "network": { "upstreamProxy": "http://127.0.0.1:$UPSTREAM" } }
END
    isol8 run --config upstream.json --net filtered --runtime bash --cmd "
        curl -s http://far.example/x; echo
        curl -s -o /dev/null -w '%{http_code}\n' http://10.0.0.1/"
    is "$out" "via proxy to far.example:80
403"
}

@test "ports and byte limits of the operator" {
    jq ".network.ports = [$HTTP] | .network.limits = {\"bytes\": 1000000}" "$CONFIG" >limited.json
    isol8 run --config limited.json --net filtered --runtime bash --cmd "
        curl -s -o /dev/null -w '%{http_code} ' http://api.test:$HTTP/
        curl -s -o /dev/null -w '%{http_connect} ' https://api.test:$HTTPS/
        curl -s -o /dev/null -w '%{size_download}\n' http://api.test:$HTTP/big"
    [[ "$out" == "200 403 "* ]]
    [ "${out##* }" -lt 1100000 ]
}

@test "the agent needs a rule, and then starts" {
    isol8 run --net filtered --runtime agent --cmd 'pi --version'
    fails_with '[ERR] Agent runtime requires at least one network whitelist entry. The AI coding agent needs to reach its LLM provider API. Use --allow "api.anthropic.com" (or your provider'"'"'s domain).'
    isol8 run --net filtered --allow '^api\.test$' --runtime agent --cmd 'pi --version'
    is "$status" 0
    [[ "$out" =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "policy check answers without running anything" {
    isol8 policy check --config "$CONFIG" --allow '^api\.test$' "http://api.test:$HTTP/" https://other.test/ --json
    is "$status" 0
    is "$(jq -c '[.[].action]' <<<"$out")" '["ALLOW","BLOCK"]'
    is "$(jq -r '.[0].rule' <<<"$out")" '^api\.test$'
    isol8 policy check --config "$CONFIG" http://inner.test/
    has "$out" "BLOCK"
    has "$out" "private"
}

@test "edited hosts and resolv.conf change nothing" {
    filtered --writable --runtime bash --cmd "
        echo '127.0.0.1 api.test' >>/etc/hosts; echo 'nameserver 8.8.8.8' >/etc/resolv.conf
        curl -s -m 10 -o /dev/null -w '%{http_code} ' http://other.test:$HTTP/
        curl -s -m 10 -o /dev/null -w '%{http_code}\n' http://api.test:$HTTP/"
    is "$out" "403 200"
}
