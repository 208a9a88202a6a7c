#!/usr/bin/env bash
# Installs what the tests need on a Debian machine that has Rust: Debian packages, cargo-nextest,
# and a Python environment under the target folder. Run it as often as you like: what is there
# stays, and a second run takes a second.
#
# No daemon that a package brings is left running or enabled: the tests start their own.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../target}
venv=${HUBDNS_TEST_VENV:-$target/venv}
policy=/usr/sbin/policy-rc.d

packages=(
    awscli          # version 2: the ordinary client of the end-to-end test
    bind9-dnsutils  # dig
    ca-certificates
    curl            # orders of the end-to-end test
    gcc             # the linker that rustc calls
    iproute2        # namespaces
    knot-dnsutils   # kdig
    libc6-dev
    openssl
    procps
    python3
    python3-venv
    unbound         # the real upstream
)

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "setup: '$*' wants root: run this as root or install sudo" >&2
        return 1
    fi
}

missing_packages() {
    local package
    for package in "${packages[@]}"; do
        dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null |
            grep -qx installed || echo "$package"
    done
}

install_packages() {
    local missing=() own_policy=no
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] && return
    echo "setup: installing ${missing[*]}"
    # Debian asks this file whether a fresh package may start its daemon (101: it may not).
    if [ ! -e "$policy" ]; then
        own_policy=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    local status=0
    as_root apt-get update -q || status=$?
    [ "$status" -ne 0 ] || as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}" || status=$?
    [ "$own_policy" = no ] || as_root rm -f "$policy"
    # Nor at the next boot, by systemd or by init. An unbound that was here before us is its
    # owner's.
    if [[ " ${missing[*]} " == *" unbound "* ]]; then
        as_root update-rc.d unbound disable || true
    fi
    return "$status"
}

install_cargo_tools() {
    command -v cargo >/dev/null || {
        echo "setup: no cargo: install Rust first (https://rustup.rs)" >&2
        return 1
    }
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
    cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked
}

# The environment is made anew when the list of packages, or Python, is another one.
install_venv() {
    local stamp
    stamp=$(python3 --version; cat "$here/requirements.txt")
    if [ -x "$venv/bin/python" ] && [ "$(cat "$venv/.stamp" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    echo "setup: making $venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --requirement "$here/requirements.txt"
    echo "$stamp" >"$venv/.stamp"
}

install_packages
install_cargo_tools
install_venv
