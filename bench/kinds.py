"""Which wire speaks with which kind of server."""

from __future__ import annotations

import socket

from bench.httpwire import HttpWire, NothingWire
from bench.wire import QUEUE, BareWire, RopewayWire, Wire, dial

BARE, ROPEWAY, HTTP, NOTHING = "bare", "ropeway", "http", "nothing"


def open_wire(kind: str, port: int, queue: str = QUEUE) -> tuple[socket.socket, Wire]:
    """A connection to a port of the loopback that is ready for requests."""
    connection = dial(port)
    if kind == BARE:
        return connection, BareWire()
    if kind == HTTP:
        return connection, HttpWire(port, queue)
    if kind == NOTHING:
        return connection, NothingWire(port, queue)
    assert kind == ROPEWAY, kind
    wire = RopewayWire(queue)
    wire.greet(connection)
    return connection, wire
