"""Redis Streams with appendfsync always: XADD, XREADGROUP, XACK and XDEL.

Redis syncs once for all commands of a turn of its loop, before it answers any. A message is a stream's entry
with one field; its id is the entry's. An entry that was read and not acknowledged stays with its consumer: it
is like a message in flight, but for the timeout, which a consumer of the group would have to keep.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import hiredis

from bench.peers.ordered import InOrder, Request, all_well
from bench.wire import Answer, call

KIND = "redis"
GROUP = "workers"


class RedisWire(InOrder):
    """RESP, read in C."""

    def __init__(self, queue: str) -> None:
        super().__init__()
        self._queue = queue
        self._reader = hiredis.Reader()

    def send(self, slot: int, bodies: Sequence[bytes]) -> bytes:
        commands = [packed("XADD", self._queue, "*", "b", body) for body in bodies]
        return Request.of(slot, commands, lambda said: [sixteen(entry) for entry in said])

    def receive(self, slot: int, most: int) -> bytes:
        read = ("XREADGROUP", "GROUP", GROUP, "load", "COUNT", str(most), "STREAMS", self._queue, ">")
        return Request.of(slot, [packed(*read)], entries)

    def delete(self, slot: int, handles: Sequence[Any]) -> bytes:
        commands = [packed("XACK", self._queue, GROUP, *handles), packed("XDEL", self._queue, *handles)]
        return Request.of(slot, commands, all_well)

    def answers(self, data: bytes) -> list[Answer]:
        self._reader.feed(data)
        said = []
        while (each := self._reader.gets()) is not False:
            said.append(each)
        return self.matched(said)

    def create(self, connection: socket.socket) -> None:
        """The stream and its group."""
        self._ask(connection, "XGROUP", "CREATE", self._queue, GROUP, "0", "MKSTREAM")

    def left(self, connection: socket.socket) -> int:
        return int(self._ask(connection, "XLEN", self._queue))

    def _ask(self, connection: socket.socket, *command: str) -> Any:
        return call(connection, self, Request.of(1, [packed(*command)], lambda said: said[0]))


def packed(*command: str | bytes) -> bytes:
    """A command in RESP."""
    parts = [part if isinstance(part, bytes) else part.encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def entries(said: list[Any]) -> list[tuple[bytes, bytes]]:
    """What XREADGROUP gave of its one stream."""
    if said[0] is None:
        return []
    [(_, found)] = said[0]
    return [(sixteen(entry), entry) for entry, _ in found]


def sixteen(entry: bytes) -> bytes:
    """A stream's id in as many bytes as the ids of all contestants have."""
    milliseconds, number = entry.split(b"-")
    return int(milliseconds).to_bytes(8, "big") + int(number).to_bytes(8, "big")
