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
import random
import signal
import struct
import time
from pathlib import Path

from peers import OURS, Children, count, question, what

ROOT = Path(__file__).resolve().parent.parent
# What glibc waits.
PATIENCE = 5.0
SEED = 4711


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
    given = parser.parse_args()
    for run in given.only:
        asyncio.run(runs[run](given.hubdns, given.quick))


if __name__ == "__main__":
    main()
