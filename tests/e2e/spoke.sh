#!/usr/bin/env bash
# One hub and one spoke, end to end: a client in the spoke that knows nothing of hubdns reaches an
# endpoint's private addresses by the service's public name, before and after they change.
#
#   HUBDNS=path/to/hubdns VENV=path/to/venv tests/e2e/spoke.sh
#
# hub namespace     10.9.0.1:53 hubdns; 10.0.{1,2,3}.10:443 the endpoint: the double's SQS with TLS;
#                   127.0.0.1:5000 the double's EC2 API
# spoke namespace   10.9.0.2, whose only resolver is 10.9.0.1
#
# Neither namespace has a way out. It wants root and a kernel that gives network namespaces, and
# fails without. Both namespaces are gone when it ends.
set -euo pipefail

: "${HUBDNS:?the binary to test}" "${VENV:?the Python environment of tests/setup.sh}"
aws_v1=$VENV/bin/aws
aws_v2=/usr/bin/aws
python=$VENV/bin/python
double=$(cd "$(dirname "${BASH_SOURCE[0]}")/../aws" && pwd)/double.py

hub=hubdns-hub-$$
spoke=hubdns-spoke-$$
region=eu-west-1
name=sqs.$region.amazonaws.com
legacy_name=$region.queue.amazonaws.com

interval_secs=5 # the least that [refresh] takes
# From an ENI's change to its answer: one interval with its jitter of a tenth, and one second for
# the round itself on a machine that does other things.
change_limit_ms=$((interval_secs * 1100 + 1000))

say() { printf '%7d ms  %s\n' "$(($(now_ms) - started_ms))" "$*"; }
now_ms() { date +%s%3N; }
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

in_hub() { ip netns exec "$hub" "$@"; }

# A client of the spoke: no endpoint URL, no profile, no metadata service; only the test's CA.
in_spoke() {
    ip netns exec "$spoke" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$work" \
        AWS_CA_BUNDLE="$work/ca.pem" AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
        AWS_DEFAULT_REGION=$region AWS_EC2_METADATA_DISABLED=true AWS_PAGER='' \
        AWS_MAX_ATTEMPTS=1 timeout 30 "$@"
}

order() { in_hub curl -fsS "http://127.0.0.1:5000$1" --data "$2"; }

# === The ground

require_ground() {
    [ "$(id -u)" -eq 0 ] || fail 'network namespaces want root: run the tests as root'
    local tool
    for tool in "$HUBDNS" "$aws_v1" "$aws_v2" "$python" ip openssl curl dig; do
        command -v "$tool" >/dev/null || fail "$tool is not here: run tests/setup.sh"
    done
    ip netns add "$hub" || fail 'this machine gives no network namespaces'
    ip netns add "$spoke"
}

# Takes away a namespace and whatever still runs in it.
remove_namespace() {
    local pids
    pids=$(ip netns pids "$1" 2>/dev/null) || return 0
    # shellcheck disable=SC2086  # one word for each id
    [ -z "$pids" ] || kill -KILL $pids 2>/dev/null || true
    ip netns delete "$1" || true
    rm -rf "/etc/netns/$1"
}

# What a run left behind that was killed before it could clean up: its id is in the name.
remove_leftovers() {
    local left
    while read -r left _; do
        case $left in
            hubdns-hub-* | hubdns-spoke-*) [ -d "/proc/${left##*-}" ] || remove_namespace "$left" ;;
        esac
    done < <(ip netns list)
}

clean_up() {
    local status=$?
    trap - EXIT
    if [ "$status" -ne 0 ]; then
        for log in "$work"/*.log; do
            [ -e "$log" ] || continue
            printf -- '--- %s\n' "${log##*/}" >&2
            tail -n 60 "$log" >&2
        done
    fi
    remove_namespace "$spoke"
    remove_namespace "$hub"
    rm -rf "$work"
    exit "$status"
}

make_network() {
    ip link add hub0 netns "$hub" type veth peer name spoke0 netns "$spoke"
    ip -n "$hub" link set lo up
    ip -n "$spoke" link set lo up
    ip -n "$hub" address add 10.9.0.1/24 dev hub0
    ip -n "$spoke" address add 10.9.0.2/24 dev spoke0
    ip -n "$hub" link set hub0 up
    ip -n "$spoke" link set spoke0 up
    ip -n "$spoke" route add 10.0.0.0/16 via 10.9.0.1
    # `ip netns exec` lays these over the machine's own.
    mkdir -p "/etc/netns/$spoke"
    echo 'nameserver 10.9.0.1' >"/etc/netns/$spoke/resolv.conf"
    echo '127.0.0.1 localhost' >"/etc/netns/$spoke/hosts"
}

# endpoint_addresses add|delete HOST: the endpoint's address in each of the three zones.
endpoint_addresses() {
    local zone
    for zone in 1 2 3; do ip -n "$hub" address "$1" "10.0.$zone.$2/32" dev lo; done
}

make_certificates() {
    local key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc)
    openssl req -x509 "${key[@]}" -days 2 -subj '/CN=hubdns test CA' \
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$work/ca.key" -out "$work/ca.pem"
    openssl req "${key[@]}" -subj "/CN=$name" -keyout "$work/leaf.key" -out "$work/leaf.csr"
    openssl x509 -req -days 2 -in "$work/leaf.csr" -out "$work/leaf.pem" \
        -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial \
        -extfile <(printf 'subjectAltName=DNS:%s,DNS:%s\nextendedKeyUsage=serverAuth\n' \
            "$name" "$legacy_name")
} 2>/dev/null

