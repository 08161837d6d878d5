"""Subscriptions: made, listed, described, changed, ended. State is read, never changed."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from hmac import compare_digest
from typing import Any

import msgspec

from ropewayd.kernel.service import Decision, Event, Outcome
from ropewayd.queues import hidden
from ropewayd.queues.events import Content, MessagesSent, QueueDeleted
from ropewayd.queues.fanning import Fanning
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
    AccessDenied,
    InvalidParameterValue,
    OverLimit,
    RopewayError,
    UnsupportedOperation,
)
from ropewayd.vocabulary.names import (
    FIFO_SUFFIX,
    Scope,
    read_queue_arn,
    read_subscription_arn,
    show_message_id,
)

from . import actions as a
from . import events as e
from .attributes import read_subscription
from .notification import CONFIRMATION, FAREWELL, shown_time
from .records import RUNNING
from .registry import Registry, missing
from .replaying import started
from .subscriber import ASKED, PUSHED, endpoint_problem
from .topic import Subscription, Topic

CONFIRM_WITHIN = 172_800_000
"""Milliseconds for which a token can confirm a subscription (AWS's two days)."""
_SECRET = 16
"""Unguessable bytes of a token."""


class Subscribing:
    """Decides what is asked of subscriptions. `entropy(n)` gives n unguessable bytes."""

    def __init__(self, registry: Registry, fanning: Fanning, entropy: Callable[[int], bytes]) -> None:
        self._registry = registry
        self._fanning = fanning
        self._entropy = entropy

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {
            a.Subscribe: self.subscribe,
            a.ConfirmSubscription: self.confirm,
            a.Unsubscribe: self.unsubscribe,
            a.UnsubscribeUnsigned: self.unsubscribe,
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
        if there is not None and there.pending and now > there.at + CONFIRM_WITHIN:
            return self._anew(topic, there, action, now)
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
            events = self._ask_again(topic, there, now) if there.pending else ()
            told = {"subscription": topic.arn_of(there), "created": False, "pending": there.pending}
            return Decision(told, events)
        if (full := self._full(topic)) is not None:
            return full
        if given.get("filter_policy") is not None and (problem := self._too_many(topic)) is not None:
            return problem
        return self._made(topic, action.protocol, endpoint, given, now)

    def _made(
        self, topic: Topic, protocol: str, endpoint: str, given: dict[str, Any], now: int
    ) -> Decision | RopewayError:
        """A new subscription; of somebody who is no queue, with a hidden queue, and the question in it if
        there is one."""
        id_, owner = self._entropy(16), topic.scope.account
        replay = started(self._registry, topic, id_, given, now, fresh=True)
        if isinstance(replay, RopewayError):
            return replay
        if protocol not in PUSHED:
            made = Subscription(id_, protocol, endpoint, owner, now)
            event = e.Subscribed(topic.number, id_, now, protocol, endpoint, owner, given)
            return Decision(_told(topic, made), (event, *replay))
        if replay and protocol in ASKED:
            return InvalidParameterValue(
                "It cannot be replayed. Reason: ReplayPolicy: the subscription is not confirmed yet",
                "attributes.replay_policy",
            )
        number = self._fanning.registry.next_number
        token = self._entropy(_SECRET) if protocol in ASKED else b""
        made = Subscription(id_, protocol, endpoint, owner, now, number, token)
        queue = hidden.made(number, made.own, now)
        if isinstance(queue, RopewayError):
            return queue
        event = e.Subscribed(topic.number, id_, now, protocol, endpoint, owner, given, number, token)
        if not token:
            return Decision(_told(topic, made), (queue, event, *replay))
        message = self._entropy(16)
        question = MessagesSent(number, 1, now, message, [_question(topic, made, message, now)])
        return Decision(_told(topic, made), (queue, event, question))

    def _anew(self, topic: Topic, old: Subscription, action: a.Subscribe, now: int) -> Outcome:
        """Nobody confirmed the old one in time."""
        given = read_subscription(action.attributes, topic.scope, False, a.SubscriptionAttributes())
        if isinstance(given, RopewayError):
            return given
        made = self._made(topic, action.protocol, old.endpoint, given, now)
        if isinstance(made, RopewayError):
            return made
        over = (e.Unsubscribed(topic.number, old.id), QueueDeleted(old.number, now))
        return Decision(made.answer, (*over, *made.events))

    def _ask_again(self, topic: Topic, subscription: Subscription, now: int) -> tuple[Event, ...]:
        message = self._entropy(16)
        fan = self._fanning.begin(now)
        fan.add(
            subscription.queue, [fan.put(Content(_question(topic, subscription, message, now), None, None))]
        )
        event = fan.event()
        return () if event is None else (event,)

    def confirm(self, action: a.ConfirmSubscription, now: int) -> Outcome:
        """The topic that a caller names says nothing: the token does (as on AWS)."""
        wrong = InvalidParameterValue("The token is not valid. No subscription waits for it.", "token")
        try:
            said = bytes.fromhex(action.token)
        except ValueError:
            return wrong
        number, id_, secret = int.from_bytes(said[:8], "big"), said[8:24], said[24:]
        topic = self._registry.by_number.get(number)
        found = None if topic is None else topic.subscriber(id_)
        if topic is None or found is None or not found.token or not compare_digest(found.token, secret):
            return wrong
        if action.topic is not None and self._registry.place(action.topic)[0].region != topic.scope.region:
            return InvalidParameterValue("The topic is in another region than the token's.", "Topic")
        answer = {"subscription": topic.arn_of(found)}
        if not found.pending:
            return Decision(answer)
        if now > found.at + CONFIRM_WITHIN:
            return InvalidParameterValue(
                "The token is not valid any more: subscribe again, and confirm within two days.", "token"
            )
        if id_ in topic.farewells:
            return self._again(topic, found, action.guarded)
        return Decision(answer, (e.SubscriptionConfirmed(number, id_, action.guarded),))

    def _again(self, topic: Topic, ended: Subscription, guarded: bool) -> Outcome:
        """One that ended is wanted after all; maybe it was subscribed anew by now."""
        found = topic.by_endpoint.get((ended.protocol, ended.endpoint))
        if found is None:
            problem = self._full(topic) or (ended.filter and self._too_many(topic))
            if problem:
                return problem
            found = ended
        events = (e.SubscriptionConfirmed(topic.number, found.id, guarded),) if found.pending else ()
        return Decision({"subscription": topic.arn_of(found)}, events)

    def _full(self, topic: Topic) -> OverLimit | None:
        """Whether one more subscription is one too many."""
        limits = self._registry.limits
        most = limits.max_fifo_subscriptions if topic.attributes.fifo else limits.max_subscriptions
        if len(topic.subscriptions) < most:
            return None
        return OverLimit(
            f"The topic {topic.name} has {most} subscriptions, and that is the limit.", "subscription"
        )

    def _endpoint(self, topic: Topic, action: a.Subscribe) -> str | RopewayError:
        """The ARN of the queue that is subscribed, or why it cannot be."""
        if action.protocol in PUSHED:
            if topic.attributes.fifo:
                return InvalidParameterValue(
                    f"A FIFO topic delivers to queues alone, not by the protocol {action.protocol}.",
                    "protocol",
                )
            problem = endpoint_problem(action.protocol, action.endpoint)
            if problem is not None:
                return problem
            if action.protocol == "application" and action.endpoint.split(":")[4] != topic.scope.account:
                return InvalidParameterValue(
                    "It cannot be subscribed. Reason: the endpoint is another account's than the topic",
                    "endpoint",
                )
            return action.endpoint
        if action.protocol != "sqs":
            return InvalidParameterValue(
                f"There is no protocol {action.protocol}; queues have sqs, all others "
                f"{', '.join(sorted(PUSHED))}.",
                "protocol",
            )
        endpoint = action.endpoint
        if not endpoint.startswith("arn:") and "/" not in endpoint:
            endpoint = topic.scope.queue_arn(endpoint)
        place = read_queue_arn(endpoint)
        if place is None:
            return InvalidParameterValue(
                f"The field endpoint is not a queue's ARN or name: {action.endpoint[:80]!r}. A queue's name "
                "has up to 80 of A-Z, a-z, 0-9, - and _; web hooks are http:// or https:// URLs.",
                "endpoint",
            )
        if place[1].endswith(FIFO_SUFFIX) and not topic.attributes.fifo:
            return InvalidParameterValue(
                "The queue cannot be subscribed. Reason: FIFO SQS Queues can not be subscribed to standard "
                "SNS topics",
                "endpoint",
            )
        if place[0].account != topic.scope.account and not self._registry.limits.across_accounts:
            return UnsupportedOperation(
                "A queue of another account than the topic's cannot be subscribed where the daemon knows "
                "access keys: its owner would have to confirm that.",
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
        if subscription.guarded and isinstance(action, a.UnsubscribeUnsigned):
            return AccessDenied("This subscription is ended only by a call with a signature.")
        ended = e.Unsubscribed(topic.number, subscription.id)
        if not subscription.number:
            return Decision({}, (ended,))
        farewell = self._farewell(topic, subscription, now)
        return Decision({}, (ended, QueueDeleted(subscription.number, now), *farewell))

    def _farewell(self, topic: Topic, ended: Subscription, now: int) -> tuple[Event, ...]:
        """Who had to confirm a subscription, and did, is told that it is over, and can have it again. Those
        that nobody wants back in time go now."""
        most = self._registry.limits.max_farewells
        if ended.protocol not in ASKED or ended.pending or not most:
            return ()
        number, id_, token = self._fanning.registry.next_number, self._entropy(16), self._entropy(_SECRET)
        attributes = {**msgspec.to_builtins(ended.attributes), "replay_policy": None}
        made = Subscription(id_, ended.protocol, ended.endpoint, ended.owner, now, number, token)
        queue = hidden.made(number, made.own, now)
        if isinstance(queue, RopewayError):
            return ()
        message = self._entropy(16)
        said = MessagesSent(
            number, 1, now, message, [_question(topic, made, message, now, topic.arn_of(ended))]
        )
        over: list[Event] = []
        for place, each in enumerate(sorted(topic.farewells.values(), key=lambda one: (one.at, one.id))):
            if now <= each.at + CONFIRM_WITHIN and len(topic.farewells) - place < most:
                break
            over += (e.FarewellEnded(topic.number, each.id), QueueDeleted(each.number, now))
        told = e.Farewell(
            *(topic.number, id_, now, ended.protocol, ended.endpoint, ended.owner, attributes, number, token)
        )
        return (*over, queue, told, said)

    def list_subscriptions(self, action: a.ListSubscriptions, now: int) -> Outcome:
        if action.topic is not None:
            topic = self._registry.find(action.topic)
            if topic is None:
                return missing(action.topic)
            listed = _of_topic(topic, action.after)
        else:
            listed = self._of_scope(action)
        found: list[dict[str, Any]] = []
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
        if subscription.replay is not None:
            answer["replay_status"] = subscription.replay.status
        answer["subscription"] = topic.arn_of(subscription)
        answer |= _named(topic, subscription)
        answer["created_at"] = subscription.at
        answer["guarded"] = subscription.guarded
        answer["asked"] = bool(subscription.token)
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
        changed = {
            name: value
            for name, value in given.items()
            # The same replay once more is another one.
            if (name == "replay_policy" and value is not None) or _plain(subscription, name) != value
        }
        if not changed:
            return Decision({})
        if changed.get("filter_policy") is not None and subscription.filter is None:
            problem = self._too_many(topic)
            if problem is not None:
                return problem
        if subscription.pending and changed.get("replay_policy") is not None:
            return InvalidParameterValue(
                "It cannot be replayed. Reason: ReplayPolicy: the subscription is not confirmed yet",
                "attributes.replay_policy",
            )
        fresh = subscription.replay is None or subscription.replay.status != RUNNING
        replay = started(self._registry, topic, subscription.id, changed, now, fresh=fresh)
        if isinstance(replay, RopewayError):
            return replay
        event = e.SubscriptionAttributesSet(topic.number, subscription.id, changed)
        return Decision({}, (event, *replay))


def _of_topic(topic: Topic, after: str | None) -> Iterator[tuple[Topic, Subscription]]:
    place = read_subscription_arn(after) if after else None
    at = 0 if place is None else bisect_right(topic.order, place[1])
    for id_ in topic.order[at:]:
        yield topic, topic.subscriptions[id_]


def _named(topic: Topic, subscription: Subscription) -> dict[str, Any]:
    return {
        "topic": topic.arn,
        "protocol": subscription.protocol,
        "endpoint": subscription.endpoint,
        "owner": subscription.owner,
        "pending": subscription.pending,
    }


def _told(topic: Topic, made: Subscription) -> dict[str, Any]:
    return {"subscription": topic.arn_of(made), "created": True, "pending": made.pending}


def _question(topic: Topic, subscription: Subscription, id_: bytes, now: int, ended: str = "") -> str:
    """What asks a subscriber to confirm, as it waits for its delivery, or tells it that the subscription of
    the ARN `ended` is over. Where to confirm is said then."""
    asks = f"Somebody subscribed this endpoint to {topic.arn}. Open SubscribeURL to confirm that; who does "
    tells = f"The subscription {ended} of this endpoint has ended. Open SubscribeURL to restore it; who does "
    return msgspec.json.encode(
        {
            "Type": FAREWELL if ended else CONFIRMATION,
            "MessageId": show_message_id(id_),
            "Token": (topic.number.to_bytes(8, "big") + subscription.id + subscription.token).hex(),
            "TopicArn": topic.arn,
            "Message": f"{tells if ended else asks}nothing gets nothing.",
            "Timestamp": shown_time(now),
        }
    ).decode()


def _plain(subscription: Subscription, name: str) -> Any:
    return msgspec.to_builtins(getattr(subscription.attributes, name))
