"""A handler for each message of a queue, a bounded number at a time.

Rule 1: as many messages are fetched as can be handled at once (and `prefetch` more, if wanted). Rule 2: while
the worker holds a message, handled or waiting, it stays hidden from others: its visibility timeout is
extended at half time. Rule 3: a message is deleted when its handler returned, and released with back-off when
it raised; if the worker dies, the visibility timeout gives it to another. So a handler may see a message more
than once. Rule 4: of a FIFO queue the messages of one group are handled one after the other, in order; if one
fails, those of its group behind it go back with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from ropeway import blocking
from ropeway.backoff import Backoff
from ropeway.coalescing import Result
from ropeway.errors import RopewayError
from ropeway.message import Message
from ropeway.queue import Poll, Queue
from ropeway.stream import POLL_WAIT, RETRY, passes

logger = logging.getLogger("ropeway")

Handler: TypeAlias = Callable[[Any], object]
"""Takes a message. A coroutine function gets a `ropeway.Message` and runs in the event loop; any other
callable gets a `ropeway.sync.Message` and runs in a thread."""

SHORTEST_TIMEOUT = 1.0
"""Seconds; a shorter visibility timeout could not be extended in time."""


class Worker:
    """Runs `handler` for each message of `queue`.

    `concurrency` handlers run at a time. `visibility_timeout` (seconds, at least 1; without it the queue's)
    is for how long a message stays hidden if this process dies; a handler may take longer. `backoff` says
    after how many seconds a message whose handler raised is seen again, by its receive count. `prefetch`
    messages more than can be handled at once are fetched, for queues with many short jobs.
    """

    def __init__(
        self,
        queue: Queue,
        handler: Handler,
        *,
        concurrency: int = 10,
        visibility_timeout: float | None = None,
        backoff: Backoff | None = None,
        prefetch: int = 0,
    ) -> None:
        if concurrency < 1 or prefetch < 0:
            raise ValueError("a worker needs a concurrency of at least 1 and a prefetch of at least 0")
        if visibility_timeout is not None and visibility_timeout < SHORTEST_TIMEOUT:
            raise ValueError(f"a worker needs a visibility timeout of at least {SHORTEST_TIMEOUT:g} s")
        self.queue = queue
        self.handler = handler
        self.concurrency = concurrency
        self.backoff = backoff or Backoff()
        self._prefetch = prefetch
        self._asked_timeout = visibility_timeout
        self._timeout = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._inbox: asyncio.Queue[list[Message] | None] = asyncio.Queue()
        """Messages that one runner handles in order."""
        self._idle = 0
        self._held: dict[Message, float] = {}
        """Messages that are here, and when to extend each; the earliest first."""
        self._extender: asyncio.TimerHandle | None = None
        self._poll: Poll | None = None
        self._fetching: asyncio.Handle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._failures = 0
        self._error: RopewayError | None = None
        self._stopping = False

    async def run(self, *, signals: bool = False) -> None:
        """Handle messages until `stop`; then finish those that are being handled, and give the others back.

        With `signals`, SIGTERM and SIGINT stop it; a second one cancels the handlers. Raises what a receive
        raises for good, such as QueueDoesNotExist. If this call is cancelled, its handlers are cancelled too
        and their messages are released; a plain handler cannot be cancelled, and its thread runs on to its
        end.
        """
        if signals:
            await run(self)
            return
        if self._loop is not None:
            raise RuntimeError("this worker is running")
        self._loop = asyncio.get_running_loop()
        try:
            await self._work()
        finally:
            self._loop, self._error, self._stopping, self._inbox = None, None, False, asyncio.Queue()

    def stop(self) -> None:
        """Take no more messages. `run` returns when the handlers that are running have ended. From any
        thread."""
        loop = self._loop
        if loop is None:
            self._stopping = True
        else:
            loop.call_soon_threadsafe(self._stop)

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called, and `run` has not ended since."""
        return self._stopping

    async def _work(self) -> None:
        if self._stopping:
            return
        timeout = self._asked_timeout
        if timeout is None:
            timeout = (await self.queue.attributes()).get("visibility_timeout", SHORTEST_TIMEOUT)
        self._timeout = max(SHORTEST_TIMEOUT, timeout)
        if not _is_async(self.handler):
            self._pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix=f"ropeway-{self.queue.name}")
        runners = [asyncio.create_task(self._run_handlers()) for _ in range(self.concurrency)]
        at_rest = False
        try:
            await asyncio.gather(*runners)
            at_rest = True
        finally:
            self._stop()
            for runner in runners:
                runner.cancel()
            if self._extender is not None:
                self._extender.cancel()
                self._extender = None
            if self._pool is not None:
                # After a stop its threads are idle and end at once. Else they may be in handlers still, and
                # waiting for those would block the loop.
                self._pool.shutdown(wait=at_rest, cancel_futures=True)
                self._pool = None
            await asyncio.wait(runners)
        if self._error is not None:
            raise self._error

    def _stop(self) -> None:
        if self._stopping or self._loop is None:
            return
        self._stopping = True
        if self._fetching is not None:
            self._fetching.cancel()
            self._fetching = None
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._poll is not None:
            poll, self._poll = self._poll, None
            self.queue.abandon(poll)
        unused: list[Message] = []
        while not self._inbox.empty():
            unused += self._inbox.get_nowait() or ()
        self._give_back(unused)
        for _ in range(self.concurrency):
            self._inbox.put_nowait(None)

    # Fetching.

    def _fetch_soon(self) -> None:
        """Fetch at the end of this turn of the loop: runners that become idle together share a receive."""
        if self._fetching is None and self._loop is not None:
            self._fetching = self._loop.call_soon(self._fetch)

    def _fetch(self) -> None:
        self._fetching = None
        wanted = self._idle + self._prefetch - self._inbox.qsize()
        if self._stopping or self._poll is not None or self._retry is not None or wanted <= 0:
            return
        self._poll = self.queue.poll(min(wanted, 1000), wait=POLL_WAIT, visibility_timeout=self._timeout)
        self._poll.future.add_done_callback(self._arrived)

    def _arrived(self, future: asyncio.Future[list[Message]]) -> None:
        if self._poll is None or future is not self._poll.future:
            return  # abandoned: what came was given back
        self._poll = None
        error = future.exception()
        if error is None:
            self._failures = 0
            for run in _runs(future.result()):
                for message in run:
                    self._hold(message)
                self._inbox.put_nowait(run)
            self._fetch_soon()
        elif isinstance(error, RopewayError) and passes(error):
            self._failures += 1
            delay = RETRY.delay(self._failures)
            logger.warning(
                "receiving from %s failed, trying again in %.1f s: %s", self.queue.name, delay, error
            )
            assert self._loop is not None
            self._retry = self._loop.call_later(delay, self._try_again)
        else:
            self._error = error if isinstance(error, RopewayError) else RopewayError(repr(error))
            self._stop()

    def _try_again(self) -> None:
        self._retry = None
        self._fetch()

    # Handling.

    async def _run_handlers(self) -> None:
        """One of the `concurrency` runners: a message after the other."""
        while True:
            self._idle += 1
            try:
                self._fetch_soon()
                run = await self._inbox.get()
            finally:
                self._idle -= 1
            if run is None:
                return
            await self._handle_run(run)

    async def _handle_run(self, run: list[Message]) -> None:
        """In order, up to the first that fails. The others go back: behind it, as they came."""
        done = 0
        try:
            for message in run:
                if self._stopping and done:
                    break
                done += 1
                if not await self._handle(message):
                    break
        finally:
            self._give_back(run[done:])

    def _give_back(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._held.pop(message, None)
        if messages:
            self.queue.give_back(messages)

    async def _handle(self, message: Message) -> bool:
        """Whether it is done, and the next one of its group may be handled."""
        failed = True
        try:
            await self._call(message)
            failed = False
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                if not message.settled:
                    self.queue.give_back([message])
                raise
            logger.warning("handler of %s was cancelled by itself, message %s", self.queue.name, message.id)
        except Exception:
            # Whatever a handler raises is the failure of its message, not of the worker.
            logger.exception(
                "handler of %s failed, message %s, receive %d",
                self.queue.name,
                message.id,
                message.receive_count,
            )
        finally:
            self._held.pop(message, None)
        if message.settled:
            return not (failed or message.released)
        try:
            if failed:
                await message.release(self.backoff.delay(message.receive_count))
            else:
                await message.delete()
        except RopewayError as error:
            what = "released" if failed else "deleted"
            logger.warning("message %s of %s was not %s: %s", message.id, self.queue.name, what, error)
            return False
        return not failed

    async def _call(self, message: Message) -> None:
        if self._pool is None:
            result = self.handler(message)
        else:
            assert self._loop is not None
            plain = blocking.message(self._loop, message)
            result = await self._loop.run_in_executor(self._pool, self.handler, plain)
        if inspect.isawaitable(result):
            await result

    # Keeping.

    def _hold(self, message: Message) -> None:
        assert self._loop is not None
        due = self._loop.time() + self._timeout / 2
        self._held[message] = due
        if self._extender is None:
            self._extender = self._loop.call_at(due, self._extend)

    def _extend(self) -> None:
        """Extend what is at half its time, or nearly; look again when the next one is."""
        assert self._loop is not None
        now = self._loop.time()
        soon = now + self._timeout / 20
        due = [message for message, at in self._held.items() if at <= soon]
        for message in due:
            del self._held[message]
            self._held[message] = now + self._timeout / 2
        first = 0
        for future, count in self.queue.change_soon([message.handle for message in due], self._timeout):
            future.add_done_callback(functools.partial(self._extended, due[first : first + count]))
            first += count
        following = next(iter(self._held.values()), None)
        self._extender = None if following is None else self._loop.call_at(following, self._extend)

    def _extended(self, messages: Sequence[Message], future: asyncio.Future[list[Result]]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        results: Sequence[object] = [error] * len(messages) if error is not None else future.result()
        for message, result in zip(messages, results, strict=True):
            if isinstance(result, BaseException) and message in self._held:
                logger.warning(
                    "message %s of %s was not extended, others may receive it: %s",
                    message.id,
                    self.queue.name,
                    result,
                )
                if error is None:
                    del self._held[message]  # refused for good: it is gone, or was held for too long


async def run(*workers: Worker) -> None:
    """Run workers until SIGTERM or SIGINT; then stop them gracefully. A second signal cancels their handlers.

    If one fails, the others are stopped, and its error is raised. Call it from the main thread.
    """
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    if not tasks:
        return
    cut = False

    def on_signal(received: signal.Signals) -> None:
        nonlocal cut
        if not any(worker.stopping for worker in workers):
            logger.info("%s: finishing what is being handled", received.name)
            for worker in workers:
                worker.stop()
        else:
            logger.warning("%s again: cancelling what is being handled", received.name)
            cut = True
            for task in tasks:
                task.cancel()

    with _signals(on_signal):
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for worker in workers:
                worker.stop()
            await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    for task in tasks:
        if not (cut and task.cancelled()):
            task.result()


@contextlib.contextmanager
def _signals(handler: Callable[[signal.Signals], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    caught = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(each) for each in caught]
    for each in caught:
        loop.add_signal_handler(each, handler, each)
    try:
        yield
    finally:
        for each, previous in zip(caught, before, strict=True):
            loop.remove_signal_handler(each)
            signal.signal(each, previous)


def _runs(messages: Iterable[Message]) -> Iterable[list[Message]]:
    """What has an order is one run a group; what has none, one a message."""
    runs: dict[object, list[Message]] = {}
    for message in messages:
        key: object = message if message.sequence_number is None else message.group
        runs.setdefault(key, []).append(message)
    return runs.values()


def _is_async(handler: Handler) -> bool:
    while isinstance(handler, functools.partial):
        handler = handler.func
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - an object whose __call__ is a coroutine function
    )
