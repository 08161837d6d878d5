"""The one timer of the event loop: it sleeps until the wheel's next deadline, and with none it uses no CPU.

An event loop's timers stand still while the machine is suspended, deadlines do not. So a long sleep is taken
in pieces: after a suspend what is due rings within `LONGEST`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ropewayd.vocabulary.clock import Clock

LONGEST: Final = 1000
"""Milliseconds of one sleep."""


class Alarm:
    """Calls `ring` when the earliest known deadline has come."""

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None
        self._at = 0

    def set(self, deadline: int | None) -> None:
        """Ring at this time at the latest; None stops it. A ring too many is harmless."""
        if deadline is None:
            self.stop()
            return
        if self._handle is not None:
            if self._at <= deadline:
                return
            self._handle.cancel()
        self._at = deadline
        self._handle = self._after(deadline - self._clock.now())

    def _after(self, milliseconds: int) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(min(max(0, milliseconds), LONGEST) / 1000, self._fire)

    def _fire(self) -> None:
        self._handle = None
        left = self._at - self._clock.now()
        if left > 0:
            self._handle = self._after(left)
        else:
            self._ring()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
