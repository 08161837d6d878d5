"""How topics reach records, and how records become topics again.

A topic and each subscription have a record of their own, written as of the slice's lsn. All of them are
loaded at start.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ropewayd.kernel.service import SliceBuilder, Touch
from ropewayd.queues.deduplication import drop_all
from ropewayd.queues.segments import former
from ropewayd.queues.slices import Remembered as Digests
from ropewayd.store.protocol import Record
from ropewayd.vocabulary.names import Scope

from .records import (
    IDS,
    NEXT_NUMBER,
    TOPICS,
    VERSION,
    SubscriptionRecord,
    TopicRecord,
    subscription_key,
    topic_key,
)
from .registry import Registry
from .topic import Subscription, Topic

Remembered = Digests
"""The touch of messages that a FIFO topic accepted."""
PIECE = 500
"""Records that are dropped before the slice's size is looked at again."""

_encode = msgspec.msgpack.Encoder().encode
_topics = msgspec.msgpack.Decoder(TopicRecord)
_subscriptions = msgspec.msgpack.Decoder(SubscriptionRecord)


class Own(msgspec.Struct, gc=False, frozen=True):
    """A topic's own record, and the next number, changed."""

    number: int


class Subscriber(msgspec.Struct, gc=False, frozen=True):
    """A subscription came, changed or went, and with it maybe its topic's count."""

    number: int
    id: bytes


class Ended(msgspec.Struct, gc=False, frozen=True):
    """An incarnation is over, with the subscriptions of these ids."""

    number: int
    ids: list[bytes]
    remembers: bool


class Spilling:
    """See the module."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    # Out

    def spill(self, touch: Touch, into: SliceBuilder) -> Touch:
        """Gives the touch again where it was too much for one piece of a slice."""
        topic = self._registry.by_number.get(touch.number)
        if isinstance(touch, Own):
            into.at_end(self, self._put_next)  # the queues have a next number too
            self._own(topic, into)
        elif isinstance(touch, Subscriber):
            self._own(topic, into)
            subscription = None if topic is None else topic.subscriber(touch.id)
            if subscription is not None:
                assert topic is not None
                _put_subscription(topic, subscription, into)
            else:
                into.drop(TOPICS, subscription_key(touch.number, touch.id))
        elif isinstance(touch, Remembered):
            if topic is not None and topic.ids is not None:
                topic.ids.spill(touch, into)
                self._own(topic, into)
        else:
            assert isinstance(touch, Ended)
            for _ in range(min(len(touch.ids), PIECE)):
                into.drop(TOPICS, subscription_key(touch.number, touch.ids.pop()))
            if touch.ids:
                return touch
            if touch.remembers:
                drop_all(touch.number, into, IDS)
            into.drop(TOPICS, topic_key(touch.number))
        return None

    def _put_next(self, into: SliceBuilder) -> None:
        into.put(TOPICS, NEXT_NUMBER, _encode(self._registry.next_number))

    def _own(self, topic: Topic | None, into: SliceBuilder) -> None:
        if topic is not None:
            into.at_end(topic, lambda end: _put_topic(topic, end))

    # In

    def load(self, records: Iterable[Record]) -> None:
        registry = self._registry
        for record in sorted((r for r in records if r.space == TOPICS), key=lambda r: bytes(r.key)):
            assert type(record.key) is bytes
            if record.key == NEXT_NUMBER:
                registry.next_number = msgspec.msgpack.decode(record.value, type=int)
                continue
            number = int.from_bytes(record.key[1:9], "big")
            if record.key[:1] == b"a":
                self._load_topic(number, record)
            else:
                self._load_subscription(number, record)

    def _load_topic(self, number: int, record: Record) -> None:
        said = _topics.decode(record.value)
        assert said.version == VERSION
        scope = Scope(said.account, said.region)
        topic = self._registry.add(number, said.name, scope, said.attributes, said.created_at)
        topic.tags = said.tags
        topic.next_sequence = said.next_sequence
        topic.deleted = said.deleted
        topic.archive, topic.archive_at = said.archive, said.archive_at
        if topic.ids is not None:
            topic.ids.restore([*map(former, said.epochs), *said.segments])
        topic.stored = record.lsn

    def _load_subscription(self, number: int, record: Record) -> None:
        said = _subscriptions.decode(record.value)
        assert said.version == VERSION
        topic = self._registry.by_number.get(number)
        if topic is None:
            return  # the topic ended, and this record is still to be dropped
        assert type(record.key) is bytes
        found = Subscription(
            *(record.key[9:], said.protocol, said.endpoint, said.owner, said.at, said.queue, said.token)
        )
        found.pending, found.guarded = said.pending, said.guarded
        found.set(said.attributes, self._registry.home)
        found.replay = said.replay
        found.stored = record.lsn
        if said.farewell:
            topic.farewells[found.id] = found
        else:
            topic.add(found)


def _put_topic(topic: Topic, into: SliceBuilder) -> None:
    record = TopicRecord(
        VERSION,
        topic.name,
        *topic.scope,
        msgspec.to_builtins(topic.attributes),
        topic.created_at,
        topic.tags,
        topic.next_sequence,
        topic.deleted,
        [],
        topic.archive,
        topic.archive_at,
        topic.ids.segments if topic.ids is not None else [],
    )
    into.put(TOPICS, topic_key(topic.number), _encode(record))
    topic.stored = into.lsn


def _put_subscription(topic: Topic, each: Subscription, into: SliceBuilder) -> None:
    if each.stored < into.part:
        attributes: dict[str, Any] = msgspec.to_builtins(each.attributes)
        record = SubscriptionRecord(
            *(VERSION, each.protocol, each.endpoint, each.owner, each.at, attributes),
            *(each.number, each.token, each.pending, each.guarded, each.replay, each.id in topic.farewells),
        )
        into.put(TOPICS, subscription_key(topic.number, each.id), _encode(record))
        each.stored = into.lsn
