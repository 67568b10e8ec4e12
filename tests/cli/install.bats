#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# install.bats - --install: real packages from the registries that this machine is configured for.
load common.bash

setup() {
    start_in_own_folder
}

@test "python: packages are there, and the registry is closed again when the code runs" {
    isol8 run --timeout 120000 --install six --install 'idna>=3,<4' -e '
import six, idna, urllib.request
print(six.__name__, idna.__name__)
import subprocess, sys
print(subprocess.run([sys.executable, "-m", "pip", "download", "--no-deps", "--retries=0", "six"],
                     capture_output=True).returncode != 0)'
    is "$status" 0
    is "$out" "six idna
True"
}

@test "the scraping example: requests and beautifulsoup4, a page of a test host" {
    python3 -u -m http.server --bind 127.0.0.1 0 >server.log 2>&1 3>&- &
    server=$!
    until port=$(grep -oE 'port [0-9]+' server.log); do kill -0 $server; sleep 0.05; done
    echo '<html><title>Test page</title></html>' >index.html
    cat >config.json <<END
{ "network": { "hosts": { "page.test": "127.0.0.1" }, "allowAddresses": ["127.0.0.1"] } }
END
    isol8 run --timeout 120000 --config config.json --net filtered --allow '^page\.test$' \
        --install requests --install beautifulsoup4 -e "
import requests; from bs4 import BeautifulSoup
print(BeautifulSoup(requests.get('http://page.test:${port#port }/').text, 'html.parser').title.text)"
    kill $server
    is "$status" 0
    is "$out" "Test page"
}

@test "node, bun and deno" {
    isol8 run --timeout 120000 --runtime node --install is-number@7 -e 'console.log(require("is-number")(5))'
    is "$out" true
    isol8 run --timeout 120000 --runtime bun --install is-number -e 'import f from "is-number"; console.log(f(5))'
    is "$out" true
    isol8 run --timeout 120000 --runtime deno --install npm:is-number -e 'import f from "npm:is-number"; console.log(f(5))'
    is "$out" true
}

@test "agent: packages by bun" {
    isol8 run --timeout 120000 --runtime agent --net filtered --allow '^none\.test$' --install is-number \
        --cmd "bun -e 'import f from \"is-number\"; console.log(f(5))'"
    is "$status" 0
    is "$out" true
}

@test "bash: Debian packages, with the libraries they need, and nothing of the download stays" {
    isol8 run --timeout 120000 --runtime bash --install jq --cmd \
        'jq --version; echo "{\"a\": 1}" | jq .a; command -v jq; ls -A /sandbox; find /sandbox -name "*.deb"'
    is "$status" 0
    [[ "$out" == jq-*$'\n1\n/sandbox/.debian/usr/bin/jq\n.debian' ]]
}

@test "bash: alternatives, libraries in directories of their own, Perl and its scripts" {
    isol8 run --timeout 120000 --runtime bash --install netcat-openbsd --install libblas3 \
        --install libtext-table-perl --install perl --cmd \
        'nc -h 2>&1 | head -1; ls -L /sandbox/.debian/usr/lib/*-linux-gnu/libblas.so.3 | wc -l
         perl -MText::Table -e "print Text::Table->new(qw(a b))->load([1, 2])->body"; prove --version | head -c 13'
    is "$status" 0
    [[ "$out" == "OpenBSD netcat"*$'\n1\n1 2\nTAP::Harness '* ]]
}

@test "bash: what the image has is not downloaded again, and a version may be named" {
    isol8 run --timeout 120000 --runtime bash --install curl --cmd 'command -v curl; ls /sandbox/.debian/usr/bin'
    is "$status" 0
    is "$out" "/usr/bin/curl"
    isol8 run --timeout 120000 --runtime bash --install jq=0.1-nothing --cmd 'echo ran'
    is "$status" 1
    is "$err" "[ERR] Package install failed (exit code 100): E: Version '0.1-nothing' for 'jq' was not found"
}

@test "bash: a package that does not exist, names that are none, and no way to skip verification" {
    isol8 run --timeout 120000 --runtime bash --install no-such-package-xyz --cmd 'echo ran'
    is "$status" 1
    is "$out" ""
    is "$err" "[ERR] Package install failed (exit code 100): E: Unable to locate package no-such-package-xyz"
    for name in --allow-unauthenticated JQ jq- jq/sid ./x.deb 'jq;id'; do
        isol8 run --runtime bash --install "$name" --cmd 'echo ran'
        is "$status" 1
        is "$out" ""
        has "$err" "package"
    done
}

@test "bash: memory of 128 MiB and a small /sandbox are enough for a small package" {
    isol8 run --timeout 120000 --runtime bash --memory 128m --sandbox-size 100m --install jq --cmd 'jq --version'
    is "$status" 0
    [[ "$out" == jq-* ]]
}

@test "a failing install says why and runs nothing; bad names are refused" {
    isol8 run --timeout 120000 --install no-such-package-at-all-xyz -e 'print("ran")'
    is "$status" 1
    is "$out" ""
    [[ "$err" == "[ERR] Package install failed (exit code 1): "* ]]
    for name in --index-url=x ../x 'git+https://x' '' 'a b' 'a;b'; do
        isol8 run --install "$name" -e 'print("ran")'
        is "$status" 1
        is "$out" ""
        has "$err" "package"
    done
}

@test "an explicit --net none is not changed: the install fails there" {
    # Spelled as in no custom image that this machine may have: one that has it needs no install.
    isol8 run --timeout 60000 --net none --install 'six>=1.0' -e 'print("ran")'
    is "$status" 1
    has "$err" "Package install failed"
}
