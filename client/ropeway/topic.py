"""A topic and its subscriptions, as seen from here: names, and the calls that concern them. They hold no
state."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from ropeway.delivery_attempt import DeliveryAttempt, read_attempts
from ropeway.errors import ProtocolError, RopewayError
from ropeway.listener import Listener
from ropeway.message import Attributes, Body, MessageId, typed
from ropeway.queue import Queue, all_or_raise, read_message_id
from ropeway.stream import POLL_WAIT, RETRY, passes
from ropeway.units import milliseconds
from ropeway.wire import Action, pack, read_error

if TYPE_CHECKING:
    from ropeway.broker import Broker

RUN_BYTES = 4 << 20
"""About how much one request of `publish_many` holds."""


MAILTO = "mailto:"
_BEGINNINGS = (
    ("http://", "http"),
    ("https://", "https"),
    (MAILTO, "email"),
    ("+", "sms"),
    ("arn:aws:lambda:", "lambda"),
    ("arn:aws:firehose:", "firehose"),
)


class TopicSettings(TypedDict, total=False):
    """What can be set on a topic."""

    display_name: str
    """What people are shown: up to 100 characters."""
    policy: str | None
    """The access policy, JSON of up to 30,720 bytes; empty removes it. It is kept, not enforced."""
    delivery_policy: str | None
    """The delivery policy, a JSON object; kept and told."""
    kms_master_key_id: str | None
    """A KMS key's id; kept and told."""
    signature_version: Literal["1", "2"] | None
    """How what web hooks get is signed: by SHA-1, or by SHA-256; "1"."""
    tracing_config: Literal["PassThrough", "Active"] | None
    """Kept and told."""
    maximum_message_size: int | None
    """Bytes of a message and its attributes: 1,024 to 1,048,576; 262,144."""
    fifo: bool
    """Whether it keeps order within message groups, and takes no duplicates. Only when it is made, and its
    name ends in .fifo exactly then; False."""
    content_based_deduplication: bool
    """FIFO: whether the SHA-256 of its body is the deduplication id of a message that has none; False."""
    fifo_throughput_scope: Literal["Topic", "MessageGroup"]
    """FIFO: whether a deduplication id means the same message in the topic or in its group; "Topic"."""
    archive_days: int | None
    """For how many days what is published is kept, to be replayed: 1 to 365; None: not at all. FIFO topics
    alone, unless the daemon's settings say otherwise."""
    feedback: Mapping[str, str]
    """AWS's delivery status attributes by name; those not named stay, and an empty text takes one away. A
    success sample rate, "0" to "100", says of how many successes `Topic.deliveries` tells; without it all."""
    data_protection_policy: str | None
    """Standard topics: the data protection policy, a JSON object of up to 30,720 bytes; empty removes it.
    It is kept, not enforced."""


class DeadLetters(TypedDict):
    """Where a subscription's messages go that its queue does not take."""

    dead_letter_target_arn: str
    """The dead-letter queue: its ARN, or its name."""


class ReplayPolicy(TypedDict, total=False):
    """Of what time a subscription gets again what the topic's archive holds. Milliseconds."""

    starting_point: int
    ending_point: int | None
    """What is published later does not come. Without it: all, and then what is new."""


class SubscriptionSettings(TypedDict, total=False):
    """What can be set on a subscription."""

    raw_message_delivery: bool
    """Whether the queue gets the message as it was published, and not the envelope; False."""
    filter_policy: Mapping[str, Any] | str | None
    """Which messages it wants; None: all. An object, or its JSON."""
    filter_policy_scope: Literal["MessageAttributes", "MessageBody"]
    """What of a message the filter policy looks at; "MessageAttributes"."""
    redrive_policy: DeadLetters | None
    """Where messages go that its subscriber does not take; None: nowhere."""
    delivery_policy: str | None
    """Of a web hook: how often and how soon a message is tried again, and as what type, JSON."""
    replay_policy: ReplayPolicy | None
    """What it is to get again; None: nothing."""
    subscription_role_arn: str | None
    """Of a stream; kept and told."""


class PublishOptions(TypedDict, total=False):
    """What can be said of a message besides its body; see `Publication`."""

    subject: str | None
    attributes: Attributes | None
    structure: Literal["json"] | None
    trace_header: str | None
    group: str | None
    deduplication_id: str | None


