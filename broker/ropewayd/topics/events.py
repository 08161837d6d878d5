"""What can happen to topics. What a publish does to queues is an event of the queues (MessagesFanned).

A tag is fixed for ever (40 to 59 are the topics'). A field can be added at the end with a default; any other
change is a new event with a new tag, and the old one stays readable.
"""

from __future__ import annotations

from typing import Any

import msgspec


class TopicCreated(msgspec.Struct, array_like=True, tag=40, gc=False, frozen=True):
    """A new incarnation, with the attributes that were given."""

    number: int
    name: str
    account: str
    region: str
    at: int
    attributes: dict[str, Any]
    tags: dict[str, str] | None = None


class TopicDeleted(msgspec.Struct, array_like=True, tag=41, gc=False, frozen=True):
    """The incarnation is over, and every subscription to it."""

    number: int


class TopicAttributesSet(msgspec.Struct, array_like=True, tag=42, gc=False, frozen=True):
    """Those that changed, with their new values."""

    number: int
    attributes: dict[str, Any]


class TopicTagged(msgspec.Struct, array_like=True, tag=43, gc=False, frozen=True):
    """All tags that it has from now on."""

    number: int
    tags: dict[str, str]


class Subscribed(msgspec.Struct, array_like=True, tag=44, gc=False, frozen=True):
    """A new subscription, with the attributes that were given."""

    number: int
    id: bytes
    at: int
    protocol: str
    endpoint: str
    owner: str
    attributes: dict[str, Any]
    queue: int = 0
    """The hidden queue of what its subscriber is to get, if that is not a queue."""
    token: bytes = b""
    """It waits for somebody to confirm it with this."""


class Unsubscribed(msgspec.Struct, array_like=True, tag=45, gc=False, frozen=True):
    """The subscription is over."""

    number: int
    id: bytes


class SubscriptionAttributesSet(msgspec.Struct, array_like=True, tag=46, gc=False, frozen=True):
    """Those that changed, with their new values."""

    number: int
    id: bytes
    attributes: dict[str, Any]


class SubscriptionConfirmed(msgspec.Struct, array_like=True, tag=48, gc=False, frozen=True):
    """The subscriber wants it. `guarded`: it is not to be ended by a call without a signature."""

    number: int
    id: bytes
    guarded: bool = False


class Published(msgspec.Struct, array_like=True, tag=47, gc=False, frozen=True):
    """A FIFO topic accepted messages `first`, `first + 1`, ... of these ids (16 bytes each) and digests of
    deduplication ids. It delivers nothing: an event of the queues in the same commit does."""

    number: int
    first: int
    at: int
    ids: bytes
    digests: bytes


class ArchiveBegun(msgspec.Struct, array_like=True, tag=49, gc=False, frozen=True):
    """From now on the topic keeps what is published, in a hidden queue."""

    number: int
    queue: int
    at: int


class ArchiveEnded(msgspec.Struct, array_like=True, tag=50, gc=False, frozen=True):
    """It keeps nothing any more. (The end of the queue is an event of the queues.)"""

    number: int


class ReplayStarted(msgspec.Struct, array_like=True, tag=51, gc=False, frozen=True):
    """A subscription is to get again what was published from `start` on, until `end`."""

    number: int
    id: bytes
    at: int
    start: int
    end: int | None


class ReplayMoved(msgspec.Struct, array_like=True, tag=52, gc=False, frozen=True):
    """It got all up to this sequence of the archive."""

    number: int
    id: bytes
    at: int
    after: int


class ReplayEnded(msgspec.Struct, array_like=True, tag=53, gc=False, frozen=True):
    """It got everything, or will not get more."""

    number: int
    id: bytes
    status: str


class Farewell(msgspec.Struct, array_like=True, tag=54, gc=False, frozen=True):
    """A subscription ended, and its subscriber is told so, by a hidden queue of its own. Who confirms that
    with the token has the subscription again, by this new id."""

    number: int
    id: bytes
    at: int
    protocol: str
    endpoint: str
    owner: str
    attributes: dict[str, Any]
    queue: int
    token: bytes


class FarewellEnded(msgspec.Struct, array_like=True, tag=55, gc=False, frozen=True):
    """The subscription of this farewell does not come back any more."""

    number: int
    id: bytes
