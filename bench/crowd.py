"""Consumers that wait: each on a connection of its own, with a long poll that is renewed when it ends.

They wait on queues that nobody else uses, on the binary protocol or on the AWS face, whichever the server is
started for. The crowd lives in the harness's own process, which sleeps while nothing comes.
"""

from __future__ import annotations

import resource
import selectors
import socket
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from bench.contestants import ContestantFailed, Server
from bench.httpwire import HttpWire
from bench.kinds import HTTP, ROPEWAY
from bench.wire import READ_BYTES, Answer, RopewayWire, UnexpectedAnswer, Wire, call, dial

FILES_BESIDE = 100
"""Of this process's open files, those that are no waiting connection."""
WAKE_SECONDS = 30.0
"""A message that has reached nobody after so long is lost."""


class Crowd:
    """`polls` consumers, spread over `queues` queues that are made for them."""

    def __init__(self, server: Server, queues: int, polls: int, poll_ms: int) -> None:
        assert server.kind in {ROPEWAY, HTTP}, server.kind
        allow_open_files(polls + FILES_BESIDE)
        self._server = server
        self._poll_ms = poll_ms
        self._queues = queues
        self._waiting = selectors.DefaultSelector()
        self._connections: list[socket.socket] = []
        self._sender = dial(server.port)
        try:
            if server.kind == ROPEWAY:
                RopewayWire().greet(self._sender)
            for number in range(queues):
                self._create(name(number))
            for number in range(polls):
                self._join(name(number % queues))
        except BaseException:
            self.close()
            raise

    def _wire(self, queue: str) -> Wire:
        if self._server.kind == HTTP:
            return HttpWire(self._server.port, queue, self._poll_ms)
        return RopewayWire(queue, self._poll_ms)

    def _create(self, queue: str) -> None:
        if self._server.kind == HTTP:
            HttpWire(self._server.port).create(self._sender, queue)
        else:
            RopewayWire(queue).create(self._sender)

    def _join(self, queue: str) -> None:
        connection, wire = dial(self._server.port), self._wire(queue)
        self._connections.append(connection)
        if isinstance(wire, RopewayWire):
            wire.greet(connection)
        connection.sendall(wire.receive(1, 1))
        self._waiting.register(connection, selectors.EVENT_READ, wire)

    def renew(self, seconds: float) -> int:
        """Renews each poll as it ends, for so long. Gives how many. Raises UnexpectedAnswer when one brings
        a message."""
        until = time.perf_counter() + seconds
        renewals = 0
        for connection, wire, (slot, _, result) in self._answers(until):
            if result:
                raise UnexpectedAnswer(f"an idle poll was answered with {result}")
            connection.sendall(wire.receive(slot, 1))
            renewals += 1
        return renewals

    def wake(self, number: int) -> float:
        """Send a message to one of the queues: the seconds from then until a consumer has it."""
        wire = self._wire(name(number % self._queues))
        request = wire.send(1, [b"wake"])
        began = time.perf_counter()
        self._sender.sendall(request)
        for connection, found, (slot, _, result) in self._answers(began + WAKE_SECONDS):
            if not result:  # another one's poll has ended meanwhile
                connection.sendall(found.receive(slot, 1))
                continue
            took = time.perf_counter() - began
            while not wire.answers(self._sender.recv(READ_BYTES)):
                pass
            [handle] = found.ids_and_handles(result)[1]
            call(self._sender, wire, wire.delete(1, [handle]))
            connection.sendall(found.receive(slot, 1))
            return took
        raise ContestantFailed(f"a message reached nobody in {WAKE_SECONDS:.0f} s")

    def _answers(self, until: float) -> Iterator[tuple[socket.socket, Any, Answer]]:
        """What comes to any of the consumers. Raises UnexpectedAnswer for an error."""
        while (left := until - time.perf_counter()) > 0:
            for key, _ in self._waiting.select(left):
                connection, wire = key.fileobj, key.data
                assert isinstance(connection, socket.socket)
                data = connection.recv(READ_BYTES)
                if not data:
                    raise ConnectionResetError("the daemon closed an idle connection")
                for answer in wire.answers(data):
                    if answer[1] != 0:
                        raise UnexpectedAnswer(f"an idle poll was answered with {answer[2]}")
                    yield connection, wire, answer

    def close(self) -> None:
        """They all leave."""
        for connection in (self._sender, *self._connections):
            connection.close()
        self._waiting.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def name(number: int) -> str:
    """An idle queue's."""
    return f"idle-{number}"


def allow_open_files(needed: int) -> None:
    """Let this process have so many. Raises ContestantFailed where the system does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ContestantFailed(f"the system lets a process have {hard:,} open files; {needed:,} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
