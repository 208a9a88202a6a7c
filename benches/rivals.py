"""The servers that benches/compare.py measures: how each is told the same names, upstream and ports,
and started with one thread. Names come to each in the way that it has for names beside what it
forwards: a response policy zone, a hosts file, or a cache; to the two that only have zones, as a zone.

dnsdist has no way of its own for thousands of names with several addresses each, so it has them in its
cache, from the upstream: the best that it can do.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from peers import NotStarted, free_port, retried
from wire import is_answered

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
UNPACKED = TARGET / "rivals"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
STARTED_WITHIN = 30
# More than a measurement fills, so that no server is measured throwing away.
CACHE_ENTRIES = 2_000_000


class Ports:
    def __init__(self):
        self.dns, self.tls, self.https, self.admin = (free_port() for _ in range(4))


class Server:
    """A process with its children, on the cores that it was given."""

    # What else is put before a command, where the machine has other work.
    before = []

    def __init__(self, command, cores, folder, environment=None):
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [*self.before, "taskset", "-c", cores, *map(str, command)],
            stdout=self.log,
            stderr=self.log,
            cwd=folder,
            env={**os.environ, **(environment or {})},
        )
        self.folder = folder

    def pids(self):
        parents = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                rest = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                parents.setdefault(int(rest[1]), []).append(int(folder.name))
        found = [self.process.pid]
        for pid in found:
            found += parents.get(pid, [])
        return found

    def cpu(self):
        """Seconds of user and kernel time, of children that ended too."""
        ticks = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                rest = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                ticks += sum(map(int, rest[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """MB that are resident; what children share is counted once."""
        first, *others = self.pids()
        kilobytes = rollup(first, "Rss:")
        kilobytes += sum(rollup(pid, "Private_Clean:", "Private_Dirty:") for pid in others)
        return kilobytes / 1000

    def stop(self):
        if self.process.poll() is not None:
            return
        for pid in reversed(self.pids()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def await_answer(self, port, name, addresses):
        """Until it answers this name right."""
        deadline = time.monotonic() + STARTED_WITHIN
        while not is_answered(port, name, addresses):
            if self.process.poll() is not None or deadline < time.monotonic():
                said = (self.folder / "log").read_text(errors="replace")[-2000:]
                self.stop()
                raise NotStarted(f"{self.process.args}:\n{said}")


def rollup(pid, *keys):
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(keys))


def program(name):
    """Its path, and what it wants in its environment; None if it is not on this machine."""
    for folder in ("usr/sbin", "usr/bin"):
        if (UNPACKED / folder / name).exists():
            return UNPACKED / folder / name, {"LD_LIBRARY_PATH": str(UNPACKED / LIBRARIES)}
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    return (Path(found), {}) if found else None


class Rival:
    """A kind of server. `write` makes its configuration and tells the command's arguments."""

    forwards = True
    encrypted = frozenset()
    # Whether SIGHUP makes it read its names again.
    reloads = True

    def __init__(self, name, binary, version):
        self.name, self.binary, self.version_argument = name, binary, version

    def found(self):
        return program(self.binary)

    def version(self):
        path, environment = self.found()
        it = subprocess.run(
            [path, self.version_argument],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )
        return (it.stdout + it.stderr).strip().splitlines()[0]

    def start(self, children, world, upstream, certificate, cores="0", threads=1):
        """Starts it and waits for its first answer; `children` stops it in the end."""
        server, _ = self.start_timed(children, world, upstream, certificate, cores, threads)
        return server

    @retried
    def start_timed(self, children, world, upstream, certificate, cores="0", threads=1):
        folder = Path(children.enter_context(tempfile.TemporaryDirectory()))
        ports = Ports()
        arguments = self.write(folder, world, ports, upstream, certificate, threads)
        path, environment = self.found()
        began = time.perf_counter()
        server = Server([path, *arguments], cores, folder, environment)
        server.ports = ports
        name, addresses = next(iter(world.addresses.items()))
        server.await_answer(ports.dns, name, set(addresses))
        took = time.perf_counter() - began
        children.callback(server.stop)
        return server, took


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