# === Those who take part

start_double() {
    # The double ends when its standard input is closed: also when we are killed.
    mkfifo "$work/double.stdin"
    in_hub env -i PATH="$PATH" "$python" -B "$double" --listen 127.0.0.1:5000 --tls 0.0.0.0:443 \
        --certificate "$work/leaf.pem" --key "$work/leaf.key" \
        <"$work/double.stdin" >"$work/double.log" 2>&1 &
    exec 3>"$work/double.stdin"
    wait_for 'the double listens' grep -q http:// "$work/double.log"
}

start_hubdns() {
    cat >"$work/hubdns.toml" <<EOF
[server]
listen = ["10.9.0.1:53"]

[[source]]
name = "hub"
kind = "ec2"
region = "$region"
endpoint_url = "http://127.0.0.1:5000"

[refresh]
interval_secs = $interval_secs
state_file = "$work/inventory.json"

[[answers.alias]]
name = "$legacy_name"
service = "sqs"

[forward]
upstreams = []

[admin]
listen = "127.0.0.1:9153"

[control]
socket = "$work/control.sock"
EOF
    in_hub env -i PATH="$PATH" HOME="$work" AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
        AWS_EC2_METADATA_DISABLED=true SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
        "$HUBDNS" run --config "$work/hubdns.toml" >"$work/hubdns.log" 2>&1 3>&- &
    hubdns=$!
    wait_for 'hubdns is ready' hubdns_ready
}

hubdns_ready() {
    kill -0 "$hubdns" 2>/dev/null || fail 'hubdns has ended'
    in_hub curl -fs -o /dev/null http://127.0.0.1:9153/readyz
}

# wait_for WHAT COMMAND...: at most 30 s, which is what a first round has to its name.
wait_for() {
    local what=$1 tries
    shift
    for ((tries = 0; tries < 300; tries++)); do
        "$@" && return
        sleep 0.1
    done
    fail "not within 30 s: $what"
}

# === What is proven

# send AWS QUEUE: an ordinary client finds the queue and sends a message to it.
send() {
    local url
    url=$(in_spoke "$1" sqs get-queue-url --queue-name "$2" --query QueueUrl --output text)
    in_spoke "$1" sqs send-message --queue-url "$url" --message-body hello --output text >/dev/null
}

# reached HOST CLIENT: the addresses at which messages arrived that CLIENT sent to HOST.
reached() {
    in_hub curl -fsS http://127.0.0.1:5000/_log | "$python" -c '
import json, sys
host, client = sys.argv[1:]
print(*sorted({
    call["to"] for call in json.load(sys.stdin)
    if call["action"] == "SendMessage" and call["host"] == host
    and call["user_agent"].startswith(client)
}))' "$@"
}

# expect_reached HOST CLIENT LAST: messages arrived, and only at addresses 10.0.x.LAST.
expect_reached() {
    local at
    at=$(reached "$1" "$2")
    [[ $at =~ ^(10\.0\.[123]\.$3:443\ ?)+$ ]] || fail "$2 to $1 arrived at '$at', not 10.0.x.$3"
    say "$2 by $1 arrived at $at"
}

answers() { in_spoke dig -r +short +tries=1 +timeout=1 "$name" A | sort; }

new_addresses_answered() { [ "$(answers)" = $'10.0.1.20\n10.0.2.20\n10.0.3.20' ]; }

main() {
    local endpoint changed_ms answered_ms

    endpoint_addresses add 10
    start_double
    endpoint=$(order /_hub '{"endpoints": [{"service": "sqs", "azs":
        {"a": "10.0.1.10", "b": "10.0.2.10", "c": "10.0.3.10"}}]}' |
        grep -o 'vpce-[0-9a-f]*' | head -n 1)
    say "the EC2 API has $endpoint"
    start_hubdns
    say 'hubdns is ready'

    in_spoke "$aws_v2" sqs create-queue --queue-name jobs --output text >/dev/null
    send "$aws_v2" jobs
    expect_reached "$name" aws-cli/2 10

    order /_clear '{}' >/dev/null
    endpoint_addresses add 20
    changed_ms=$(now_ms)
    order /_addresses "{\"endpoint\": \"$endpoint\", \"azs\":
        {\"a\": \"10.0.1.20\", \"b\": \"10.0.2.20\", \"c\": \"10.0.3.20\"}}" >/dev/null
    endpoint_addresses delete 10
    wait_for 'the new addresses are answered' new_addresses_answered
    answered_ms=$(($(now_ms) - changed_ms))
    say "new addresses answered $answered_ms ms after the change"
    [ "$answered_ms" -le "$change_limit_ms" ] || fail "that is more than $change_limit_ms ms"
    send "$aws_v2" jobs
    expect_reached "$name" aws-cli/2 20
    say "sent again $(($(now_ms) - changed_ms)) ms after the change"

    # Version 1 still asks for the name that SQS had before it had this one: an alias.
    send "$aws_v1" jobs
    expect_reached "$legacy_name" aws-cli/1 20
    say 'done'
}

started_ms=$(now_ms)
work=$(mktemp -d)
trap clean_up EXIT
trap 'exit 143' TERM INT HUP
remove_leftovers
require_ground
make_network
make_certificates
main
