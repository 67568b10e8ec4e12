# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# lib.sh - what scripts/quickstart and scripts/test share. Messages go to stderr only.

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "error: $*"
    exit 1
}

# What isol8 needs when it runs, and what building it takes.
# shellcheck disable=SC2034
runtime_packages=(runc mmdebstrap ca-certificates libcjson1 libcurl4 libarchive13 libssl3
    libnftables1 libmnl0 libpcre2-8-0 libc-ares2 libidn2-0 libmicrohttpd12 libwslay1 libsqlite3-0
    libpq5 libmariadb3)
# shellcheck disable=SC2034
build_packages=(gcc libc6-dev make cmake pkg-config libcjson-dev libseccomp-dev libmnl-dev
    libc-ares-dev libmicrohttpd-dev libwslay-dev libsqlite3-dev libpq-dev libmariadb-dev)

# install_missing PACKAGE... - ask apt only for what dpkg does not have.
install_missing() {
    local missing=() package
    local -A have=()

    command -v dpkg-query >/dev/null || die "this script installs by apt: run it on Debian, or" \
        "install the equivalents of: $*"
    while read -r package; do
        have[$package]=1
    done < <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
        sed -n 's/^installed //p')
    for package in "$@"; do
        [ -n "${have[$package]:-}" ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "as root: apt-get install ${missing[*]}"
    say "Installing: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # The lists may be absent or old: fetch them only if the packages cannot be had without.
    if ! apt_install "${missing[@]}" >/dev/null 2>&1; then
        run_quietly apt-get -o DPkg::Lock::Timeout=300 update || die "apt-get update failed"
        run_quietly apt_install "${missing[@]}" ||
            die "apt-get could not install: ${missing[*]}"
    fi
}

apt_install() {
    apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" </dev/null
}

# Run a command; what it says is shown only if it fails.
run_quietly() {
    local out
    if ! out=$("$@" 2>&1); then
        printf '%s\n' "$out" | tail -n 20 >&2
        return 1
    fi
}
