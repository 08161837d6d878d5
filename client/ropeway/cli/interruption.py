"""Ctrl-C and its like: a command that is interrupted still puts everything in order.

Rule 1: the first signal cancels the command's task, which then tidies up and ends with 128 + the signal's
number. Rule 2: the second one ends the process at once. Rule 3: waiting until output can be written is broken
off too, which the loop alone could not do; a write itself never is, so that what was written is known.

Python runs a handler between two of its own steps, and a system call that began just after the signal came is
not broken off by it. So whoever waits here, the loop or `may_block`, also watches a descriptor that the
signal itself makes readable.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
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
    heard: int | None = None
    """Becomes readable in the moment that a signal comes."""

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
    with _hearing():
        return await _interruptible(work, heeded)


async def _interruptible(work: Coroutine[Any, Any, T], heeded: list[signal.Signals]) -> T:
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
def _hearing() -> Iterator[None]:
    """Have signals make a descriptor readable, and wake the loop that runs."""
    heard, rung = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(rung, warn_on_full_buffer=False)
    _watch.heard = heard
    loop = asyncio.get_running_loop()
    # To wake is all it does: then the handler runs, and what is there stays for `may_block` to see.
    loop.add_reader(heard, loop.remove_reader, heard)
    try:
        yield
    finally:
        loop.remove_reader(heard)
        _watch.heard = None
        signal.set_wakeup_fd(before)
        os.close(heard)
        os.close(rung)


@contextlib.contextmanager
def may_block() -> Iterator[list[int]]:
    """A signal that came or comes raises Interrupted here. In this block one waits, and does nothing.

    Gives the descriptors to watch beside one's own: without them, a signal that comes just before the wait
    begins would not end it.
    """
    _watch.blocking = _watch.task is not None
    try:
        if _watch.blocking and _watch.received is not None:
            raise Interrupted(_watch.received)
        yield [] if _watch.heard is None else [_watch.heard]
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
