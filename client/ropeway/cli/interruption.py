"""Ctrl-C and its like: a command that is interrupted still puts everything in order.

Rule 1: the first signal cancels the command's task, which then tidies up and ends with 128 + the signal's
number. Rule 2: the second one ends the process at once. Rule 3: waiting until output can be written is broken
off too, which the loop alone could not do; a write itself never is, so that what was written is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from types import FrameType
from typing import Any, TypeVar

from ropeway.cli.exits import Exit

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
T = TypeVar("T")


class Interrupted(Exit):
    """A signal came."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class _Watch:
    """Signals belong to the process, so there is one of these."""

    task: asyncio.Task[Any] | None = None
    received: int | None = None
    blocking = False

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self.received = number
        if self.blocking:
            raise Interrupted(number)
        task = self.task
        if task is not None:
            task.get_loop().call_soon_threadsafe(task.cancel)


_watch = _Watch()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work on a loop of its own. Raises Interrupted."""
    return asyncio.run(_watched(work))


async def _watched(work: Coroutine[Any, Any, T]) -> T:
    _watch.task = asyncio.current_task()
    _watch.received = None
    # A signal that is ignored (nohup, a job in the background of a plain shell) stays so.
    heeded = [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, _watch.on_signal) for each in heeded}
    try:
        return await work
    except asyncio.CancelledError:
        if _watch.received is None:
            raise
        raise Interrupted(_watch.received) from None
    finally:
        _watch.task = None
        if _watch.received is None:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def may_block() -> Iterator[None]:
    """A signal that came or comes raises Interrupted here. In this block one waits, and does nothing."""
    _watch.blocking = _watch.task is not None
    try:
        if _watch.blocking and _watch.received is not None:
            raise Interrupted(_watch.received)
        yield
    finally:
        _watch.blocking = False


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Await this to its end even if the command is interrupted meanwhile; then be interrupted."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen: the interruption is what is told
        raise
