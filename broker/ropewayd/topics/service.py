"""The topic service: what the kernel sees of it.

It owns the state of all topics and subscriptions and changes it by events alone. What a publish does to
queues is an event of the queues, in the same decision, and so in the same commit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from ropewayd.kernel.service import Event, Outcome, SliceBuilder, Touch
from ropewayd.kernel.wheel import Wheel
from ropewayd.queues.fanning import Fanning
from ropewayd.store.protocol import Key, Record, Slice, Space
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import RopewayError
from ropewayd.vocabulary.names import Scope

from . import events as e
from .administration import Administration
from .publishing import Publishing
from .records import IDS, TOPICS, Replay
from .registry import Registry, missing
from .replaying import Pace, Replaying
from .settings import TopicLimits
from .spilling import Ended, Own, Remembered, Spilling, Subscriber
from .subscriber import without_password
from .subscribing import Subscribing
from .topic import Meter, Subscription, Topic


class Seen(NamedTuple):
    """A subscription at one moment, for who watches."""

    account: str
    region: str
    topic: str
    protocol: str
    endpoint: str
    """Without the password, if it is a URL that has one."""
    meter: Meter


class Topics:
    """See the module. `fanning` is the queues' own; `entropy(n)` gives n unguessable bytes."""

    name = "topics"
    spaces: Sequence[Space] = (TOPICS, IDS)

    def __init__(
        self,
        wheel: Wheel,
        fanning: Fanning,
        limits: TopicLimits | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._wheel = wheel
        self._registry = Registry(limits or TopicLimits())
        self.publishing = Publishing(self._registry, fanning, entropy)
        self._replaying = Replaying(self._registry, fanning, self.publishing)
        self._recovered = False
        self._deciders = {
            **Administration(self._registry, fanning.registry).table(),
            **self._replaying.table(),
            **Subscribing(self._registry, fanning, entropy).table(),
            **self.publishing.table(),
        }
        self.pushed: Callable[[Topic, Subscription], None] | None = None
        """Told of each subscription that is made whose subscriber is no queue."""
        self._spilling = Spilling(self._registry)
        self.spill: Callable[[Touch, SliceBuilder], Touch] = self._spilling.spill

    def deciders(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return self._deciders

    def appliers(self) -> Mapping[type[Event], Callable[[Any, int], Touch]]:
        return {
            e.TopicCreated: self._created,
            e.TopicDeleted: self._deleted,
            e.TopicAttributesSet: self._attributes_set,
            e.TopicTagged: self._tagged,
            e.Subscribed: self._subscribed,
            e.Unsubscribed: self._unsubscribed,
            e.SubscriptionAttributesSet: self._subscription_set,
            e.SubscriptionConfirmed: self._confirmed,
            e.Farewell: self._farewell,
            e.FarewellEnded: self._farewell_ended,
            e.Published: self._published,
            e.ArchiveBegun: self._archive_begun,
            e.ArchiveEnded: self._archive_ended,
            e.ReplayStarted: self._replay_started,
            e.ReplayMoved: self._replay_moved,
            e.ReplayEnded: self._replay_ended,
        }

    def feeds(self, event: Event) -> Iterable[object]:
        return ()

    def due(self, payloads: list[Any], now: int) -> Iterable[Action]:
        """Deduplication ids may be over, and replays have a step to take."""
        for payload in payloads:
            if isinstance(payload, Pace):
                step = self._replaying.next_step(payload)
                if step is not None:
                    yield step
                continue
            topic = self._registry.by_number.get(payload)
            if topic is not None:
                self._forget(topic, now)

    def _forget(self, topic: Topic, now: int) -> None:
        ids = topic.ids
        assert ids is not None
        self._registry.memory_used -= ids.forget(now)
        over_at = ids.over_at
        ids.timer = None if over_at is None else self._wheel.add(over_at, self, topic.number)

    # Events

    def _created(self, event: e.TopicCreated, lsn: int) -> Touch:
        registry = self._registry
        registry.next_number = max(registry.next_number, event.number + 1)
        if event.number not in registry.by_number:
            scope = Scope(event.account, event.region)
            topic = registry.add(event.number, event.name, scope, event.attributes, event.at)
            topic.tags = event.tags
        return Own(event.number)

    def _deleted(self, event: e.TopicDeleted, lsn: int) -> Touch:
        topic = self._registry.by_number.get(event.number)
        if topic is None:
            return None
        self._registry.remove(topic)
        for subscription in topic.subscriptions.values():
            self._next_step(topic, subscription, 0)
        if topic.ids is not None and topic.ids.timer is not None:
            self._wheel.cancel(topic.ids.timer)
        return Ended(event.number, [*topic.subscriptions, *topic.farewells], topic.ids is not None)

    def _attributes_set(self, event: e.TopicAttributesSet, lsn: int) -> Touch:
        topic = self._registry.by_number.get(event.number)
        if topic is None:
            return None
        if lsn > topic.stored:
            topic.set(event.attributes)
        return Own(event.number)

    def _tagged(self, event: e.TopicTagged, lsn: int) -> Touch:
        topic = self._registry.by_number.get(event.number)
        if topic is None:
            return None
        if lsn > topic.stored:
            topic.tags = event.tags or None
        return Own(event.number)

    def _subscribed(self, event: e.Subscribed, lsn: int) -> Touch:
        topic = self._registry.by_number.get(event.number)
        if topic is None:
            return None
        if event.id not in topic.subscriptions:
            made = Subscription(
                *(event.id, event.protocol, event.endpoint, event.owner, event.at, event.queue, event.token)
            )
            made.set(event.attributes, self._registry.home)
            topic.add(made)
            if made.number and self.pushed is not None:
                self.pushed(topic, made)
        return Subscriber(event.number, event.id)

    def _unsubscribed(self, event: e.Unsubscribed, lsn: int) -> Touch:
        topic = self._registry.by_number.get(event.number)
        if topic is None:
            return None
        subscription = topic.subscriptions.get(event.id)
        if subscription is not None:
            topic.remove(subscription)
            self._next_step(topic, subscription, 0)
        if lsn > topic.stored:
            topic.deleted += 1
        return Subscriber(event.number, event.id)

    def _subscription_set(self, event: e.SubscriptionAttributesSet, lsn: int) -> Touch:
        topic = self._registry.by_number.get(event.number)
        subscription = None if topic is None else topic.subscriptions.get(event.id)
        if topic is None or subscription is None:
            return None
        if lsn > subscription.stored:
            topic.policies -= subscription.filter is not None
            subscription.set(event.attributes, self._registry.home)
            topic.policies += subscription.filter is not None
            if subscription.attributes.replay_policy is None and subscription.replay is not None:
                subscription.replay = None
                self._next_step(topic, subscription, 0)
        return Subscriber(event.number, event.id)

    def _confirmed(self, event: e.SubscriptionConfirmed, lsn: int) -> Touch:
        topic = self._registry.by_number.get(event.number)
        subscription = None if topic is None else topic.subscriber(event.id)
        if topic is None or subscription is None:
            return None
        if lsn > subscription.stored:
            topic.confirm(subscription, event.guarded)
        return Subscriber(event.number, event.id)

    def _farewell(self, event: e.Farewell, lsn: int) -> Touch:
        topic = self._registry.by_number.get(event.number)
        if topic is None:
            return None
        if topic.subscriber(event.id) is None:
            made = Subscription(
                *(event.id, event.protocol, event.endpoint, event.owner, event.at, event.queue, event.token)
            )
            made.set(event.attributes, self._registry.home)
            topic.farewells[event.id] = made
            if self.pushed is not None:
                self.pushed(topic, made)
        return Subscriber(event.number, event.id)

    def _farewell_ended(self, event: e.FarewellEnded, lsn: int) -> Touch:
        topic = self._registry.by_number.get(event.number)
        if topic is None:
            return None
        topic.farewells.pop(event.id, None)
        return Subscriber(event.number, event.id)

    def _published(self, event: e.Published, lsn: int) -> Touch:
        topic = self._registry.by_number.get(event.number)
        if topic is None:
            return None
        self._registry.memory_used += topic.published(event, lsn)
        if topic.ids is not None and topic.ids.timer is None:
            self._forget(topic, event.at)
        return Remembered(event.number, event.first, event.at, event.ids, event.digests)

    def _archive_begun(self, event: e.ArchiveBegun, lsn: int) -> Touch:
        topic = self._registry.by_number.get(event.number)
        if topic is None:
            return None
        if lsn > topic.stored:
            topic.archive, topic.archive_at = event.queue, event.at
        return Own(event.number)

    def _archive_ended(self, event: e.ArchiveEnded, lsn: int) -> Touch:
        topic = self._registry.by_number.get(event.number)
        if topic is None:
            return None
        if lsn > topic.stored:
            topic.archive = topic.archive_at = 0
        return Own(event.number)

    def _replay_started(self, event: e.ReplayStarted, lsn: int) -> Touch:
        return self._replay(event.number, event.id, lsn, Replay(event.start, event.end), event.at)

    def _replay_moved(self, event: e.ReplayMoved, lsn: int) -> Touch:
        at = event.at + self._replaying.pace()[1]
        return self._replay(event.number, event.id, lsn, {"after": event.after}, at)

    def _replay_ended(self, event: e.ReplayEnded, lsn: int) -> Touch:
        return self._replay(event.number, event.id, lsn, {"status": event.status}, 0)

    def _replay(self, number: int, id_: bytes, lsn: int, new: Replay | dict[str, Any], at: int) -> Touch:
        """A subscription's replay is this now, or has these new values; its next step is due at `at`."""
        topic = self._registry.by_number.get(number)
        subscription = None if topic is None else topic.subscriptions.get(id_)
        if topic is None or subscription is None:
            return None
        if lsn > subscription.stored:
            if isinstance(new, Replay):
                subscription.replay = new
            elif subscription.replay is not None:
                subscription.replay = msgspec.structs.replace(subscription.replay, **new)
        if self._recovered:
            self._next_step(topic, subscription, at)
        return Subscriber(number, id_)

    def _next_step(self, topic: Topic, subscription: Subscription, at: int) -> None:
        """Have a replay that goes on take its next step then; one that does not, none."""
        place = topic.number, subscription.id
        if subscription.pace is not None:
            self._wheel.cancel(subscription.pace)
            subscription.pace = None
        self._registry.replays.discard(place)
        if self._registry.running(*place) is not None:
            subscription.pace = self._wheel.add(at, self, Pace(*place))
            self._registry.replays.add(place)

    # Recovery and spilling

    def load(self, records: Iterable[Record]) -> None:
        self._spilling.load(records)

    def named(self, events: Iterable[Event]) -> Iterable[tuple[Space, Key]]:
        """Every topic and subscription is loaded already; ids are looked up when they are asked for."""
        return ()

    def recovered(self, now: int) -> None:
        self._registry.settle()
        self._recovered = True
        for topic in self._registry.by_number.values():
            for subscription in topic.subscriptions.values():
                if subscription.replay is not None:
                    self._next_step(topic, subscription, now)

    def opening(self) -> Iterable[Action]:
        return ()

    def weight(self, touch: Touch) -> int:
        """Nothing: topics are few."""
        return 0

    def spilled(self, slice: Slice) -> None:
        if slice.puts:
            self._registry.let_go(slice.puts[0].lsn)

    # Looking in

    def counts(self) -> tuple[int, int]:
        """(topics, subscriptions to them)."""
        topics = self._registry.by_number.values()
        return len(topics), sum(len(topic.subscriptions) for topic in topics)

    def pushes(self) -> list[tuple[Topic, Subscription]]:
        """The subscriptions whose subscribers are no queues, and those that ended and can come back."""
        topics = self._registry.by_number.values()
        return [
            (topic, each)
            for topic in topics
            for each in (*topic.subscriptions.values(), *topic.farewells.values())
            if each.number
        ]

    def find(self, called: str) -> Topic | RopewayError:
        """The topic of this name or ARN."""
        return self._registry.find(called) or missing(called)

    def subscription(self, arn: str) -> tuple[Topic, Subscription] | RopewayError:
        """The topic and the subscription of this ARN."""
        return self._registry.subscription(arn)

    def subscriber(self, arn: str) -> tuple[Topic, Subscription] | RopewayError:
        """The same, of one that ended and can come back too."""
        return self._registry.subscriber(arn)

    def subscriptions_to(self, queue: str) -> list[str]:
        """The ARNs of the subscriptions of the queue with this ARN."""
        return [
            topic.arn_of(topic.by_endpoint["sqs", queue])
            for topic in self._registry.by_name.values()
            if ("sqs", queue) in topic.by_endpoint
        ]

    def seen(self, most: int) -> tuple[list[Seen], int]:
        """At most so many subscriptions as who watches sees them, and how many more there are."""
        every = (
            Seen(*topic.scope, topic.name, each.protocol, without_password(each.endpoint), copy(each.meter))
            for topic in self._registry.by_name.values()
            for each in topic.subscriptions.values()
        )
        found = list(islice(every, most))
        return found, self.counts()[1] - len(found)

    def snapshot(self) -> dict[str, Any]:
        """The state in memory as plain objects."""
        return {
            "next_number": self._registry.next_number,
            "topics": {
                number: msgspec.to_builtins(topic.snapshot())
                for number, topic in self._registry.by_number.items()
            },
        }
