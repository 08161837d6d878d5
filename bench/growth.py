"""How a cost grows with what there is: lone operations at each of several sizes, and the exponent that fits.

An exponent of 0 says that an operation costs the same however much there is, 1 that it costs ten times as
much where there is ten times as much. It is the slope of the line through the costs' logarithms (least
squares).
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.contestants import Server
from bench.kinds import open_wire
from bench.wire import Wire, call

BATCH = 10


@dataclass(frozen=True)
class Cost:
    """The median operation, in microseconds."""

    took: float
    """From the request to its answer, which is durable."""
    worked: float
    """The server's processor time."""


def cycle(server: Server, queue: str, groups: int, turns: int, body: int) -> dict[str, Cost]:
    """What a send, a receive and a delete of ten cost in that queue, one after the other. Each receive finds
    some, and the queue is left as long as it was."""
    connection, wire = open_wire(server.kind, server.port, queue, groups)
    with connection:
        timed = Timed(server, connection, wire)
        send, receive = wire.send(1, [bytes(body)] * BATCH), wire.receive(1, BATCH)
        for _ in range(turns):
            timed("send", send)
            messages = timed("receive", receive)
            assert messages, "a receive found nothing"
            timed("delete", wire.delete(1, wire.ids_and_handles(messages)[1]))
    return timed.costs()


class Timed:
    """Requests over one connection, one at a time, each under the name of what it does."""

    def __init__(self, server: Server, connection: socket.socket, wire: Wire) -> None:
        self._server = server
        self._connection = connection
        self._wire = wire
        self._found: dict[str, list[tuple[float, float]]] = {}

    def __call__(self, name: str, request: bytes) -> Any:
        """Its answer."""
        began, worked = time.perf_counter(), self._server.cpu()
        answer = call(self._connection, self._wire, request)
        cost = (time.perf_counter() - began, self._server.cpu() - worked)
        self._found.setdefault(name, []).append(cost)
        return answer

    def costs(self) -> dict[str, Cost]:
        """The median of each."""
        return {name: middle(costs) for name, costs in self._found.items()}


def middle(costs: Sequence[tuple[float, float]]) -> Cost:
    """The median of times and of processor times."""
    return Cost(median(cost[0] for cost in costs) * 1e6, median(cost[1] for cost in costs) * 1e6)


def exponent(costs: Mapping[int, float]) -> float:
    """Of the power that fits the costs best; one size alone has no growth."""
    if len(costs) < 2:
        return 0.0
    xs, ys = [math.log(size) for size in costs], [math.log(cost) for cost in costs.values()]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def sizes(most: int) -> list[int]:
    """1,000 and every ten times that, up to so many."""
    return [10**power for power in range(3, int(math.log10(most) + 1e-9) + 1)]
