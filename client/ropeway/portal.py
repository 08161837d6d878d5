"""From plain threads into an event loop and back.

Rule 1: a caller that is interrupted (Ctrl-C) leaves nothing running: its call is cancelled, and a result that
came in the same moment goes to `unwanted`. Rule 2: `LoopThread` ends its thread, its tasks and its helpers
when it is closed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from ropeway.errors import BrokerClosed

_T = TypeVar("_T")


class _Visit(Generic[_T]):
    """One call. All but `wait` runs in the loop's thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        make: Callable[[], Coroutine[Any, Any, _T]],
        unwanted: Callable[[_T], None] | None,
    ) -> None:
        self._loop = loop
        self._make = make
        self._unwanted = unwanted
        self._outcome: Future[_T] = Future()
        self._task: asyncio.Task[_T] | None = None
        self._given_up = False

    def wait(self) -> _T:
        try:
            # An interruption can come as soon as the loop knows of the call, so that is inside too.
            self._call(self._start)
            error = self._outcome.exception()
            if error is None:
                return self._outcome.result()
        except BrokerClosed:
            raise
        except BaseException:
            # Only an interruption comes here: what the call raises is in `error`.
            self._call(self._give_up)
            raise
        raise error

    def _call(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            raise BrokerClosed("the broker is closed") from None

    def _start(self) -> None:
        if not self._given_up:
            self._task = self._loop.create_task(self._make())
            self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[_T]) -> None:
        error = BrokerClosed("the broker was closed") if task.cancelled() else task.exception()
        if self._given_up:
            if error is None and self._unwanted is not None:
                self._unwanted(task.result())
        elif error is not None:
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(task.result())

    def _give_up(self) -> None:
        self._given_up = True
        if self._task is None:
            return
        if not self._task.done():
            self._task.cancel()
        elif self._outcome.done() and self._outcome.exception() is None and self._unwanted is not None:
            self._unwanted(self._outcome.result())


def call(
    loop: asyncio.AbstractEventLoop,
    make: Callable[[], Coroutine[Any, Any, _T]],
    unwanted: Callable[[_T], None] | None = None,
) -> _T:
    """Run a coroutine in a loop that runs in another thread, and wait for its result."""
    if asyncio._get_running_loop() is loop:  # noqa: SLF001 - the public function raises where there is none
        raise RuntimeError("this would wait for itself: in a coroutine use ropeway, not ropeway.sync")
    return _Visit(loop, make, unwanted).wait()


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self, name: str) -> None:
        self._ready: Future[asyncio.AbstractEventLoop] = Future()
        self._end: asyncio.Event | None = None
        # A daemon thread, so that a program that forgets to close can end all the same.
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()
        self.loop = self._ready.result()

    def close(self) -> None:
        """End the loop and the thread. Tasks that are left are cancelled."""
        if self._thread.is_alive() and self._end is not None:
            self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        self._ready.set_result(asyncio.get_running_loop())
        await self._end.wait()
