"""Messages of a queue as they come: long polls for ever, fetching ahead as far as the consumer's pace allows.

A message that is fetched and not taken is hidden from every other consumer, so Rule 1: none is kept longer
than `HOLD` (or half its visibility timeout); after that it is given back. Rule 2: a slow consumer fetches one
at a time and none ahead; each batch that is used up quickly doubles the next. Rule 3: when the stream ends,
whatever was fetched and not taken is given back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ropeway.backoff import Backoff
from ropeway.errors import BrokerClosed, DaemonError, DeadlineExceeded, RopewayError, renewed

if TYPE_CHECKING:
    from ropeway.message import Message
    from ropeway.queue import Poll, Queue

logger = logging.getLogger("ropeway")

HOLD = 2.0
"""Seconds that a message may wait here to be taken."""
POLL_WAIT = 20.0
"""Seconds of one long poll."""
RETRY = Backoff(first=0.2, factor=2.0, longest=10.0, jitter=0.5)


def passes(error: RopewayError) -> bool:
    """Whether an endless consumer carries on after this error of a receive: the daemon may be back later."""
    if isinstance(error, DaemonError):
        return error.retryable
    return isinstance(error, (ConnectionError, DeadlineExceeded))


class Batch:
    """What one poll brought: messages, and the time since when they wait."""

    __slots__ = ("arrived_at", "messages", "size")

    def __init__(self, messages: list[Message], arrived_at: float) -> None:
        self.messages = deque(messages)
        self.size = len(messages)
        self.arrived_at = arrived_at


class Flow:
    """The inside of a stream. The broker knows it, so that closing the broker gives back what it holds."""

    def __init__(self, queue: Queue, prefetch: int, visibility_timeout: float | None) -> None:
        self.queue = queue
        self.loop = queue.broker.link.loop
        self.over = False
        self._prefetch = prefetch
        self._visibility_timeout = visibility_timeout
        self._hold: float | None = None
        self._window = 1
        self._current = Batch([], 0.0)
        self._began_at = 0.0
        self._ahead: Batch | None = None
        self._poll: Poll | None = None
        self._takers = 0
        self._failures = 0
        self._error: RopewayError | None = None
        self._news = asyncio.Event()
        self._hold_timer: asyncio.TimerHandle | None = None
        self._retry_timer: asyncio.TimerHandle | None = None

    async def take(self) -> Message:
        """The next message. Raises StopAsyncIteration after `shut`."""
        if self._hold is None and not self.over:
            await self._begin()
        self._judge()
        while not self._current.messages:
            if self._ahead is not None:
                self._current, self._ahead = self._ahead, None
                self._began_at = self.loop.time()
                continue
            if self.over:
                if self.queue.broker.closed:
                    raise BrokerClosed("the broker was closed")
                raise StopAsyncIteration
            if self._error is not None:
                raise renewed(self._error)
            self._fetch()
            self._news.clear()
            self._takers += 1
            try:
                await self._news.wait()
            finally:
                self._takers -= 1
        message = self._current.messages.popleft()
        if self._window > 1 and self._ahead is None and len(self._current.messages) <= self._window // 2:
            self._fetch()
        return message

    def shut(self) -> None:
        """End, and give back what was not taken."""
        if self.over:
            return
        self.over = True
        self.queue.broker.flows.discard(self)
        for timer in (self._hold_timer, self._retry_timer):
            if timer is not None:
                timer.cancel()
        if self._poll is not None:
            self.queue.abandon(self._poll)
            self._poll = None
        self._give_back()
        self._news.set()

    async def _begin(self) -> None:
        timeout = self._visibility_timeout
        if timeout is None:
            timeout = (await self.queue.attributes()).get("visibility_timeout", 2 * HOLD)
        self._hold = min(HOLD, timeout / 2)
        self.queue.broker.flows.add(self)

    def _fetch(self) -> None:
        if self._poll is not None or self._retry_timer is not None or self.over:
            return
        poll = self.queue.poll(self._window, wait=POLL_WAIT, visibility_timeout=self._visibility_timeout)
        self._poll = poll
        poll.future.add_done_callback(self._arrived)

    def _arrived(self, future: asyncio.Future[list[Message]]) -> None:
        if self.over:
            return  # abandoned: what came was given back
        self._poll = None
        error = future.exception()
        if error is None:
            self._failures = 0
            messages = future.result()
            if messages:
                assert self._ahead is None
                self._ahead = Batch(messages, self.loop.time())
                self._watch()
                self._news.set()
            elif self._takers:
                self._fetch()
        elif isinstance(error, RopewayError) and passes(error):
            self._failures += 1
            delay = RETRY.delay(self._failures)
            logger.warning(
                "receiving from %s failed, trying again in %.1f s: %s", self.queue.name, delay, error
            )
            self._retry_timer = self.loop.call_later(delay, self._retry)
        else:
            self._error = error if isinstance(error, RopewayError) else RopewayError(repr(error))
            self._news.set()

    def _retry(self) -> None:
        self._retry_timer = None
        if self._takers:
            self._fetch()

    def _judge(self) -> None:
        """Adjust the pace by how long the consumer took over a batch that is used up."""
        size = self._current.size
        if self._current.messages or not size or self._hold is None:
            return
        spent = self.loop.time() - self._began_at
        if spent > self._hold / 2:
            self._window = max(1, self._window // 2)
        elif spent < self._hold / 4 and size >= self._window:
            self._window = min(self._prefetch, self._window * 2)
        self._current = Batch([], 0.0)

    def _watch(self) -> None:
        """Look again when the oldest message here has waited for as long as it may."""
        if self._hold_timer is not None:
            self._hold_timer.cancel()
            self._hold_timer = None
        oldest = self._oldest()
        if oldest is not None:
            assert self._hold is not None
            self._hold_timer = self.loop.call_at(oldest + self._hold, self._held)

    def _held(self) -> None:
        self._hold_timer = None
        oldest = self._oldest()
        if oldest is None:
            return
        assert self._hold is not None
        if oldest + self._hold <= self.loop.time():
            self._window = 1
            self._give_back()
        else:
            self._watch()

    def _oldest(self) -> float | None:
        if self._current.messages:
            return self._current.arrived_at
        return None if self._ahead is None else self._ahead.arrived_at

    def _give_back(self) -> None:
        ahead = [] if self._ahead is None else self._ahead.messages
        self.queue.give_back([*self._current.messages, *ahead])
        self._current.messages.clear()
        self._ahead = None


class Stream:
    """Messages of a queue, for ever; made by `Queue.messages`.

    Use it in `async for`, and in `async with` or with `close` where the moment matters at which unused
    messages are given back; dropping it does that too. It outlives lost connections. Other errors, such as
    QueueDoesNotExist, are raised by the iteration; BrokerClosed when the broker is closed under it.
    """

    __slots__ = ("_flow",)

    def __init__(self, queue: Queue, prefetch: int, visibility_timeout: float | None) -> None:
        if not 1 <= prefetch <= 1000:
            raise ValueError("prefetch is 1 to 1,000 messages")
        self._flow = Flow(queue, prefetch, visibility_timeout)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        return await self._flow.take()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration, and give back what was fetched and not taken."""
        self._flow.shut()

    async def aclose(self) -> None:
        """As `close`, under the name that `contextlib.aclosing` knows."""
        self.close()

    def __del__(self) -> None:
        flow = getattr(self, "_flow", None)
        # The collector may run in any thread.
        if flow is not None and not flow.over and not flow.loop.is_closed():
            flow.loop.call_soon_threadsafe(flow.shut)
