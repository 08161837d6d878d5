"""Large requests take turns, and wait while others are served, though not for ever."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator
from typing import Any, cast

from ropewayd.protocols.aws.turns import GLANCE, PATIENCE, Turns


class Loop:
    """A loop whose time is passed by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._count = 0
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (self.now + seconds, self._count, call))

    def call_soon(self, call: Callable[[], None]) -> None:
        self.call_later(0, call)

    def run(self, seconds: float) -> None:
        """Do what is due until then, and what comes of it."""
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            self.now, _, call = heapq.heappop(self._due)
            call()
        self.now = until


def counted(pieces: int, done: list[int]) -> Iterator[None]:
    for number in range(pieces):
        done.append(number)
        yield


def test_pieces_follow_each_other_while_nobody_is_served() -> None:
    loop, done = Loop(), list[int]()
    turns = Turns(cast(asyncio.AbstractEventLoop, loop), lambda: False)
    turns.take(counted(3, done))
    turns.take(counted(2, done))
    loop.run(0)
    assert done == [0, 1, 2, 0, 1]


def test_no_piece_is_done_while_somebody_is_served_until_patience_ends() -> None:
    loop, done = Loop(), list[int]()
    busy: Any = [False]
    turns = Turns(cast(asyncio.AbstractEventLoop, loop), lambda: busy[0])
    pieces = counted(100, done)
    turns.take(iter([None]))
    loop.run(0)
    busy[0] = True
    turns.take(pieces)
    loop.run(PATIENCE - 2 * GLANCE)
    assert done == []
    loop.run(3 * GLANCE)
    assert done == [0]
    loop.run(20 * PATIENCE)
    assert 15 <= len(done) <= 21
    busy[0] = False
    loop.run(2 * GLANCE)
    assert len(done) == 100
