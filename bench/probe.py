"""Single sends on a schedule, beside whatever else a server does: how long does each take?

A send's time counts from when it was due, and the next does not wait for its answer. A server that halts
for a second is then seen by every send that was due in that second, and not by the one that it kept waiting.
"""

from __future__ import annotations

import gc
import select
import socket
import time
from collections.abc import Callable

from bench.contestants import Server
from bench.histogram import Histogram, Latency
from bench.wire import CREATE, READ_BYTES, RopewayWire, UnexpectedAnswer, call, dial

QUEUE = "probe"
INTERVAL = 0.01
"""Seconds between two sends."""
SLOTS = 500
"""A server that owes so many answers is sent no more."""


def lone_sends(server: Server, ended: Callable[[], bool], body: int = 1024) -> Latency:
    """Sends a message each `INTERVAL` until `ended` says so, and at least two, whatever is answered when.

    Raises UnexpectedAnswer, and OSError when the server goes away.
    """
    with dial(server.port) as connection:
        wire = RopewayWire(QUEUE)
        wire.greet(connection)
        call(connection, wire, wire.request(1, CREATE, {"queue": QUEUE}))
        call(connection, wire, wire.send(1, [bytes(body)]))
        gc.disable()
        try:
            took = Schedule(connection, wire, bytes(body)).keep(ended)
        finally:
            gc.enable()
    return took.latency()


class Schedule:
    """Sends that are due one after the other, and when each was answered."""

    def __init__(self, connection: socket.socket, wire: RopewayWire, body: bytes) -> None:
        self._connection = connection
        self._wire = wire
        self._body = body
        self._due: dict[int, float] = {}
        self._took = Histogram()

    def keep(self, ended: Callable[[], bool]) -> Histogram:
        """Keeps it, until all that was sent is answered."""
        slot, due = 0, time.perf_counter()
        while slot < 2 or not ended():
            due += INTERVAL
            slot = slot % SLOTS + 1
            while slot in self._due or (left := due - time.perf_counter()) > 0:
                self._take(1.0 if slot in self._due else left)
            self._due[slot] = due
            self._connection.sendall(self._wire.send(slot, [self._body]))
        while self._due:
            self._take(self._connection.gettimeout() or 0.0)
        return self._took

    def _take(self, seconds: float) -> None:
        """The answers that come within so long."""
        if not select.select([self._connection], [], [], seconds)[0]:
            return
        data = self._connection.recv(READ_BYTES)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        for slot, status, result in self._wire.answers(data):
            if status != 0:
                raise UnexpectedAnswer(f"a lone send was refused: {result}")
            self._took.add((time.perf_counter() - self._due.pop(slot)) * 1e6)


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Ends after so long."""
    until = time.perf_counter() + seconds
    return lambda: time.perf_counter() > until
