"""One incarnation of a topic, and the subscriptions to it: what events do to them.

Each event method skips what a loaded record already knows (`lsn` at or below it), so run time and recovery
share it. A filter policy is compiled once, when it is set or loaded.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left, insort
from typing import Any

import msgspec

from ropewayd.kernel.wheel import Timer
from ropewayd.queues.deduplication import Ids
from ropewayd.queues.hidden import called
from ropewayd.queues.slices import Remembered
from ropewayd.vocabulary.names import FIFO_SUFFIX, Scope, read_queue_arn

from . import events as e
from .actions import SubscriptionAttributes, TopicAttributes
from .filter_policy import FilterPolicy
from .records import IDS, RUNNING, Replay


class Meter(msgspec.Struct, gc=False):
    """What became of messages at one subscription since the daemon started."""

    delivered: int = 0
    filtered: int = 0
    dead_lettered: int = 0
    failed: int = 0


class Subscription:
    """See the module. `queue` and `letters` are what the queues call its queue and its dead-letter queue."""

    __slots__ = (
        "at",
        "attributes",
        "endpoint",
        "fifo",
        "filter",
        "guarded",
        "id",
        "letters",
        "meter",
        "number",
        "own",
        "owner",
        "pace",
        "pending",
        "protocol",
        "queue",
        "replay",
        "stored",
        "token",
    )

    def __init__(
        self,
        id_: bytes,
        protocol: str,
        endpoint: str,
        owner: str,
        at: int,
        number: int = 0,
        token: bytes = b"",
    ) -> None:
        self.id = id_
        self.own = str(uuid.UUID(bytes=id_))
        """The id as its ARN ends with it."""
        self.protocol = protocol
        self.endpoint = endpoint
        self.owner = owner
        self.at = at
        self.attributes = SubscriptionAttributes()
        self.filter: FilterPolicy | None = None
        self.number = number
        """Of the hidden queue, if its subscriber is no queue."""
        self.queue = called(number) if number else ""
        self.fifo = not number and endpoint.endswith(FIFO_SUFFIX)
        self.token = token
        """What it is confirmed with, if it had or has to be."""
        self.pending = bool(token)
        """Whether it waits for that: until then nothing is delivered."""
        self.guarded = False
        """Whether only a call with a signature ends it."""
        self.letters: str | None = None
        self.meter = Meter()
        self.replay: Replay | None = None
        self.pace: Timer | None = None
        """Of the replay's next step."""
        self.stored = 0

    def hears(self, now: int) -> bool:
        """Whether what is published now goes to it: not while it is not confirmed, or gets again what was
        published before, and not beyond the end of that."""
        replay = self.replay
        if replay is None:
            return not self.pending
        return replay.status != RUNNING and (replay.end is None or now <= replay.end)

    def set(self, attributes: dict[str, Any], home: Scope) -> None:
        """These have new values."""
        told = {**msgspec.to_builtins(self.attributes), **attributes}
        self.attributes = given = msgspec.convert(told, SubscriptionAttributes)
        if not self.number:
            self.queue = _called(self.endpoint, home)
        policy = given.redrive_policy
        self.letters = None if policy is None else _called(policy.dead_letter_target_arn, home)
        self.filter = None
        if given.filter_policy is not None:
            self.filter = FilterPolicy.compiled(given.filter_policy, given.filter_policy_scope)

    def snapshot(self) -> tuple[Any, ...]:
        """The state as plain objects, to be compared."""
        return (
            *(self.protocol, self.endpoint, self.owner, self.at, self.attributes),
            *(self.number, self.token, self.pending, self.guarded),
            self.replay,
        )


