"""An event loop whose time is virtual: it leaps to the next timer when nothing is left to run.

Its unit is the millisecond, as an int, so that no rounding ever moves a deadline. There are no sockets,
threads or signals in it, so what runs when depends on the program alone.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Stuck(AssertionError):
    """Nothing is left that could ever run, and the program has not ended."""


class VirtualLoop(asyncio.BaseEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._now = 0  # milliseconds
        self._clock_resolution = 1  # a timer is due from its millisecond on, not from a billionth before it
        self._selector = self  # where BaseEventLoop waits for timers and files: here, for timers alone

    def time(self) -> int:
        return self._now

    def select(self, timeout: int | None) -> list[Any]:
        """Wait, as a selector would: time passes at once."""
        if timeout is None:
            raise Stuck("the simulation waits for what cannot happen")
        self._now += int(timeout)
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list

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
