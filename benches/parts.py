"""The parts of the comparison beside the cost of an answer: waits at a fixed rate, two threads, large
tables and caches, what a reload does to clients, memory and start."""

import contextlib
import os
import signal
import threading
import time
import urllib.request

from measure import REST, SERVER, Figures, Workload, median
from world import World

OURS = Workload("our names, UDP", {"ours": 100})
CACHED = Workload("cached names, UDP", {"cached": 100})
BOTH_CORES = f"{SERVER},{REST}"
# No log, no page, no metrics: a pair of turns alone.
NOBODY = "nobody looks"
# Between two publishes, and between two reloads or looks at the metrics.
PUBLISH_EVERY, RELOAD_EVERY = 0.1, 1.0


def latency(comparison, servers, rates):
    """At each rate of `rates(server's name)`, each server beside the echo."""
    bench, world = comparison.bench, comparison.world
    length = bench.length(servers[0][1], world, OURS)
    found = {}
    for turn in range(comparison.given.turns):
        for kind, server in servers:
            for title, rate in rates(kind.name):
                figures = found.setdefault(title, {}).setdefault(kind.name, Figures())
                figures.pairs.append(bench.pair(server, world, OURS, length, rate=rate))
        comparison.say(f"turn {turn + 1}: waits")
    return found


def threads(comparison):
    """One thread and two, with a generator that runs on both cores and counts."""
    bench, world = comparison.bench, comparison.world
    kind = comparison.kinds[0]
    one = comparison.start(kind)
    two = comparison.start(kind, cores=BOTH_CORES, threads=2)
    figures = Figures()
    # 16 clients, since the kernel gives each to one thread; the same questions under way in all.
    more = {"cores": BOTH_CORES, "sockets": 16, "window": 32}
    for turn in range(comparison.given.turns):
        comparison.say(f"turn {turn + 1}: two threads")
        figures.pairs.append(
            tuple(bench.turn(server, server.ports.dns, world, OURS, **more) for server in (two, one))
        )
    for server in (one, two):
        server.stop()
    return figures


def sizes(comparison, names, cached):
    """hubdns with tables and caches of so many names."""
    bench, kind = comparison.bench, comparison.kinds[0]
    found, plan = {}, []
    for count in names:
        world = World(count, comparison.folder / f"world-{count}")
        server = comparison.start(kind, world)
        plan.append((f"{count:,} names", server, world, OURS, {}))
    for count in cached:
        server = comparison.start(kind)
        for _ in range(2):
            all_once = {"popular": count, "in_order": True, "questions": count, "seconds": 60}
            bench.load(server.ports.dns, comparison.world, CACHED, **all_once)
        plan.append((f"{count:,} cached", server, comparison.world, CACHED, {"popular": count}))
    lengths = [bench.length(server, world, workload) for _, server, world, workload, _ in plan]
    for turn in range(comparison.given.turns):
        comparison.say(f"turn {turn + 1}: sizes")
        for (title, server, world, workload, more), length in zip(plan, lengths):
            figures = found.setdefault(title, Figures())
            figures.pairs.append(bench.pair(server, world, workload, length, **more))
    memory = {title: server.memory() for title, server, *_ in plan}
    for _, server, *_ in plan:
        server.stop()
    return found, memory


class Disturbance(contextlib.AbstractContextManager):
    """While it lasts, names change: for hubdns ten times a second, by a reload with another alias, and
    each second by another inventory with a look at the metrics; for the others with a reload each second."""

    def __init__(self, kind, server, world):
        self.kind, self.server, self.world = kind, server, world
        self.config = server.folder / "hubdns.toml"
        self.text = self.config.read_text() if kind.name == "hubdns" else ""
        self.changes, self.over = 0, threading.Event()
        self.thread = threading.Thread(target=self.disturb)

    def disturb(self):
        is_ours = self.kind.name == "hubdns"
        began = time.monotonic()
        while not self.over.wait(max(0, began + self.changes * PUBLISH_EVERY - time.monotonic())):
            self.changes += 1
            full = self.changes % round(RELOAD_EVERY / PUBLISH_EVERY) == 0
            if is_ours:
                alias = f'[[answers.alias]]\nname = "c{self.changes}.example"\ncname = "www.example"\n'
                self.config.write_text(self.text + alias)
            if is_ours and full:
                self.world.change_inventory(self.changes)
            elif full:
                self.world.change(self.changes)
            if is_ours or full:
                os.kill(self.server.process.pid, signal.SIGHUP)
            if is_ours and full:
                scrape(self.server.ports.admin)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.world.change(0)
        if self.text:
            self.config.write_text(self.text)
        os.kill(self.server.process.pid, signal.SIGHUP)


