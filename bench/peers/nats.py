"""NATS JetStream with sync_interval always: a work queue stream and a durable pull consumer.

A message is published with a reply subject, and the server's answer to that comes after its sync. The server
syncs each message and each acknowledgement by itself, one after the other, however many are outstanding; an
atomic batch alone has its syncs in common, so that several messages are sent as one. A pull asks for what is
there and is answered with messages and, where there are fewer than asked for, a status. What is received is
deleted by acknowledgements that are themselves answered. The subscription's number is the slot's, so that
each answer says whose it is.
"""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.wire import Answer, UnexpectedAnswer, call

KIND = "nats"
WORKERS = "workers"
LEASE_NS = 120_000_000_000
WAITING = 10_000
"""Pulls, and messages in flight, that the consumer may have."""
STATUS = b"NATS/1.0 "
NOTHING = (b"404", b"408")


@dataclass
class Asked:
    """What a slot waits for."""

    answers: int
    pull: bool
    said: list[Any] = field(default_factory=list)


class Request(bytes):
    """What goes out for a slot."""

    slot: int
    answers: int
    pull: bool

    @classmethod
    def of(cls, slot: int, commands: Sequence[bytes], answers: int, *, pull: bool = False) -> Request:
        """Of these commands."""
        request = cls(b"".join(commands))
        request.slot, request.answers, request.pull = slot, answers, pull
        return request


class NatsWire:
    """Lines, and payloads behind them."""

    empty_pause = 0.002

    def __init__(self, queue: str) -> None:
        self._queue = queue.encode()
        self._inbox = b"_INBOX." + random.randbytes(8).hex().encode()
        self._subscribed: set[int] = set()
        self._asked: dict[int, Asked] = {}
        self._rest = b""

    def greet(self, connection: socket.socket) -> None:
        """What a client says first. Of the answers, only an error would matter."""
        connection.sendall(
            b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n'
        )

    def send(self, slot: int, bodies: Sequence[bytes]) -> bytes:
        if len(bodies) == 1:
            return Request.of(slot, [self._publish(slot, self._queue, bodies[0])], 1)
        last = len(bodies)
        commands = [self._publish_part(slot, number, last, body) for number, body in enumerate(bodies, 1)]
        return Request.of(slot, commands, 1)

    def receive(self, slot: int, most: int) -> bytes:
        subject = b"$JS.API.CONSUMER.MSG.NEXT.%b.%b" % (self._queue, WORKERS.encode())
        wanted = json.dumps({"batch": most, "no_wait": True}).encode()
        return Request.of(slot, [self._publish(slot, subject, wanted)], most, pull=True)

    def delete(self, slot: int, handles: Sequence[Any]) -> bytes:
        return Request.of(slot, [self._publish(slot, handle, b"+ACK") for handle in handles], len(handles))

    def renewed(self, request: bytes) -> bytes:
        """See Wire. A slot's first request subscribes to its answers."""
        assert isinstance(request, Request)
        self._asked[request.slot] = Asked(request.answers, request.pull)
        if request.slot in self._subscribed:
            return request
        self._subscribed.add(request.slot)
        return b"SUB %b.%d %d\r\n%b" % (self._inbox, request.slot, request.slot, request)

    def sent_ids(self, result: Sequence[Any]) -> Sequence[Any]:
        """See Wire. A batch has numbers that follow each other; what is said is the last."""
        [said] = map(json.loads, result)
        if "error" in said:
            return [said]
        last, count = said["seq"], said.get("count", 1)
        return [sixteen(number) for number in range(last - count + 1, last + 1)]

    def ids_and_handles(self, messages: Sequence[Any]) -> tuple[list[bytes], list[Any]]:
        """See Wire. A message is the subject that acknowledges it, which holds its number in the stream."""
        return [sixteen(int(subject.split(b".")[-4])) for subject in messages], list(messages)

    def answers(self, data: bytes) -> list[Answer]:
        data = self._rest + data
        done: list[Answer] = []
        at = 0
        while (end := data.find(b"\r\n", at)) >= 0:
            words = data[at:end].split()
            after = end + 2
            if words and words[0] in {b"MSG", b"HMSG"}:
                after += int(words[-1]) + 2
                if after > len(data):
                    break
                headers = int(words[-2]) if words[0] == b"HMSG" else 0
                done += self._heard(
                    words, data[end + 2 : end + 2 + headers], data[end + 2 + headers : after - 2]
                )
            elif words and words[0] == b"-ERR":
                raise UnexpectedAnswer(f"the server refused: {data[at:end].decode(errors='replace')}")
            at = after
        self._rest = data[at:]
        return done

    def _heard(self, words: list[bytes], headers: bytes, payload: bytes) -> list[Answer]:
        """What a message completes. With a reply subject it has one word more than without."""
        slot = int(words[2])
        asked = self._asked[slot]
        status = headers[len(STATUS) :].split(None, 1)[0] if headers.startswith(STATUS) else b""
        if status:
            if not asked.pull or status not in NOTHING:
                raise UnexpectedAnswer(f"the server refused: {headers.decode(errors='replace')}")
            return [(slot, 0, asked.said)]
        if asked.pull:
            asked.said.append(words[3])
        else:
            asked.said.append(payload)
        return [(slot, 0, asked.said)] if len(asked.said) == asked.answers else []

    def _publish(self, slot: int, subject: bytes, payload: bytes) -> bytes:
        return b"PUB %b %b.%d %d\r\n%b\r\n" % (subject, self._inbox, slot, len(payload), payload)

    def _publish_part(self, slot: int, number: int, last: int, body: bytes) -> bytes:
        """A message of the slot's batch. The last one commits it, and its answer is the batch's."""
        subject = self._queue
        batch = b"Nats-Batch-Id: %b.%d" % (self._inbox, slot)
        lines = [b"NATS/1.0", batch, b"Nats-Batch-Sequence: %d" % number]
        if number == last:
            subject += b" %b.%d" % (self._inbox, slot)
            lines.append(b"Nats-Batch-Commit: 1")
        headers = b"\r\n".join([*lines, b"", b""])
        total = len(headers) + len(body)
        return b"HPUB %b %d %d\r\n%b%b\r\n" % (subject, len(headers), total, headers, body)

    def create(self, connection: socket.socket) -> None:
        """The stream and its consumer."""
        name = self._queue.decode()
        kept = {"retention": "workqueue", "storage": "file", "allow_atomic": True}
        self._ask(connection, f"STREAM.CREATE.{name}", {"name": name, "subjects": [name], **kept})
        consumer = {
            "durable_name": WORKERS,
            "ack_policy": "explicit",
            "ack_wait": LEASE_NS,
            "max_ack_pending": 10 * WAITING,
            "max_waiting": WAITING,
        }
        asked = {"stream_name": name, "config": consumer}
        self._ask(connection, f"CONSUMER.DURABLE.CREATE.{name}.{WORKERS}", asked)

    def left(self, connection: socket.socket) -> int:
        return int(self._ask(connection, f"STREAM.INFO.{self._queue.decode()}", {})["state"]["messages"])

    def _ask(self, connection: socket.socket, what: str, parameters: dict[str, Any]) -> Any:
        command = self._publish(1, f"$JS.API.{what}".encode(), json.dumps(parameters).encode())
        [said] = call(connection, self, Request.of(1, [command], 1))
        answer = json.loads(said)
        if "error" in answer:
            raise UnexpectedAnswer(f"the server refused: {answer['error']}")
        return answer


def sixteen(number: int) -> bytes:
    """A message's number in as many bytes as the ids of all contestants have."""
    return number.to_bytes(16, "big")
