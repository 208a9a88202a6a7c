#!/usr/bin/env python3
"""Measures hubdns with a hundred accounts and two hundred views, beside a small hub in the same run.

    python3 benches/scale.py --hubdns target/release/hubdns --load target/release/deps/load-... \\
        [--sources 100 --endpoints 5000 --views 200] [--quick]

For each hub: seconds from exec to the first right answer, without and with a last good inventory on
the disk; CPU and memory of that; seconds and CPU from a changed folder and SIGHUP to the first answer
by the change; and the CPU of an answer in echoes, in interleaved turns. It judges nothing.
"""

import argparse
import contextlib
import os
import signal
import tempfile
import time
from pathlib import Path

from compare import built
from estate import Estate
from measure import SERVER, Bench, Figures, Workload, median
from rivals import Hubdns
from server import Ports, Server
from wire import is_answered

OURS = Workload("our names, UDP", {"ours": 100})
# A change is in force in seconds even with the largest.
CHANGED_WITHIN = 120


class Hub(Hubdns):
    """A daemon on an estate. Its other configuration is that of the comparison."""

    def __init__(self, binary, estate, bench, upstream):
        super().__init__(binary)
        self.estate, self.bench, self.upstream = estate, bench, upstream

    def run(self, children):
        """Starts it; tells the server, and how long it took to its first right answer."""
        estate, ports = self.estate, Ports()
        folder = Path(children.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "hubdns.toml"
        estate.inventory = estate.folder / estate.sources[0]
        arguments = self.write(folder, estate, ports, self.upstream, self.bench.certificate, 1)
        head, rest = config.read_text().split("[[source]]")
        config.write_text(f"{head}{estate.toml()}[forward]{rest.split('[forward]')[1]}")
        path, environment = self.found()
        began = time.perf_counter()
        server = Server([path, *arguments], SERVER, folder, environment)
        server.ports = ports
        children.callback(server.stop)
        name, addresses = next(iter(estate.addresses.items()))
        server.await_answer(ports.dns, name, set(addresses))
        return server, time.perf_counter() - began


def changed(server, estate):
    """Seconds, and seconds of CPU, until a new endpoint is answered after a reload."""
    addresses = set(estate.ips(len(estate.sources) - 1, estate.services))
    estate.change()
    cpu, began = server.cpu(), time.perf_counter()
    os.kill(server.process.pid, signal.SIGHUP)
    while not is_answered(server.ports.dns, estate.new_name, addresses):
        if CHANGED_WITHIN < time.perf_counter() - began:
            raise TimeoutError("the change was not put in force")
        time.sleep(0.005)
    took = time.perf_counter() - began
    # What is left to do after the publish counts, too.
    time.sleep(0.5)
    spent = server.cpu() - cpu
    estate.change()
    os.kill(server.process.pid, signal.SIGHUP)
    while is_answered(server.ports.dns, estate.new_name, addresses):
        time.sleep(0.05)
    return took, spent


def table(title, heads, rows):
    print(f"\n### {title}\n")
    for row in [heads, ["---"] * len(heads), *rows]:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def measured(given, children):
    folder = Path(children.enter_context(tempfile.TemporaryDirectory()))
    bench = Bench(given.load, children, folder, given.seconds)
    sizes = {
        "small": (1, given.endpoints // given.sources, 1),
        "large": (given.sources, given.endpoints, given.views),
    }
    estates = {title: Estate(*size, folder / f"estate-{title}") for title, size in sizes.items()}
    upstream = bench.upstream(estates["small"])
    servers, rows = {}, []
    for title, estate in estates.items():
        hub = Hub(given.hubdns, estate, bench, upstream)
        first, took_first = hub.run(children)
        cpu = first.cpu()
        # Until the last good inventory is on the disk.
        time.sleep(1)
        first.stop()
        server, took = hub.run(children)
        bench.warm(server, estate, OURS)
        memory = server.memory()
        changes = [changed(server, estate) for _ in range(given.turns)]
        most = server.memory()
        sources, endpoints, views = sizes[title]
        head = f"{sources} sources, {endpoints:,} endpoints, {views} views"
        seconds = [median(it) for it in zip(*changes)]
        figures = [took_first, cpu, took, *seconds]
        rows.append([head, *(f"{it:.2f}" for it in figures), f"{memory:.0f}", f"{most:.0f}"])
        servers[head] = (server, estate)
    heads = ["first start, s", "CPU, s", "next start, s", "a change, s", "CPU, s"]
    table("Start, memory, changes", ["", *heads, "MB", "MB after changes"], rows)
    lengths = {head: bench.length(*it, OURS) for head, it in servers.items()}
    figures = {head: Figures() for head in servers}
    for _ in range(given.turns):
        for head, (server, estate) in servers.items():
            figures[head].pairs.append(bench.pair(server, estate, OURS, lengths[head]))
    rows = []
    for head, it in figures.items():
        echoes = median(it.over_echo(lambda turn: turn.micros))
        wrong = sum(it.of(lambda turn: turn.told["wrong"]))
        rate = median(it.of(lambda turn: turn.rate))
        rows.append([head, f"{echoes:.2f}", f"{rate:,.0f}", f"{wrong:.0f}"])
    table("An answer", ["", "CPU of an answer, in echoes", "answers a second", "wrong"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hubdns")
    parser.add_argument("--load")
    parser.add_argument("--sources", type=int, default=100)
    parser.add_argument("--endpoints", type=int, default=5_000)
    parser.add_argument("--views", type=int, default=200)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.6)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    if given.quick:
        given.sources, given.endpoints, given.views = 4, 40, 8
        given.turns, given.seconds = 1, 0.1
    given.hubdns = given.hubdns or built("--bin", "hubdns")
    given.load = given.load or built("--bench", "load")
    with contextlib.ExitStack() as children:
        measured(given, children)


if __name__ == "__main__":
    main()
