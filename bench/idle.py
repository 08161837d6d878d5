"""What a daemon costs that has nothing to do.

Queues that nobody uses, and consumers that wait on some of them: each on a connection of its own, each
renewing its long poll when it ends, as consumers of an idle system do. Measured is the daemon's CPU clock
over a little more than one renewal of each.
"""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass

from bench.contestants import Server
from bench.wire import READ_BYTES, RopewayWire, UnexpectedAnswer, dial

POLL_MS = 20_000
SETTLE_SECONDS = 1.0
"""What making the queues has left to do is done by then."""


@dataclass(frozen=True)
class Idle:
    """How much of a core an idle daemon took."""

    queues: int
    polls: int
    seconds: float
    renewals: int
    share: float
    """Processor time over time: 0.01 is one percent of a core."""


def idle(server: Server, queues: int, polls: int, seconds: float, poll_ms: int = POLL_MS) -> Idle:
    """Measures it. Raises UnexpectedAnswer when a poll is answered with anything but nothing."""
    with dial(server.port) as connection:
        RopewayWire().greet(connection)
        for number in range(queues):
            RopewayWire(name(number)).create(connection)
    waiting = selectors.DefaultSelector()
    connections = []
    try:
        for number in range(polls):
            connection, wire = dial(server.port), RopewayWire(name(number % queues), poll_ms)
            connections.append(connection)
            wire.greet(connection)
            connection.sendall(wire.receive(1, 1))
            waiting.register(connection, selectors.EVENT_READ, wire)
        renew(waiting, SETTLE_SECONDS)
        began, before = time.perf_counter(), server.cpu()
        renewals = renew(waiting, seconds)
        took = time.perf_counter() - began
        return Idle(queues, polls, took, renewals, (server.cpu() - before) / took)
    finally:
        for connection in connections:
            connection.close()
        waiting.close()


def name(number: int) -> str:
    """An idle queue's."""
    return f"idle-{number}"


def renew(waiting: selectors.BaseSelector, seconds: float) -> int:
    """Renews each poll as it ends, for so long. Returns how many."""
    until = time.perf_counter() + seconds
    renewals = 0
    while (left := until - time.perf_counter()) > 0:
        for key, _ in waiting.select(left):
            connection, wire = key.fileobj, key.data
            assert isinstance(connection, socket.socket)
            data = connection.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError("the daemon closed an idle connection")
            for slot, status, result in wire.answers(data):
                if status != 0 or result:
                    raise UnexpectedAnswer(f"an idle poll was answered with {result}")
                connection.sendall(wire.receive(slot, 1))
                renewals += 1
    return renewals
