"""The servers that benches/compare.py measures: how each is told the same names, upstream and ports.
Names come to each in the way that it has for names beside what it forwards: a response policy zone or
a hosts file; to the two that only have zones, as a zone.

dnsdist has no way of its own for thousands of names with several addresses each, so it has them in its
cache, from the upstream: the best that it can do.
"""

from pathlib import Path

from server import Rival

# More than a measurement fills, so that no server is measured throwing away.
CACHE_ENTRIES = 2_000_000


class Hubdns(Rival):
    encrypted = frozenset({"DoT", "DoH"})

    def __init__(self, binary):
        super().__init__("hubdns", binary, "--version")

    def found(self):
        return Path(self.binary), {"HUBDNS_LOG": "warn"}

    def write(self, folder, world, ports, upstream, certificate, threads):
        pair = f'certificate = "{certificate.chain}"\nkey = "{certificate.key}"'
        (folder / "hubdns.toml").write_text(f"""
[server]
listen = ["127.0.0.1:{ports.dns}"]
[server.tls]
listen = ["127.0.0.1:{ports.tls}"]
{pair}
[server.https]
listen = ["127.0.0.1:{ports.https}"]
{pair}
[admin]
listen = "127.0.0.1:{ports.admin}"
[control]
socket = ""
[refresh]
state_file = "{world.folder}/last-good-{threads}.json"
[health]
probe = "off"
[[source]]
name = "bench"
kind = "files"
path = "{world.inventory}"
[forward]
upstreams = ["127.0.0.1:{upstream}"]
[cache]
entries = {CACHE_ENTRIES}
memory_mib = 1000
""")
        return ["run", "--config", folder / "hubdns.toml"]


class Unbound(Rival):
    encrypted = frozenset({"DoT", "DoH"})

    def __init__(self):
        super().__init__("unbound", "unbound", "-V")

    def write(self, folder, world, ports, upstream, certificate, threads):
        (folder / "unbound.conf").write_text(f"""
server:
interface: 127.0.0.1@{ports.dns}
interface: 127.0.0.1@{ports.tls}
interface: 127.0.0.1@{ports.https}
tls-port: {ports.tls}
https-port: {ports.https}
tls-service-key: "{certificate.key}"
tls-service-pem: "{certificate.chain}"
num-threads: {threads}
do-daemonize: no
username: ""
chroot: ""
pidfile: ""
directory: "{folder}"
use-syslog: no
module-config: "respip iterator"
do-not-query-localhost: no
incoming-num-tcp: 100
num-queries-per-thread: 4096
outgoing-range: 8192
msg-cache-size: 500m
rrset-cache-size: 1000m
rpz:
name: rpz
zonefile: "{world.policy}"
remote-control:
control-enable: no
forward-zone:
name: "."
forward-addr: 127.0.0.1@{upstream}
""")
        return ["-d", "-c", folder / "unbound.conf"]


class Bind(Rival):
    encrypted = frozenset({"DoT", "DoH"})

    def __init__(self):
        super().__init__("BIND", "named", "-v")

    def write(self, folder, world, ports, upstream, certificate, threads):
        (folder / "named.conf").write_text(f"""
tls pair {{ cert-file "{certificate.chain}"; key-file "{certificate.key}"; }};
options {{
  directory "{folder}";
  listen-on port {ports.dns} {{ 127.0.0.1; }};
  listen-on port {ports.tls} tls pair {{ 127.0.0.1; }};
  listen-on port {ports.https} tls pair http default {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  pid-file none;
  session-keyfile none;
  recursion yes;
  forward only;
  forwarders {{ 127.0.0.1 port {upstream}; }};
  dnssec-validation no;
  empty-zones-enable no;
  max-cache-size 1500m;
  recursive-clients 20000;
  tcp-clients 1000;
  response-policy {{ zone "rpz"; }} qname-wait-recurse no;
}};
controls {{ }};
logging {{ category default {{ null; }}; }};
zone "rpz" {{ type primary; file "{world.policy}"; }};
""")
        return ["-f", "-n", threads, "-c", folder / "named.conf"]


class Dnsmasq(Rival):
    def __init__(self):
        super().__init__("dnsmasq", "dnsmasq", "-v")

    def write(self, folder, world, ports, upstream, certificate, threads):
        return [
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--pid-file=",
            "--user=root",
            "--bind-interfaces",
            "--listen-address=127.0.0.1",
            f"--port={ports.dns}",
            f"--server=127.0.0.1#{upstream}",
            f"--addn-hosts={world.hosts}",
            "--local-ttl=60",
            # The most that it allows.
            "--cache-size=10000",
            "--dns-forward-max=10000",
        ]


