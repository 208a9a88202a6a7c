"""What benches/mixed.py measures and what that stands on: hubdns, unbound, and an upstream.

Each is a child on a port of loopback that is picked free. The upstream is this file, run:

    python3 benches/peers.py PORT TTL
"""

import asyncio
import contextlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

DEMO = Path(__file__).resolve().parent.parent / "src/discover/demo"
# Names of the recorded hub that is in the binary. unbound gets them as local-data.
OURS = [f"{service}.eu-west-1.amazonaws.com" for service in ("sqs", "sns", "kms", "logs", "s3")]
ADDRESSES = ("10.20.1.20", "10.20.2.18", "10.20.3.21")
# A resolver of the same data centre.
UPSTREAM_DELAY = 0.002
A, OPT = 1, 41
EDE, STALE = 15, 3


# === Messages


def wire(name):
    return b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"


def question(name, number):
    opt = struct.pack("!BHHIH", 0, OPT, 1232, 0, 0)
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 1) + wire(name) + b"\0\1\0\1" + opt


def skip_name(octets, at):
    while 0 < octets[at] < 64:
        at += octets[at] + 1
    return at + (2 if octets[at] else 1)


def what(octets):
    """`answer`, `stale`, or the number of an error."""
    _, flags, questions, *counts = struct.unpack_from("!6H", octets)
    at = 12
    for _ in range(questions):
        at = skip_name(octets, at) + 4
    for _ in range(sum(counts)):
        at = skip_name(octets, at)
        rtype, _, _, length = struct.unpack_from("!HHIH", octets, at)
        at += 10
        if rtype == OPT and is_stale(octets[at : at + length]):
            return "stale"
        at += length
    return {0: "answer", 3: "answer"}.get(flags & 15, f"code {flags & 15}")


def is_stale(options):
    while 4 <= len(options):
        code, length = struct.unpack_from("!HH", options)
        if code == EDE and options[4:6] == struct.pack("!H", STALE):
            return True
        options = options[4 + length :]
    return False


# === The upstream, a process of its own


class Upstream(asyncio.DatagramProtocol):
    """Answers anything after a moment: `*.none.example` with NXDOMAIN, `count` with how many."""

    def __init__(self, ttl):
        self.ttl, self.count = ttl, 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, octets, client):
        end = skip_name(octets, 12) + 4
        name = octets[12 : end - 4].lower()
        if name == wire("count"):
            number = struct.pack("!I", self.count)
            self.transport.sendto(octets[:2] + number, client)
            return
        self.count += 1
        if name.endswith(wire("none.example")):
            soa = wire("example") + struct.pack("!HHIH", 6, 1, self.ttl, 22) + b"\0\0"
            rest, code = soa + struct.pack("!5I", 1, 60, 60, 60, self.ttl), 3
        else:
            rest, code = b"\xc0\x0c" + struct.pack("!HHIH4B", A, 1, self.ttl, 4, 192, 0, 2, 1), 0
        counts = (1, 0, 1, 0) if code else (1, 1, 0, 0)
        reply = octets[:2] + struct.pack("!5H", 0x8180 | code, *counts) + octets[12:end] + rest
        asyncio.get_running_loop().call_later(
            UPSTREAM_DELAY, self.transport.sendto, reply, client
        )


async def serve_upstream(port, ttl):
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Upstream(ttl), ("127.0.0.1", port))
    await asyncio.Event().wait()


# === Children


def free_port():
    """Free for UDP and TCP. Another process can still take it first: see `retried`."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                udp.bind(tcp.getsockname())
                return tcp.getsockname()[1]


class NotStarted(Exception):
    """A child ended, or was not there in time."""


def retried(start):
    """Starts once more, on other ports, what did not start."""

    def start_or_again(*arguments):
        try:
            return start(*arguments)
        except NotStarted:
            return start(*arguments)

    return start_or_again


class Children(contextlib.ExitStack):
    """What runs for as long as a measurement, and is killed by its id behind it."""

    def start(self, *command):
        log = self.enter_context(tempfile.TemporaryFile())
        child = subprocess.Popen(command, stdout=log, stderr=log)
        self.callback(child.wait)
        self.callback(child.kill)
        # A child that is held does not die of everything.
        self.callback(child.send_signal, signal.SIGCONT)
        child.log = log
        return child

    @retried
    def upstream(self, ttl):
        port = free_port()
        child = self.start(sys.executable, __file__, str(port), str(ttl))
        wait_for(lambda: count(port) is not None, child)
        return port, child

    def folder(self):
        return Path(self.enter_context(tempfile.TemporaryDirectory()))

    @retried
    def hubdns(self, binary, upstreams):
        folder, port, admin = self.folder(), free_port(), free_port()
        addresses = ", ".join(f'"127.0.0.1:{it}"' for it in upstreams)
        (folder / "hubdns.toml").write_text(f"""
[server]
listen = ["127.0.0.1:{port}"]
[admin]
listen = "127.0.0.1:{admin}"
[control]
socket = ""
[refresh]
state_file = ""
[health]
probe = "off"
[[source]]
name = "demo"
kind = "files"
path = "{DEMO}"
[forward]
upstreams = [{addresses}]
""")
        child = self.start(binary, "run", "--config", str(folder / "hubdns.toml"))
        wait_for(lambda: is_ready(admin), child)
        return port

    @retried
    def unbound(self, upstreams, *more):
        folder, port = self.folder(), free_port()
        local = "".join(f'local-data: "{n} 60 A {a}"\n' for n in OURS for a in ADDRESSES)
        forward = "".join(f"forward-addr: 127.0.0.1@{it}\n" for it in upstreams)
        options = "".join(f"{it}\n" for it in more)
        (folder / "unbound.conf").write_text(f"""
server:
interface: 127.0.0.1
port: {port}
do-daemonize: no
username: ""
chroot: ""
pidfile: ""
directory: "{folder}"
use-syslog: no
module-config: "iterator"
do-not-query-localhost: no
ede: yes
{options}{local}
remote-control:
control-enable: no
forward-zone:
name: "."
{forward}""")
        child = self.start("/usr/sbin/unbound", "-d", "-c", str(folder / "unbound.conf"))
        wait_for(lambda: answers(port), child)
        return port


def wait_for(condition, child):
    deadline = time.monotonic() + 20
    while not condition():
        if child.poll() is not None or deadline < time.monotonic():
            child.log.seek(0)
            raise NotStarted(f"{child.args[0]}:\n{child.log.read().decode()}")
        time.sleep(0.05)


def exchange(port, octets):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
        it.settimeout(0.5)
        it.connect(("127.0.0.1", port))
        try:
            it.send(octets)
            return it.recv(512)
        except OSError:
            return None


def count(port):
    reply = exchange(port, question("count", 1))
    return reply and struct.unpack("!I", reply[2:])[0]


def answers(port):
    return exchange(port, question(OURS[0], 1)) is not None


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as page:
            return page.status == 200
    except OSError:
        return False


if __name__ == "__main__":
    asyncio.run(serve_upstream(*map(int, sys.argv[1:])))
