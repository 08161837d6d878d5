"""What is published to a topic while somebody listens, and nothing of it afterwards.

A listener has a queue of its own, made and subscribed when it begins, and ended with its subscription when it
ends. Rule 1: a message is deleted before it is handed out, so it arrives at most once. Rule 2: the queue
carries a tag that changes while the listener lives; the daemon ends the queue of a listener that is gone.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from ropeway.errors import BrokerClosed, RopewayError

if TYPE_CHECKING:
    from ropeway.message import Message
    from ropeway.queue import Queue
    from ropeway.stream import Stream
    from ropeway.topic import Subscription, Topic

logger = logging.getLogger("ropeway")

TAG: Final = "ropeway.listener"
"""On a listener's queue: how often it has said that it lives."""
BEAT: Final = 20.0
"""Seconds between two times."""
PREFIX: Final = "listener-"
"""What names of listeners' queues begin with."""


class Ear:
    """The inside of a listener. The broker knows it, so that closing the broker ends it."""

    def __init__(
        self,
        topic: Topic,
        filter_: Mapping[str, Any] | str | None,
        filter_by: Literal["attributes", "body"],
        *,
        raw: bool,
    ) -> None:
        self.loop = topic.broker.link.loop
        self.over = False
        self._topic = topic
        self._filter = filter_
        self._filter_by = filter_by
        self._raw = raw
        self._opening = asyncio.Lock()
        self._queue: Queue | None = None
        self._subscription: Subscription | None = None
        self._stream: Stream | None = None
        self._beats: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make the queue and subscribe it, once."""
        async with self._opening:
            if self._stream is not None or self.over:
                return
            broker, topic = self._topic.broker, self._topic.name
            fifo = topic.endswith(".fifo")
            # Where the topic has an ARN, the queue belongs to the same account and region.
            place = topic.rpartition(":")[0].replace(":sns:", ":sqs:", 1)
            name = f"{place and place + ':'}{PREFIX}{uuid.uuid4().hex}{'.fifo' if fifo else ''}"
            broker.ears.add(self)
            try:
                self._queue = broker.queue(name)
                if fifo:
                    await broker.create_queue(name, tags={TAG: "0"}, fifo=True)
                else:
                    await broker.create_queue(name, tags={TAG: "0"})
                self._subscription = await self._topic.subscribe(
                    self._queue, filter=self._filter, filter_by=self._filter_by, raw=self._raw
                )
            except BaseException:
                await self._end()
                raise
            self._stream = self._queue.messages()
            self._beats = asyncio.create_task(self._beat(self._queue))

    async def take(self) -> Message:
        """The next message. Raises StopAsyncIteration after `close`."""
        await self.open()
        if self._stream is None:
            if self._topic.broker.closed:
                raise BrokerClosed("the broker was closed")
            raise StopAsyncIteration
        message = await self._stream.__anext__()
        await message.delete()
        return message

    async def close(self) -> None:
        """End the queue and the subscription. Where the daemon cannot be asked, it does that by itself."""
        async with self._opening:
            await self._end()

    def drop(self) -> None:
        """Close, though nobody waits for it."""
        if not self.over and not self._topic.broker.closed:
            self._closing = self.loop.create_task(self.close())

    async def _end(self) -> None:
        if self.over:
            return
        self.over = True
        if self._beats is not None:
            self._beats.cancel()
        if self._stream is not None:
            self._stream.close()
        try:
            with suppress(RopewayError):
                if self._subscription is not None:
                    await self._subscription.unsubscribe()
                if self._queue is not None:
                    await self._queue.delete()
        finally:
            self._topic.broker.ears.discard(self)

    async def _beat(self, queue: Queue) -> None:
        beats = 0
        while True:
            await asyncio.sleep(BEAT)
            beats += 1
            try:
                await queue.tag({TAG: str(beats)})
            except RopewayError as error:
                logger.debug("a listener could not say that it lives: %s", error)


class Listener:
    """What is published to a topic from now on; made by `Topic.listen`.

    Use it in `async for`. In `async with` it listens from the beginning of the block, and its queue is gone
    at the end; elsewhere the queue goes soon after the listener is dropped, or when the broker is closed. It
    outlives lost connections. Errors that will not pass are raised by the iteration: NotFound where there is
    no such topic, QueueDoesNotExist where the daemon ended its queue.
    """

    __slots__ = ("_ear",)

    def __init__(
        self,
        topic: Topic,
        filter_: Mapping[str, Any] | str | None,
        filter_by: Literal["attributes", "body"],
        *,
        raw: bool,
    ) -> None:
        self._ear = Ear(topic, filter_, filter_by, raw=raw)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        return await self._ear.take()

    async def __aenter__(self) -> Self:
        await self._ear.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._ear.close()

    async def open(self) -> None:
        """Begin to listen now, and not with the first message that is asked for."""
        await self._ear.open()

    async def aclose(self) -> None:
        """End the iteration, the queue and its subscription."""
        await self._ear.close()

    def __del__(self) -> None:
        ear = getattr(self, "_ear", None)
        # The collector may run in any thread.
        if ear is not None and not ear.over and not ear.loop.is_closed():
            ear.loop.call_soon_threadsafe(ear.drop)
