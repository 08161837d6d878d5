"""The two protocols as the load speaks them: the bare loop's stream, and Ropeway's frames.

The load shares cores with the server that it measures, so it does as little as it can: requests are encoded
once and sent again and again, each outstanding one in a slot whose number is its id, and answers are decoded
in C. It is no client library, and it trusts the server: an answer that is not what it should be ends the run.

A `Wire` is one connection's codec. `dial` opens a socket, blocking; `call` asks one thing over it and waits,
for what happens before and after the load.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgpack

from bench import bareloop

Answer = tuple[int, int, Any]
"""Slot, status (0 is success), result."""

READ_BYTES = 256 * 1024
PROTOCOL_VERSION = 1

QUEUE = "bench"
POLL_MS = 500
"""How long the load's receives wait. A load that stops waits for the last of them."""

HELLO, CREATE, ATTRIBUTES, SET_ATTRIBUTES, PURGE, SEND, RECEIVE, DELETE = 0, 10, 13, 14, 15, 20, 21, 22
CREATE_TOPIC, SUBSCRIBE, UNSUBSCRIBE, PUBLISH = 60, 70, 71, 75


class UnexpectedAnswer(Exception):
    """A server said something that the load has no use for: an error, or another shape."""


class Wire(Protocol):
    """One connection's codec."""

    empty_pause: float
    """Seconds to wait after an empty receive; 0 where the server holds it until there is something."""

    def send(self, slot: int, bodies: Sequence[bytes]) -> bytes:
        """A request that sends a batch."""

    def receive(self, slot: int, most: int) -> bytes:
        """A request that receives up to `most` messages."""

    def delete(self, slot: int, handles: Sequence[Any]) -> bytes:
        """A request that deletes what has been received."""

    def renewed(self, request: bytes) -> bytes:
        """What is sent of a request. It is told of each as it goes out, in order, and can be told of the same
        one any number of times."""

    def sent_ids(self, result: Sequence[Any]) -> Sequence[Any]:
        """The ids in a send's answer, and errors where there are none."""

    def ids_and_handles(self, messages: Sequence[Any]) -> tuple[list[bytes], list[Any]]:
        """The ids of received messages, and what deletes them."""

    def answers(self, data: bytes) -> list[Answer]:
        """The answers that bytes from the socket complete."""

    def left(self, connection: socket.socket) -> int:
        """How many messages the server still holds."""


class Plain:
    """A wire whose requests can be sent again as they are, and whose sends are answered with ids."""

    def renewed(self, request: bytes) -> bytes:
        return request

    def sent_ids(self, result: Sequence[Any]) -> Sequence[Any]:
        return result


class BareWire(Plain):
    """The bare loop's codec: arrays of msgpack, one after the other."""

    empty_pause = 0.002

    def __init__(self) -> None:
        self._unpacker = msgpack.Unpacker(max_buffer_size=bareloop.STREAM_BYTES)
        self._pack: Callable[[object], bytes] = msgpack.Packer().pack

    def send(self, slot: int, bodies: Sequence[bytes]) -> bytes:
        return self._pack((slot, bareloop.SEND, bodies))

    def receive(self, slot: int, most: int) -> bytes:
        return self._pack((slot, bareloop.RECEIVE, most))

    def delete(self, slot: int, handles: Sequence[Any]) -> bytes:
        return self._pack((slot, bareloop.DELETE, handles))

    def ids_and_handles(self, messages: Sequence[Any]) -> tuple[list[bytes], list[Any]]:
        return [message[1] for message in messages], [message[0] for message in messages]

    def answers(self, data: bytes) -> list[Answer]:
        self._unpacker.feed(data)
        return list(self._unpacker)

    def left(self, connection: socket.socket) -> int:
        return sum(call(connection, self, self._pack((1, bareloop.LEFT, None))))


