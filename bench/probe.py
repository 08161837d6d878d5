"""One send at a time on a schedule, beside whatever else a server does: how long does each take?

A send's time counts from when it was due, not from when it left. A server that halts for a second is then
seen by every send that was due in that second, and not by the one alone that it kept waiting.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import quantiles

from bench.contestants import Server
from bench.wire import CREATE, RopewayWire, call, dial

QUEUE = "probe"
INTERVAL = 0.01
"""Seconds between two sends."""


@dataclass(frozen=True)
class Latency:
    """Of a number of sends, in microseconds."""

    sends: int
    p50: float
    p99: float
    highest: float


def lone_sends(server: Server, ended: Callable[[], bool], body: int = 1024) -> Latency:
    """Sends one message after the other until `ended` says so, and at least two."""
    took: list[float] = []
    with dial(server.port) as connection:
        wire = RopewayWire(QUEUE)
        wire.greet(connection)
        call(connection, wire, wire.request(1, CREATE, {"queue": QUEUE}))
        request = wire.send(1, [bytes(body)])
        call(connection, wire, request)
        gc.disable()
        due = time.perf_counter() + INTERVAL
        try:
            while len(took) < 2 or not ended():
                time.sleep(max(0.0, due - time.perf_counter()))
                call(connection, wire, request)
                took.append((time.perf_counter() - due) * 1e6)
                due += INTERVAL
        finally:
            gc.enable()
    cuts = quantiles(took, n=100)
    return Latency(len(took), cuts[49], cuts[98], max(took))


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Ends after so long."""
    until = time.perf_counter() + seconds
    return lambda: time.perf_counter() > until
