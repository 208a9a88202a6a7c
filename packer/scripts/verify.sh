#!/usr/bin/env bash
# Looks whether the image is what it is said to be; an image that is not, is not made.
set -euo pipefail

# Tenths, on the scale of systemd-analyze.
exposure_max=14

fail() {
    echo "verify: $1" >&2
    exit 1
}

# The recorded hub in the binary: it answers without AWS and without a file.
systemd-run --quiet --unit=hubdns-verify --property=DynamicUser=yes hubdns demo
python3 - <<'PYTHON' || fail 'the demo hub does not answer with three addresses'
import socket, time

name = b''.join(bytes([len(it)]) + it for it in b'sqs.eu-west-1.amazonaws.com'.split(b'.'))
query = bytes.fromhex('1234 0100 0001 0000 0000 0000') + name + bytes.fromhex('00 0001 0001')
for _ in range(50):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect(('127.0.0.1', 5300))
        try:
            client.send(query)
            reply = client.recv(512)
            break
        except OSError:
            time.sleep(0.2)
# NOERROR, and so many answers.
raise SystemExit(not (reply[3] & 15 == 0 and int.from_bytes(reply[6:8], 'big') == 3))
PYTHON
systemctl stop hubdns-verify

systemd-analyze security --threshold="$exposure_max" hubdns.service >/dev/null ||
    fail 'hubdns.service is exposed more than it may be'
# Of the whole boot, for an order that goes round is nobody's but all units' together.
complaints=$(systemd-analyze verify multi-user.target 2>&1 | grep -E 'hubdns|cycle' || true)
[ -z "$complaints" ] || fail "$complaints"

# Of VIEW_PORTS, and without them.
nft --check --file /usr/lib/hubdns/hubdns-notrack.nft || fail 'nftables refuses the ports that are not tracked'
for unit in hubdns hubdns-boot hubdns-notrack auditd firewalld chronyd amazon-ssm-agent; do
    systemctl is-enabled --quiet "$unit" || fail "$unit would not start"
done
[ "${WITH_SSHD:-false}" = true ] || [ "$(systemctl is-enabled sshd 2>/dev/null)" = masked ] ||
    fail 'sshd would start'
[ "$(systemctl is-enabled hubdns.socket 2>/dev/null)" = masked ] || fail 'hubdns.socket has ports of its own'
! grep -rqsE '^-a (never,task|task,never)' /etc/audit/rules.d || fail 'auditd looks at no task'
grep -q '^SELINUX=enforcing' /etc/selinux/config && grep -q '^SELINUXTYPE=targeted' /etc/selinux/config ||
    fail 'SELinux does not enforce'
[ ! -e /etc/hubdns/hubdns.toml ] || fail 'there is a configuration, which has to come at boot'
# Two ways of a boot: a configuration that is good, and one that is not.
printf '#hubdns\n[[source]]\nname = "hub"\nkind = "ec2"\nregion = "eu-west-1"\n' >/tmp/good
printf '#hubdns\n[server]\nlisten = 53\n' >/tmp/bad
/usr/lib/hubdns/hubdns-boot /tmp/good || fail 'a good configuration is refused'
! /usr/lib/hubdns/hubdns-boot /tmp/bad || fail 'a bad configuration is taken'
rm -f /etc/hubdns/hubdns.toml /tmp/good /tmp/bad
