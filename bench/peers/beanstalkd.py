"""beanstalkd with -f0: put, reserve and delete, each put and delete synced before it is answered.

A reserve is of one job, and is not written to its log: a consumer's cycle is one commit.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from bench.peers.ordered import InOrder, Request, all_well
from bench.wire import Answer, UnexpectedAnswer, call

KIND = "beanstalkd"
LEASE = 120
"""Seconds until a reserved job is ready again."""
NOTHING = b"TIMED_OUT"


class BeanstalkdWire(InOrder):
    """Lines, and bodies behind them. Every load uses the default tube."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = b""

    def send(self, slot: int, bodies: Sequence[bytes]) -> bytes:
        commands = [b"put 0 0 %d %d\r\n%b\r\n" % (LEASE, len(body), body) for body in bodies]
        return Request.of(slot, commands, lambda said: [sixteen(line) for line in said])

    def receive(self, slot: int, most: int) -> bytes:
        return Request.of(slot, [b"reserve-with-timeout 0\r\n"] * most, jobs)

    def delete(self, slot: int, handles: Sequence[Any]) -> bytes:
        return Request.of(slot, [b"delete %b\r\n" % handle for handle in handles], all_well)

    def answers(self, data: bytes) -> list[Answer]:
        data = self._rest + data
        said, at = [], 0
        while (end := data.find(b"\r\n", at)) >= 0:
            line, after = data[at:end], end + 2
            word = line.split(b" ", 1)[0]
            if word in {b"RESERVED", b"OK"}:
                body = after + int(line.rsplit(b" ", 1)[1])
                if body + 2 > len(data):
                    break
                line, after = (line if word == b"RESERVED" else data[after:body]), body + 2
            elif word not in {b"INSERTED", b"DELETED", NOTHING}:
                raise UnexpectedAnswer(f"the server refused: {line.decode(errors='replace')}")
            said.append(line)
            at = after
        self._rest = data[at:]
        return self.matched(said)

    def left(self, connection: socket.socket) -> int:
        request = Request.of(1, [b"stats-tube default\r\n"], lambda said: said[0])
        lines = call(connection, self, request).decode().splitlines()
        counts = dict(line.split(": ", 1) for line in lines if ": " in line)
        return sum(int(counts[f"current-jobs-{state}"]) for state in ("ready", "reserved", "delayed"))


def jobs(said: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Those that were there."""
    return [(sixteen(line), line.split(b" ")[1]) for line in said if line != NOTHING]


def sixteen(line: bytes) -> bytes:
    """A job's id in as many bytes as the ids of all contestants have."""
    return int(line.split(b" ")[1]).to_bytes(16, "big")
