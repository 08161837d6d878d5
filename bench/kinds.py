"""Which wire speaks with which kind of server."""

from __future__ import annotations

import socket

from bench.httpwire import HttpWire, NothingWire
from bench.peers import beanstalkd, nats, rabbitmq, redis
from bench.wire import QUEUE, BareWire, FifoWire, RopewayWire, Wire, dial

BARE, ROPEWAY, FIFO, HTTP, NOTHING = "bare", "ropeway", "fifo", "http", "nothing"


def open_wire(kind: str, port: int, queue: str = QUEUE, groups: int = 1) -> tuple[socket.socket, Wire]:
    """A connection to a port of the loopback that is ready for requests. `groups`: those of a FIFO queue."""
    connection = dial(port)
    if kind == redis.KIND:
        return connection, redis.RedisWire(queue)
    if kind == beanstalkd.KIND:
        return connection, beanstalkd.BeanstalkdWire()
    if kind == nats.KIND:
        to_nats = nats.NatsWire(queue)
        to_nats.greet(connection)
        return connection, to_nats
    if kind == rabbitmq.KIND:
        to_rabbit = rabbitmq.RabbitWire(queue)
        to_rabbit.greet(connection)
        return connection, to_rabbit
    if kind == BARE:
        return connection, BareWire()
    if kind == HTTP:
        return connection, HttpWire(port, queue)
    if kind == NOTHING:
        return connection, NothingWire(port, queue)
    assert kind in {ROPEWAY, FIFO}, kind
    wire = FifoWire(queue, groups) if kind == FIFO else RopewayWire(queue)
    wire.greet(connection)
    return connection, wire
