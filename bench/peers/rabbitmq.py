"""RabbitMQ with quorum queues and publisher confirms, over AMQP 0-9-1.

A connection has one channel, as a thread of a program has. A confirm comes after the sync of the queue's log,
and may stand for all publishes up to its own. Consumers subscribe and are pushed as much as their prefetch
allows, and a receive takes of that: basic.get would have a sync of its own for each message, one after the
other. AMQP has no answer to an acknowledgement. Behind each goes a channel.flow, which is answered in order
and says that the channel has read it, and not that it is on disk. A receive that finds nothing waits for the
next such answer, and asks for one where none is on its way.

The server gives no ids, so each message has one as a property, written into the encoded request in its place.
"""

from __future__ import annotations

import random
import socket
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.wire import READ_BYTES, Answer, UnexpectedAnswer

KIND = "rabbitmq"
PREFETCH = 1000
"""Messages that a consumer may have and not have acknowledged."""
FRAME_BYTES = 128 * 1024
"""The longest frame: what the server offers. A longer body goes in several."""
ID_BYTES = 16

OPENING = b"AMQP\x00\x00\x09\x01"
FRAME = struct.Struct(">BHI")
METHOD, HEADER, BODY = 1, 2, 3

START, START_OK, TUNE, TUNE_OK = (10, 10), (10, 11), (10, 30), (10, 31)
CONNECT, CONNECTED = (10, 40), (10, 41)
CHANNEL, CHANNEL_OPEN, FLOW, FLOW_OK = (20, 10), (20, 11), (20, 20), (20, 21)
DECLARE, DECLARED = (50, 10), (50, 11)
QOS, QOS_OK, CONSUME, CONSUMING = (60, 10), (60, 11), (60, 20), (60, 21)
PUBLISH, DELIVER, ACK = (60, 40), (60, 60), (60, 80)
CONFIRM, CONFIRMING = (85, 10), (85, 11)

BASIC, PERSISTENT = 60, 2
WITH_MODE_AND_ID = 1 << 12 | 1 << 7
PASSIVE, DURABLE = 1, 2


class Request(bytes):
    """What goes out for a slot: a send has places for its ids, a receive wants messages, a delete neither."""

    slot: int
    places: Sequence[int]
    wanted: int

    @classmethod
    def of(cls, slot: int, content: bytes, places: Sequence[int] = (), wanted: int = 0) -> Request:
        """With these bytes."""
        request = cls(content)
        request.slot, request.places, request.wanted = slot, places, wanted
        return request


@dataclass
class Sent:
    """A send some messages of which are not confirmed."""

    slot: int
    ids: list[bytes]
    left: int


