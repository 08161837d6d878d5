"""Large requests take turns, so that nobody waits for one of them.

What is to be done for a large request is an iterator, and each of its steps a piece that takes a part of a
millisecond as a rule. One piece is done in a round of the loop, for all connections together, and none while
somebody is served or waits for the disk: a call meets the piece that is being done when it comes, and no
other. Where somebody always is, a piece is done now and then. Those that wait are worked on in the order in
which they came, each to its end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

PIECE: Final = 256 << 10
"""Bytes that are looked at in one step. What is not larger takes no turns."""
GLANCE: Final = 0.001
"""Seconds until it is looked again whether somebody is served."""
PATIENCE: Final = 0.01
"""Seconds without a piece, at the most."""


class Turns:
    """See the module. `busy`: whether somebody is served, or waits for the disk."""

    def __init__(self, loop: asyncio.AbstractEventLoop, busy: Callable[[], bool]) -> None:
        self._loop = loop
        self._busy = busy
        self._done = 0.0
        """When the last piece was."""
        self._line: deque[Iterator[None]] = deque()

    def take(self, work: Iterator[None]) -> None:
        """Do this when its turn has come. It fails at nothing."""
        self._line.append(work)
        if len(self._line) == 1:
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        if self._busy() and self._loop.time() < self._done + PATIENCE:
            self._loop.call_later(GLANCE, self._step)
            return
        try:
            next(self._line[0])
        except StopIteration:
            self._line.popleft()
        self._done = self._loop.time()
        if self._line:
            self._loop.call_soon(self._step)
