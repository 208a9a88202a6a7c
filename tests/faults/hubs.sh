#!/usr/bin/env bash
# Three hubs behind a real unbound, which stands for the outbound endpoint that forwards to all of them;
# a client asks it while one hub is killed, one is cut off and one is drained.
#
#   HUBDNS=path/to/hubdns tests/faults/hubs.sh
#
# vpc namespace    10.9.0.1:53 unbound, and the client
# hub namespaces   10.9.{1,2,3}.2:53, each on a link of its own to the vpc
#
# It prints a line a fault for the fault book: what, questions sent, wrong, failed, lost, seconds from
# the fault until the last question that was not answered right, seconds of the longest wait. It wants
# root and a kernel that gives network namespaces, and fails without.
set -euo pipefail

: "${HUBDNS:?the binary to test}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
fixture=$here/../fixtures/small
rate=300
vpc=hubdns-vpc-$$
hubs=(1 2 3)
declare -A pids

now_ms() { date +%s%3N; }
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
hub_ns() { echo "hubdns-hub$1-$$"; }
in_hub() {
    local hub=$1
    shift
    ip netns exec "$(hub_ns "$hub")" "$@"
}
in_vpc() { ip netns exec "$vpc" "$@"; }

# === The ground

# Takes away a namespace and whatever still runs in it.
remove_namespace() {
    local pids
    pids=$(ip netns pids "$1" 2>/dev/null) || return 0
    # shellcheck disable=SC2086  # one word for each id
    [ -z "$pids" ] || kill -KILL $pids 2>/dev/null || true
    ip netns delete "$1" || true
}

clean_up() {
    local status=$?
    trap - EXIT
    if [ "$status" -ne 0 ]; then
        for log in "$work"/*.log; do
            printf -- '--- %s\n' "${log##*/}" >&2
            tail -n 30 "$log" >&2
        done
    fi
    remove_namespace "$vpc"
    for hub in "${hubs[@]}"; do remove_namespace "$(hub_ns "$hub")"; done
    rm -rf "$work"
    exit "$status"
}

make_network() {
    local hub ns
    ip netns add "$vpc" || fail 'this machine gives no network namespaces'
    ip -n "$vpc" link set lo up
    ip -n "$vpc" address add 10.9.0.1/32 dev lo
    for hub in "${hubs[@]}"; do
        ns=$(hub_ns "$hub")
        ip netns add "$ns"
        ip link add "to$hub" netns "$vpc" type veth peer name vpc0 netns "$ns"
        ip -n "$ns" link set lo up
        ip -n "$vpc" address add "10.9.$hub.1/24" dev "to$hub"
        ip -n "$ns" address add "10.9.$hub.2/24" dev vpc0
        ip -n "$vpc" link set "to$hub" up
        ip -n "$ns" link set vpc0 up
    done
}

wait_for() {
    local what=$1 until
    shift
    until=$(($(now_ms) + 20000))
    until "$@" >/dev/null 2>&1; do
        [ "$(now_ms)" -lt "$until" ] || fail "not within 20 s: $what"
        sleep 0.05
    done
}

# === Those who take part

start_hub() {
    local hub=$1 dir=$work/hub$1
    mkdir -p "$dir"
    cat >"$dir/hubdns.toml" <<EOF
[server]
listen = ["10.9.$hub.2:53"]
[[source]]
name = "files"
kind = "files"
path = "$fixture"
[refresh]
state_file = "$dir/inventory.json"
[health]
probe = "off"
[forward]
upstreams = []
[admin]
listen = "127.0.0.1:9153"
[control]
socket = "$dir/control.sock"
EOF
    # Not by a function: its id would be a shell's.
    ip netns exec "$(hub_ns "$hub")" env -i "$HUBDNS" run --config "$dir/hubdns.toml" \
        >>"$work/hub$hub.log" 2>&1 3>&- &
    pids[$hub]=$!
    wait_for "hub $hub is ready" in_hub "$hub" "$HUBDNS" status --config "$dir/hubdns.toml"
}