class Topic:
    """See the module. Times are carried milliseconds."""

    __slots__ = (
        "archive",
        "archive_at",
        "arn",
        "attributes",
        "by_endpoint",
        "created_at",
        "deleted",
        "farewells",
        "ids",
        "name",
        "next_sequence",
        "number",
        "order",
        "pending",
        "policies",
        "scope",
        "stored",
        "subscriptions",
        "tags",
    )

    def __init__(self, number: int, name: str, scope: Scope, attributes: dict[str, Any], at: int) -> None:
        self.number = number
        self.name = name
        self.scope = scope
        self.arn = scope.topic_arn(name)
        self.attributes = msgspec.convert(attributes, TopicAttributes)
        self.created_at = at
        self.tags: dict[str, str] | None = None
        self.subscriptions: dict[bytes, Subscription] = {}
        self.by_endpoint: dict[tuple[str, str], Subscription] = {}
        self.order: list[bytes] = []
        """The ids of all subscriptions, in order."""
        self.farewells: dict[bytes, Subscription] = {}
        """Subscriptions that ended and can be confirmed again."""
        self.deleted = 0
        self.pending = 0
        """Subscriptions that are not confirmed."""
        self.policies = 0
        """Subscriptions that have a filter policy."""
        self.next_sequence = 1
        self.ids = Ids(number, IDS) if self.attributes.fifo else None
        self.archive = 0
        """The number of the hidden queue that keeps what is published; 0: nothing does."""
        self.archive_at = 0
        self.stored = 0

    def arn_of(self, subscription: Subscription) -> str:
        """The subscription's."""
        return f"{self.arn}:{subscription.own}"

    def set(self, attributes: dict[str, Any]) -> None:
        """These have new values."""
        told = {**msgspec.to_builtins(self.attributes), **attributes}
        self.attributes = msgspec.convert(told, TopicAttributes)

    def add(self, subscription: Subscription) -> None:
        """Subscribe it."""
        self.subscriptions[subscription.id] = subscription
        self.by_endpoint[subscription.protocol, subscription.endpoint] = subscription
        insort(self.order, subscription.id)
        self.pending += subscription.pending
        self.policies += subscription.filter is not None

    def remove(self, subscription: Subscription) -> None:
        """It is over."""
        del self.subscriptions[subscription.id]
        place = subscription.protocol, subscription.endpoint
        if self.by_endpoint.get(place) is subscription:  # in recovery the next one may be there already
            del self.by_endpoint[place]
        del self.order[bisect_left(self.order, subscription.id)]
        self.pending -= subscription.pending
        self.policies -= subscription.filter is not None

    def subscriber(self, id_: bytes) -> Subscription | None:
        """The subscription of this id, or the farewell to one."""
        return self.subscriptions.get(id_) or self.farewells.get(id_)

    def confirm(self, subscription: Subscription, guarded: bool) -> None:
        """Its subscriber wants it."""
        if self.farewells.pop(subscription.id, None) is not None:
            self.add(subscription)
        self.pending -= subscription.pending
        subscription.pending, subscription.guarded = False, guarded

    def published(self, event: e.Published, lsn: int) -> int:
        """Gives by how many bytes memory grows."""
        assert self.ids is not None
        if lsn > self.stored:
            self.next_sequence = event.first + len(event.ids) // 16
        return self.ids.remember(Remembered(self.number, event.first, event.at, event.ids, event.digests))

    def snapshot(self) -> dict[str, Any]:
        """The state as plain objects, to be compared."""
        return {
            "name": self.name,
            "scope": tuple(self.scope),
            "attributes": msgspec.to_builtins(self.attributes),
            "created_at": self.created_at,
            "tags": self.tags,
            "next_sequence": self.next_sequence,
            "deleted": self.deleted,
            "archive": (self.archive, self.archive_at),
            "subscriptions": {
                each.own: each.snapshot() for each in (self.subscriptions[id_] for id_ in self.order)
            },
            "farewells": {each.own: each.snapshot() for each in self.farewells.values()},
        }


def _called(arn: str, home: Scope) -> str:
    place = read_queue_arn(arn)
    assert place is not None, "an endpoint was read when it was given"
    return place[0].called(place[1], home)
