#!/usr/bin/env python3
"""Counts what an answer of hubdns costs with tables and caches of several sizes, where it cannot be timed:
instructions, and reads that go past caches of 32 kB and 1 MB, by valgrind's model of a processor.

    python3 benches/stalls.py [--hubdns FILE] [--load FILE] [--quick]

Nothing is counted but while questions are asked, by all of its threads. What is the same for all
sizes is work; what grows is memory that is not near.
"""

import argparse
import contextlib
import subprocess
import tempfile
import time
from pathlib import Path

from compare import built
from measure import Bench, Workload
from rivals import Hubdns
from server import Server
from world import World

OURS = Workload("our names, UDP", {"ours": 100})
CACHED = Workload("cached names, UDP", {"cached": 100})
CACHES = ["--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,8,64"]
NAMES, POPULAR = (50, 5_000, 50_000), (500, 50_000)
# Slower by fifty times: more at once would be lost.
WINDOW, WITHIN_SECS = 32, 110
QUIET_SECS, QUIET_SHARE = 1.5, 0.03


class Counted(Hubdns):
    """hubdns below valgrind, which writes to `counts` when it is asked."""

    def found(self):
        return Path("/usr/bin/valgrind"), {"HUBDNS_LOG": "error"}

    def write(self, folder, *more):
        self.counts = folder / "counts"
        tool = ["--quiet", "--tool=callgrind", *CACHES, f"--callgrind-out-file={self.counts}"]
        return [*tool, self.binary, *super().write(folder, *more)]


def settle(server):
    """Until it has nothing more to do by itself, as what follows a first look."""
    before = -QUIET_SECS
    while QUIET_SHARE * QUIET_SECS < (now := server.cpu()) - before:
        before = now
        time.sleep(QUIET_SECS)


def control(server, order):
    command = ["callgrind_control", order, str(server.process.pid)]
    subprocess.run(command, check=True, capture_output=True)


def counted(children, bench, binary, world, workload, questions, popular=0):
    """For an answer: instructions, and reads past the small and past the large cache."""
    kind = Counted(binary)
    server = kind.start(children, world, bench.upstream_port, bench.certificate)
    more = {"window": WINDOW, "seconds": WITHIN_SECS}
    if popular:
        more["popular"] = popular
        for _ in range(2):
            bench.load(server.ports.dns, world, workload, in_order=True, questions=popular, **more)
    bench.load(server.ports.dns, world, workload, questions=questions // 10, **more)
    settle(server)
    control(server, "--zero")
    told = bench.load(server.ports.dns, world, workload, questions=questions, **more)
    control(server, "--dump")
    server.stop()
    dumped = Path(f"{kind.counts}.1").read_text().splitlines()
    lines = dict(line.split(": ", 1) for line in dumped if line.startswith(("events: ", "summary: ")))
    counts = dict(zip(lines["events"].split(), map(int, lines["summary"].split())))
    return [counts[it] / told["answers"] for it in ("Ir", "D1mr", "DLmr")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hubdns")
    parser.add_argument("--load")
    parser.add_argument("--questions", type=int, default=50_000)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    binary = given.hubdns or built("--bin", "hubdns")
    load = given.load or built("--bench", "load")
    questions = 2_000 if given.quick else given.questions
    # A start is fifty times slower, too.
    Server.started_within = 100
    with contextlib.ExitStack() as children:
        folder = Path(children.enter_context(tempfile.TemporaryDirectory()))
        bench = Bench(load, children, folder, 1)
        worlds = {count: World(count, folder / f"world-{count}") for count in NAMES}
        bench.upstream(worlds[NAMES[0]])
        rows = [(f"{count:,} names", worlds[count], OURS, {}) for count in NAMES]
        cached = [(f"{count:,} cached", worlds[NAMES[0]], CACHED, {"popular": count}) for count in POPULAR]
        print("| | instructions | reads past 32 kB | past 1 MB |\n|---|---|---|---|")
        for title, world, workload, more in rows[:1] if given.quick else rows + cached:
            figures = counted(children, bench, binary, world, workload, questions, **more)
            print(f"| {title} | {figures[0]:,.0f} | {figures[1]:.1f} | {figures[2]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
