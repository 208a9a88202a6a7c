"""Turns of load against servers: what an answer cost each, beside the echo's turn just before it."""

import contextlib
import json
import math
import os
import socket
import statistics
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from peers import NotStarted, free_port
from server import Server
from wire import NXDOMAIN, ask, ask_all

# The server's core and that of all the rest.
SERVER, REST = "0", "1"
# dnsmasq takes a hundred questions by a connection.
SAMPLE = 100
# Requests under way of each HTTPS connection: with 16 at once BIND 9.18 falls silent.
STREAMS = 4
# Of a turn, before it, so that caches hold what is asked for again.
WARM_UP = 0.3
# Connections by TLS want their time, whatever a turn has.
WARM_UP_LEAST_SECS = 0.2
# On a machine with much other work the first handshakes may take all of one.
WARM_UPS_MAX = 5
# An answer is no shorter, and an echo that is no message ends a conversation.
HEADER_LEN = 12


@dataclass(frozen=True)
class Workload:
    """How many in a hundred are of which kind, and how they are asked."""

    title: str
    mix: dict
    by: str = "UDP"

    @property
    def role(self):
        return {"UDP": "udp", "TCP": "stream", "DoT": "stream", "DoH": "https"}[self.by]

    @property
    def limit(self):
        """What the echo gets: the same questions in the clear."""
        return replace(self, by="UDP" if self.by == "UDP" else "TCP")

    def takes(self, rival):
        """Whether a kind of server can do this at all."""
        return (rival.forwards or set(self.mix) == {"ours"}) and (
            self.by in ("UDP", "TCP") or self.by in rival.encrypted
        )


@dataclass
class Turn:
    """What a generator told, and what the server spent."""

    told: dict
    cpu: float
    # Questions that came to the upstream, by all of a turn's servers.
    upstream: int

    @property
    def micros(self):
        return 1e6 * self.cpu / max(1, self.told["answers"])

    @property
    def rate(self):
        return self.told["answers"] / self.told["seconds"]

    @property
    def busy(self):
        return self.cpu / self.told["seconds"]

    @property
    def generator_busy(self):
        return self.told["cpu"] / self.told["seconds"]

    @property
    def all_micros(self):
        """The generator's part too."""
        return 1e6 * (self.cpu + self.told["cpu"]) / max(1, self.told["answers"])

    @property
    def packets(self):
        """Questions sent upstream for each that was asked."""
        return self.upstream / max(1, self.told["sent"])


@dataclass
class Figures:
    """All turns of one server in one row, each with the echo's."""

    pairs: list = field(default_factory=list)

    def over_echo(self, what):
        return [over(what(ours), what(echo)) for ours, echo in self.pairs]

    def of(self, what):
        return [what(ours) for ours, _ in self.pairs]

    def of_echo(self, what):
        return [what(echo) for _, echo in self.pairs]


def median(values):
    return statistics.median(values)


def over(value, limit):
    """No number where a turn was too short for its limit to show."""
    return value / limit if limit else math.nan


class Certificate:
    """Signed by itself, for 127.0.0.1."""

    def __init__(self, folder):
        self.chain, self.key = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=bench"]
            + ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
            + ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
            + ["-keyout", self.key, "-out", self.chain],
            check=True,
            capture_output=True,
        )


