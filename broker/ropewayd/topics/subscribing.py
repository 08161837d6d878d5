"""Subscriptions: made, listed, described, changed, ended. State is read, never changed."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from ropewayd.kernel.service import Decision, Outcome
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
    InvalidParameterValue,
    OverLimit,
    RopewayError,
    UnsupportedOperation,
)
from ropewayd.vocabulary.names import FIFO_SUFFIX, Scope, read_queue_arn, read_subscription_arn

from . import actions as a
from . import events as e
from .attributes import read_subscription
from .registry import Registry, missing
from .topic import Subscription, Topic

LATER = frozenset(("http", "https", "email", "email-json", "sms", "lambda", "application", "firehose"))
"""Protocols of AWS that are not delivered yet."""


class Subscribing:
    """Decides what is asked of subscriptions. `entropy(n)` gives n unguessable bytes."""

    def __init__(self, registry: Registry, entropy: Callable[[int], bytes]) -> None:
        self._registry = registry
        self._entropy = entropy

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {
            a.Subscribe: self.subscribe,
            a.Unsubscribe: self.unsubscribe,
            a.ListSubscriptions: self.list_subscriptions,
            a.GetSubscriptionAttributes: self.attributes,
            a.SetSubscriptionAttributes: self.set_attributes,
        }

    def subscribe(self, action: a.Subscribe, now: int) -> Outcome:
        registry = self._registry
        topic = registry.find(action.topic)
        if topic is None:
            return missing(action.topic)
        endpoint = self._endpoint(topic, action)
        if isinstance(endpoint, RopewayError):
            return endpoint
        there = topic.by_endpoint.get((action.protocol, endpoint))
        before = there.attributes if there is not None else a.SubscriptionAttributes()
        given = read_subscription(action.attributes, topic.scope, topic.attributes.fifo, before)
        if isinstance(given, RopewayError):
            return given
        if there is not None:
            if any(_plain(there, name) != value for name, value in given.items()):
                return InvalidParameterValue(
                    "It cannot be made so. Reason: Subscription already exists with different attributes",
                    "attributes",
                )
            return Decision({"subscription": topic.arn_of(there), "created": False})
        limits = registry.limits
        most = limits.max_fifo_subscriptions if topic.attributes.fifo else limits.max_subscriptions
        if len(topic.subscriptions) >= most:
            return OverLimit(
                f"The topic {topic.name} has {most} subscriptions, and that is the limit.", "subscription"
            )
        if given.get("filter_policy") is not None and (problem := self._too_many(topic)) is not None:
            return problem
        id_ = self._entropy(16)
        event = e.Subscribed(topic.number, id_, now, action.protocol, endpoint, topic.scope.account, given)
        made = Subscription(id_, action.protocol, endpoint, topic.scope.account, now)
        return Decision({"subscription": topic.arn_of(made), "created": True}, (event,))

    def _endpoint(self, topic: Topic, action: a.Subscribe) -> str | RopewayError:
        """The ARN of the queue that is subscribed, or why it cannot be."""
        if action.protocol in LATER:
            return UnsupportedOperation(
                f"The protocol {action.protocol} is not delivered by this version of Ropeway: it delivers to "
                "queues, protocol sqs.",
                "protocol",
            )
        if action.protocol != "sqs":
            return InvalidParameterValue(
                f"There is no protocol {action.protocol}; queues have sqs.", "protocol"
            )
        endpoint = action.endpoint
        if not endpoint.startswith("arn:") and "/" not in endpoint:
            endpoint = topic.scope.queue_arn(endpoint)
        place = read_queue_arn(endpoint)
        if place is None:
            return InvalidParameterValue("The field endpoint is not a queue's ARN or name.", "endpoint")
        if place[1].endswith(FIFO_SUFFIX) and not topic.attributes.fifo:
            return InvalidParameterValue(
                "The queue cannot be subscribed. Reason: FIFO SQS Queues can not be subscribed to standard "
                "SNS topics",
                "endpoint",
            )
        if place[0].account != topic.scope.account:
            return UnsupportedOperation(
                "A queue of another account than the topic's cannot be subscribed by this version of "
                "Ropeway: its owner would have to confirm that.",
                "endpoint",
            )
        return endpoint

    def _too_many(self, topic: Topic) -> RopewayError | None:
        """Whether one more filter policy is one too many."""
        limits = self._registry.limits
        if topic.policies >= limits.max_topic_policies:
            return OverLimit(
                f"The topic has {limits.max_topic_policies} filter policies, and that is the limit.",
                "filter_policy",
            )
        if self._registry.policies(topic.scope.account) >= limits.max_policies:
            return OverLimit(
                f"The account has {limits.max_policies} filter policies, and that is the limit.",
                "filter_policy",
            )
        return None

    def unsubscribe(self, action: a.Unsubscribe, now: int) -> Outcome:
        found = self._registry.subscription(action.subscription)
        if isinstance(found, InvalidParameterValue):
            return found
        if isinstance(found, RopewayError):
            return Decision({})
        topic, subscription = found
        return Decision({}, (e.Unsubscribed(topic.number, subscription.id),))

    def list_subscriptions(self, action: a.ListSubscriptions, now: int) -> Outcome:
        if action.topic is not None:
            topic = self._registry.find(action.topic)
            if topic is None:
                return missing(action.topic)
            listed = _of_topic(topic, action.after)
        else:
            listed = self._of_scope(action)
        found: list[dict[str, str]] = []
        for topic, each in listed:
            if len(found) == action.limit:
                return Decision({"subscriptions": found, "next": found[-1]["subscription"]})
            found.append({"subscription": topic.arn_of(each), **_named(topic, each)})
        return Decision({"subscriptions": found, "next": None})

    def _of_scope(self, action: a.ListSubscriptions) -> Iterator[tuple[Topic, Subscription]]:
        """All of an account and region, by topic."""
        home = self._registry.home
        scope = Scope(action.account or home.account, action.region or home.region)
        names = self._registry.names.get(scope, [])
        place = read_subscription_arn(action.after) if action.after else None
        after = place[0].rpartition(":")[2] if place is not None else ""
        for name in names[bisect_left(names, after) :]:
            topic = self._registry.by_name[scope.topic_called(name, home)]
            yield from _of_topic(topic, action.after if name == after else None)

    def attributes(self, action: a.GetSubscriptionAttributes, now: int) -> Outcome:
        found = self._registry.subscription(action.subscription)
        if isinstance(found, RopewayError):
            return found
        topic, subscription = found
        attributes = subscription.attributes
        answer = msgspec.to_builtins(attributes)
        answer["raw_message_delivery"] = attributes.raw_message_delivery
        if attributes.filter_policy is not None:
            answer["filter_policy_scope"] = attributes.filter_policy_scope
        answer["subscription"] = topic.arn_of(subscription)
        answer |= _named(topic, subscription)
        answer["created_at"] = subscription.at
        answer |= msgspec.to_builtins(subscription.meter)
        return Decision(answer)

    def set_attributes(self, action: a.SetSubscriptionAttributes, now: int) -> Outcome:
        found = self._registry.subscription(action.subscription)
        if isinstance(found, RopewayError):
            return found
        topic, subscription = found
        given = read_subscription(
            action.attributes, topic.scope, topic.attributes.fifo, subscription.attributes
        )
        if isinstance(given, RopewayError):
            return given
        changed = {name: value for name, value in given.items() if _plain(subscription, name) != value}
        if not changed:
            return Decision({})
        if changed.get("filter_policy") is not None and subscription.filter is None:
            problem = self._too_many(topic)
            if problem is not None:
                return problem
        return Decision({}, (e.SubscriptionAttributesSet(topic.number, subscription.id, changed),))


def _of_topic(topic: Topic, after: str | None) -> Iterator[tuple[Topic, Subscription]]:
    place = read_subscription_arn(after) if after else None
    at = 0 if place is None else bisect_right(topic.order, place[1])
    for id_ in topic.order[at:]:
        yield topic, topic.subscriptions[id_]


def _named(topic: Topic, subscription: Subscription) -> dict[str, str]:
    return {
        "topic": topic.arn,
        "protocol": subscription.protocol,
        "endpoint": subscription.endpoint,
        "owner": subscription.owner,
    }


def _plain(subscription: Subscription, name: str) -> Any:
    return msgspec.to_builtins(getattr(subscription.attributes, name))
