"""The report of benches/compare.py, in Markdown."""

import datetime
import os
import platform
import subprocess
from pathlib import Path

from measure import median, over

BEGIN, END = "<!-- the last report: benches/compare.py --write -->", "<!-- end of the report -->"
OURS = "hubdns"
MICROS, RATE, ALL_MICROS = (
    lambda turn: turn.micros,
    lambda turn: turn.rate,
    lambda turn: turn.all_micros,
)
P50, P99, P999, SILENCE = (
    lambda turn, key=key: turn.told[key] or 0 for key in ("p50", "p99", "p999", "silence")
)
GOALS = {"ours": 1.10, "cached": 1.30, "misses": 4.0, "mixed": 1.5, "tcp": 1.4}
RATE_GOAL, AHEAD_GOAL = 0.93, 1.5
THREADS_GOAL, SIZES_GOAL, WAITS_GOAL, DISTURBED_GOAL = 1.8, 0.05, 1.2, 1.1
# What a probe of an upstream, or a datagram that was lost, adds.
PACKETS_SLACK = 0.005
SILENCE_MS, MEMORY_MB, START_MS = 1.0, 20, 50


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def spread(values, digits=2):
    """The median, and the least and the most."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


class Report:
    """Parts are added as they are measured; goals gather on the way."""

    def __init__(self, kinds, given):
        self.names, self.given = [kind.name for kind in kinds], given
        self.versions = [f"{kind.name}: {kind.version()}" for kind in kinds]
        self.machine = machine()
        self.parts, self.goals = [], []

    def goal(self, title, wanted, measured, met):
        self.goals.append([title, wanted, measured, "yes" if met else "no"])

    def part(self, title, text):
        self.parts.append(f"### {title}\n\n{text}")

    # === What an answer costs

    def cpu(self, figures, workloads):
        rows, rates, limits = [], [], []
        for key, by_name in figures.items():
            title = workloads[key].title
            if OURS not in by_name:
                continue
            ours = by_name[OURS]
            cell = lambda name: spread(by_name[name].over_echo(MICROS)) if name in by_name else "-"
            rows.append([title, *map(cell, self.names)])
            share = lambda name: spread(by_name[name].over_echo(RATE)) if name in by_name else "-"
            rates.append([title, *map(share, self.names)])
            limits.append(
                [
                    title,
                    f"{median(ours.of_echo(MICROS)):.2f}",
                    f"{median(ours.of_echo(RATE)):,.0f}",
                    f"{100 * median(ours.of_echo(lambda it: it.busy)):.0f} %",
                    f"{100 * median(ours.of_echo(lambda it: it.generator_busy)):.0f} %",
                    f"{median(ours.of(MICROS)):.2f}",
                    f"{median(ours.of(RATE)):,.0f}",
                    f"{100 * median(ours.of(lambda it: it.busy)):.0f} %",
                    f"{sum(ours.of(lambda it: it.told['wrong'])):.0f}",
                ]
            )
            self.cpu_goals(key, title, by_name)
        heads = ["CPU of an answer, in echoes", *self.names]
        self.part("What an answer costs", table(heads, rows))
        heads = ["answers a second, of the echo's", *self.names]
        self.part("How many are answered", table(heads, rates))
        heads = ["the limit, and hubdns beside it", "echo: us", "a second", "its core", "generator's core"]
        heads += ["hubdns: us", "a second", "its core", "wrong answers"]
        self.part("What the echo and the generator could do", table(heads, limits))
        if OURS in figures.get("misses", {}):
            self.packets(figures["misses"])

    def cpu_goals(self, key, title, by_name):
        cost = {name: median(it.over_echo(MICROS)) for name, it in by_name.items()}
        rivals = {name: it for name, it in cost.items() if name != OURS}
        if key in GOALS:
            met = cost[OURS] <= GOALS[key]
            self.goal(title, f"at most {GOALS[key]:.2f} echoes", f"{cost[OURS]:.2f}", met)
        if key == "ours":
            rate = median(by_name[OURS].over_echo(RATE))
            self.goal(title, f"at least {RATE_GOAL} of the echo's rate", f"{rate:.2f}", RATE_GOAL <= rate)
        if key in ("mixed", "dot", "doh") and rivals:
            wanted = AHEAD_GOAL if key == "mixed" else 1.0
            best = min(rivals, key=rivals.get)
            ahead = over(rivals[best], cost[OURS])
            text = f"ahead of every rival by {wanted}" if wanted != 1 else "ahead of every rival"
            self.goal(title, text, f"{ahead:.2f} of {best}'s", wanted <= ahead)

    def packets(self, by_name):
        packets = {name: median(it.of(lambda turn: turn.packets)) for name, it in by_name.items()}
        heads = ["questions sent upstream for each miss", *packets]
        self.part("Upstream", table(heads, [["", *(f"{it:.3f}" for it in packets.values())]]))
        if "unbound" in packets:
            met = packets[OURS] <= packets["unbound"] + PACKETS_SLACK
            text = f"{packets[OURS]:.3f} to {packets['unbound']:.3f}"
            self.goal("misses, UDP", "no more packets upstream than unbound", text, met)

    # === The other parts

    def latency(self, found):
        for title, by_name in found.items():
            rows = []
            for name, it in by_name.items():
                waits = [f"{1e6 * median(it.of(what)):.0f}" for what in (P50, P99, P999)]
                echo = [f"{1e6 * median(it.of_echo(what)):.0f}" for what in (P50, P99, P999)]
                ratio = f"{median(it.over_echo(P99)):.2f}"
                lost = 1 - sum(it.of(lambda turn: turn.told["answers"])) / sum(
                    it.of(lambda turn: turn.told["sent"])
                )
                rows.append([name, *waits, *echo, ratio, f"{100 * lost:.2f} %"])
            heads = ["", "p50 us", "p99", "p99.9", "the echo's p50", "p99", "p99.9"]
            heads += ["p99 in echoes'", "not answered"]
            self.part(f"Waits at {title}", table(heads, rows))
            if OURS not in by_name:
                continue
            ratio = median(by_name[OURS].over_echo(P99))
            wanted = f"at most {WAITS_GOAL} of the echo's"
            self.goal(f"p99 at {title}", wanted, f"{ratio:.2f}", ratio <= WAITS_GOAL)
            rivals = {name: median(it.of(P999)) for name, it in by_name.items() if name != OURS}
            if rivals:
                best = min(rivals, key=rivals.get)
                its, ours = rivals[best], median(by_name[OURS].of(P999))
                text = f"{1e6 * ours:.0f} us to {1e6 * its:.0f} of {best}"
                self.goal(f"p99.9 at {title}", "no worse than the best rival's", text, ours <= its)

    def threads(self, figures):
        """Pairs of two threads and one."""
        pairs = figures.pairs
        of_server = [2 * over(MICROS(one), MICROS(two)) for two, one in pairs]
        of_all = [2 * over(ALL_MICROS(one), ALL_MICROS(two)) for two, one in pairs]
        rows = [["one thread", *self.costs([one for _, one in pairs])]]
        rows.append(["two threads", *self.costs([two for two, _ in pairs])])
        rows.append(["two are so many of one", spread(of_server), spread(of_all), ""])
        heads = ["", "us an answer", "with the generator's", "answers a second"]
        self.part("Two threads on two cores, which they share with the generator", table(heads, rows))
        best = median(of_all)
        wanted = f"at least {THREADS_GOAL} of one, generator counted"
        self.goal("two threads", wanted, f"{best:.2f}", THREADS_GOAL <= best)

    def costs(self, turns):
        micros, whole, rate = (median(list(map(it, turns))) for it in (MICROS, ALL_MICROS, RATE))
        return f"{micros:.2f}", f"{whole:.2f}", f"{rate:,.0f}"

    def sizes(self, found, memory):
        rows = []
        for title, it in found.items():
            cost = spread(it.over_echo(MICROS))
            packets = median(it.of(lambda turn: turn.packets))
            rows.append([title, cost, f"{packets:.4f}", f"{memory[title]:.0f}"])
        heads = ["", "CPU of an answer, in echoes", "sent upstream for each", "MB"]
        self.part("Sizes of hubdns' table and cache", table(heads, rows))
        for kind in ("names", "cached"):
            costs = [median(it.over_echo(MICROS)) for title, it in found.items() if title.endswith(kind)]
            apart = over(max(costs), min(costs)) - 1
            titles = ", ".join(title for title in found if title.endswith(kind))
            text = f"{100 * apart:.0f} % apart"
            self.goal(titles, f"the same within {100 * SIZES_GOAL:.0f} %", text, apart <= SIZES_GOAL)

    def disturbed(self, found, publishes, rate):
        rows = []
        for name, it in found.items():
            micros = lambda values: f"{1e6 * median(values):.0f}"
            rows.append(
                [name, micros(it.of_echo(P99)), micros(it.of(P99)), f"{median(it.over_echo(P99)):.2f}"]
                + [f"{1000 * median(turns):.1f}" for turns in (it.of_echo(SILENCE), it.of(SILENCE))]
                + [f"{1000 * max(it.of(SILENCE)):.1f}"]
            )
        heads = ["", "quiet p99 us", "disturbed p99", "in quiet ones", "quiet: longest silence ms"]
        heads += ["disturbed", "worst of all turns"]
        text = (
            f"At {rate:,} questions a second. hubdns: {publishes:.1f} publishes and reloads a second, "
            "and a look at the metrics each second. The others: a reload each second, of changed files."
        )
        self.part("While names change", f"{text}\n\n{table(heads, rows)}")
        ours = found[OURS]
        ratio, silence = median(ours.over_echo(P99)), 1000 * max(ours.of(SILENCE))
        wanted = f"at most {DISTURBED_GOAL} of the quiet run's"
        self.goal("p99 while names change", wanted, f"{ratio:.2f}", ratio <= DISTURBED_GOAL)
        wanted = f"no longer than {SILENCE_MS:.0f} ms"
        self.goal("silence while names change", wanted, f"{silence:.1f} ms", silence <= SILENCE_MS)

    def watched(self, found, logged, rate):
        rows = []
        for queries, it in found.items():
            micros = [f"{1e6 * median(values):.0f}" for values in (it.of_echo(P99), it.of(P99))]
            ratios = [spread(it.over_echo(what)) for what in (P99, MICROS)]
            lines = f"{median(logged[queries]):.3f}" if queries in logged else "-"
            rows.append([queries, *micros, *ratios, lines])
        heads = ["queries logged", "alone: p99 us", "watched", "in those alone", "CPU of an answer, likewise"]
        heads += ["lines an answer"]
        text = (
            f"hubdns at {rate:,} questions a second for names of its own: alone, and with the page and the "
            "metrics read each second and the query log on. Lines that are missing were dropped and counted. "
            "In the first row both turns are alone: what they differ by is the machine's."
        )
        self.part("While it is watched", f"{text}\n\n{table(heads, rows)}")
        ratio = max(median(it.over_echo(P99)) for queries, it in found.items() if queries in logged)
        wanted = f"at most {DISTURBED_GOAL} of the run's alone"
        self.goal("p99 while it is watched", wanted, f"{ratio:.2f}", ratio <= DISTURBED_GOAL)

    def flooded(self, found, rate, malformed):
        lost = lambda turn: 1 - turn.told["answers"] / max(1, turn.told["sent"])
        rows = []
        for name, it in found.items():
            shares = [f"{100 * median(it_lost):.2f} %" for it_lost in (it.of_echo(lost), it.of(lost))]
            waits = [f"{1e6 * median(turns):.0f}" for turns in (it.of_echo(P99), it.of(P99))]
            rows.append([name, *shares, *waits, sum(turn.told["wrong"] for turn, _ in it.pairs)])
        heads = ["", "quiet: not answered", "flooded", "quiet: p99 us", "flooded", "wrong answers"]
        text = (
            f"{rate:,} questions a second for names of ours, alone and beside {malformed:,} packets a "
            "second that are no questions. Both come from one core, and the server has the other."
        )
        self.part("Beside malformed packets", f"{text}\n\n{table(heads, rows)}")

    def start(self, found):
        rows = [
            [name, spread([ms for ms, _ in turns], 0), spread([mb for _, mb in turns], 1)]
            for name, turns in found.items()
        ]
        heads = ["", "exec to the first right answer, ms", "resident MB"]
        self.part(f"Start and memory with {self.given.names:,} names", table(heads, rows))
        ms, mb = (median([turn[at] for turn in found[OURS]]) for at in (0, 1))
        self.goal("memory", f"under {MEMORY_MB} MB", f"{mb:.1f} MB", mb < MEMORY_MB)
        self.goal("start", f"under {START_MS} ms", f"{ms:.0f} ms", ms < START_MS)

    # === The whole

    def text(self, notes):
        given = self.given
        head = (
            f"{datetime.date.today()}, {self.machine}, load average {os.getloadavg()[1]:.1f} at the end. "
            f"{given.turns} turns of {given.seconds} s each; medians, with the least and the most in "
            f"brackets. {given.names:,} names."
        )
        if given.real_time:
            head += " In real time."
        goals = table(["", "goal", "measured", "met"], self.goals)
        versions = "\n".join(f"- {it}" for it in self.versions)
        told = "\n".join(f"- {note}" for note in notes)
        told = f"### What was left out, and why\n\n{told}" if notes else ""
        parts = [head, f"### Goals\n\n{goals}", *self.parts, told, f"### Versions\n\n{versions}"]
        return "\n\n".join(part for part in parts if part) + "\n"


def machine():
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    ).stdout.strip()
    return f"{commit or 'no commit'}, {os.cpu_count()} cores ({cpu}), Linux {platform.release()}"


def write(path, text):
    """Puts the report between the two marks of a document."""
    document = Path(path).read_text()
    head, rest = document.split(BEGIN)
    _, tail = rest.split(END)
    Path(path).write_text(f"{head}{BEGIN}\n\n{text}\n{END}{tail}")
