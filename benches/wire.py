"""Asks one question as a client would, by UDP, TCP or TLS, and reads what addresses came."""

import socket
import ssl
import struct
import time

from peers import A, question, skip_name

NXDOMAIN = 3


def read(octets):
    """The code and the addresses of a response."""
    _, flags, questions, answers, _, _ = struct.unpack_from("!6H", octets)
    at = 12
    for _ in range(questions):
        at = skip_name(octets, at) + 4
    addresses = set()
    for _ in range(answers):
        at = skip_name(octets, at)
        rtype, _, _, length = struct.unpack_from("!HHIH", octets, at)
        at += 10
        if rtype == A:
            addresses.add(socket.inet_ntoa(octets[at : at + length]))
        at += length
    return flags & 15, addresses


def ask(port, name, wait=1.0):
    """The code and the addresses; None and none without an answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
        it.settimeout(wait)
        it.connect(("127.0.0.1", port))
        try:
            it.send(question(name, 4711))
            return read(it.recv(4096))
        except OSError:
            return None, set()


def is_answered(port, name, addresses):
    """Whether this is answered within a moment: a question a millisecond for a tenth of a second."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
        it.settimeout(0.001)
        it.connect(("127.0.0.1", port))
        for number in range(100):
            try:
                it.send(question(name, number))
                if read(it.recv(4096)) == (0, addresses):
                    return True
            except ConnectionRefusedError:
                time.sleep(0.001)
            except TimeoutError:
                pass
    return False


def ask_all(port, names, certificate=None):
    """By one connection, one after the other; by TLS with a certificate to trust."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as tcp:
        stream = tcp
        if certificate:
            context = ssl.create_default_context(cafile=certificate)
            stream = context.wrap_socket(tcp, server_hostname="127.0.0.1")
        with stream, stream.makefile("rb") as responses:
            for name in names:
                octets = question(name, 4711)
                stream.sendall(struct.pack("!H", len(octets)) + octets)
                head = responses.read(2)
                if len(head) < 2:
                    raise ConnectionError("the connection was closed")
                yield read(responses.read(*struct.unpack("!H", head)))