class Dnsdist(Rival):
    encrypted = frozenset({"DoT", "DoH"})
    reloads = False

    def __init__(self):
        super().__init__("dnsdist", "dnsdist", "--version")

    def write(self, folder, world, ports, upstream, certificate, threads):
        pair = f'"{certificate.chain}", "{certificate.key}"'
        (folder / "dnsdist.conf").write_text(f"""
setSecurityPollSuffix("")
setLocal("127.0.0.1:{ports.dns}", {{reusePort=true}})
addTLSLocal("127.0.0.1:{ports.tls}", {pair})
addDOHLocal("127.0.0.1:{ports.https}", {pair}, "/dns-query")
setMaxUDPOutstanding(65535)
newServer({{address="127.0.0.1:{upstream}"}})
getPool(""):setCache(newPacketCache({CACHE_ENTRIES}))
""")
        return ["--supervised", "--disable-syslog", "-C", folder / "dnsdist.conf"]


class Recursor(Rival):
    reloads = False

    def __init__(self):
        super().__init__("PowerDNS", "pdns_recursor", "--version")

    def write(self, folder, world, ports, upstream, certificate, threads):
        (folder / "names.lua").write_text(f'rpzFile("{world.policy}", {{policyName="rpz"}})\n')
        (folder / "recursor.conf").write_text(f"""
local-address=127.0.0.1
local-port={ports.dns}
socket-dir={folder}
daemon=no
write-pid=no
disable-syslog=yes
quiet=yes
loglevel=3
security-poll-suffix=
hint-file=no
dnssec=off
dont-query=
threads={threads}
pdns-distributes-queries=no
forward-zones-recurse=.=127.0.0.1:{upstream}
lua-config-file={folder}/names.lua
max-cache-entries={CACHE_ENTRIES}
max-packetcache-entries={CACHE_ENTRIES}
max-mthreads=8192
max-tcp-clients=1000
max-concurrent-requests-per-tcp-connection=64
""")
        return [f"--config-dir={folder}"]


class KnotResolver(Rival):
    encrypted = frozenset({"DoT", "DoH"})
    reloads = False

    def __init__(self):
        super().__init__("Knot Resolver", "kresd", "--version")

    def write(self, folder, world, ports, upstream, certificate, threads):
        (folder / "kresd.conf").write_text(f"""
modules.unload("ta_update")
modules.unload("ta_signal_query")
modules.unload("priming")
modules.unload("detect_time_skew")
trust_anchors.remove(".")
net.listen("127.0.0.1", {ports.dns}, {{kind="dns"}})
net.listen("127.0.0.1", {ports.tls}, {{kind="tls"}})
net.listen("127.0.0.1", {ports.https}, {{kind="doh2"}})
net.tls("{certificate.chain}", "{certificate.key}")
cache.open(1000 * MB, "lmdb://{folder}/cache")
modules = {{"hints > iterate"}}
hints.ttl(60)
hints.add_hosts("{world.hosts}")
policy.add(policy.all(policy.STUB("127.0.0.1@{upstream}")))
""")
        return ["-n", "-q", "-c", folder / "kresd.conf", folder]


class Knot(Rival):
    forwards = False

    def __init__(self):
        super().__init__("Knot DNS", "knotd", "-V")

    def write(self, folder, world, ports, upstream, certificate, threads):
        (folder / "knot.conf").write_text(f"""
server:
    listen: 127.0.0.1@{ports.dns}
    rundir: {folder}
    udp-workers: {threads}
    tcp-workers: {threads}
    background-workers: 1
database:
    storage: {folder}
log:
  - target: stderr
    any: error
zone:
  - domain: eu-west-1.amazonaws.com
    file: {world.zone}
    zonefile-sync: -1
""")
        return ["-c", folder / "knot.conf"]


class Nsd(Rival):
    forwards = False
    encrypted = frozenset({"DoT"})

    def __init__(self):
        super().__init__("NSD", "nsd", "-v")

    def write(self, folder, world, ports, upstream, certificate, threads):
        (folder / "nsd.conf").write_text(f"""
server:
  ip-address: 127.0.0.1@{ports.dns}
  ip-address: 127.0.0.1@{ports.tls}
  tls-port: {ports.tls}
  tls-service-key: "{certificate.key}"
  tls-service-pem: "{certificate.chain}"
  server-count: {threads}
  username: ""
  chroot: ""
  database: ""
  zonesdir: "{folder}"
  pidfile: "{folder}/pid"
  xfrdfile: "{folder}/xfrd"
  zonelistfile: "{folder}/list"
  tcp-count: 100
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: eu-west-1.amazonaws.com
  zonefile: "{world.zone}"
""")
        return ["-d", "-c", folder / "nsd.conf"]


RIVALS = [Unbound(), Dnsdist(), Bind(), Recursor(), KnotResolver(), Dnsmasq(), Knot(), Nsd()]
