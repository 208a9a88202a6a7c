#!/usr/bin/env python3
"""Measures hubdns beside every rival that this machine has, and beside the limit, and prints a report.

    benches/setup.sh && python3 benches/compare.py [--quick] [--only cpu latency ...] [--write FILE]

The limit is an echo that receives and sends in the same batches and does nothing between. Each figure
of a server is divided by that of the echo's turn just before it, on the same core, so that what else
the machine does counts little. A server that answers wrong is told, and left out where it did.

It judges nothing but whether goals are met, and fails for none. docs/PERFORMANCE.md tells how to read it.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import parts
from measure import Bench, Figures, Workload, median
from peers import NotStarted
from report import RATE, Report, write
from rivals import RIVALS, Hubdns
from server import ROOT, Server
from world import World

WORKLOADS = {
    "ours": Workload("our names, UDP", {"ours": 100}),
    "cached": Workload("cached names, UDP", {"cached": 100}),
    "misses": Workload("misses, UDP", {"unique": 100}),
    "mixed": Workload("mixed, UDP", {"ours": 60, "cached": 30, "unique": 5, "absent": 5}),
    "tcp": Workload("our names, 20 TCP connections", {"ours": 100}, "TCP"),
    "dot": Workload("our names, 20 DoT connections", {"ours": 100}, "DoT"),
    "doh": Workload("our names, 20 DoH connections", {"ours": 100}, "DoH"),
}


def built(*arguments):
    """What cargo builds by these, as a path."""
    command = ["cargo", "build", "--release", "--no-default-features", *arguments]
    it = subprocess.run([*command, "--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    paths = [json.loads(line).get("executable") for line in it.stdout.splitlines()]
    return [path for path in paths if path][-1]

PARTS = ["start", "cpu", "latency", "sizes", "threads", "disturbed", "watched", "flooded"]


class Comparison:
    """The servers of one run."""

    def __init__(self, given, children):
        self.given, self.children = given, children
        self.folder = Path(children.enter_context(tempfile.TemporaryDirectory()))
        self.bench = Bench(given.load, children, self.folder, given.seconds)
        self.take_cores(in_real_time=True)
        self.world = World(given.names, self.folder / "world")
        self.upstream = self.bench.upstream(self.world)
        self.kinds = [Hubdns(given.hubdns)]
        wanted = [it for it in RIVALS if not given.rivals or it.name in given.rivals]
        self.kinds += [it for it in wanted if it.found()]
        self.notes = [f"{it.name} is not on this machine." for it in wanted if not it.found()]

    def take_cores(self, in_real_time):
        """How servers and generator that start from now on come before the machine's other work, if
        they shall: in real time who shares a core never takes turns."""
        self.bench.in_real_time = in_real_time and self.given.real_time
        priority = ["chrt", "-f", "10"] if in_real_time else ["nice", "-n", "-20"]
        Server.before = priority if self.given.real_time else []

    @staticmethod
    def say(text):
        print(text, file=sys.stderr, flush=True)

    def note(self, text):
        self.say(text)
        self.notes.append(text)

    def servers(self):
        """All, each with its kind; what does not start is told."""
        for kind in self.kinds:
            try:
                yield kind, self.start(kind)
            except NotStarted as error:
                self.note(f"{kind.name} did not start: {error}")

    def start(self, kind, world=None, **more):
        world = world or self.world
        return kind.start(self.children, world, self.upstream, self.bench.certificate, **more)

    def cpu(self, servers, keys):
        """For each workload the figures of each server that answers it right."""
        figures, lengths = {}, {}
        for key in keys:
            workload, figures[key] = WORKLOADS[key], {}
            for kind, server in servers:
                if not workload.takes(kind):
                    continue
                fault = self.bench.fault(server, self.world, workload)
                if fault:
                    self.note(f"{kind.name}, {workload.title}: {fault}")
                else:
                    figures[key][kind.name] = Figures()
            lengths[key] = self.bench.length(servers[0][1], self.world, workload)
        for turn in range(self.given.turns):
            for key in keys:
                self.say(f"turn {turn + 1}: {WORKLOADS[key].title}")
                for kind, server in servers:
                    if kind.name in figures[key]:
                        self.measure(kind, server, key, lengths[key], figures[key])
        return figures

    def measure(self, kind, server, key, length, figures):
        try:
            pair = self.bench.pair(server, self.world, WORKLOADS[key], length)
            figures[kind.name].pairs.append(pair)
        except OSError as error:
            self.note(f"{kind.name}, {WORKLOADS[key].title}: {error}")
            del figures[kind.name]


def half_of_most(figures):
    """Half of what each server answered a second."""
    return {name: round(median(it.of(RATE)) / 2) for name, it in figures["ours"].items()}


def measured(comparison, result):
    """All parts that were asked for, into the report."""
    given = comparison.given
    if "start" in given.only:
        result.start(parts.start(comparison))
    if {"cpu", "latency"} & set(given.only):
        servers = list(comparison.servers())
        # Half of the most is known when the most is.
        keys = {"ours"} if "latency" in given.only else set()
        keys |= set(given.workloads) if "cpu" in given.only else set()
        figures = comparison.cpu(servers, [key for key in WORKLOADS if key in keys])
        result.cpu(figures, WORKLOADS)
        if "latency" in given.only:
            half = half_of_most(figures)
            servers = [(kind, server) for kind, server in servers if kind.name in half]
            rates = lambda name: [(f"{given.rate:,} a second", given.rate), ("half of the most", half[name])]
            result.latency(parts.latency(comparison, servers, rates))
        for _, server in servers:
            server.stop()
    if "sizes" in given.only:
        sizes = [((50, 500), (50, 500)), ((50, 5_000, 50_000), (500, 500_000))]
        result.sizes(*parts.sizes(comparison, *sizes[not given.quick]))
    # What follows has threads that share a core.
    comparison.take_cores(in_real_time=False)
    if "threads" in given.only:
        result.threads(parts.threads(comparison))
    if "disturbed" in given.only:
        result.disturbed(*parts.disturbed(comparison, given.rate), given.rate)
    if "watched" in given.only:
        result.watched(*parts.watched(comparison, given.rate), given.rate)
    if "flooded" in given.only:
        # As many as a hub with a flood has to stand, in the proportion of a quick run's rate.
        good, malformed = given.rate * 5 // 2, given.rate * 5
        result.flooded(parts.flooded(comparison, good, malformed), good, malformed)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hubdns", help="the daemon; built by cargo if not given")
    parser.add_argument("--load", help="the bench program; built by cargo if not given")
    parser.add_argument("--rivals", nargs="*", help="these alone", choices=[it.name for it in RIVALS])
    parser.add_argument("--only", nargs="*", help="these parts alone", default=PARTS, choices=PARTS)
    workloads = "of the part cpu, these alone"
    parser.add_argument(
        "--workloads", nargs="*", help=workloads, default=list(WORKLOADS), choices=list(WORKLOADS)
    )
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    parser.add_argument("--names", type=int, default=5_000)
    parser.add_argument("--rate", type=int, default=20_000, help="questions a second, for waits")
    real_time = "servers and generator come before the machine's other work; wants root"
    parser.add_argument("--real-time", action="store_true", help=real_time)
    parser.add_argument("--quick", action="store_true", help="a short turn of each: does it run?")
    parser.add_argument("--write", help="put the report into this document, between its marks")
    given = parser.parse_args()
    if given.quick:
        given.turns, given.seconds, given.names, given.rate = 1, 0.2, 500, 2_000
        given.rivals = given.rivals or ["unbound"]
    given.hubdns = str(Path(given.hubdns or built("--bin", "hubdns")).resolve())
    given.load = str(Path(given.load or built("--bench", "load")).resolve())
    return given


def main():
    given = arguments()
    with contextlib.ExitStack() as children:
        comparison = Comparison(given, children)
        result = Report(comparison.kinds, given)
        measured(comparison, result)
    text = result.text(comparison.notes)
    print(text)
    if given.write:
        write(given.write, text)


if __name__ == "__main__":
    main()
