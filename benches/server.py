"""A server as a process: on which core it runs, what it takes of CPU and memory, when it answers."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from peers import NotStarted, free_port, retried
from wire import is_answered

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
UNPACKED = TARGET / "rivals"
LIBRARIES = "usr/lib/x86_64-linux-gnu"


class Ports:
    def __init__(self):
        self.dns, self.tls, self.https, self.admin = (free_port() for _ in range(4))


class Server:
    """A process with its children, on the cores that it was given."""

    # What else is put before a command, where the machine has other work.
    before = []
    started_within = 30

    def __init__(self, command, cores, folder, environment=None):
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [*self.before, "taskset", "-c", cores, *map(str, command)],
            stdout=self.log,
            stderr=self.log,
            cwd=folder,
            env={**os.environ, **(environment or {})},
        )
        self.folder = folder

    def pids(self):
        parents = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                rest = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                parents.setdefault(int(rest[1]), []).append(int(folder.name))
        found = [self.process.pid]
        for pid in found:
            found += parents.get(pid, [])
        return found

    def cpu(self):
        """Seconds of user and kernel time, of children that ended too."""
        ticks = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                rest = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                ticks += sum(map(int, rest[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """MB that are resident; what children share is counted once."""
        first, *others = self.pids()
        kilobytes = rollup(first, "Rss:")
        kilobytes += sum(rollup(pid, "Private_Clean:", "Private_Dirty:") for pid in others)
        return kilobytes / 1000

    def stop(self):
        if self.process.poll() is not None:
            return
        for pid in reversed(self.pids()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def await_answer(self, port, name, addresses):
        """Until it answers this name right."""
        deadline = time.monotonic() + self.started_within
        while not is_answered(port, name, addresses):
            if self.process.poll() is not None or deadline < time.monotonic():
                said = (self.folder / "log").read_text(errors="replace")[-2000:]
                self.stop()
                raise NotStarted(f"{self.process.args}:\n{said}")


def rollup(pid, *keys):
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(keys))


def program(name):
    """Its path, and what it wants in its environment; None if it is not on this machine."""
    for folder in ("usr/sbin", "usr/bin"):
        if (UNPACKED / folder / name).exists():
            return UNPACKED / folder / name, {"LD_LIBRARY_PATH": str(UNPACKED / LIBRARIES)}
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    return (Path(found), {}) if found else None


class Rival:
    """A kind of server, with one thread unless told. `write` makes its configuration and tells the
    command's arguments."""

    forwards = True
    encrypted = frozenset()
    # Whether SIGHUP makes it read its names again.
    reloads = True

    def __init__(self, name, binary, version):
        self.name, self.binary, self.version_argument = name, binary, version

    def found(self):
        return program(self.binary)

    def version(self):
        path, environment = self.found()
        it = subprocess.run(
            [path, self.version_argument],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )
        # Some begin with the time, as in a log.
        return re.sub(r"^\w{3} \d+ [\d:]+ ", "", (it.stdout + it.stderr).strip()).splitlines()[0]

    def start(self, children, world, upstream, certificate, cores="0", threads=1):
        """Starts it and waits for its first answer; `children` stops it in the end."""
        server, _ = self.start_timed(children, world, upstream, certificate, cores, threads)
        return server

    @retried
    def start_timed(self, children, world, upstream, certificate, cores="0", threads=1):
        folder = Path(children.enter_context(tempfile.TemporaryDirectory()))
        ports = Ports()
        arguments = self.write(folder, world, ports, upstream, certificate, threads)
        path, environment = self.found()
        began = time.perf_counter()
        server = Server([path, *arguments], cores, folder, environment)
        server.ports = ports
        name, addresses = next(iter(world.addresses.items()))
        server.await_answer(ports.dns, name, set(addresses))
        took = time.perf_counter() - began
        children.callback(server.stop)
        return server, took