class Bench:
    """The generator, and the processes of it that are servers."""

    def __init__(self, program, children, folder, seconds):
        self.program, self.children, self.folder = program, children, Path(folder)
        self.seconds, self.in_real_time, self.seed = seconds, False, 0
        self.certificate = Certificate(folder)
        self.echoes = {}

    def serve(self, role, cores, *arguments):
        """A role of ours that listens; tells its process and port."""
        port = free_port()
        folder = self.folder / f"{role}-{port}"
        folder.mkdir()
        command = [self.program, role, "--listen", f"127.0.0.1:{port}", *arguments]
        server = Server(command, cores, folder)
        self.children.callback(server.stop)
        return server, port

    def upstream(self, world):
        """It knows the names too, for who has them from there alone."""
        _, self.upstream_port = self.serve("upstream", REST, "--hosts", world.hosts)
        await_port(self.upstream_port)
        return self.upstream_port

    def asked(self):
        """How many questions came to the upstream."""
        _, (count,) = ask(self.upstream_port, "count")
        return int.from_bytes(socket.inet_aton(count), "big")

    def echo(self, workload, length):
        """The limit for answers of so many octets, and its port."""
        key = (workload.limit.by, length)
        if key not in self.echoes:
            self.echoes[key] = self.serve(f"echo-{key[0].lower()}", SERVER, "--len", str(length))
            await_port(self.echoes[key][1], by_tcp=key[0] == "TCP")
        return self.echoes[key]

    def load(self, port, world, workload, seconds=None, cores=REST, **more):
        """Runs the generator once; what it told."""
        self.seed += 1
        arguments = {"server": f"127.0.0.1:{port}", "seconds": seconds or self.seconds}
        arguments |= {"seed": self.seed, "names": world.names, **workload.mix, **more}
        if workload.by == "DoH":
            arguments["window"] = STREAMS
        if workload.by in ("DoT", "DoH"):
            arguments["certificate"] = self.certificate.chain
        # Who never sleeps is put off its core for 50 ms of each second.
        if self.in_real_time and "rate" in arguments:
            arguments["rest"] = True
        command = [*Server.before, "taskset", "-c", cores, self.program, workload.role]
        for key, value in arguments.items():
            command += [f"--{key.replace('_', '-')}", *([] if value is True else [str(value)])]
        it = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if it.returncode:
            raise OSError(f"the generator ended: {it.stderr[-500:]}")
        return json.loads(it.stdout)

    @contextlib.contextmanager
    def flood(self, port, rate, seconds):
        """Packets that are no questions, in the meantime."""
        arguments = ["--server", f"127.0.0.1:{port}", "--rate", str(rate), "--seconds", str(seconds)]
        command = [*Server.before, "taskset", "-c", REST, self.program, "flood", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def port(self, server, workload):
        ports = server.ports
        return {"UDP": ports.dns, "TCP": ports.dns, "DoT": ports.tls, "DoH": ports.https}[workload.by]

    def turn(self, server, port, world, workload, **more):
        cpu, asked = server.cpu(), self.asked()
        told = self.load(port, world, workload, **more)
        return Turn(told, server.cpu() - cpu, self.asked() - asked - 1)

    def pair(self, server, world, workload, length, **more):
        """A turn of the echo, one to warm the server up, and its turn."""
        echo, port = self.echo(workload, length)
        limit = self.turn(echo, port, world, workload.limit, **more)
        self.warm(server, world, workload, **more)
        return self.turn(server, self.port(server, workload), world, workload, **more), limit

    def warm(self, server, world, workload, **more):
        seconds = max(WARM_UP_LEAST_SECS, WARM_UP * self.seconds)
        return self.load(self.port(server, workload), world, workload, seconds=seconds, **more)

    def length(self, server, world, workload):
        """Octets of an answer, which the echo's have too."""
        for _ in range(WARM_UPS_MAX):
            told = self.warm(server, world, workload)
            if told["answers"]:
                return max(HEADER_LEN, round(told["octets"] / told["answers"]))
        raise OSError(f"{workload.title}: no answer in {WARM_UPS_MAX} turns")

    def fault(self, server, world, workload):
        """What a server answers wrong; None when all is right."""
        expected = list(expectations(world, workload))
        port = self.port(server, workload)
        names = [name for name, *_ in expected]
        try:
            if workload.by == "UDP":
                got = [ask(port, name) for name in names]
            elif workload.by == "DoH":
                # Once for what is in no cache yet.
                self.warm(server, world, workload)
                told = self.warm(server, world, workload)
                if told["wrong"] or not told["answers"]:
                    return f"{told['wrong']:.0f} of {told['answers']:.0f} answers are wrong"
                return None
            else:
                trusted = self.certificate.chain if workload.by == "DoT" else None
                got = list(ask_all(port, names, trusted))
        except (OSError, ValueError) as error:
            return str(error)
        for (name, code, addresses), (got_code, got_addresses) in zip(expected, got):
            if (code, addresses) != (got_code, got_addresses):
                return f"{name}: code {got_code} with {sorted(got_addresses)}"
        return None


def expectations(world, workload):
    """Names of each kind, with the code and the addresses of the right answer."""
    names = list(world.addresses)
    if "ours" in workload.mix:
        for name in names[:: -(-len(names) // SAMPLE)]:
            yield name, 0, set(world.addresses[name])
    if "cached" in workload.mix:
        # Twice: from the upstream and from the cache.
        for number in [*range(SAMPLE // 2)] * 2:
            yield f"h{number:012}.cached.example", 0, {"192.0.2.1"}
    if "unique" in workload.mix:
        for number in range(SAMPLE):
            yield f"h9{os.getpid():08}{number:03}.unique.example", 0, {"192.0.2.1"}
    if "absent" in workload.mix:
        for number in [*range(SAMPLE // 2)] * 2:
            yield f"h{number:012}.none.example", NXDOMAIN, set()


def is_there(port, by_tcp):
    if not by_tcp:
        return ask(port, "count", wait=0.05)[0] is not None
    with contextlib.suppress(OSError):
        return bool(list(ask_all(port, ["count"])))
    return False


def await_port(port, by_tcp=False):
    deadline = time.monotonic() + 10
    while not is_there(port, by_tcp):
        if deadline < time.monotonic():
            raise NotStarted(f"nobody answers on {port}")
        time.sleep(0.01)
