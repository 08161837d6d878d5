"""An event loop whose time is virtual: it leaps to the next timer when nothing is left to run.

Its unit is the millisecond, as an int, so that no rounding ever moves a deadline. There are no sockets,
threads or signals in it, so what runs when depends on the program alone.
"""

from __future__ import annotations

import asyncio
from heapq import heappop
from typing import Any


class Stuck(AssertionError):
    """Nothing is left that could ever run, and the program has not ended."""


class VirtualLoop(asyncio.BaseEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._now = 0  # milliseconds
        self._clock_resolution = 1  # a timer is due from its millisecond on, not from a billionth before it
        self._ready: Any  # these two are BaseEventLoop's own
        self._scheduled: Any

    def time(self) -> int:
        return self._now

    def _run_once(self) -> None:
        """One turn of the loop, as BaseEventLoop's is, but for what only files and real time need."""
        ready, scheduled = self._ready, self._scheduled
        while scheduled and scheduled[0]._cancelled:
            heappop(scheduled)._scheduled = False
        if not ready:
            if not scheduled:
                raise Stuck("the simulation waits for what cannot happen")
            self._now = max(self._now, int(scheduled[0]._when))
        now = self._now
        while scheduled and scheduled[0]._when <= now:
            timer = heappop(scheduled)
            timer._scheduled = False
            if not timer._cancelled:
                ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _timer_handle_cancelled(self, handle: Any) -> None:
        """It stays in the heap until its time comes."""

    def _write_to_self(self) -> None:
        """Nobody calls from another thread."""


def run(main: Any, task_factory: Any = None) -> Any:
    """Run a coroutine in a virtual world of its own, and leave nothing behind."""
    loop = VirtualLoop()
    try:
        loop.set_task_factory(task_factory)
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
