"""The bare loop: the least that a durable broker of Ropeway's shape can do for a message.

One TCP port, a stream of msgpack, one queue in a deque, and a group commit: what arrives while a commit runs
is the next commit's batch, one row of one journal, written by a thread of its own into SQLite with
synchronous=FULL. There are no names, checks, handles, timeouts, recovery or limits here, and receiving is not
journaled. What a broker costs above this is the price of its features; the bare loop is a yardstick and never
a product.

    python -m bench.bareloop --data DIR [--port N]      prints "listening N" when it takes connections

A request is [id, operation, argument], an answer [id, 0, result]:

    1 send     argument: list of bodies             result: list of message ids, after the commit
    2 receive  argument: the most messages wanted   result: list of [number, message id, body], at once
    3 delete   argument: list of numbers            result: nil, after the commit
    4 left     argument: nil                        result: [how many wait, how many are in flight]
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import msgpack
import uvloop

SEND, RECEIVE, DELETE, LEFT = 1, 2, 3, 4

KEPT_ROWS = 50
"""Rows of the journal that are kept. A broker trims what it no longer needs, and so does its yardstick."""

STREAM_BYTES = 64 * 1024 * 1024
"""The most that one connection may have sent without completing a request."""


class Journal:
    """One row a commit, one commit at a time, on a thread of its own.

    Answers given to `hold` leave once every event recorded before them is on disk.
    """

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("CREATE TABLE journal (row INTEGER PRIMARY KEY, events BLOB)")
        self._loop = asyncio.get_running_loop()
        self._rows = count(1)
        self._committing = False
        self._held: list[tuple[asyncio.WriteTransport, bytes]] = []
        self.events: list[tuple[Any, ...]] = []

    def hold(self, transport: asyncio.WriteTransport, answer: bytes) -> None:
        """Sends an answer after the commit of what has been recorded so far."""
        self._held.append((transport, answer))
        if not self._committing:
            self._committing = True
            # What else the loop has read in this turn shares the commit.
            self._loop.call_soon(self._commit)

    def _commit(self) -> None:
        events, self.events = self.events, []
        held, self._held = self._held, []
        written = self._loop.run_in_executor(self._thread, self._write, next(self._rows), events)
        written.add_done_callback(partial(self._durable, held))

    def _write(self, row: int, events: list[tuple[Any, ...]]) -> None:
        self._database.execute("INSERT INTO journal VALUES (?, ?)", (row, msgpack.packb(events)))
        if row % KEPT_ROWS == 0:
            self._database.execute("DELETE FROM journal WHERE row < ?", (row - KEPT_ROWS,))

    def _durable(
        self, held: list[tuple[asyncio.WriteTransport, bytes]], written: asyncio.Future[None]
    ) -> None:
        written.result()
        answers: dict[asyncio.WriteTransport, list[bytes]] = {}
        for transport, answer in held:
            answers.setdefault(transport, []).append(answer)
        for transport, parts in answers.items():
            transport.write(b"".join(parts))
        # Only now: beside a commit that has begun, these writes would wait for the interpreter's lock.
        self._committing = bool(self._held)
        if self._committing:
            self._commit()


class Shelf:
    """The one queue: messages that wait, in order, and those handed out, by number."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.numbers = count(1)
        self.waiting: deque[tuple[int, bytes, bytes]] = deque()
        self.in_flight: dict[int, tuple[int, bytes, bytes]] = {}

    def send(self, bodies: list[bytes]) -> list[bytes]:
        ids = []
        for body in bodies:
            number = next(self.numbers)
            message_id = number.to_bytes(16, "big")
            self.waiting.append((number, message_id, body))
            self.journal.events.append((SEND, number, message_id, body))
            ids.append(message_id)
        return ids

    def receive(self, most: int) -> list[tuple[int, bytes, bytes]]:
        messages: list[tuple[int, bytes, bytes]] = []
        while self.waiting and len(messages) < most:
            message = self.waiting.popleft()
            self.in_flight[message[0]] = message
            messages.append(message)
        return messages

    def delete(self, numbers: list[int]) -> None:
        for number in numbers:
            if self.in_flight.pop(number, None) is not None:
                self.journal.events.append((DELETE, number))


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._journal = shelf.journal
        self._pack = msgpack.Packer().pack
        self._requests = msgpack.Unpacker(max_buffer_size=STREAM_BYTES)
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        shelf, journal, transport, pack = self._shelf, self._journal, self._transport, self._pack
        self._requests.feed(data)
        answers = []
        for request, operation, argument in self._requests:
            if operation == SEND:
                journal.hold(transport, pack((request, 0, shelf.send(argument))))
            elif operation == RECEIVE:
                answers.append(pack((request, 0, shelf.receive(argument))))
            elif operation == DELETE:
                shelf.delete(argument)
                journal.hold(transport, pack((request, 0, None)))
            elif operation == LEFT:
                answers.append(pack((request, 0, (len(shelf.waiting), len(shelf.in_flight)))))
        if answers:
            transport.write(b"".join(answers))


async def serve(data: Path, port: int) -> None:
    """Serves on the loopback for ever."""
    shelf = Shelf(Journal(data / "bareloop.db"))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(shelf), "127.0.0.1", port)
    print(f"listening {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    """The command line of `python -m bench.bareloop`."""
    parser = argparse.ArgumentParser(prog="python -m bench.bareloop", description="The yardstick, by itself.")
    parser.add_argument("--data", type=Path, required=True, help="an empty directory for the journal")
    parser.add_argument("--port", type=int, default=0, help="a port of the loopback (default: a free one)")
    options = parser.parse_args()
    uvloop.run(serve(options.data, options.port))


if __name__ == "__main__":
    main()
