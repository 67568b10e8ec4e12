#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# build.bats - images of one's own: real packages, in a copy of the image store.
load common.bash

# Base images are rebuilt here and many images are made: not in the store that other tests use.
setup_file() {
    cp -al "$ISOL8_DATA_ROOT" "$ISOL8_TEST_DIR/data" 2>/dev/null ||
        { rm -rf "$ISOL8_TEST_DIR/data" && cp -a "$ISOL8_DATA_ROOT" "$ISOL8_TEST_DIR/data"; }
    rm -f "$ISOL8_TEST_DIR"/data/*lock
    # Only isol8's own images; replaced, not changed, for the copy shares its files.
    index=$ISOL8_TEST_DIR/data/images/index.json
    jq -c '.manifests |= map(select(.annotations["org.opencontainers.image.ref.name"]
        | startswith("isol8:")))' "$index" >"$index.new"
    mv "$index.new" "$index"
}

setup() {
    start_in_own_folder
    export ISOL8_DATA_ROOT=$ISOL8_TEST_DIR/data
}

teardown() {
    [ -z "${pid:-}" ] || kill -9 "$pid" 2>/dev/null || true
}

# image NAME - its digest; nothing when there is none
image() {
    jq -r --arg name "$1" '.manifests[]
        | select(.annotations["org.opencontainers.image.ref.name"] == $name) | .digest' \
        "$ISOL8_DATA_ROOT/images/index.json"
}

# blob DIGEST
blob() {
    cat "$ISOL8_DATA_ROOT/images/blobs/sha256/${1#sha256:}"
}

# config NAME JQ-PROGRAM - what its image config says
config() {
    blob "$(blob "$(image "$1")" | jq -r .config.digest)" | jq -r "$2"
}

# top_layer NAME - the directory with its topmost layer
top_layer() {
    local id
    id=$(config "$1" '.rootfs.diff_ids[-1]')
    echo "$ISOL8_DATA_ROOT/layers/${id#sha256:}"
}

# Nothing unfinished lies about, and no sandbox.
nothing_half_made() {
    is "$(find "$ISOL8_DATA_ROOT"/layers "$ISOL8_DATA_ROOT"/images/blobs/sha256 -mindepth 1 -maxdepth 1 \
        -name '.*')" ""
    is "$(ls "$ISOL8_STATE_ROOT/sandboxes" 2>/dev/null)" ""
    ! grep "$ISOL8_DATA_ROOT/" /proc/self/mountinfo
}

until_installing() {
    until grep -q 'installing packages' "$1" 2>/dev/null; do
        kill -0 "$pid"
        sleep 0.02
    done
}

was_built() {
    is "$status" 0
    has "$err" "- Building $1: "
    has "$err" "[OK] Built image: $1"
}

was_current() {
    is "$status" 0
    has "$err" "[OK] Built image: $1"
    [[ "$err" != *"- Building $1: "* ]]
}

# ---- What is said ---------------------------------------------------------------------------------

@test "usage: required options, an unknown runtime, nothing to build" {
    isol8 build
    fails_with "error: required option '--base <runtime>' not specified"
    isol8 build --base perl
    fails_with "error: required option '--tag <name>' not specified"
    isol8 build --base perl --tag x
    fails_with "[ERR] Invalid runtime: perl. Expected one of: python, node, bun, deno, bash, agent"
    isol8 build --base python --tag x
    fails_with "[ERR] No packages or setup script specified. Use --install <package> or --setup <command>."
    isol8 build --base python --tag x --install ' , ,' --setup ''
    fails_with "[ERR] No packages or setup script specified. Use --install <package> or --setup <command>."
    isol8 build --base python --tag x --install numpy pandas
    fails_with "error: too many arguments for 'build'. Expected 0 arguments but got 1."
}

@test "no image has been built: list-custom says so, and its JSON is an empty list" {
    isol8 list-custom
    is "$status" 0
    is "$out" ""
    is "$err" "No custom isol8 images found."
    isol8 list-custom --json
    is "$status" 0
    is "$out" "[]"
}

@test "names that are no packages, and names that an image may not have" {
    for name in 'a;b' '-r' '--index-url=x' '../x' 'git+https://x.test/y' '$(id)' 'a b'; do
        isol8 build --base python --tag bad --install "$name"
        is "$status" 1
        is "$out" ""
        has "$err" "[ERR] Invalid package name: \"$name\"."
    done
    for name in x https://user@x.test/y http://x.test/y /etc/passwd; do
        isol8 build --base deno --tag bad --install "$name"
        is "$status" 1
        has "$err" "[ERR] Invalid package name: \"$name\"."
    done
    for tag in isol8:python isol8:base isol8:agent; do
        isol8 build --base python --tag $tag --setup true
        is "$status" 1
        is "$out" ""
        has "$err" "[ERR] the image name '$tag' is taken: it is one of isol8's own images"
    done
    for tag in '' -x ../x 'a b' a:b:c 'x@sha256:1' host; do
        isol8 build --base python --tag "$tag" --setup true
        is "$status" 1
        is "$out" ""
        has "$err" "image name"
    done
    is "$(image bad:latest)" ""
}

@test "an installation that fails says why and leaves nothing" {
    isol8 build --base python --tag bad --install no-such-package-at-all-xyz
    is "$status" 1
    is "$out" ""
    has "$err" "[ERR] Failed to build image for bad: Package install failed (exit code 1): "
    has "$err" "No matching distribution found for no-such-package-at-all-xyz"
    isol8 build --base bash --tag bad --install no-such-package-xyz
    is "$status" 1
    has "$err" "Package install failed (exit code 100): E: Unable to locate package no-such-package-xyz"
    isol8 build --base deno --tag bad --install npm:no-such-package-at-all-xyz
    is "$status" 1
    has "$err" "[ERR] Failed to build image for bad: Package install failed (exit code 1): "
    is "$(image bad:latest)" ""
    nothing_half_made
}

# ---- One image from beginning to end --------------------------------------------------------------

@test "python: ranges and extras, in every place; then current; then listed" {
    isol8 build --base python --install 'six, idna>=3,<4 ,six' --install 'requests[socks]' --tag my-env
    was_built my-env
    has "$err" "[OK] Base image ready: python"
    is "$out" "
[DONE] Custom image build complete!
       Runtime: python
       Packages: idna>=3,<4, requests[socks], six
       Image: my-env"
    is "$(config my-env:latest '.config.Labels["org.isol8.dependencies"]')" \
        "idna>=3,<4,requests[socks],six"
    is "$(config my-env:latest '.config.Labels["org.isol8.runtime"]')" python
    is "$(config my-env:latest '.config.Labels | has("org.isol8.setup"), has("org.isol8.build.hash")')" \
        $'false\nfalse'
    [[ $(config my-env:latest '.config.Labels["org.isol8.deps.hash"]') =~ ^[0-9a-f]{64}$ ]]

    isol8 run --net none --image my-env --runtime python -e '
import six, idna, requests, socks, sys, os
print(six.__name__, idna.__version__[0], requests.__name__, os.path.dirname(six.__file__) in sys.path)
print(os.path.exists(six.__cached__), [f for f in os.listdir("/sandbox") if f[0] != "m"])'
    is "$out" "six 3 requests True
True []"
    isol8 run --net none --image my-env:latest --runtime python --cmd 'idna --version | head -c 4; which idna'
    has "$out" /usr/local/bin/idna

    before=$(image my-env:latest)
    isol8 build --base python --install 'requests[socks]' --install six --install 'idna>=3,<4' --tag my-env:latest
    was_current my-env:latest
    has "$out" "       Image: my-env:latest"
    is "$(image my-env:latest)" "$before"

    isol8 list-custom
    is "$status" 0
    is "$err" ""
    is "$out" "
  ── Available Custom Images ──

  📦 my-env:latest
     Runtime:      python
     Dependencies: idna>=3,<4,requests[socks],six"
    isol8 list-custom --json
    is "$(jq -c '.[] | [.name, .runtime, .dependencies, has("setup"), .digest]' <<<"$out")" \
        "[\"my-env:latest\",\"python\",[\"idna>=3,<4\",\"requests[socks]\",\"six\"],false,\"$before\"]"
}

@test "the layer holds files, directories and links inside it; nothing is set-id or anybody's" {
    layer=$(top_layer my-env:latest)
    [ -d "$layer/usr/local/lib" ]
    is "$(ls -A "$layer")" usr
    is "$(ls -A "$layer/usr")" local
    is "$(find "$layer" ! -type f ! -type d ! -type l)" ""
    is "$(find "$layer" -type l -lname '/*')" ""
    is "$(find "$layer" ! -type l \( -perm /6022 -o ! -uid 0 -o ! -gid 0 \))" ""
    is "$(find "$layer" -name '*.pyc' -newermt 1970-01-02 | wc -l)" \
        "$(find "$layer" -name '*.pyc' | wc -l)"
}

# ---- The other runtimes ---------------------------------------------------------------------------

@test "node: require, import, and commands" {
    isol8 build --base node --install 'is-number@^7.0.0,cowsay' --tag my-node
    was_built my-node
    run_it() { isol8 run --net none --image my-node --runtime node "$@"; }
    run_it -e 'console.log(require("is-number")(5))'
    is "$out" true
    run_it -e 'import f from "is-number"; console.log(f("x"))'
    is "$out" false
    run_it --cmd 'cowsay moo | sed -n 2p; command -v cowsay; npm --version | wc -l'
    is "$out" "< moo >
/usr/local/bin/cowsay
1"
    is "$(find "$(top_layer my-node:latest)" -type l -lname '/*')" ""
}

@test "bun, and the agent's bun" {
    for base in bun agent; do
        isol8 build --base $base --install is-number --tag my-$base
        was_built my-$base
        is "$(config my-$base:latest '.config.Labels["org.isol8.runtime"]')" $base
        echo 'import f from "is-number"; const n: number = 5; console.log(f(n))' >code.ts
        isol8 run --net none --image my-$base --runtime bun code.ts
        is "$out" true
    done
    isol8 run --net host --image my-agent --runtime agent --cmd 'pi --version'
    is "$status" 0
    [[ "$out" =~ ^[0-9]+\.[0-9]+\.[0-9]+ ]]
}

@test "deno: from the image, and together with a package of the run" {
    isol8 build --base deno --install npm:is-number@7 --tag my-deno
    was_built my-deno
    isol8 run --net none --image my-deno --runtime deno -e \
        'import f from "npm:is-number@7"; const n: number = 5; console.log(f(n))'
    is "$status" 0
    is "$out" true
    is "$err" ""
    isol8 run --timeout 120000 --image my-deno --runtime deno --install npm:cowsay@1 -e \
        'import f from "npm:is-number@7"; import * as c from "npm:cowsay@1"; console.log(f(5), typeof c.say)'
    is "$out" "true function"
}

@test "deno: a module by its address: its own host is reached, another one is not" {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca \
        -keyout ca.key -out ca.pem 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mod.test \
        -keyout host.key -out host.csr 2>/dev/null
    printf 'subjectAltName=DNS:mod.test,DNS:other.test\n' >san
    openssl x509 -req -in host.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san \
        -out host.pem 2>/dev/null
    mkdir www
    python3 - <<'END' >server.log 2>&1 3>&- &
import functools, http.server, ssl
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="www")
handler.func.extensions_map[".ts"] = "application/typescript"
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain("host.pem", "host.key")
server.socket = tls.wrap_socket(server.socket, server_side=True)
print("port", server.server_address[1], flush=True)
server.serve_forever()
END
    pid=$!
    until port=$(grep -oE 'port [0-9]+' server.log); do kill -0 $pid; sleep 0.05; done
    port=${port#port }
    echo 'export const n: number = 42;' >www/mod.ts
    echo "import 'https://other.test:$port/secret.ts';" >www/calls.ts
    echo '' >www/secret.ts
    cat >config.json <<END
{ "network": { "hosts": { "mod.test": "127.0.0.1", "other.test": "127.0.0.1" },
               "allowAddresses": ["127.0.0.1"], "caFile": "$PWD/ca.pem" } }
END
    isol8 build --config config.json --base deno --install "https://mod.test:$port/calls.ts" --tag bad
    is "$status" 1
    has "$err" "Package install failed (exit code 1): "
    has "$(cat server.log)" "GET /calls.ts"
    has "$err" "unsuccessful tunnel"
    [[ "$(cat server.log)" != *secret* ]]
    is "$(image bad:latest)" ""

    isol8 build --config config.json --base deno --install "https://mod.test:$port/mod.ts" --tag my-mod
    was_built my-mod
    echo "import { n } from 'https://mod.test:$port/mod.ts'; console.log(n)" >code.mts
    mkdir files
    cp code.mts files
    isol8 run --net none --image my-mod --runtime deno --files files \
        --cmd 'deno run --allow-import --cached-only code.mts'
    kill $pid
    wait $pid || true
    pid=
    is "$out" 42
}

@test "bash: Debian packages at their own places, with libraries, alternatives and Perl" {
    isol8 build --base bash --install jq,libblas3,netcat-openbsd,sudo,libtext-table-perl,perl --tag my-bash
    was_built my-bash
    isol8 run --net none --image my-bash --cmd '
        echo "{\"a\": 1}" | jq .a; command -v jq; nc -h 2>&1 | head -1 | cut -d" " -f1
        ls -L /usr/lib/*-linux-gnu/libblas.so.3 | wc -l; ls -A /sandbox; echo "$LD_LIBRARY_PATH"
        perl -MText::Table -e "print Text::Table->new(qw(a b))->load([1, 2])->body"; test -f /etc/sudoers'
    is "$status" 0
    is "$out" "1
/usr/bin/jq
OpenBSD
1

1 2"
    layer=$(top_layer my-bash:latest)
    is "$(find "$layer" ! -type l \( -perm /6022 -o ! -uid 0 -o ! -type f ! -type d \))" ""
    [ -f "$layer/usr/bin/sudo" ]
    is "$(cd "$layer" && find . -maxdepth 1 ! -name . ! -name etc ! -name opt ! -name srv ! -name usr ! -name var)" ""
    # What the image has is not downloaded by a run, and counts as there for others.
    isol8 run --timeout 120000 --image my-bash --install jq --cmd 'command -v jq; ls /sandbox/.debian/usr/bin'
    is "$out" /usr/bin/jq
}

# ---- Setup scripts --------------------------------------------------------------------------------

script='#!/bin/bash
export A="it'\''s \"quoted\""
echo $(id) `id` \\ \n \\n %s ${A} é → 🦊
cat <<END
]]> $'\''x'\'' & ; |
END'

@test "a setup script of many lines and any characters is kept as it is, also without packages" {
    isol8 build --base python --setup "$script" --tag only-setup
    was_built only-setup
    is "$out" "
[DONE] Custom image build complete!
       Runtime: python
       Setup: #!/bin/bash ...
       Image: only-setup"
    is "$(config only-setup:latest '.config.Labels["org.isol8.setup"]')" "$script"
    is "$(config only-setup:latest '.config.Labels["org.isol8.dependencies"]')" ""
    is "$(config only-setup:latest '.rootfs.diff_ids')" "$(config isol8:python '.rootfs.diff_ids')"
    isol8 list-custom --json
    is "$(jq -r '.[] | select(.name == "only-setup:latest") | .setup' <<<"$out")" "$script"
    isol8 list-custom
    has "$out" "  📦 only-setup:latest
     Runtime:      python
     Dependencies: (none)
     Setup:        #!/bin/bash ..."
    isol8 build --base python --setup "$script" --tag only-setup
    was_current only-setup
    isol8 build --base python --setup "$script " --tag only-setup
    was_built only-setup
    is "$(config only-setup:latest '.config.Labels["org.isol8.setup"]')" "$script "
}

@test "files of setup scripts are read, the rest is joined to them; a directory is an error" {
    printf '%s' "$script" >setup.sh
    isol8 build --base bash --setup 'first one' --setup setup.sh --setup 'last' --tag from-file
    is "$status" 0
    has "$out" "       Setup: first one ..."
    is "$(config from-file:latest '.config.Labels["org.isol8.setup"]')" $'first one\n'"$script"$'\nlast'
    isol8 build --base bash --setup . --tag from-file2
    fails_with "[ERR] Cannot read setup script .: Is a directory"
    printf 'a\0b' >binary
    isol8 build --base bash --setup binary --tag from-file2
    fails_with "[ERR] Setup script binary is no text: it has NUL bytes."
}

# ---- What makes an image outdated -----------------------------------------------------------------

@test "another script, another package, another runtime, a new base: built again; --force always" {
    isol8 build --base python --install six --setup ': one' --tag again
    is "$status" 0
    first=$(image again:latest)
    isol8 build --base python --install six --setup ': one' --tag again
    was_current again
    isol8 build --base python --install six --setup ': two' --tag again
    second=$(image again:latest)
    [ "$second" != "$first" ]
    isol8 build --base python --install six,idna --setup ': two' --tag again
    third=$(image again:latest)
    [ "$third" != "$second" ]
    isol8 run --net none --image again -e 'import idna, six'
    is "$status" 0

    isol8 setup --force python
    is "$status" 0
    isol8 build --base python --install six,idna --setup ': two' --tag again
    was_built again
    is "$(config again:latest '.config.Labels["org.isol8.base.digest"]')" "$(image isol8:python)"
    isol8 build --base python --install six,idna --setup ': two' --tag again
    was_current again

    base=$(image isol8:python)
    isol8 build --base python --install six,idna --setup ': two' --tag again --force
    was_built again
    has "$err" "- Building python: "
    [ "$(image isol8:python)" != "$base" ]
    isol8 build --base bash --setup ': two' --tag again
    is "$status" 0
    is "$(config again:latest '.config.Labels["org.isol8.runtime"]')" bash
    nothing_half_made
}

@test "a base image that is missing is built first" {
    mkdir "$ISOL8_TEST_DIR/empty"
    export ISOL8_DATA_ROOT=$ISOL8_TEST_DIR/empty
    isol8 build --base bash --install jq --tag first
    was_built first
    has "$err" "- Building bash: "
    has "$err" "[OK] Base image ready: bash"
    isol8 run --net none --image first --cmd 'jq --version | head -c 3'
    is "$out" jq-
}

# ---- What a run makes of them ---------------------------------------------------------------------

@test "run takes the image that has the packages, and installs only what is missing" {
    isol8 build --base python --install six,idna --tag has-both
    is "$status" 0
    isol8 build --base python --install six,idna,certifi --tag has-more
    is "$status" 0
    # No network: what is not in the image could not be installed.
    isol8 run --net none --install six -e 'import six, idna; print(six.__file__)'
    has "$out" /usr/local/
    isol8 run --net none --json --install idna --install six -e 'import six; print(1)'
    is "$status" 0
    isol8 run --net none --install pygments -e 'import pygments'
    is "$status" 1
    has "$err" "Package install failed"
    isol8 run --image has-both --install six --install pygments --net filtered \
        -e 'import six, pygments; print(six.__file__, pygments.__file__)'
    has "$out" "/usr/local/"
    has "$out" "/sandbox/"
}

@test "the script of an image runs before the code, then that of the run" {
    isol8 build --base bash --setup 'echo image; echo made >made' --tag scripted
    isol8 run --image scripted --cmd 'cat made; ls -A'
    is "$out" "image
made
made"
    isol8 run --image scripted --setup 'cat made; echo run' --cmd 'echo code'
    is "$out" "image
made
run
code"
    isol8 run --image scripted --no-stream --cmd 'echo code'
    is "$out" code
    isol8 build --base bash --setup 'echo broken >&2; exit 5' --tag scripted
    isol8 run --image scripted --cmd 'echo code'
    is "$status" 5
    is "$err" "broken
[ERR] Setup script failed (exit code 5)"
    isol8 run --image scripted --no-stream --cmd 'echo code'
    is "$status" 1
    is "$err" "[ERR] Setup script failed (exit code 5): broken"
}

# ---- Images of the configuration ------------------------------------------------------------------

@test "setup builds prebuiltImages, and again when packages or script change" {
    echo 'echo from a file' >type # bash has a builtin of this name
    cat >isol8.config.json <<'END'
{ "prebuiltImages": [
    { "tag": "pre-py", "runtime": "python", "installPackages": ["six", "idna"], "setupScript": "type" },
    { "tag": "pre-sh", "runtime": "bash", "installPackages": [], "setupScript": "a=1\necho \"$a\"" },
    { "tag": "pre-node", "runtime": "node", "installPackages": ["is-number"] } ] }
END
    isol8 setup python bash
    is "$status" 0
    has "$out" "[DONE] Setup complete!"
    has "$err" "Checking prebuilt images from config..."
    has "$err" "[OK] pre-py (python: six, idna)"
    has "$err" "[OK] pre-sh (bash: setup script)"
    [[ "$err" != *pre-node* ]]
    # A project's file names no files of the machine: this is text.
    is "$(config pre-py:latest '.config.Labels["org.isol8.setup"]')" type
    is "$(config pre-sh:latest '.config.Labels["org.isol8.setup"]')" $'a=1\necho "$a"'

    isol8 setup python bash
    is "$status" 0
    has "$err" "[OK] pre-py (already exists)"
    has "$err" "[OK] pre-sh (already exists)"

    sed -i 's/"six", "idna"/"six"/; s/a=1/a=2/' isol8.config.json
    isol8 setup python bash
    has "$err" "[OK] pre-py (python: six)"
    has "$err" "[OK] pre-sh (bash: setup script)"
    isol8 run --net none --image pre-py -e 'import importlib.util as u; print(u.find_spec("idna"))'
    is "$out" None

    isol8 setup --force bash
    has "$err" "[OK] pre-sh (bash: setup script)"
}

@test "setup stops at an image that cannot be built, and refuses to replace its own" {
    echo '{ "prebuiltImages": [ { "tag": "isol8:bash", "runtime": "bash", "installPackages": ["jq"] } ] }' \
        >isol8.config.json
    isol8 setup bash
    is "$status" 1
    is "$out" ""
    has "$err" "[ERR] the image name 'isol8:bash' is taken"
    echo '{ "prebuiltImages": [ { "tag": "bad", "runtime": "bash", "installPackages": ["$(id)"] } ] }' \
        >isol8.config.json
    isol8 setup bash
    is "$status" 1
    has "$err" '[ERR] Invalid package name: "$(id)".'
    is "$(image bad:latest)" ""
}

# ---- Interrupted, and at once ---------------------------------------------------------------------

@test "interrupted by SIGINT, killed, then repeated" {
    "$ISOL8" build --base bash --install perl --tag slow >log 2>&1 &
    pid=$!
    until_installing log
    kill -INT $pid
    code=0
    wait $pid || code=$?
    is "$code" 130
    is "$(image slow:latest)" ""
    nothing_half_made

    for pause in 0 0.5 1.5; do
        "$ISOL8" build --base bash --install perl --tag slow >log2 2>&1 &
        pid=$!
        until_installing log2
        sleep $pause # somewhere in the middle
        kill -9 $pid
        wait $pid || true
        pid=
    done
    is "$(image slow:latest)" ""

    isol8 build --base bash --install perl --tag slow
    was_built slow
    isol8 run --net none --image slow --cmd 'perl -e "print 6 * 7"'
    is "$out" 42
    nothing_half_made
}

@test "two builds of one tag at once: one builds, the other finds it current; two tags both come" {
    "$ISOL8" build --base python --install six --tag twin >first 2>&1 &
    one=$!
    "$ISOL8" build --base python --install six --tag twin >second 2>&1 &
    two=$!
    "$ISOL8" build --base node --install is-number --tag third >third 2>&1 &
    three=$!
    wait $one
    wait $two
    wait $three
    is "$(cat first second | grep -c 'twin: packing')" 1
    isol8 run --net none --image twin -e 'import six; print("works")'
    is "$out" works
    isol8 run --net none --image third --runtime node -e 'console.log(require("is-number")(1))'
    is "$out" true
    nothing_half_made
}

@test "no space left gives a clear error and leaves nothing half-made" {
    export ISOL8_DATA_ROOT=$ISOL8_TEST_DIR/small
    mkdir -p "$ISOL8_DATA_ROOT"
    mount -t tmpfs -o size=400m none "$ISOL8_DATA_ROOT"
    isol8 setup bash
    code=$status
    free=$(df --output=avail -m "$ISOL8_DATA_ROOT" | tail -1)
    head -c $((free - 30))M /dev/zero >"$ISOL8_DATA_ROOT/full"
    isol8 build --base bash --install perl --tag large
    left=$(find "$ISOL8_DATA_ROOT"/layers "$ISOL8_DATA_ROOT"/images -name '.*')
    umount "$ISOL8_DATA_ROOT"
    is "$code" 0
    is "$status" 1
    has "$err" "[ERR] Failed to build image for large"
    has "$err" "o space left"
    is "$left" ""
}