@dataclass(frozen=True, slots=True)
class Publication:
    """A message to publish with `Topic.publish_many`: its body, a subject of fewer than 100 characters, its
    attributes, and an X-Ray trace header to hand on. With the `structure` "json" the body is a JSON object
    with a text for each protocol by its name, and `default`.

    A FIFO topic keeps the order within each `group`, which it requires. Two messages with the same
    `deduplication_id` within 5 minutes are one.
    """

    body: Body
    subject: str | None = None
    attributes: Attributes | None = None
    structure: Literal["json"] | None = None
    trace_header: str | None = None
    group: str | None = None
    deduplication_id: str | None = None


class Topic:
    """Made by `Broker.topic` and `Broker.create_topic`.

    Every call raises NotFound where there is no such topic, DeadlineExceeded where no answer came in time,
    and BrokerClosed after the broker was closed.
    """

    __slots__ = ("broker", "name")

    def __init__(self, broker: Broker, name: str) -> None:
        self.broker = broker
        self.name = name

    def __repr__(self) -> str:
        return f"<Topic {self.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Topic) and other.broker is self.broker and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    # Messages

    async def publish(self, body: Body, **options: Unpack[PublishOptions]) -> MessageId:
        """Publish one message; its id is returned when every queue that wants it has it on disk. The options
        are those of `Publication`.

        Raises InvalidParameterValue and InvalidMessageContents; ConnectionLost if the connection broke before
        the answer: the message may or may not have been accepted.
        """
        [published] = await self._publish([_entry(Publication(body, **options))])
        if isinstance(published, RopewayError):
            raise published
        return published

    async def publish_many(self, messages: Iterable[Body | Publication]) -> list[MessageId]:
        """Publish any number of messages, in as few requests as they fit, one after the other; their ids, in
        order.

        Raises BatchError if some were not accepted, with the result of each; if the whole of it was refused
        for one reason, such as NotFound, that reason.
        """
        entries = [_entry(each if isinstance(each, Publication) else Publication(each)) for each in messages]
        results: list[MessageId | RopewayError] = []
        for run in _runs(entries):
            try:
                results += await self._publish(run)
            except RopewayError as error:
                results += [error] * len(run)
        return [each for each in all_or_raise(results) if isinstance(each, MessageId)]

    async def _publish(self, entries: Sequence[dict[str, object]]) -> list[MessageId | RopewayError]:
        found = await self._call(Action.PublishMessage, entries=list(entries))
        if not isinstance(found, tuple) or len(found) != len(entries):
            raise ProtocolError("the daemon's answer to PublishMessage has the wrong shape")
        return [_published(each) for each in found]

    # Subscriptions

    async def subscribe(
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
        """Have a subscriber get what is published from now on: all of it, or what the filter policy `filter`
        takes by a message's attributes or its body. The envelope, or with `raw` the message itself.
        What the subscriber does not take goes to the queue `dead_letters`, if there is one.

        A subscriber is a queue, or the name of one that need not be there (yet); a URL; "mailto:" and an
        address; a phone number as "+4930123456"; the ARN of a function or of a stream. `protocol` says it
        where that does not ("email-json", or a queue with an odd name). A URL or a mailbox gets nothing
        before it confirms: see Broker.confirm_subscription. `delivery_policy`: how a web hook is tried again,
        JSON.

        A subscription that is there already is found, if it is as asked for. Raises InvalidParameterValue;
        OverLimit.
        """
        settings: dict[str, object] = {}
        if raw:
            settings["raw_message_delivery"] = True
        if filter is not None:
            settings["filter_policy"] = filter if isinstance(filter, str) else dict(filter)
            settings["filter_policy_scope"] = "MessageBody" if filter_by == "body" else "MessageAttributes"
        if dead_letters is not None:
            settings["redrive_policy"] = {"dead_letter_target_arn": _name(dead_letters)}
        if delivery_policy is not None:
            settings["delivery_policy"] = delivery_policy
        endpoint = _name(subscriber)
        protocol = protocol or _protocol(subscriber)
        if protocol.startswith("email"):
            endpoint = endpoint.removeprefix(MAILTO)
        asked = {"endpoint": endpoint, "protocol": protocol, "attributes": settings}
        match await self._call(Action.Subscribe, **asked):
            case {"subscription": str(arn)}:
                return Subscription(self.broker, arn)
        raise ProtocolError("the daemon's answer to Subscribe has the wrong shape")

    def listen(
        self,
        *,
        filter: Mapping[str, Any] | str | None = None,  # noqa: A002  # what it is called everywhere
        filter_by: Literal["attributes", "body"] = "attributes",
        raw: bool = True,
    ) -> Listener:
        """What is published from now on, as an asynchronous iterator, by a queue of its own that goes with
        it; all of it, or what the filter policy `filter` takes. A message is deleted before you have it:
        there is nothing to settle. The message itself, or without `raw` the envelope.
        """
        return Listener(self, filter, filter_by, raw=raw)

    async def deliveries(
        self, *, failed: bool = False, follow: bool = False, last: int | None = None
    ) -> AsyncIterator[DeliveryAttempt]:
        """The latest attempts to deliver what was published to it, oldest first, as far as the daemon
        remembers them: those since it started, up to a limit, and of the successes as many as `feedback`
        says. With `failed` those that did not deliver; of all these, the `last` so many.

        With `follow` it goes on with what is attempted from then on. It outlives lost connections and a
        restart of the daemon.
        """
        held: deque[DeliveryAttempt] = deque(maxlen=last)
        after, more = 0, True
        while more:
            found, following = await self.page_deliveries(after, failed=failed)
            held.extend(found)
            after, more = found[-1].number if found else after, following is not None
        for each in held:
            yield each
        failures = 0
        while follow:
            try:
                found, _ = await self.page_deliveries(after, failed=failed, wait=POLL_WAIT)
                failures = 0
            except RopewayError as error:
                if not passes(error):
                    raise
                failures += 1
                await asyncio.sleep(RETRY.delay(failures))
                continue
            for each in found:
                after = each.number
                yield each

    async def page_deliveries(
        self, after: int = 0, limit: int | None = None, *, failed: bool = False, wait: float = 0.0
    ) -> tuple[list[DeliveryAttempt], int | None]:
        """Up to `limit` (1 to 1,000) attempts with numbers above `after`, and the number to go on after, if
        there are more. If there is none, one is waited for, up to `wait` (20) seconds."""
        params: dict[str, object] = {"topic": self.name, "after": after, "failed": failed}
        params["wait"] = milliseconds(wait, "wait")
        if limit is not None:
            params["limit"] = limit
        link = self.broker.link
        return read_attempts(await link.call(Action.ListDeliveries, params, wait + link.timeout))

    async def subscriptions(self) -> AsyncIterator[Subscription]:
        """All of its subscriptions, fetched in pages as needed."""
        async for each in self.broker.list_subscriptions(topic=self.name):
            yield each

    async def page_subscriptions(
        self, after: str | None = None, limit: int | None = None
    ) -> tuple[list[Subscription], str | None]:
        """Up to `limit` (1 to 1,000) subscriptions after the one of the ARN `after`, and the ARN to go on
        after, if any."""
        return await self.broker.page_subscriptions(after, limit, topic=self.name)

    # The topic itself

    async def attributes(self) -> dict[str, Any]:
        """What is known of it: settings that are set, and `arn`, `owner`, `created_at` (milliseconds),
        `confirmed` and `deleted` (numbers of subscriptions)."""
        return _map(await self._call(Action.GetTopicAttributes))

    async def set(self, **settings: Unpack[TopicSettings]) -> None:
        """Change settings; those not named stay. Raises InvalidAttributeName, InvalidAttributeValue."""
        await self._call(Action.SetTopicAttributes, attributes=dict(settings))

    async def tag(self, tags: Mapping[str, str]) -> None:
        """Put tags on it, up to 50; a key that it has already gets the new value."""
        await self._call(Action.TagTopic, tags=dict(tags))

    async def untag(self, keys: Iterable[str]) -> None:
        """Take tags from it. A key that it does not have is fine."""
        await self._call(Action.UntagTopic, keys=list(keys))

    async def tags(self) -> dict[str, str]:
        """Its tags."""
        return _map(await self._call(Action.ListTopicTags))

    async def add_permission(self, label: str, accounts: Iterable[str], actions: Iterable[str]) -> None:
        """Allow other accounts some actions: a statement in its policy. Raises InvalidParameterValue."""
        given: dict[str, object] = {"label": label, "accounts": list(accounts), "actions": list(actions)}
        await self._call(Action.AddTopicPermission, **given)

    async def remove_permission(self, label: str) -> None:
        """Take back what was allowed by this label."""
        await self._call(Action.RemoveTopicPermission, label=label)

    async def delete(self) -> None:
        """Delete it and every subscription to it. One that is not there is fine."""
        await self._call(Action.DeleteTopic)

    async def _call(self, action: Action, **params: object) -> object:
        return await self.broker.link.call(action, {"topic": self.name, **params})


class Subscription:
    """Made by `Topic.subscribe`, `Topic.subscriptions` and `Broker.list_subscriptions`.

    Every call but `unsubscribe` raises NotFound where there is no such subscription.
    """

    __slots__ = ("arn", "broker")

    def __init__(self, broker: Broker, arn: str) -> None:
        self.broker = broker
        self.arn = arn

    def __repr__(self) -> str:
        return f"<Subscription {self.arn}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subscription) and other.broker is self.broker and other.arn == self.arn

    def __hash__(self) -> int:
        return hash(self.arn)

    async def attributes(self) -> dict[str, Any]:
        """What is known of it: its settings, and `topic` (an ARN), `protocol`, `endpoint`, `owner`,
        `created_at` (milliseconds); and since the daemon started `delivered`, `filtered`, `dead_lettered` and
        `failed` (numbers of messages)."""
        return _map(await self._call(Action.GetSubscriptionAttributes))

    async def set(self, **settings: Unpack[SubscriptionSettings]) -> None:
        """Change settings; those not named stay. Raises InvalidParameterValue, InvalidAttributeValue."""
        given: dict[str, object] = dict(settings)
        await self._call(Action.SetSubscriptionAttributes, attributes=given)

    async def replay(self, start: datetime, end: datetime | None = None) -> None:
        """Have it get again what the topic's archive holds from `start` on: all, and then what is published;
        or up to `end`, and nothing later until `replay_policy` is set to None. Raises InvalidParameterValue
        where there is no archive; OverLimit.
        """
        policy: ReplayPolicy = {"starting_point": _milliseconds(start)}
        if end is not None:
            policy["ending_point"] = _milliseconds(end)
        await self.set(replay_policy=policy)

    async def unsubscribe(self) -> None:
        """End it. One that is not there is fine."""
        await self._call(Action.Unsubscribe)

    async def _call(self, action: Action, **params: object) -> object:
        return await self.broker.link.call(action, {"subscription": self.arn, **params})


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _name(queue: Queue | str) -> str:
    return queue.name if isinstance(queue, Queue) else queue


def _protocol(subscriber: Queue | str) -> str:
    """By which it is reached, as far as one can see."""
    if isinstance(subscriber, str):
        for beginning, protocol in _BEGINNINGS:
            if subscriber.startswith(beginning):
                return protocol
    return "sqs"


def _entry(message: Publication) -> dict[str, object]:
    if not isinstance(message.body, (str, bytes, bytearray, memoryview)):
        raise TypeError(f"a body is str or bytes, not {type(message.body).__name__}")
    attributes = message.attributes
    given: dict[str, object] = {
        "body": message.body,
        "subject": message.subject,
        "attributes": {name: typed(name, value) for name, value in attributes.items()}
        if attributes
        else None,
        "structure": message.structure,
        "trace_header": message.trace_header,
        "group": message.group,
        "deduplication_id": message.deduplication_id,
    }
    return {name: value for name, value in given.items() if value is not None}


def _runs(entries: Sequence[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    """As many as one request takes."""
    run: list[dict[str, object]] = []
    size = 0
    for each in entries:
        its = len(pack(each))
        if run and (size + its > RUN_BYTES or len(run) == 1000):
            yield run
            run, size = [], 0
        run.append(each)
        size += its
    if run:
        yield run


def _published(result: object) -> MessageId | RopewayError:
    match result:
        case bytes():
            return read_message_id(result)
        case (bytes() as raw, str(number)):
            return read_message_id((raw, number))
    return read_error(result)


def _map(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ProtocolError("the daemon's answer is no map")
    return dict(found)
