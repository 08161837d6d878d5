"""Ropeway for plain code: the names of `ropeway`, each call waiting for its result.

    with ropeway.sync.connect() as broker:
        jobs = broker.create_queue("jobs", visibility_timeout=60)
        jobs.send("resize cat.jpg", delay=2)
        for message in jobs:
            ...
            message.delete()

A broker has an event loop in a thread of its own, which ends when the broker is closed. Any number of threads
may use one broker; calls that are made at the same time travel together. A call that is interrupted (Ctrl-C)
is cancelled. Connect after a fork, not before it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType, TracebackType
from typing import Self, Unpack

from ropeway import broker as asynchronous
from ropeway import worker as working
from ropeway.backoff import Backoff
from ropeway.blocking import Message, Queue, Stream
from ropeway.blocking_phones import Phones
from ropeway.blocking_topic import Listener, Subscription, Topic
from ropeway.broker import BACKUP_TIMEOUT, DEFAULT_TIMEOUT
from ropeway.errors import BrokerClosed
from ropeway.message import MessageId, Outgoing
from ropeway.paging import every_now
from ropeway.peek import Peeked, PeekOptions
from ropeway.portal import LoopThread, call
from ropeway.queue import QueueAttributes, QueueSettings
from ropeway.several import give_back
from ropeway.topic import Publication, TopicSettings
from ropeway.worker import Handler, logger

__all__ = [
    "connect",
    "Broker",
    "Queue",
    "QueueSettings",
    "QueueAttributes",
    "Message",
    "MessageId",
    "Outgoing",
    "Peeked",
    "PeekOptions",
    "Phones",
    "Publication",
    "Stream",
    "Listener",
    "Subscription",
    "Topic",
    "TopicSettings",
    "Worker",
    "Backoff",
]


def connect(
    url: str | None = None,
    *,
    key: str | None = None,
    secret: str | None = None,
    ca_file: str | os.PathLike[str] | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> Broker:
    """A broker for `with`, which connects and closes it. The parameters are those of `ropeway.connect`."""
    return Broker(
        asynchronous.connect(url, key=key, secret=secret, ca_file=ca_file, tls=tls, timeout=timeout)
    )


class Broker:
    """As `ropeway.Broker`. Any thread may use it."""

    def __init__(self, inner: asynchronous.Broker) -> None:
        self._inner = inner
        self._thread: LoopThread | None = None

    def __repr__(self) -> str:
        return repr(self._inner)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Connect, once. Raises as `ropeway.Broker.open`."""
        if self._thread is not None or self._inner.closed:
            raise RuntimeError("this broker was opened before; connect() gives another")
        self._thread = LoopThread("ropeway")
        try:
            call(self._thread.loop, self._inner.open)
        except BaseException:
            self._thread.close()
            raise

    def close(self) -> None:
        """Give back what was fetched and not taken, end the connection and the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            call(thread.loop, self._inner.close)
        finally:
            thread.close()

    def ping(self) -> None:
        """A round trip to the daemon."""
        call(self._loop_thread.loop, self._inner.ping)

    def show_store(self) -> dict[str, int]:
        """As `ropeway.Broker.show_store`."""
        return call(self._loop_thread.loop, self._inner.show_store)

    def backup_store(
        self, target: str | os.PathLike[str], *, within: float = BACKUP_TIMEOUT
    ) -> dict[str, int]:
        """As `ropeway.Broker.backup_store`."""
        return call(self._loop_thread.loop, lambda: self._inner.backup_store(target, within=within))

    def queue(self, name: str, *, exactly_once: bool = False) -> Queue:
        """As `ropeway.Broker.queue`."""
        return Queue(self._loop_thread.loop, self._inner.queue(name, exactly_once=exactly_once))

    def create_queue(
        self, name: str, *, tags: Mapping[str, str] | None = None, **settings: Unpack[QueueSettings]
    ) -> Queue:
        """As `ropeway.Broker.create_queue`."""
        loop = self._loop_thread.loop
        return Queue(loop, call(loop, lambda: self._inner.create_queue(name, tags=tags, **settings)))

    def receive(
        self,
        queues: Sequence[Queue | str],
        max_messages: int = 1,
        *,
        weights: Sequence[int] | None = None,
        wait: float | None = None,
        visibility_timeout: float | None = None,
    ) -> list[Message]:
        """As `ropeway.Broker.receive`. Messages that come when this was interrupted are released."""
        loop = self._loop_thread.loop
        inner = [each if isinstance(each, str) else each.inner for each in queues]
        found = call(
            loop,
            lambda: self._inner.receive(
                inner, max_messages, weights=weights, wait=wait, visibility_timeout=visibility_timeout
            ),
            give_back,
        )
        return [Message(Queue(loop, each.queue), each) for each in found]

    def delete_queue(self, name: str) -> None:
        """As `Queue.delete`."""
        self.queue(name).delete()

    def list_queues(
        self, prefix: str = "", *, account: str | None = None, region: str | None = None
    ) -> Iterator[Queue]:
        """As `ropeway.Broker.list_queues`, as an iterator."""
        return every_now(lambda after: self.page_queues(prefix, after, account=account, region=region))

    def page_queues(
        self,
        prefix: str = "",
        after: str | None = None,
        limit: int | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
    ) -> tuple[list[Queue], str | None]:
        """As `ropeway.Broker.page_queues`."""
        loop = self._loop_thread.loop
        found, following = call(
            loop,
            lambda: self._inner.page_queues(prefix, after, limit, account=account, region=region),
        )
        return [Queue(loop, queue) for queue in found], following

    def topic(self, name: str) -> Topic:
        """As `ropeway.Broker.topic`."""
        return Topic(self._loop_thread.loop, self._inner.topic(name))

    def create_topic(
        self, name: str, *, tags: Mapping[str, str] | None = None, **settings: Unpack[TopicSettings]
    ) -> Topic:
        """As `ropeway.Broker.create_topic`."""
        loop = self._loop_thread.loop
        return Topic(loop, call(loop, lambda: self._inner.create_topic(name, tags=tags, **settings)))

    def list_topics(
        self, prefix: str = "", *, account: str | None = None, region: str | None = None
    ) -> Iterator[Topic]:
        """As `ropeway.Broker.list_topics`, as an iterator."""
        return every_now(lambda after: self.page_topics(prefix, after, account=account, region=region))

    def page_topics(
        self,
        prefix: str = "",
        after: str | None = None,
        limit: int | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
    ) -> tuple[list[Topic], str | None]:
        """As `ropeway.Broker.page_topics`."""
        loop = self._loop_thread.loop
        found, following = call(
            loop,
            lambda: self._inner.page_topics(prefix, after, limit, account=account, region=region),
        )
        return [Topic(loop, topic) for topic in found], following

    def subscription(self, arn: str) -> Subscription:
        """As `ropeway.Broker.subscription`."""
        return Subscription(self._loop_thread.loop, self._inner.subscription(arn))

    def confirm_subscription(
        self, token: str, *, topic: str | None = None, guarded: bool = False
    ) -> Subscription:
        """As `ropeway.Broker.confirm_subscription`."""
        loop = self._loop_thread.loop
        made = call(loop, lambda: self._inner.confirm_subscription(token, topic=topic, guarded=guarded))
        return Subscription(loop, made)

    def list_subscriptions(
        self, *, topic: str | None = None, account: str | None = None, region: str | None = None
    ) -> Iterator[Subscription]:
        """As `ropeway.Broker.list_subscriptions`, as an iterator."""
        return every_now(
            lambda after: self.page_subscriptions(after, topic=topic, account=account, region=region)
        )

    def page_subscriptions(
        self,
        after: str | None = None,
        limit: int | None = None,
        *,
        topic: str | None = None,
        account: str | None = None,
        region: str | None = None,
    ) -> tuple[list[Subscription], str | None]:
        """As `ropeway.Broker.page_subscriptions`."""
        loop = self._loop_thread.loop
        found, following = call(
            loop,
            lambda: self._inner.page_subscriptions(after, limit, topic=topic, account=account, region=region),
        )
        return [Subscription(loop, each) for each in found], following

    def phones(self, *, account: str | None = None, region: str | None = None) -> Phones:
        """As `ropeway.Broker.phones`."""
        return Phones(self._loop_thread.loop, self._inner.phones(account=account, region=region))

    @property
    def _loop_thread(self) -> LoopThread:
        if self._thread is None:
            raise BrokerClosed("the broker is not open; use `with ropeway.sync.connect() as broker`")
        return self._thread


class Worker:
    """As `ropeway.Worker`. Plain handlers run in threads of their own, coroutine functions in the broker's
    loop."""

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
        self._loop = queue.loop
        self._inner = working.Worker(
            queue.inner,
            handler,
            concurrency=concurrency,
            visibility_timeout=visibility_timeout,
            backoff=backoff,
            prefetch=prefetch,
        )

    def run(self, *, signals: bool = False) -> None:
        """Handle messages until `stop`, as `ropeway.Worker.run`.

        With `signals` (in the main thread only) SIGTERM and SIGINT stop it; a second one raises
        KeyboardInterrupt.
        """
        with self._signals() if signals else contextlib.nullcontext():
            call(self._loop, self._inner.run)

    def stop(self) -> None:
        """Take no more messages. `run` returns when the handlers that are running have ended. From any
        thread."""
        self._inner.stop()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        count = 0

        def on_signal(number: int, _frame: FrameType | None) -> None:
            nonlocal count
            count += 1
            name = signal.Signals(number).name
            if count > 1:
                logger.warning("%s again: giving back what is being handled", name)
                raise KeyboardInterrupt
            logger.info("%s: finishing what is being handled", name)
            self.stop()

        before = {each: signal.signal(each, on_signal) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
