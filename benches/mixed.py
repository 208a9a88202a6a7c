#!/usr/bin/env python3
"""Measures hubdns as its clients see it, beside unbound in the same run, and prints tables.

    python3 benches/mixed.py --hubdns target/release/hubdns [--quick] [--only mixed dead outage]

Three runs, each on loopback alone and bounded in time:

mixed   60 % names of ours, 30 % popular ones, 5 % that are asked for once, 5 % that do not exist:
        questions sent upstream for each client's question, and how long clients wait.
dead    two upstreams, of which the first falls silent; every question is a miss.
outage  all upstreams fall silent when the cache is warm and its answers, of 5 s, are about to end.

It judges nothing. docs/MEASUREMENTS.md has what it printed on what machine.
"""

import argparse
import asyncio
import contextlib
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "src/discover/demo"
# Names of the recorded hub that is in the binary. unbound gets them as local-data.
OURS = [f"{service}.eu-west-1.amazonaws.com" for service in ("sqs", "sns", "kms", "logs", "s3")]
ADDRESSES = ("10.20.1.20", "10.20.2.18", "10.20.3.21")
# What glibc waits.
PATIENCE = 5.0
# A resolver of the same data centre.
UPSTREAM_DELAY = 0.002
SEED = 4711
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
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


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

    def upstream(self, ttl):
        port = free_port()
        child = self.start(sys.executable, __file__, "--upstream", str(port), str(ttl))
        wait_for(lambda: count(port) is not None, child)
        return port, child

    def folder(self):
        return Path(self.enter_context(tempfile.TemporaryDirectory()))

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
            sys.exit(f"{child.args[0]} does not start:\n{child.log.read().decode()}")
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


# === Clients


class Client(asyncio.DatagramProtocol):
    def __init__(self):
        self.waiting, self.number = {}, 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, octets, _):
        future = self.waiting.get(struct.unpack_from("!H", octets)[0])
        if future and not future.done():
            future.set_result((time.perf_counter(), octets))

    def error_received(self, _):
        pass

    async def ask(self, name):
        """How long it took, in seconds, and what came."""
        self.number = (self.number + 1) & 0xFFFF
        number, loop = self.number, asyncio.get_running_loop()
        future = self.waiting[number] = loop.create_future()
        start = time.perf_counter()
        self.transport.sendto(question(name, number))
        try:
            came, octets = await asyncio.wait_for(future, PATIENCE)
            return came - start, what(octets)
        except asyncio.TimeoutError:
            return PATIENCE, "nothing"
        finally:
            del self.waiting[number]


async def load(port, names, rate, then=()):
    """Asks for `names` at `rate` a second, whatever the answers take. At the times of `then`, in
    seconds from the start, calls what stands there. The waits, with the time of each question."""
    loop = asyncio.get_running_loop()
    # As few as to have a 16-bit id each for what can be waiting.
    clients = [
        (await loop.create_datagram_endpoint(Client, remote_addr=("127.0.0.1", port)))[1]
        for _ in range(8)
    ]
    start, tasks, then = time.perf_counter(), [], list(then)

    async def one(at, name):
        wait, outcome = await clients[at % len(clients)].ask(name)
        return at / rate, name, wait, outcome

    for at, name in enumerate(names):
        while then and then[0][0] <= at / rate:
            then.pop(0)[1]()
        delay = start + at / rate - time.perf_counter()
        if 0 < delay:
            await asyncio.sleep(delay)
        tasks.append(asyncio.create_task(one(at, name)))
    results = await asyncio.gather(*tasks)
    for client in clients:
        client.transport.close()
    return results


# === Tables


def milliseconds(waits, share):
    if not waits:
        return "-"
    waits = sorted(waits)
    return f"{1000 * waits[min(len(waits) - 1, int(share * len(waits)))]:.1f}"


def waits(results):
    found = [wait for _, _, wait, _ in results]
    return [milliseconds(found, share) for share in (0.5, 0.99, 1)]


def outcomes(results):
    found = [outcome for _, _, _, outcome in results]
    return ", ".join(f"{found.count(it)} {it}" for it in sorted(set(found)))


def table(title, heads, rows):
    print(f"\n{title}\n")
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


# === The measurements


def popular(draw, names):
    """The n-th is asked for 1/n as often as the first."""
    weights = [1 / (at + 1) for at in range(names)]
    return lambda: f"p{draw.choices(range(names), weights)[0]}.popular.example"


def mixed_names(length):
    draw = random.Random(SEED)
    known = popular(draw, 1000)
    for at in range(length):
        kind = draw.random()
        if kind < 0.60:
            yield draw.choice(OURS)
        elif kind < 0.90:
            yield known()
        elif kind < 0.95:
            yield f"u{at}.unique.example"
        else:
            yield f"n{draw.randrange(100)}.none.example"


