"""What a receive costs, one at a time: nothing else is outstanding, and nothing else is timed.

Messages are sent, received and deleted in turn, so that each receive finds some and leaves the queue as it
was. Two queues are measured turn by turn, since a disturbance then meets both.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack

from bench.contestants import Server
from bench.growth import BATCH, Cost, middle
from bench.kinds import open_wire
from bench.wire import call


def receives(server: Server, queues: Sequence[str], groups: int, turns: int, body: int = 1024) -> list[Cost]:
    """The median receive from each of these queues."""
    took: list[list[tuple[float, float]]] = [[] for _ in queues]
    bodies = [bytes(body)] * BATCH
    with ExitStack() as stack:
        wires = []
        for queue in queues:
            connection, wire = open_wire(server.kind, server.port, queue, groups)
            stack.enter_context(connection)
            wires.append((connection, wire, wire.send(1, bodies), wire.receive(1, BATCH)))
        for _ in range(turns):
            for (connection, wire, send, receive), each in zip(wires, took, strict=True):
                call(connection, wire, send)
                began, worked = time.perf_counter(), server.cpu()
                found = call(connection, wire, receive)
                each.append((time.perf_counter() - began, server.cpu() - worked))
                assert found, "a receive found nothing"
                call(connection, wire, wire.delete(1, wire.ids_and_handles(found)[1]))
    return [middle(each) for each in took]
