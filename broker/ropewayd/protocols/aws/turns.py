"""Large requests take turns, so that nobody waits for one of them.

What is to be done for a large request is an iterator, and each of its steps a piece that takes a millisecond
or a few. One piece is done in every second round of the loop, for all connections together: between two of
them whoever else came is served. Those that wait are worked on in the order in which they came, each to its
end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Final

PIECE: Final = 256 << 10
"""Bytes that are looked at in one step. What is not larger takes no turns."""


class Turns:
    """See the module."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._line: deque[Iterator[None]] = deque()

    def take(self, work: Iterator[None]) -> None:
        """Do this when its turn has come. It fails at nothing."""
        self._line.append(work)
        if len(self._line) == 1:
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        try:
            next(self._line[0])
        except StopIteration:
            self._line.popleft()
        if self._line:
            # In the round after the next: a small call takes a few rounds, and is to meet few pieces.
            self._loop.call_soon(self._loop.call_soon, self._step)
