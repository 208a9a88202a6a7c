#!/usr/bin/env bash
# Restarts, crashes and upgrades below a real systemd, booted in a container with the unit as it is
# shipped: the figures of docs/OPERATIONS.md. Takes some minutes, of which the test is half a one.
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
    # SIGRTMIN+4 asks systemd to power off.
    [ -z "$leader" ] || kill -RTMIN+4 "$leader" || true
    [ -z "$machine" ] || wait "$machine" || true
    ip netns del "$net" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

cargo build --release --no-default-features
[ -d "$root" ] || mmdebstrap --variant=minbase --include=systemd,systemd-sysv,dbus bookworm "$root"

install -d "$root"/etc/hubdns/hub "$root"/etc/systemd/system/multi-user.target.wants
install -m 755 "${CARGO_TARGET_DIR:-target}"/release/hubdns "$root"/usr/bin/hubdns
install -m 644 tests/fixtures/small/* "$root"/etc/hubdns/hub
install -m 644 systemd/hubdns.service "$root"/etc/systemd/system
# Its own ports are what is measured.
install -D -m 644 -t "$root"/etc/systemd/system/hubdns.service.d systemd/drop-ins/without-socket.conf \
    systemd/drop-ins/priorities.conf
ln -sf ../hubdns.service "$root"/etc/systemd/system/multi-user.target.wants
cat >"$root"/etc/hubdns/hubdns.toml <<TOML
[server]
listen = ["$address:53"]
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

ip netns add "$net"
ip -n "$net" link set lo up
ip -n "$net" address add "$address/32" dev lo
systemd-nspawn --directory="$root" --volatile=overlay --register=no --keep-unit --console=pipe \
    --network-namespace-path=/run/netns/"$net" --boot </dev/null >"$work"/console 2>&1 &
machine=$!
for _ in {1..300}; do
    leader=$(pgrep --parent "$machine" | head -1) || true
    below="nsenter --target ${leader:-0} --mount --uts --ipc --net --pid"
    [ -n "$leader" ] && $below systemctl is-active --quiet hubdns && break
    sleep 0.1
done
$below systemctl --version | head -1
HUBDNS_BELOW="$below" ip netns exec "$net" cargo nextest run --release --no-default-features \
    --test restart --run-ignored only --no-capture --retries 0
