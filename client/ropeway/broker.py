"""The daemon, as seen from here: `connect` gives a `Broker`, and that gives queues and topics."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from ropeway.address import Address, parse
from ropeway.coalescing import Coalescer
from ropeway.errors import BrokerClosed, ProtocolError
from ropeway.link import Link
from ropeway.paging import every, page
from ropeway.phones import Phones
from ropeway.queue import Queue, QueueSettings, wire_settings
from ropeway.several import PollOfSeveral, receive
from ropeway.topic import Subscription, Topic, TopicSettings
from ropeway.version import __version__
from ropeway.wire import Action

if TYPE_CHECKING:
    from ropeway.listener import Ear
    from ropeway.message import Message
    from ropeway.stream import Flow

DEFAULT_TIMEOUT = 30.0
BACKUP_TIMEOUT = 24 * 3600.0
RELEASE_PATIENCE = 2.0
"""Seconds that `close` waits for messages to be given back."""


def connect(
    url: str | None = None,
    *,
    key: str | None = None,
    secret: str | None = None,
    ca_file: str | os.PathLike[str] | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> Broker:
    """A broker for `async with`, which connects and closes it.

    `url` is `ropeway://[key:secret@]host[:port]`, `ropeways://...` (TLS) or `unix:PATH`; without one
    $ROPEWAY_URL counts, and without that ropeway://127.0.0.1:4565. For TLS `ca_file` names the certificates
    to trust, in place of the system's (the URL may say `?ca=FILE`), or `tls` is a context of your own.

    `timeout` is the deadline of every call in seconds; a receive has its `wait` on top. Raises ValueError for
    a URL that cannot be understood.
    """
    if not timeout > 0:
        raise ValueError("timeout is a number of seconds above 0")
    return Broker(parse(url, key=key, secret=secret, ca_file=ca_file, tls=tls), timeout)


class Broker:
    """A connection that mends itself. It belongs to the event loop it was opened in; any task there may use
    it.

    Every call raises DeadlineExceeded where no answer came in time, and BrokerClosed after `close`.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self.address = address
        self.timeout = timeout
        self.flows: set[Flow] = set()
        self.ears: set[Ear] = set()
        self._closed = False
        self._link: Link | None = None
        self._coalescer: Coalescer | None = None

    def __repr__(self) -> str:
        return f"<Broker {self.address}>"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect, once. Raises ConnectionFailed, ProtocolError, AccessDenied, or what else the daemon
        says."""
        if self._link is not None:
            raise RuntimeError("this broker was opened before; connect() gives another")
        self._link = Link(self.address, f"ropeway-python/{__version__}", self.timeout)
        self._coalescer = Coalescer(self._link)
        try:
            await self._link.open()
        except BaseException:
            self._link.closed = True
            raise

    async def close(self) -> None:
        """Give back what was fetched and not taken, and end the connection. Calls that still wait get
        BrokerClosed."""
        if self._link is None or self._coalescer is None or self._closed:
            return
        for ear in list(self.ears):
            await ear.close()
        self._closed = True
        for flow in list(self.flows):
            flow.shut()
        try:
            await self._coalescer.settle(min(RELEASE_PATIENCE, self.timeout))
        finally:
            await self._link.close()

    async def ping(self) -> None:
        """A round trip to the daemon."""
        await self.link.call(Action.Ping, {})

    def queue(self, name: str, *, exactly_once: bool = False) -> Queue:
        """The queue of this name, or of this ARN if it belongs to another account or region than the daemon's
        own. Nothing is asked of the daemon; the queue's calls will say if there is no such queue.

        With `exactly_once` each message that is sent has a token, by which the daemon recognises it: a send
        whose answer was lost is repeated, and the message is there once. A FIFO queue is always so.
        """
        return Queue(self, name, exactly_once=exactly_once)

    async def create_queue(
        self, name: str, *, tags: Mapping[str, str] | None = None, **settings: Unpack[QueueSettings]
    ) -> Queue:
        """Make a queue, unless it is there, with `tags` on it. Durations are in seconds; see
        `QueueSettings`.

        Raises QueueNameExists if it is there and differs in a setting that was given; InvalidParameterValue
        for a name that is not 1 to 80 of A-Z, a-z, 0-9, - and _; InvalidAttributeName; InvalidAttributeValue.
        """
        params: dict[str, object] = {"queue": name}
        if settings:
            params["attributes"] = wire_settings(settings)
        if tags:
            params["tags"] = dict(tags)
        await self.link.call(Action.CreateQueue, params)
        return Queue(self, name)

    async def receive(
        self,
        queues: Sequence[Queue | str],
        max_messages: int = 1,
        *,
        weights: Sequence[int] | None = None,
        wait: float | None = None,
        visibility_timeout: float | None = None,
    ) -> list[Message]:
        """Up to `max_messages` messages of one of these queues (1 to 100): of the first that has any, so the
        most urgent is named first. With `weights` (1 to 1,000 each) one is drawn instead, by its share, among
        those that have any. `Message.queue` says which it was.

        `wait` is how many seconds to wait if all are empty, 0 to 20; without it the longest of the queues'.
        All else is as in `Queue.receive`.
        """
        named = [each if isinstance(each, Queue) else self.queue(each) for each in queues]
        if not named:
            raise ValueError("a receive needs at least one queue")
        return await receive(PollOfSeveral(named, weights, max_messages, wait, visibility_timeout), wait)

    async def delete_queue(self, name: str) -> None:
        """As `Queue.delete`."""
        await self.queue(name).delete()

    async def list_queues(
        self, prefix: str = "", *, account: str | None = None, region: str | None = None
    ) -> AsyncIterator[Queue]:
        """The queues whose names start so, in order of their names, fetched in pages as needed.

        Those of another account (twelve digits) or region than the daemon's own are named by their ARNs.
        """
        async for each in every(
            lambda after: self.page_queues(prefix, after, account=account, region=region)
        ):
            yield each

    async def page_queues(
        self,
        prefix: str = "",
        after: str | None = None,
        limit: int | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
    ) -> tuple[list[Queue], str | None]:
        """Up to `limit` (1 to 1,000) queues that come after the name `after`, and the name to go on after, if
        any."""
        given = {
            "prefix": prefix or None,
            "after": after,
            "limit": limit,
            "account": account,
            "region": region,
        }
        names, following = await page(self.link, Action.ListQueues, "queues", given)
        return [Queue(self, str(name)) for name in names], following

    def topic(self, name: str) -> Topic:
        """The topic of this name, or of this ARN if it belongs to another account or region than the daemon's
        own. Nothing is asked of the daemon; the topic's calls will say if there is no such topic."""
        return Topic(self, name)

    async def create_topic(
        self, name: str, *, tags: Mapping[str, str] | None = None, **settings: Unpack[TopicSettings]
    ) -> Topic:
        """Make a topic, unless it is there, with `tags` on it. See `TopicSettings`.

        Raises InvalidParameterValue if it is there and differs in a setting or the tags that were given, or
        for a name that is not 1 to 256 of A-Z, a-z, 0-9, - and _; InvalidAttributeName;
        InvalidAttributeValue.
        """
        params: dict[str, object] = {"topic": name}
        if settings:
            params["attributes"] = dict(settings)
        if tags is not None:
            params["tags"] = dict(tags)
        await self.link.call(Action.CreateTopic, params)
        return Topic(self, name)

    async def list_topics(
        self, prefix: str = "", *, account: str | None = None, region: str | None = None
    ) -> AsyncIterator[Topic]:
        """The topics whose names start so, in order of their names, fetched in pages as needed."""
        async for each in every(
            lambda after: self.page_topics(prefix, after, account=account, region=region)
        ):
            yield each

    async def page_topics(
        self,
        prefix: str = "",
        after: str | None = None,
        limit: int | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
    ) -> tuple[list[Topic], str | None]:
        """Up to `limit` (1 to 1,000) topics that come after the name `after`, and the name to go on after, if
        any."""
        given = {
            "prefix": prefix or None,
            "after": after,
            "limit": limit,
            "account": account,
            "region": region,
        }
        names, following = await page(self.link, Action.ListTopics, "topics", given)
        return [Topic(self, str(name)) for name in names], following

    def subscription(self, arn: str) -> Subscription:
        """The subscription of this ARN. Nothing is asked of the daemon."""
        return Subscription(self, arn)

    async def confirm_subscription(
        self, token: str, *, topic: str | None = None, guarded: bool = False
    ) -> Subscription:
        """Confirm a subscription with the token that its subscriber was told. `topic`: its ARN, whose region
        must be the token's. With `guarded` a call without a signature does not end it. Raises
        InvalidParameterValue."""
        asked: dict[str, object] = {"token": token, "topic": topic, "guarded": guarded}
        match await self.link.call(Action.ConfirmSubscription, asked):
            case {"subscription": str(arn)}:
                return Subscription(self, arn)
        raise ProtocolError("the daemon's answer to ConfirmSubscription has the wrong shape")

    async def list_subscriptions(
        self, *, topic: str | None = None, account: str | None = None, region: str | None = None
    ) -> AsyncIterator[Subscription]:
        """The subscriptions to one topic, or all of an account and region (by default the daemon's own),
        fetched in pages as needed."""
        async for each in every(
            lambda after: self.page_subscriptions(after, topic=topic, account=account, region=region)
        ):
            yield each

    async def page_subscriptions(
        self,
        after: str | None = None,
        limit: int | None = None,
        *,
        topic: str | None = None,
        account: str | None = None,
        region: str | None = None,
    ) -> tuple[list[Subscription], str | None]:
        """Up to `limit` (1 to 1,000) subscriptions after the one of the ARN `after`, and the ARN to go on
        after, if any."""
        given = {"topic": topic, "after": after, "limit": limit, "account": account, "region": region}
        found, following = await page(self.link, Action.ListSubscriptions, "subscriptions", given)
        return [Subscription(self, each["subscription"]) for each in found], following

    def phones(self, *, account: str | None = None, region: str | None = None) -> Phones:
        """Telephone numbers: text messages to them, and what an account and region (by default the daemon's
        own) sets for those. Nothing is asked of the daemon."""
        return Phones(self, account, region)

    async def show_store(self) -> dict[str, int]:
        """The daemon's store in figures: what is in it, and what was written to it. docs/protocol.md says
        what each is."""
        match await self.link.call(Action.ShowStore, {}):
            case dict(found):
                return {str(name): int(value) for name, value in found.items()}
        raise ProtocolError("the daemon's answer to ShowStore has the wrong shape")

    async def backup_store(
        self, target: str | os.PathLike[str], *, within: float = BACKUP_TIMEOUT
    ) -> dict[str, int]:
        """Have the daemon copy its store into the directory `target`, an absolute path on its machine that is
        not there yet, while it is served. Gives the numbers of `records`, `batches` and `bytes`, and the
        `last_lsn` that is in it.

        Raises InvalidParameterValue with the reason where that cannot be done there; AccessDenied unless the
        daemon is on this machine; DeadlineExceeded if it takes more than `within` seconds, and then
        the daemon goes on.
        """
        params: dict[str, object] = {"target": os.fspath(target)}
        match await self.link.call(Action.BackupStore, params, within):
            case dict(found):
                return {str(name): value for name, value in found.items() if isinstance(value, int)}
        raise ProtocolError("the daemon's answer to BackupStore has the wrong shape")

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def link(self) -> Link:
        """For the rest of the library."""
        if self._link is None:
            raise BrokerClosed("the broker is not open; use `async with ropeway.connect() as broker`")
        return self._link

    @property
    def coalescer(self) -> Coalescer:
        """For the rest of the library."""
        if self._coalescer is None:
            raise BrokerClosed("the broker is not open; use `async with ropeway.connect() as broker`")
        return self._coalescer
