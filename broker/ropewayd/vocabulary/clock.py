"""Two times, and what each is for.

`now()` is the carried clock: milliseconds since 1970 that never step. It starts at the wall clock or at the
last time found in the journal, whichever is later, and is carried on by the machine's own counter
(CLOCK_BOOTTIME where there is one, so that a suspended machine's timeouts go on). Every deadline is a time on
this clock.

`wall()` is the system's clock, for what people read. Nothing is decided by it.
"""

from __future__ import annotations

import time
from typing import Protocol

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def _counter() -> int:
    """Nanoseconds that only rise."""
    return time.monotonic_ns() if _BOOTTIME is None else time.clock_gettime_ns(_BOOTTIME)


class Clock(Protocol):
    """What the kernel asks for the time."""

    def now(self) -> int:
        """The carried time, in milliseconds. Never falls."""

    def wall(self) -> int:
        """The system's time, in milliseconds since 1970."""

    def carry_from(self, last: int) -> None:
        """Never again be earlier than `last`, the latest time that a recovered journal knows."""


class SystemClock:
    """The machine's clock. See the module."""

    def __init__(self) -> None:
        self._base = time.time_ns() - _counter()

    def now(self) -> int:
        return (self._base + _counter()) // 1_000_000

    def wall(self) -> int:
        return time.time_ns() // 1_000_000

    def carry_from(self, last: int) -> None:
        behind = last * 1_000_000 - (self._base + _counter())
        if behind > 0:
            self._base += behind
