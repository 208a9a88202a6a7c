#!/usr/bin/env python3
"""Asks a resolver at an even pace until its standard input ends, and writes a line a question.

A line is when it was sent (milliseconds since 1970), what became of it (right, wrong, failed, lost) and
how long it waited in milliseconds.
"""

import argparse
import os
import select
import socket
import struct
import sys
import time

PATIENCE_SECS = 5


def query(number: int, name: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def addresses(reply: bytes, question_len: int) -> set[str]:
    """Of the answer's A records, each of whose owners is a pointer."""
    found, at = set(), question_len
    for _ in range(struct.unpack_from("!H", reply, 6)[0]):
        _owner, rtype, _class, _ttl, length = struct.unpack_from("!HHHIH", reply, at)
        data = reply[at + 12 : at + 12 + length]
        at += 12 + length
        if rtype == 1:
            found.add(socket.inet_ntoa(data))
    return found


def judged(reply: bytes, question_len: int, expected: set[str]) -> str:
    code = reply[3] & 15
    if code == 2:
        return "failed"
    is_right = code == 0 and addresses(reply, question_len) == expected
    return "right" if is_right else "wrong"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("server")
    parser.add_argument("rate", type=int)
    parser.add_argument("domain", help="each question is for another name below it")
    parser.add_argument("expected", nargs="+")
    args = parser.parse_args()
    expected = set(args.expected)
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.connect((args.server, 53))
    asking.setblocking(False)
    began, sent, waiting, goes_on = time.monotonic(), 0, {}, True

    def end(number: int, fate: str) -> None:
        at, since, _ = waiting.pop(number)
        print(at, fate, round((time.monotonic() - since) * 1000), sep="\t")

    while goes_on or waiting:
        ready, _, _ = select.select([asking] + ([sys.stdin] if goes_on else []), [], [], 0.001)
        if sys.stdin in ready:
            goes_on = os.read(0, 1) != b""
        while goes_on and sent < (time.monotonic() - began) * args.rate:
            packet = query(sent, f"n{sent}.{args.domain}")
            waiting[sent & 0xFFFF] = (round(time.time() * 1000), time.monotonic(), len(packet))
            try:
                asking.send(packet)
            except OSError:
                pass  # It is lost, and counted as such.
            sent += 1
        while True:
            try:
                reply = asking.recv(4096)
            except OSError:
                break
            number = struct.unpack_from("!H", reply)[0]
            if number in waiting:
                end(number, judged(reply, waiting[number][2], expected))
        for number in [n for n, it in waiting.items() if it[1] + PATIENCE_SECS < time.monotonic()]:
            end(number, "lost")


main()
