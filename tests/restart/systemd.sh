#!/usr/bin/env bash
# Restarts, crashes and upgrades below a real systemd, booted in a container with the units as they are
# shipped, with and without hubdns.socket: the figures of docs/OPERATIONS.md. Takes some minutes, of which
# the tests are one.
#
#   tests/restart/systemd.sh [ROOT]     ROOT is made if it is not there, and kept
#
# Needs root, iproute2, and of Debian mmdebstrap and systemd-container. No part of the ordinary tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
root=${1:-$work/root}
net=hubdns-restart
address=10.77.0.1
machine='' leader=''

cleanup() {
    power_off
    ip netns del "$net" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

cargo build --release --no-default-features
[ -d "$root" ] || mmdebstrap --variant=minbase --include=systemd,systemd-sysv,dbus bookworm "$root"

install -d "$root"/etc/hubdns/hub "$root"/etc/systemd/system/{multi-user,sockets}.target.wants
install -m 755 "${CARGO_TARGET_DIR:-target}"/release/hubdns "$root"/usr/bin/hubdns
install -m 644 tests/fixtures/small/* "$root"/etc/hubdns/hub
units="$root"/etc/systemd/system
install -m 644 systemd/hubdns.{service,socket} systemd/hubdns-refused.service "$units"
install -D -m 644 -t "$units"/hubdns.service.d systemd/drop-ins/priorities.conf
ln -sf ../hubdns.service "$units"/multi-user.target.wants

# What `server.listen` says in one of the ways below.
configuration() {
    cat <<TOML
[server]
listen = [$1]
[[source]]
name = "files"
kind = "files"
path = "/etc/hubdns/hub"
[health]
probe = "off"
[forward]
upstreams = []
[admin]
listen = "$address:9153"
TOML
}

boot() {
    systemd-nspawn --directory="$root" --volatile=overlay --register=no --keep-unit --console=pipe \
        --network-namespace-path=/run/netns/"$net" --boot </dev/null >"$work"/console 2>&1 &
    machine=$!
    for _ in {1..300}; do
        leader=$(pgrep --parent "$machine" | head -1) || true
        below="nsenter --target ${leader:-0} --mount --uts --ipc --net --pid"
        [ -n "$leader" ] && $below systemctl is-active --quiet hubdns && break
        sleep 0.1
    done
}

power_off() {
    # SIGRTMIN+4 asks systemd to power off.
    [ -z "$leader" ] || kill -RTMIN+4 "$leader" || true
    [ -z "$machine" ] || wait "$machine" || true
    leader='' machine=''
}

measure() {
    boot
    printf 'measured: %s, %s\n' "$1" "$($below systemctl --version | head -1)"
    HUBDNS_BELOW="$below" ip netns exec "$net" cargo nextest run --release --no-default-features \
        --test restart --run-ignored only --no-tests fail --no-capture --retries 0
    power_off
}

ip netns add "$net"
ip -n "$net" link set lo up
ip -n "$net" address add "$address/32" dev lo

configuration '"0.0.0.0:53", "[::]:53"' >"$root"/etc/hubdns/hubdns.toml
rm -f "$units"/hubdns.service.d/without-socket.conf
ln -sf ../hubdns.socket "$units"/sockets.target.wants
measure 'ports of hubdns.socket'

configuration "\"$address:53\"" >"$root"/etc/hubdns/hubdns.toml
rm "$units"/sockets.target.wants/hubdns.socket "$units"/hubdns.socket
install -m 644 systemd/drop-ins/without-socket.conf "$units"/hubdns.service.d
measure 'ports of its own'
