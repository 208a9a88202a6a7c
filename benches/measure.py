"""Turns of load against servers: what an answer cost each, beside the echo's turn just before it."""

import contextlib
import json
import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from peers import NotStarted, free_port
from rivals import Server
from wire import NXDOMAIN, ask, ask_all

# The server's core and that of all the rest.
SERVER, REST = "0", "1"
# dnsmasq takes a hundred questions by a connection.
SAMPLE = 100
# Of a turn, before it, so that caches hold what is asked for again.
WARM_UP = 0.3


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
    def echo(self):
        return "echo-udp" if self.by == "UDP" else "echo-tcp"

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

    @property
    def micros(self):
        return 1e6 * self.cpu / max(1, self.told["answers"])

    @property
    def rate(self):
        return self.told["answers"] / self.told["seconds"]

    @property
    def busy(self):
        return self.cpu / self.told["seconds"]


@dataclass
class Figures:
    """All turns of one server in one row, each with the echo's."""

    pairs: list = field(default_factory=list)

    def over_echo(self, what):
        return [what(ours) / what(echo) for ours, echo in self.pairs]

    def of(self, what):
        return [what(ours) for ours, _ in self.pairs]

    def of_echo(self, what):
        return [what(echo) for _, echo in self.pairs]


def median(values):
    return statistics.median(values)


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
        self.seconds, self.seed = seconds, 0
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
        server, port = self.serve("upstream", REST, "--hosts", world.hosts)
        await_port(port)
        return port

    def echo(self, workload, length, cores=SERVER):
        key = (workload.echo, length, cores)
        if key not in self.echoes:
            server, port = self.serve(workload.echo, cores, "--len", str(length))
            await_port(port, by_tcp=workload.by != "UDP")
            self.echoes[key] = (server, port)
        return self.echoes[key]

    def load(self, port, world, workload, seconds=None, cores=REST, echo=False, **more):
        """Runs the generator once; what it told."""
        self.seed += 1
        arguments = {"server": f"127.0.0.1:{port}", "seconds": seconds or self.seconds}
        arguments |= {"seed": self.seed, "names": world.names, **workload.mix, **more}
        if workload.by in ("DoT", "DoH") and not echo:
            arguments["certificate"] = self.certificate.chain
        role = "stream" if echo and workload.by != "UDP" else workload.role
        command = [*Server.before, "taskset", "-c", cores, self.program, role]
        for key, value in arguments.items():
            command += [f"--{key.replace('_', '-')}", str(value)]
        it = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if it.returncode:
            raise OSError(f"the generator ended: {it.stderr[-500:]}")
        return json.loads(it.stdout)

    def port(self, server, workload):
        ports = server.ports
        return {"UDP": ports.dns, "TCP": ports.dns, "DoT": ports.tls, "DoH": ports.https}[workload.by]

    def turn(self, server, port, world, workload, **more):
        before = server.cpu()
        told = self.load(port, world, workload, **more)
        return Turn(told, server.cpu() - before)

    def pair(self, server, world, workload, length, **more):
        """A turn of the echo, one to warm the server up, and its turn."""
        echo, port = self.echo(workload, length)
        limit = self.turn(echo, port, world, workload, echo=True, **more)
        port = self.port(server, workload)
        self.load(port, world, workload, seconds=WARM_UP * self.seconds)
        return self.turn(server, port, world, workload, **more), limit

    def length(self, server, world, workload):
        """Octets of an answer, which the echo's have too."""
        told = self.load(self.port(server, workload), world, workload, seconds=WARM_UP * self.seconds)
        return round(told["octets"] / max(1, told["answers"]))

    def fault(self, server, world, workload):
        """What a server answers wrong; None when all is right."""
        expected = list(expectations(world, workload))
        port = self.port(server, workload)
        names = [name for name, *_ in expected]
        try:
            if workload.by == "UDP":
                got = [ask(port, name) for name in names]
            elif workload.by == "DoH":
                told = self.load(port, world, workload, seconds=WARM_UP * self.seconds)
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
