#!/usr/bin/env bash
# Installs what the tests need on a Debian machine that has Rust: Debian packages, cargo-nextest,
# cargo-fuzz, and under the target folder Python environments and what drives a browser. Run it as often
# as you like: what is there stays, and a second run takes a second.
#
# No daemon that a package brings is left running or enabled: the tests start their own. systemd-resolved
# is unpacked beside the Python environment and not installed, for it would take over the machine's
# /etc/resolv.conf. A root with systemd lies there, too, for the tests that boot one.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../target}
venv=${HUBDNS_TEST_VENV:-$target/venv}
resolved=$(dirname "$venv")/systemd-resolved
root=$(dirname "$venv")/systemd-root
root_packages=curl,dbus,ethtool,rpm,systemd,systemd-sysv
schemathesis=$(dirname "$venv")/schemathesis
stack=$(dirname "$venv")/stack
browser=$(dirname "$venv")/browser
policy=/usr/sbin/policy-rc.d

packages=(
    awscli          # version 2: the ordinary client of the end-to-end test
    bind9           # a resolver in front of ours; signs zones
    bind9-dnsutils  # dig
    ca-certificates
    chromium        # looks at the page
    curl            # orders of the end-to-end test
    bind9-utils     # dnstap-read
    dnsmasq-base    # a resolver in front of ours, as are those below
    firewalld       # firewall-offline-cmd, which reads our service and the image's zone
    fstrm-bin       # a receiver of dnstap
    gcc             # the linker that rustc calls
    iproute2        # namespaces
    jq              # records zones, as the documents do
    knot-dnsutils   # kdig
    knot-resolver
    libc6-dev
    libfaketime     # a clock that jumps
    mmdebstrap      # a root with systemd, which is booted
    nftables        # a hub that is cut off
    openssl
    packer          # reads the image's template
    pdns-recursor
    procps
    prometheus      # scrapes us; promtool
    python3
    python3-venv
    shellcheck
    strace          # a disk that fails, hangs, or kills
    systemd         # systemd-analyze, which verifies the units
    systemd-container
    unbound         # the real upstream
    valgrind        # counts what cannot be timed
)

# What those packages would have started at the next boot.
declare -A daemons=(
    [bind9]=named
    [firewalld]=firewalld
    [knot-resolver]='kresd kresd.target kres-cache-gc'
    [pdns-recursor]=pdns-recursor
    [prometheus]=prometheus
    [unbound]=unbound
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
    # Nor at the next boot, by systemd or by init. What was here before us is its owner's.
    local package daemon
    for package in "${missing[@]}"; do
        for daemon in ${daemons[$package]:-}; do
            [ ! -e "/etc/init.d/$daemon" ] || as_root update-rc.d "$daemon" disable || true
            ! command -v systemctl >/dev/null || as_root systemctl disable "$daemon" || true
        done
    done
    return "$status"
}

# With the library that it is linked to, since the machine's own may be of another patch level.
unpack_resolved() {
    [ ! -x "$resolved/lib/systemd/systemd-resolved" ] || return 0
    echo "setup: unpacking $resolved"
    local folder package
    folder=$(mktemp -d)
    (
        cd "$folder"
        apt-get download -q systemd-resolved libsystemd-shared ||
            { as_root apt-get update -q && apt-get download -q systemd-resolved libsystemd-shared; }
    )
    rm -rf "$resolved"
    mkdir -p "$resolved"
    for package in "$folder"/*.deb; do dpkg-deb --extract "$package" "$resolved"; done
    rm -rf "$folder"
}

# A small Debian that tests boot, each in an overlay of its own.
make_root() {
    [ "$(cat "$root/.stamp" 2>/dev/null)" != "$root_packages" ] || return 0
    echo "setup: making $root"
    as_root rm -rf "$root"
    # Nothing of it has to survive the machine, so nothing waits for the disk.
    as_root mmdebstrap --variant=minbase --include="$root_packages" --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' bookworm "$root"
    echo "$root_packages" | as_root tee "$root/.stamp" >/dev/null
}

install_cargo_tools() {
    command -v cargo >/dev/null || {
        echo "setup: no cargo: install Rust first (https://rustup.rs)" >&2
        return 1
    }
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
    cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked
    cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
}

# The environment $1 is made anew when the list of packages $2, or Python, is another one.
install_venv() {
    local made=$1 list=$2 stamp
    stamp=$(python3 --version; cat "$list")
    if [ -x "$made/bin/python" ] && [ "$(cat "$made/.stamp" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    echo "setup: making $made"
    rm -rf "$made"
    python3 -m venv "$made"
    "$made/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$list"
    echo "$stamp" >"$made/.stamp"
}

# What drives the browser: two packages without dependencies, at the versions of the lock file.
install_browser_driver() {
    command -v npm >/dev/null || {
        echo "setup: no npm: install Node.js 20 or later first (Debian: npm)" >&2
        return 1
    }
    if cmp --silent "$here/page/package-lock.json" "$browser/package-lock.json" &&
        [ -d "$browser/node_modules" ]; then
        return
    fi
    echo "setup: making $browser"
    mkdir -p "$browser"
    cp "$here/page/package.json" "$here/page/package-lock.json" "$browser"
    npm ci --prefix "$browser" --no-fund --no-audit --loglevel=error
}

install_packages
unpack_resolved
make_root
install_cargo_tools
install_venv "$venv" "$here/requirements.txt"
# Apart: it wants other versions of what moto needs.
install_venv "$schemathesis" "$here/page/requirements.txt"
install_venv "$stack" "$here/service/requirements.txt"
install_browser_driver
