"""Every topic of the daemon, by name and by number."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any

from ropewayd.vocabulary.errors import InvalidParameterValue, NotFound, RopewayError
from ropewayd.vocabulary.names import Scope, read_subscription_arn, read_topic_arn

from .records import RUNNING
from .settings import TopicLimits
from .topic import Subscription, Topic


def missing(name: str) -> NotFound:
    """What to say of a topic that is not there."""
    return NotFound(f"There is no topic {name!r}. `CreateTopic` makes one.", "topic")


class Registry:
    """See the module."""

    def __init__(self, limits: TopicLimits) -> None:
        self.limits = limits
        self.home = Scope(limits.account, limits.region)
        self.by_name: dict[str, Topic] = {}
        """By what each is called here (see Scope.topic_called)."""
        self.by_number: dict[int, Topic] = {}
        self.names: dict[Scope, list[str]] = {}
        """In order, where there are any."""
        self.next_number = 1
        self.fifo = 0
        """FIFO topics."""
        self.replays: set[tuple[int, bytes]] = set()
        """Those under way: the numbers of topics, the ids of subscriptions."""
        self.memory_used = 0
        """Bytes of deduplication ids."""

    def place(self, called: str) -> tuple[Scope, str]:
        """Where a topic of this name or ARN belongs, and its name there."""
        return read_topic_arn(called) or (self.home, called)

    def find(self, called: str) -> Topic | None:
        """The topic of this name or ARN."""
        topic = self.by_name.get(called)
        if topic is None:
            scope, name = self.place(called)
            topic = self.by_name.get(scope.topic_called(name, self.home))
        return topic

    def subscription(self, arn: str) -> tuple[Topic, Subscription] | RopewayError:
        """The topic and the subscription of this ARN."""
        found = self.subscriber(arn)
        if isinstance(found, RopewayError) or found[1].id in found[0].subscriptions:
            return found
        return NotFound(f"There is no subscription {arn}.", "subscription")

    def subscriber(self, arn: str) -> tuple[Topic, Subscription] | RopewayError:
        """The same, of one that ended and can be confirmed again too."""
        place = read_subscription_arn(arn)
        if place is None:
            return InvalidParameterValue(f"{arn[:100]!r} is no subscription's ARN.", "subscription")
        topic = self.find(place[0])
        found = None if topic is None else topic.subscriber(place[1])
        if topic is None or found is None:
            return NotFound(f"There is no subscription {arn}.", "subscription")
        return topic, found

    def running(self, number: int, id_: bytes) -> tuple[Topic, Subscription] | None:
        """The topic of this number and the subscription of this id, if a replay is under way there."""
        topic = self.by_number.get(number)
        found = None if topic is None else topic.subscriptions.get(id_)
        if topic is None or found is None or found.replay is None or found.replay.status != RUNNING:
            return None
        return topic, found

    def add(self, number: int, name: str, scope: Scope, attributes: dict[str, Any], at: int) -> Topic:
        topic = Topic(number, name, scope, attributes, at)
        called = scope.topic_called(name, self.home)
        if called not in self.by_name:  # in recovery an old incarnation may still be there
            insort(self.names.setdefault(scope, []), name)
        self.by_name[called] = topic
        self.by_number[number] = topic
        self.fifo += topic.attributes.fifo
        return topic

    def remove(self, topic: Topic) -> None:
        """The topic is over."""
        del self.by_number[topic.number]
        self.fifo -= topic.attributes.fifo
        if topic.ids is not None:
            self.memory_used -= topic.ids.clear(topic.next_sequence - 1)
        called = topic.scope.topic_called(topic.name, self.home)
        if self.by_name.get(called) is topic:
            del self.by_name[called]
            names = self.names[topic.scope]
            del names[bisect_left(names, topic.name)]
            if not names:
                del self.names[topic.scope]

    def settle(self) -> None:
        """Recovery: in a tail a name's old incarnation can come after the record of its new one."""
        self.by_name.clear()
        self.names.clear()
        for number in sorted(self.by_number):
            topic = self.by_number[number]
            self.by_name[topic.scope.topic_called(topic.name, self.home)] = topic
        for topic in self.by_name.values():
            insort(self.names.setdefault(topic.scope, []), topic.name)
            for subscription in topic.subscriptions.values():
                topic.by_endpoint[subscription.protocol, subscription.endpoint] = subscription

    def policies(self, account: str) -> int:
        """How many filter policies an account has."""
        return sum(topic.policies for topic in self.by_number.values() if topic.scope.account == account)

    def grow(self, size: int) -> None:
        """Deduplication ids take so much more."""
        self.memory_used += size

    def let_go(self, durable: int) -> None:
        """Where memory is short, deduplication ids that the disk has leave it."""
        if self.memory_used > self.limits.memory_bytes:
            for topic in self.by_number.values():
                if topic.ids is not None:
                    self.memory_used -= topic.ids.let_go(durable)