class RabbitWire:
    """Methods, and contents behind them, in frames."""

    empty_pause = 0.002

    def __init__(self, queue: str) -> None:
        self._queue = short(queue)
        self._rest = b""
        self._prefix = b"%08x" % random.getrandbits(32)
        self._published = 0
        self._unconfirmed: dict[int, Sent] = {}
        """By the number of each publish."""
        self._confirmed = 0
        """All up to this one."""
        self._subscribed = False
        self._delivery = (b"", 0)
        """Id and tag of the message whose content comes."""
        self._missing = 0
        """Bytes of its body."""
        self._pushed: deque[tuple[bytes, int]] = deque()
        self._flows: deque[int] = deque()
        """What each answer to come is for: the slot of a delete, or 0."""
        self._waiting: deque[Request] = deque()
        """Receives."""

    def greet(self, connection: socket.socket) -> None:
        """Up to a channel whose publishes are confirmed."""
        connection.sendall(OPENING)
        self._heard_of(connection, START)
        login = table() + short("PLAIN") + long(b"\0guest\0guest") + short("en_US")
        self._ask(connection, method(START_OK, login, channel=0), TUNE)
        connection.sendall(method(TUNE_OK, struct.pack(">HIH", 1, FRAME_BYTES, 0), channel=0))
        self._ask(connection, method(CONNECT, short("/") + short("") + b"\0", channel=0), CONNECTED)
        self._ask(connection, method(CHANNEL, short("")), CHANNEL_OPEN)
        self._ask(connection, method(CONFIRM, b"\0"), CONFIRMING)

    def send(self, slot: int, bodies: Sequence[bytes]) -> bytes:
        content, places = b"", []
        for body in bodies:
            properties = struct.pack(">HBB", WITH_MODE_AND_ID, PERSISTENT, ID_BYTES) + bytes(ID_BYTES)
            content += method(PUBLISH, bytes(2) + short("") + self._queue + b"\0")
            content += frame(HEADER, struct.pack(">HHQ", BASIC, 0, len(body)) + properties)
            places.append(len(content) - 1 - ID_BYTES)
            for at in range(0, len(body), FRAME_BYTES - 8):
                content += frame(BODY, body[at : at + FRAME_BYTES - 8])
        return Request.of(slot, content, places=places)

    def receive(self, slot: int, most: int) -> bytes:
        return Request.of(slot, b"", wanted=most)

    def delete(self, slot: int, handles: Sequence[Any]) -> bytes:
        """See Wire. The load deletes in the order in which it receives, so the last stands for all."""
        return Request.of(slot, method(ACK, struct.pack(">QB", handles[-1], 1)) + method(FLOW, b"\1"))

    def renewed(self, request: bytes) -> bytes:
        """See Wire."""
        assert isinstance(request, Request)
        if request.places:
            return self._numbered(request)
        if not request.wanted:
            self._flows.append(request.slot)
            return request
        self._waiting.append(request)
        content = b""
        if not self._subscribed:
            self._subscribed = True
            content += method(QOS, struct.pack(">IHB", 0, PREFETCH, 0))
            content += method(CONSUME, bytes(2) + self._queue + short("load") + b"\0" + table())
        if not self._flows:
            self._flows.append(0)
            content += method(FLOW, b"\1")
        return content

    def _numbered(self, request: Request) -> bytes:
        """A send with the ids of this time."""
        written, sent = bytearray(request), Sent(request.slot, [], len(request.places))
        for place in request.places:
            self._published += 1
            message_id = b"%b%08x" % (self._prefix, self._published)
            written[place : place + ID_BYTES] = message_id
            sent.ids.append(message_id)
            self._unconfirmed[self._published] = sent
        return bytes(written)

    def sent_ids(self, result: Sequence[Any]) -> Sequence[Any]:
        """See Wire."""
        return result

    def ids_and_handles(self, messages: Sequence[Any]) -> tuple[list[bytes], list[Any]]:
        """See Wire. A message is its id, and the tag that acknowledges it."""
        return [message[0] for message in messages], [message[1] for message in messages]

    def answers(self, data: bytes) -> list[Answer]:
        done: list[Answer] = []
        for kind, payload in self._frames(data):
            if kind == METHOD:
                done += self._heard(payload)
                continue
            if kind == HEADER:
                self._delivery = (payload[-ID_BYTES:], self._delivery[1])
                self._missing = int.from_bytes(payload[4:12], "big")
            else:
                self._missing -= len(payload)
            if self._missing == 0:
                self._pushed.append(self._delivery)
        while self._waiting and (self._pushed or not self._flows):
            request = self._waiting.popleft()
            count = min(request.wanted, len(self._pushed))
            done.append((request.slot, 0, [self._pushed.popleft() for _ in range(count)]))
        return done

    def _heard(self, payload: bytes) -> list[Answer]:
        """What a method completes."""
        name = named(payload)
        if name == DELIVER:
            tag_at = 5 + payload[4]
            self._delivery = (b"", int.from_bytes(payload[tag_at : tag_at + 8], "big"))
        elif name == ACK:
            return self._are_confirmed(int.from_bytes(payload[4:12], "big"), upwards=payload[12] == 1)
        elif name == FLOW_OK:
            slot = self._flows.popleft()
            return [(slot, 0, None)] if slot else []
        elif name not in {QOS_OK, CONSUMING}:
            raise UnexpectedAnswer(f"the server refused: {payload!r}")
        return []

    def _are_confirmed(self, last: int, *, upwards: bool) -> list[Answer]:
        """The sends that this completes. `upwards`: it stands for all publishes up to this one."""
        done: list[Answer] = []
        for number in range(self._confirmed + 1, last + 1) if upwards else (last,):
            sent = self._unconfirmed.pop(number, None)
            if sent is not None:
                sent.left -= 1
                if sent.left == 0:
                    done.append((sent.slot, 0, sent.ids))
        if upwards:
            self._confirmed = last
        return done

    def _frames(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The frames that bytes complete: kinds and payloads."""
        data, at = self._rest + data, 0
        while at + FRAME.size < len(data):
            kind, _, size = FRAME.unpack_from(data, at)
            end = at + FRAME.size + size
            if end >= len(data):
                break
            yield kind, data[at + FRAME.size : end]
            at = end + 1
        self._rest = data[at:]

    def create(self, connection: socket.socket) -> None:
        """The queue."""
        kept = table(short("x-queue-type") + b"S" + long(b"quorum"))
        self._ask(connection, method(DECLARE, bytes(2) + self._queue + bytes([DURABLE]) + kept), DECLARED)

    def left(self, connection: socket.socket) -> int:
        """See Wire. Those that nobody has: what a consumer has is the queue's again when that closes."""
        asked = method(DECLARE, bytes(2) + self._queue + bytes([PASSIVE]) + table())
        declared = self._ask(connection, asked, DECLARED)
        return int.from_bytes(declared[-8:-4], "big")

    def _ask(self, connection: socket.socket, asked: bytes, answer: tuple[int, int]) -> bytes:
        connection.sendall(asked)
        return self._heard_of(connection, answer)

    def _heard_of(self, connection: socket.socket, awaited: tuple[int, int]) -> bytes:
        """Waits for this method, which is all that comes."""
        while data := connection.recv(READ_BYTES):
            for _, payload in list(self._frames(data)):
                if named(payload) != awaited:
                    raise UnexpectedAnswer(f"the server refused: {payload!r}")
                return payload
        raise ConnectionResetError("the server closed the connection")


def named(payload: bytes) -> tuple[int, int]:
    """A method's class and number."""
    return int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")


def frame(kind: int, payload: bytes, channel: int = 1) -> bytes:
    """A frame, with its end."""
    return FRAME.pack(kind, channel, len(payload)) + payload + b"\xce"


def method(name: tuple[int, int], arguments: bytes, channel: int = 1) -> bytes:
    """The frame of a method."""
    return frame(METHOD, struct.pack(">HH", *name) + arguments, channel)


def short(text: str) -> bytes:
    """A short string."""
    return bytes([len(text)]) + text.encode()


def long(text: bytes) -> bytes:
    """A long string."""
    return len(text).to_bytes(4, "big") + text


def table(fields: bytes = b"") -> bytes:
    """A table of encoded fields."""
    return long(fields)