async def mixed(binary, quick):
    rate, seconds, ttl = (200, 2, 1) if quick else (1000, 90, 30)
    with Children() as children:
        peers = {}
        for name, start in {
            "hubdns": lambda it: children.hubdns(binary, it),
            "unbound": lambda it: children.unbound(it),
            "unbound, prefetch": lambda it: children.unbound(it, "prefetch: yes"),
        }.items():
            port, _ = children.upstream(ttl)
            peers[name] = (start([port]), port)
        before = [count(upstream) for _, upstream in peers.values()]
        names = list(mixed_names(rate * seconds))
        all_results = await asyncio.gather(*(load(port, names, rate) for port, _ in peers.values()))
        rows = []
        for (peer, (_, upstream)), results, at in zip(peers.items(), all_results, before):
            asked = count(upstream) - at
            rows.append([peer, asked, f"{asked / len(names):.4f}", *waits(results), outcomes(results)])
    heads = ["", "sent upstream", "for each question", "p50 ms", "p99 ms", "worst ms", "clients got"]
    table(f"Mixed load: {len(names)} questions, {rate} a second, TTL {ttl} s", heads, rows)


async def dead(binary, quick):
    rate, seconds, dies = (100, 3, 1.0) if quick else (200, 35, 5.0)
    with Children() as children:
        peers = []
        for name, start in {
            "hubdns": lambda it: children.hubdns(binary, it),
            "unbound": lambda it: children.unbound(it),
        }.items():
            (first, held), (second, _) = children.upstream(60), children.upstream(60)
            peers.append((name, start([first, second]), held))
        names = [f"d{at}.unique.example" for at in range(rate * seconds)]
        hold = lambda child: [(dies, lambda: child.send_signal(signal.SIGSTOP))]
        all_results = await asyncio.gather(
            *(load(port, names, rate, hold(held)) for _, port, held in peers)
        )
        rows = []
        for (peer, _, _), results in zip(peers, all_results):
            for when, since, until in [
                # What is in hand when it falls silent is hit as well.
                ("both live", 0, dies - 0.1),
                ("first second", dies - 0.1, dies + 1),
                ("after it", dies + 1, seconds),
            ]:
                part = [it for it in results if since <= it[0] < until]
                slow = sum(0.1 < it[2] for it in part)
                rows.append([peer, when, *waits(part), slow, outcomes(part)])
    heads = ["", "", "p50 ms", "p99 ms", "worst ms", "over 100 ms", "clients got"]
    table(f"The first of two upstreams falls silent: misses, {rate} a second", heads, rows)


async def outage(binary, quick):
    rate, warm, last, ttl = (100, 3, 1, 2) if quick else (300, 12, 10, 5)
    serve = ("serve-expired: yes", "ede-serve-expired: yes")
    with Children() as children:
        peers = []
        for name, start in {
            "hubdns": lambda it: children.hubdns(binary, it),
            "unbound": lambda it: children.unbound(it),
            "unbound, serve-expired": lambda it: children.unbound(it, *serve),
            "unbound, serve-expired after 1.8 s": lambda it: children.unbound(
                it, *serve, "serve-expired-client-timeout: 1800"
            ),
        }.items():
            upstream, held = children.upstream(ttl)
            peers.append((name, start([upstream]), held))
        draw = random.Random(SEED)
        known = popular(draw, 100)
        # Every name once, so that all are warm; then as they are wanted.
        names = [f"p{at}.popular.example" for at in range(100)]
        names += [
            draw.choice(OURS) if draw.random() < 0.6 else known()
            for _ in range(rate * (warm + last) - len(names))
        ]
        hold = lambda child: [(warm, lambda: child.send_signal(signal.SIGSTOP))]
        all_results = await asyncio.gather(
            *(load(port, names, rate, hold(held)) for _, port, held in peers)
        )
        rows = []
        for (peer, _, _), results in zip(peers, all_results):
            for when, until in [("first second", 1), (f"first {last} s", last)]:
                part = [it for it in results if warm <= it[0] < warm + until]
                ours = [it for it in part if it[1] in OURS]
                others = [it for it in part if it[1] not in OURS]
                rows.append([peer, when, "ours", *waits(ours), outcomes(ours)])
                rows.append([peer, when, "others", *waits(others), outcomes(others)])
    heads = ["", "", "names", "p50 ms", "p99 ms", "worst ms", "clients got"]
    table(f"All upstreams fall silent: {rate} a second, TTL {ttl} s, all names known", heads, rows)


def main():
    runs = {"mixed": mixed, "dead": dead, "outage": outage}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hubdns", default=str(ROOT / "target/release/hubdns"))
    parser.add_argument("--quick", action="store_true", help="a few seconds in all: does it run?")
    parser.add_argument("--only", nargs="*", choices=runs, default=list(runs))
    parser.add_argument("--upstream", nargs=2, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.upstream:
        asyncio.run(serve_upstream(*given.upstream))
    for run in given.only:
        asyncio.run(runs[run](given.hubdns, given.quick))


if __name__ == "__main__":
    main()