def scrape(port, path="/metrics"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as page:
        return page.read().decode()


def published(server):
    """How many tables were put in force."""
    for line in scrape(server.ports.admin).splitlines():
        if line.startswith("hubdns_table_generation "):
            return float(line.split()[1])
    return 0


def disturbed(comparison, rate):
    """Quiet and disturbed in turn: pairs of those, and what hubdns published a second."""
    bench, world = comparison.bench, comparison.world
    servers = [(kind, comparison.start(kind)) for kind in comparison.kinds if kind.reloads]
    found, publishes = {}, []
    for turn in range(comparison.given.turns):
        comparison.say(f"turn {turn + 1}: disturbed")
        for kind, server in servers:
            bench.warm(server, world, OURS)
            quiet = bench.turn(server, server.ports.dns, world, OURS, rate=rate)
            before = published(server) if kind.name == "hubdns" else 0
            with Disturbance(kind, server, world):
                noisy = bench.turn(server, server.ports.dns, world, OURS, rate=rate)
                if kind.name == "hubdns":
                    publishes.append((published(server) - before) / noisy.told["seconds"])
            found.setdefault(kind.name, Figures()).pairs.append((noisy, quiet))
            # The last reload is over before the next turn.
            time.sleep(0.3)
    for _, server in servers:
        server.stop()
    return found, median(publishes)


class Watch(contextlib.AbstractContextManager):
    """While it lasts the page is open, metrics are scraped each second, and queries are logged."""

    def __init__(self, server, queries):
        self.server, self.config = server, server.folder / "hubdns.toml"
        self.text, self.over = self.config.read_text(), threading.Event()
        self.log = server.folder / "queries.log"
        self.settings = f'[log]\nqueries = "{queries}"\nqueries_file = "{self.log}"\n'
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        # Who looks does so from another machine: here he has the core when nobody else wants it.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        while not self.over.wait(1):
            scrape(self.server.ports.admin)
            scrape(self.server.ports.admin, "/")

    def put_in_force(self, text):
        self.config.write_text(text)
        os.kill(self.server.process.pid, signal.SIGHUP)
        time.sleep(0.3)

    def __enter__(self):
        self.put_in_force(self.text + self.settings)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.put_in_force(self.text)

    def logged(self):
        """Lines so far."""
        if not self.log.exists():
            return 0
        with self.log.open("rb") as lines:
            return sum(1 for _ in lines)


def watched(comparison, rate):
    """For each setting of the query log pairs of turns, watched and alone, and lines for an answer. The
    pairs of NOBODY are alone both times: what they differ by is the machine's."""
    bench, world = comparison.bench, comparison.world
    server = comparison.start(comparison.kinds[0])
    found, logged = {}, {}

    def alone():
        return bench.turn(server, server.ports.dns, world, OURS, rate=rate)

    def looked_at(queries):
        with Watch(server, queries) as watch:
            # A reload has just been: the first turn by it is not like the others.
            bench.warm(server, world, OURS, rate=rate)
            before = watch.logged()
            turn = alone()
            # What is still in the queue.
            time.sleep(0.3)
            logged.setdefault(queries, []).append((watch.logged() - before) / max(1, turn.told["answers"]))
        return turn

    for turn in range(comparison.given.turns):
        for queries in (NOBODY, "off", "1/100", "all"):
            comparison.say(f"turn {turn + 1}: watched, queries = {queries}")
            second = alone if queries == NOBODY else lambda: looked_at(queries)
            bench.warm(server, world, OURS, rate=rate)
            # By turns the one and the other goes first.
            if turn % 2:
                noisy, quiet = second(), alone()
            else:
                quiet, noisy = alone(), second()
            found.setdefault(queries, Figures()).pairs.append((noisy, quiet))
    server.stop()
    return found, logged


def flooded(comparison, rate, malformed):
    """Pairs of turns: good questions beside so many packets a second that are none, and alone."""
    bench, world = comparison.bench, comparison.world
    found = {}
    for kind, server in comparison.servers():
        for turn in range(comparison.given.turns):
            comparison.say(f"turn {turn + 1}: flooded: {kind.name}")
            bench.warm(server, world, OURS)
            quiet = bench.turn(server, server.ports.dns, world, OURS, rate=rate)
            with bench.flood(server.ports.dns, malformed, 2 * bench.seconds):
                # Until it is under way.
                time.sleep(bench.seconds / 4)
                noisy = bench.turn(server, server.ports.dns, world, OURS, rate=rate)
            found.setdefault(kind.name, Figures()).pairs.append((noisy, quiet))
        server.stop()
    return found


def start(comparison):
    """Milliseconds from exec to the first right answer, and MB after every name was asked for."""
    found = {}
    for turn in range(comparison.given.turns):
        comparison.say(f"turn {turn + 1}: start and memory")
        for kind in comparison.kinds:
            with contextlib.ExitStack() as own:
                bench, world = comparison.bench, comparison.world
                if turn == 0:
                    # hubdns keeps what it found for the next start, and that is the one that counts.
                    kind.start(own, world, comparison.upstream, bench.certificate)
                    time.sleep(0.5)
                server, took = kind.start_timed(own, world, comparison.upstream, bench.certificate)
                bench.warm(server, world, OURS)
                found.setdefault(kind.name, []).append((1000 * took, server.memory()))
    return found
