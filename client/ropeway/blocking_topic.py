"""Topics and subscriptions for plain code: the same names, each call waiting for its result.

They hold the asynchronous object and the loop that it lives in, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, Unpack

from ropeway import topic as asynchronous
from ropeway.blocking import Message, Queue, message
from ropeway.delivery_attempt import DeliveryAttempt
from ropeway.listener import Listener as AsyncListener
from ropeway.message import Body, MessageId
from ropeway.paging import every_now
from ropeway.portal import call
from ropeway.topic import Publication, PublishOptions, SubscriptionSettings, TopicSettings


class Topic:
    """As `ropeway.Topic`."""

    __slots__ = ("inner", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, inner: asynchronous.Topic) -> None:
        self.loop = loop
        self.inner = inner

    def __repr__(self) -> str:
        return repr(self.inner)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Topic) and self.inner == other.inner

    def __hash__(self) -> int:
        return hash(self.inner)

    @property
    def name(self) -> str:
        """Its name."""
        return self.inner.name

    def publish(self, body: Body, **options: Unpack[PublishOptions]) -> MessageId:
        """As `ropeway.Topic.publish`."""
        return call(self.loop, lambda: self.inner.publish(body, **options))

    def publish_many(self, messages: Iterable[Body | Publication]) -> list[MessageId]:
        """As `ropeway.Topic.publish_many`."""
        listed = list(messages)
        return call(self.loop, lambda: self.inner.publish_many(listed))

    def subscribe(
        self,
        subscriber: Queue | str,
        *,
        filter: Mapping[str, Any] | str | None = None,  # noqa: A002  # what it is called everywhere
        filter_by: Literal["attributes", "body"] = "attributes",
        raw: bool = False,
        dead_letters: Queue | str | None = None,
        delivery_policy: str | None = None,
        protocol: str | None = None,
    ) -> Subscription:
        """As `ropeway.Topic.subscribe`."""
        target = subscriber.inner if isinstance(subscriber, Queue) else subscriber
        letters = dead_letters.inner if isinstance(dead_letters, Queue) else dead_letters
        made = call(
            self.loop,
            lambda: self.inner.subscribe(
                target,
                filter=filter,
                filter_by=filter_by,
                raw=raw,
                dead_letters=letters,
                delivery_policy=delivery_policy,
                protocol=protocol,
            ),
        )
        return Subscription(self.loop, made)

    def listen(
        self,
        *,
        filter: Mapping[str, Any] | str | None = None,  # noqa: A002  # what it is called everywhere
        filter_by: Literal["attributes", "body"] = "attributes",
        raw: bool = True,
    ) -> Listener:
        """As `ropeway.Topic.listen`, as an iterator."""

        async def make() -> AsyncListener:
            return self.inner.listen(filter=filter, filter_by=filter_by, raw=raw)

        return Listener(self.loop, call(self.loop, make))

    def deliveries(
        self, *, failed: bool = False, follow: bool = False, last: int | None = None
    ) -> Iterator[DeliveryAttempt]:
        """As `ropeway.Topic.deliveries`, as an iterator."""

        async def make() -> AsyncIterator[DeliveryAttempt]:
            return self.inner.deliveries(failed=failed, follow=follow, last=last)

        attempts = call(self.loop, make)

        async def following() -> DeliveryAttempt:
            return await anext(attempts)

        while True:
            try:
                yield call(self.loop, following)
            except StopAsyncIteration:
                return

    def page_deliveries(
        self, after: int = 0, limit: int | None = None, *, failed: bool = False, wait: float = 0.0
    ) -> tuple[list[DeliveryAttempt], int | None]:
        """As `ropeway.Topic.page_deliveries`."""
        return call(self.loop, lambda: self.inner.page_deliveries(after, limit, failed=failed, wait=wait))

    def subscriptions(self) -> Iterator[Subscription]:
        """As `ropeway.Topic.subscriptions`, as an iterator."""
        return every_now(self.page_subscriptions)

    def page_subscriptions(
        self, after: str | None = None, limit: int | None = None
    ) -> tuple[list[Subscription], str | None]:
        """As `ropeway.Topic.page_subscriptions`."""
        found, following = call(self.loop, lambda: self.inner.page_subscriptions(after, limit))
        return [Subscription(self.loop, each) for each in found], following

    def attributes(self) -> dict[str, Any]:
        """As `ropeway.Topic.attributes`."""
        return call(self.loop, self.inner.attributes)

    def set(self, **settings: Unpack[TopicSettings]) -> None:
        """As `ropeway.Topic.set`."""
        call(self.loop, lambda: self.inner.set(**settings))

    def tag(self, tags: Mapping[str, str]) -> None:
        """As `ropeway.Topic.tag`."""
        call(self.loop, lambda: self.inner.tag(tags))

    def untag(self, keys: Iterable[str]) -> None:
        """As `ropeway.Topic.untag`."""
        call(self.loop, lambda: self.inner.untag(keys))

    def tags(self) -> dict[str, str]:
        """As `ropeway.Topic.tags`."""
        return call(self.loop, self.inner.tags)

    def add_permission(self, label: str, accounts: Iterable[str], actions: Iterable[str]) -> None:
        """As `ropeway.Topic.add_permission`."""
        call(self.loop, lambda: self.inner.add_permission(label, accounts, actions))

    def remove_permission(self, label: str) -> None:
        """As `ropeway.Topic.remove_permission`."""
        call(self.loop, lambda: self.inner.remove_permission(label))

    def delete(self) -> None:
        """As `ropeway.Topic.delete`."""
        call(self.loop, self.inner.delete)


class Subscription:
    """As `ropeway.Subscription`."""

    __slots__ = ("_inner", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, inner: asynchronous.Subscription) -> None:
        self._loop = loop
        self._inner = inner

    def __repr__(self) -> str:
        return repr(self._inner)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subscription) and self._inner == other._inner

    def __hash__(self) -> int:
        return hash(self._inner)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self._inner.arn

    def attributes(self) -> dict[str, Any]:
        """As `ropeway.Subscription.attributes`."""
        return call(self._loop, self._inner.attributes)

    def set(self, **settings: Unpack[SubscriptionSettings]) -> None:
        """As `ropeway.Subscription.set`."""
        call(self._loop, lambda: self._inner.set(**settings))

    def replay(self, start: datetime, end: datetime | None = None) -> None:
        """As `ropeway.Subscription.replay`."""
        call(self._loop, lambda: self._inner.replay(start, end))

    def unsubscribe(self) -> None:
        """As `ropeway.Subscription.unsubscribe`."""
        call(self._loop, self._inner.unsubscribe)


class Listener:
    """As `ropeway.Listener`, for `for` and `with`."""

    __slots__ = ("_inner", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, inner: AsyncListener) -> None:
        self._loop = loop
        self._inner = inner

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        try:
            return message(self._loop, call(self._loop, self._inner.__anext__))
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Self:
        call(self._loop, self._inner.open)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration, the queue and its subscription."""
        call(self._loop, self._inner.aclose)
