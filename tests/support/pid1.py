"""Stands for PID 1: passes sockets to a service, hears what it notifies, keeps its descriptors.

As sd_listen_fds(3) and sd_notify(3) describe it. Orders come as lines of JSON on standard input,
what happens goes out as lines of JSON, each with the milliseconds since the start.

  {"make": "udp", "address": "127.0.0.1:53"}   a socket as of a .socket unit; also "tcp", "unix"
  {"run": ["/path/to/hubdns", "run"]}          what to start from now on
  {"close_after": 0.2}                         how long it takes to close what it gives up
  {"store": 2}                                 FileDescriptorStoreMax=, told as by systemd 254
  {"do": "start"}, "restart" (SIGTERM, and start when it has ended), "crash" (SIGKILL, and start
                                               20 ms after),
  {"do": "stop"}                               SIGTERM; as with systemd, nothing is kept after it
"""

import array
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time

BUFFER = 4 << 20  # of a socket; ReceiveBuffer= of a unit
RESTART_SECONDS = 0.02  # RestartSec= of our unit
PR_SET_PDEATHSIG = 1
START = time.monotonic()


def tell(event, **more):
    at = round((time.monotonic() - START) * 1000, 1)
    print(json.dumps({"at": at, "event": event} | more), flush=True)


def endpoint(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


class Supervisor:
    def __init__(self, folder, watchdog_usec):
        self.watchdog_usec = watchdog_usec
        self.made, self.kept = [], []  # (name, descriptor)
        self.store = None  # no limit, and none told
        self.closing, self.close_after = [], 0  # (when, descriptor)
        self.program, self.child, self.again = [], None, False
        self.path = os.path.join(folder, "notify")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.path)

    def make(self, kind, address):
        if kind == "unix":
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.bind(address)
            made.listen(64)
        else:
            stream = kind == "tcp"
            family = socket.AF_INET6 if address.startswith("[") else socket.AF_INET
            made = socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR if stream else socket.SO_REUSEPORT, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            made.setblocking(False)
            made.bind(endpoint(address))
            if stream:
                made.listen(4096)
        self.made.append(("unit", made.detach()))
        tell("made", kind=kind, address=address)

    def start(self):
        passed = self.made + self.kept
        pid = os.fork()
        if pid == 0:
            self.become(passed)
        self.child = (pid, os.pidfd_open(pid))
        tell("started", pid=pid, passed=len(passed))

    def become(self, passed):
        """The service, with its descriptors from 3 on."""
        try:
            # It does not outlive us, however we end.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            high = [os.dup2(fd, 200 + at, inheritable=False) for at, (_, fd) in enumerate(passed)]
            for at, fd in enumerate(high):
                os.dup2(fd, 3 + at, inheritable=True)
            variables = dict(os.environ, NOTIFY_SOCKET=self.path)
            if passed:
                names = ":".join(name for name, _ in passed)
                variables |= {
                    "LISTEN_FDS": str(len(passed)),
                    "LISTEN_PID": str(os.getpid()),
                    "LISTEN_FDNAMES": names,
                }
            if self.store is not None:
                variables["FDSTORE"] = str(self.store)
            if self.watchdog_usec:
                variables |= {"WATCHDOG_USEC": str(self.watchdog_usec), "WATCHDOG_PID": str(os.getpid())}
            os.execve(self.program[0], self.program, variables)
        finally:
            os._exit(127)

    def hear(self):
        data, ancillary, *_ = self.notify.recvmsg(65_536, socket.CMSG_SPACE(64 * 4))
        came = array.array("i")
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                came.frombytes(payload[: len(payload) - len(payload) % came.itemsize])
        lines = data.decode().splitlines()
        values = dict(line.split("=", 1) for line in lines)
        if values.get("FDSTORE") == "1":
            for fd in came:
                known = [os.fstat(kept).st_ino for _, kept in self.kept]
                if os.fstat(fd).st_ino in known or len(known) == self.store:
                    os.close(fd)
                else:
                    os.set_inheritable(fd, False)
                    self.kept.append((values.get("FDNAME", "stored"), fd))
        if values.get("FDSTOREREMOVE") == "1":
            for name, fd in [it for it in self.kept if it[0] == values["FDNAME"]]:
                self.closing.append((time.monotonic() + self.close_after, fd))
                self.kept.remove((name, fd))
        tell("notified", lines=lines, kept=sorted(name for name, _ in self.kept))

    def ended(self):
        pid, descriptor = self.child
        _, status = os.waitpid(pid, 0)
        os.close(descriptor)
        self.child = None
        tell("ended", status=os.waitstatus_to_exitcode(status))
        if self.again:
            self.again = False
            if os.waitstatus_to_exitcode(status) != 0:
                time.sleep(RESTART_SECONDS)
            self.start()

    def obey(self, order):
        if "make" in order:
            self.make(order["make"], order["address"])
        elif "close_after" in order:
            self.close_after = order["close_after"]
        elif "store" in order:
            self.store = order["store"]
        elif "run" in order:
            self.program = order["run"]
        elif order["do"] == "start":
            self.start()
        else:
            kind = order["do"]
            self.again = kind != "stop"
            tell(kind)
            os.kill(self.child[0], signal.SIGKILL if kind == "crash" else signal.SIGTERM)

    def run(self):
        waiting = b""
        while True:
            sources = [0, self.notify] + ([self.child[1]] if self.child else [])
            ready, _, _ = select.select(sources, [], [], 0.01 if self.closing else None)
            while self.closing and self.closing[0][0] <= time.monotonic():
                os.close(self.closing.pop(0)[1])
            if self.notify in ready:
                self.hear()
            if self.child and self.child[1] in ready:
                self.ended()
            if 0 in ready:
                read = os.read(0, 65_536)
                if not read:
                    return
                *lines, waiting = (waiting + read).split(b"\n")
                for line in lines:
                    self.obey(json.loads(line))


if __name__ == "__main__":
    supervisor = Supervisor(sys.argv[1], int(sys.argv[2]))
    try:
        supervisor.run()
    finally:
        if supervisor.child:
            os.kill(supervisor.child[0], signal.SIGKILL)