start_unbound() {
    cat >"$work/unbound.conf" <<EOF
server:
    interface: 10.9.0.1
    access-control: 10.9.0.0/16 allow
    do-daemonize: no
    username: ""
    chroot: ""
    pidfile: ""
    directory: "$work"
    use-syslog: no
    num-threads: 1
    module-config: "iterator"
    # It forgets after so many seconds who did not answer; by default it avoids them for 15 minutes,
    # and then all three hubs, broken one after the other, would be away for it at once.
    infra-host-ttl: 2
forward-zone:
    name: "amazonaws.com"
    forward-addr: 10.9.1.2
    forward-addr: 10.9.2.2
    forward-addr: 10.9.3.2
remote-control:
    control-enable: no
EOF
    in_vpc env PATH=/usr/sbin:/usr/bin unbound -d -c "$work/unbound.conf" >"$work/unbound.log" 2>&1 &
    wait_for 'unbound forwards' in_vpc dig +tries=1 +timeout=1 @10.9.0.1 "$bucket"
}

# === The faults

# Marks where one begins: what is asked from here on is counted for it.
fault() { printf '%s\t%s\n' "$(now_ms)" "$*" >>"$work/faults"; }

count() {
    awk -F '\t' -v OFS='\t' '
        NR == FNR { from[NR] = $1; what[NR] = $2; faults = NR; next }
        {
            at = 0
            for (i = 1; i <= faults; i++) if (from[i] <= $1) at = i
            sent[at]++
            fate[at, $2]++
            if ($3 > worst[at]) worst[at] = $3
            if ($2 != "right" && $1 - from[at] > last[at]) last[at] = $1 - from[at]
        }
        END {
            for (i = 1; i <= faults; i++)
                print what[i], sent[i] + 0, fate[i, "wrong"] + 0, fate[i, "failed"] + 0,
                    fate[i, "lost"] + 0, sprintf("%.1f", last[i] / 1000), sprintf("%.3f", worst[i] / 1000)
        }' "$work/faults" "$work/asked"
}

work=$(mktemp -d)
trap clean_up EXIT
[ "$(id -u)" -eq 0 ] || fail 'network namespaces want root: run the tests as root'
for tool in "$HUBDNS" ip nft unbound dig python3; do
    PATH=$PATH:/usr/sbin command -v "$tool" >/dev/null || fail "$tool is not here: run tests/setup.sh"
done
export PATH=$PATH:/usr/sbin
domain=s3.eu-west-1.amazonaws.com
bucket=bucket.$domain
make_network
for hub in "${hubs[@]}"; do start_hub "$hub"; done
start_unbound
mapfile -t expected < <(in_hub 1 dig +short @10.9.1.2 "$bucket")
[ ${#expected[@]} -ge 2 ] || fail "$bucket has no addresses"

mkfifo "$work/asker.stdin"
in_vpc python3 "$here/asker.py" 10.9.0.1 $rate "$domain" "${expected[@]}" \
    <"$work/asker.stdin" >"$work/asked" 2>"$work/asker.log" &
asker=$!
exec 3>"$work/asker.stdin"

fault 'three hubs: all are well'
sleep 2
fault 'three hubs: one is killed'
kill -KILL "${pids[1]}"
sleep 4
! in_hub 1 dig +tries=1 +timeout=1 @10.9.1.2 "$bucket" >/dev/null || fail 'the killed hub answers'
fault 'three hubs: it comes back'
start_hub 1
sleep 3
fault 'three hubs: one is cut off'
in_hub 2 nft -f - <<'EOF'
table inet cut {
    chain in { type filter hook input priority 0; policy drop; }
    chain out { type filter hook output priority 0; policy drop; }
}
EOF
sleep 6
! in_vpc dig +tries=1 +timeout=1 @10.9.2.2 "$bucket" >/dev/null || fail 'the hub that is cut off answers'
fault 'three hubs: it is reached again'
in_hub 2 nft delete table inet cut
sleep 3
fault 'three hubs: one is drained, and ends'
in_hub 3 "$HUBDNS" drain --for 2 --config "$work/hub3/hubdns.toml" >/dev/null
wait "${pids[3]}" || fail 'a drained hub ends in order'
sleep 3
exec 3>&-
wait "$asker"
count