class RopewayWire(Plain):
    """Ropeway's codec: frames cut by their length. `poll` is a receive's longest wait, in milliseconds."""

    empty_pause = 0.0

    def __init__(self, queue: str = QUEUE, poll: int = POLL_MS) -> None:
        self._queue = queue
        self._poll = poll
        self._rest = b""
        self._pack: Callable[[object], bytes] = msgpack.Packer().pack
        # What every delete of this connection has between its slot and its handles.
        self._delete = (
            self._pack(DELETE) + b"\x82" + self._pack("queue") + self._pack(queue) + self._pack("handles")
        )

    def request(self, slot: int, action: int, parameters: dict[str, Any]) -> bytes:
        """Any request, framed."""
        return framed(self._pack((slot, action, parameters)))

    def send(self, slot: int, bodies: Sequence[bytes]) -> bytes:
        return self.request(
            slot, SEND, {"queue": self._queue, "entries": [{"body": body} for body in bodies]}
        )

    def receive(self, slot: int, most: int) -> bytes:
        parameters = {"queue": self._queue, "max_messages": most, "wait": self._poll}
        return self.request(slot, RECEIVE, parameters)

    def delete(self, slot: int, handles: Sequence[Any]) -> bytes:
        return framed(b"\x93" + self._pack(slot) + self._delete + self._pack(handles))

    def ids_and_handles(self, messages: Sequence[Any]) -> tuple[list[bytes], list[Any]]:
        return [message[0] for message in messages], [message[1] for message in messages]

    def answers(self, data: bytes) -> list[Answer]:
        if self._rest:
            data = self._rest + data
        answers: list[Answer] = []
        view, at, end = memoryview(data), 0, len(data)
        while at + 4 <= end:
            until = at + 4 + int.from_bytes(data[at : at + 4], "big")
            if until > end:
                break
            answers.append(msgpack.unpackb(view[at + 4 : until]))
            at = until
        self._rest = data[at:]
        return answers

    def greet(self, connection: socket.socket) -> None:
        """The handshake, without a key."""
        greeting = read_answer(connection, self)
        if greeting["keys"]:
            raise UnexpectedAnswer("the server asks for a key")
        call(connection, self, self.request(1, HELLO, {"version": PROTOCOL_VERSION, "client": "bench/1"}))

    def create(self, connection: socket.socket) -> None:
        """Creates this wire's queue."""
        call(connection, self, self.request(1, CREATE, {"queue": self._queue}))

    def left(self, connection: socket.socket) -> int:
        attributes = call(connection, self, self.request(1, ATTRIBUTES, {"queue": self._queue}))
        return int(attributes["visible"] + attributes["in_flight"] + attributes["delayed"])


class FifoWire(RopewayWire):
    """Ropeway's codec for a FIFO queue. Each message has the next of so many groups, and a deduplication id
    of its own: both are written into the encoded request, in their places."""

    def __init__(self, queue: str, groups: int) -> None:
        super().__init__(queue)
        self._groups = groups
        self._next = random.randrange(groups)
        self._prefix = random.randbytes(4).hex()
        self._places: dict[bytes, list[int]] = {}

    def send(self, slot: int, bodies: Sequence[bytes]) -> bytes:
        places = [f"group{index:03}" for index in range(len(bodies))]
        entries = [
            {"body": body, "group": place, "deduplication_id": f"{place}{place}"}
            for body, place in zip(bodies, places, strict=True)
        ]
        request = self.request(slot, SEND, {"queue": self._queue, "entries": entries})
        names = [self._pack("group") + self._pack(place) for place in places]
        self._places[request] = [request.index(name) + len(name) - GROUP_BYTES for name in names]
        return request

    def renewed(self, request: bytes) -> bytes:
        places = self._places.get(request)
        if places is None:
            return request
        written = bytearray(request)
        for at in places:
            self._next += 1
            end = at + GROUP_BYTES
            written[at:end] = b"%08d" % (self._next % self._groups)
            own = f"{self._prefix}{self._next:08}".encode()
            written[end + BETWEEN : end + BETWEEN + len(own)] = own
        return bytes(written)

    def sent_ids(self, result: Sequence[Any]) -> Sequence[Any]:
        return [entry[0] if isinstance(entry[0], bytes) else entry for entry in result]


GROUP_BYTES = 8
BETWEEN = 2 + len("deduplication_id")
"""Bytes from a group's end to the deduplication id: the header of its name, the name, its own header."""


def framed(payload: bytes) -> bytes:
    """A payload behind its length."""
    return len(payload).to_bytes(4, "big") + payload


def dial(port: int, timeout: float = 30.0) -> socket.socket:
    """A blocking connection to a port of the loopback; answers are waited for up to `timeout` seconds."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def call(connection: socket.socket, wire: Wire, request: bytes) -> Any:
    """Sends one request and waits for its answer's result.

    Raises UnexpectedAnswer for an error, OSError when the server goes away or takes too long.
    """
    connection.sendall(wire.renewed(request))
    return read_answer(connection, wire)


def read_answer(connection: socket.socket, wire: Wire) -> Any:
    """The result of the next answer."""
    while data := connection.recv(READ_BYTES):
        for _, status, result in wire.answers(data):
            if status != 0:
                raise UnexpectedAnswer(f"the server refused: {result}")
            return result  # one request is outstanding, so there is one answer
    raise ConnectionResetError("the server closed the connection")
