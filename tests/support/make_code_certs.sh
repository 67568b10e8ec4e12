#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make_code_certs.sh DIR - certificates for code_origin.py: ca.pem, and one file for each way to fail
set -euo pipefail
cd "$1"

ec=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
for ca in ca stranger; do
    openssl req -x509 "${ec[@]}" -days 2 -subj "/CN=test-$ca" -keyout $ca.key -out $ca.pem 2>/dev/null
done
openssl req "${ec[@]}" -subj /CN=code.test -keyout host.key -out host.csr 2>/dev/null

# issue NAME CA FROM TO SUBJECT_ALT_NAMES
issue() {
    rm -rf db && mkdir db && : >db/index && echo 01 >db/serial
    cat >db/conf <<END
[ca]
default_ca = here
[here]
new_certs_dir = db
database = db/index
serial = db/serial
default_md = sha256
policy = any
x509_extensions = host
[any]
commonName = supplied
[host]
subjectAltName = $5
END
    openssl ca -batch -notext -config db/conf -cert "$2.pem" -keyfile "$2.key" -startdate "$3" \
        -enddate "$4" -in host.csr -out "$1.pem" 2>/dev/null
}
day() {
    date -u -d "$1" +%Y%m%d%H%M%SZ
}
names=DNS:raw.githubusercontent.com,DNS:gist.githubusercontent.com,DNS:code.test,DNS:other.test,DNS:mixed.test,DNS:six.test,IP:127.0.0.1,IP:::1
issue good ca "$(day yesterday)" "$(day tomorrow)" "$names"
issue expired ca "$(day '3 days ago')" "$(day yesterday)" "$names"
issue wrong ca "$(day yesterday)" "$(day tomorrow)" DNS:elsewhere.test
issue unknown stranger "$(day yesterday)" "$(day tomorrow)" "$names"
