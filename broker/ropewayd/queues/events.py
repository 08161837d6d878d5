"""What can happen to queues. Everything that `apply` needs is in the event: times, ids, sequences.

A tag is fixed for ever (1 to 39 are the queues'). A field can be added at the end with a default; any other
change is a new event with a new tag, and the old one stays readable.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from .message import Message, System, weigh


class QueueCreated(msgspec.Struct, array_like=True, tag=1, gc=False, frozen=True):
    """A new incarnation, with all of its attributes. Without an account and a region it is the daemon's own
    account's."""

    number: int
    name: str
    at: int
    attributes: dict[str, Any]
    account: str = ""
    region: str = ""
    tags: dict[str, str] | None = None


class QueueDeleted(msgspec.Struct, array_like=True, tag=2, gc=False, frozen=True):
    """The incarnation is over, and every message of it."""

    number: int
    at: int


class AttributesSet(msgspec.Struct, array_like=True, tag=3, gc=False, frozen=True):
    """Those that changed, with their new values."""

    number: int
    at: int
    attributes: dict[str, Any]


class QueuePurged(msgspec.Struct, array_like=True, tag=4, gc=False, frozen=True):
    """Every message with a sequence up to `floor` is gone."""

    number: int
    at: int
    floor: int


class MessagesSent(msgspec.Struct, array_like=True, tag=5, gc=False, frozen=True):
    """Sequences `first`, `first + 1`, ... in columns. `visible_at`, `attributes` and `systems` are nil where
    nobody has any, and so are `digests` (see deduplication.py), 16 bytes each."""

    number: int
    first: int
    at: int
    ids: bytes
    bodies: list[Any]
    visible_at: list[int] | None = None
    attributes: list[Any] | None = None
    systems: list[System | None] | None = None
    digests: bytes | None = None


class MessagesReceived(msgspec.Struct, array_like=True, tag=6, gc=False, frozen=True):
    """Invisible until `deadline`; one at or before `at` leaves them visible."""

    number: int
    at: int
    deadline: int
    sequences: list[int]
    attempt: str | None = None
    attempted_at: int = 0
    """Where it is not `at`: what tells this attempt from one of the same id in the same millisecond."""


class MessagesDeleted(msgspec.Struct, array_like=True, tag=7, gc=False, frozen=True):
    """Live until now, by a receipt handle. `size`: their bodies and attributes, in bytes."""

    number: int
    sequences: list[int]
    size: int = 0


class VisibilityChanged(msgspec.Struct, array_like=True, tag=8, gc=False, frozen=True):
    """Each sequence with its new deadline; one at or before `at` makes it visible."""

    number: int
    at: int
    sequences: list[int]
    deadlines: list[int]
    attempt: bool = False
    """Because the receive that holds them was asked for again."""


class MessagesReturned(msgspec.Struct, array_like=True, tag=9, gc=False, frozen=True):
    """Their time is up: they are visible (again, or for the first time)."""

    number: int
    sequences: list[int]


class MessagesExpired(msgspec.Struct, array_like=True, tag=10, gc=False, frozen=True):
    """Past the retention period, gone. `size` is as of MessagesDeleted."""

    number: int
    sequences: list[int]
    size: int = 0


class MessagesNeared(msgspec.Struct, array_like=True, tag=21, gc=False, frozen=True):
    """The time of delayed messages comes near: what a chunk of them on disk held is in memory from now on, in
    columns as of MessagesSent, with the time when each was sent. Nothing else of them changes. See
    delays.py."""

    number: int
    chunk: int
    sequences: list[int]
    deadlines: list[int]
    ids: bytes
    bodies: list[Any]
    sent_at: list[int]
    attributes: list[Any] | None = None
    systems: list[System | None] | None = None


class StoreFounded(msgspec.Struct, array_like=True, tag=11, gc=False, frozen=True):
    """The key of all receipt handles of this store, made once."""

    key: bytes


class MessagesMoved(msgspec.Struct, array_like=True, tag=30, gc=False, frozen=True):
    """From `number`, where they ended, to the end of the queue `destination`, as sequences `first`,
    `first + 1`, ... there, visible, in columns as of MessagesSent; the times and counts are those that they
    have from now on. All of each message is here, so that neither queue's records are needed to tell the
    other's. `task`: the move task that did it; 0: each was a dead letter."""

    number: int
    sequences: list[int]
    destination: int
    first: int
    at: int
    ids: bytes
    bodies: list[Any]
    sent_at: list[int]
    receive_counts: list[int]
    first_received_at: list[int]
    attributes: list[Any] | None = None
    systems: list[System | None] | None = None
    task: int = 0


class Content(msgspec.Struct, array_like=True, gc=False, frozen=True, omit_defaults=True):
    """What a message holds that goes to several queues. A body in two parts has the queue's own text between
    them."""

    body: Any
    attributes: Any = None
    system: System | None = None


class MessagesFanned(msgspec.Struct, array_like=True, tag=33, gc=False, frozen=True):
    """Messages to several queues, each content here once. To the queue `numbers[n]`, as its sequences from
    `firsts[n]` on, go the contents that `picks[n]` names; without `picks` all of them. `ids` are theirs in
    this order, 16 bytes each. `own`: each queue's own text. `visible_at` and `digests` are as in
    MessagesSent, the former one for each queue; nil where nobody has any."""

    at: int
    numbers: list[int]
    firsts: list[int]
    ids: bytes
    contents: list[Content]
    picks: list[list[int]] | None = None
    own: list[str] | None = None
    visible_at: list[int] | None = None
    digests: list[bytes | None] | None = None

    def ranges(self) -> Iterator[tuple[int, range]]:
        """Each queue's number with its sequences."""
        for place, (number, first) in enumerate(zip(self.numbers, self.firsts, strict=True)):
            count = len(self.contents) if self.picks is None else len(self.picks[place])
            yield number, range(first, first + count)

    def sent(self) -> Iterator[MessagesSent]:
        """The same as a send to each of the queues."""
        contents, own, at = self.contents, self.own, 0
        everything = range(len(contents))
        for place, number in enumerate(self.numbers):
            picked = [contents[n] for n in (everything if self.picks is None else self.picks[place])]
            count = len(picked)
            text = own[place] if own is not None else ""
            bodies = [c.body if type(c.body) is not list else f"{c.body[0]}{text}{c.body[1]}" for c in picked]
            visible_at = 0 if self.visible_at is None else self.visible_at[place]
            yield MessagesSent(
                number,
                self.firsts[place],
                self.at,
                self.ids[at : at + 16 * count],
                bodies,
                [visible_at] * count if visible_at > self.at else None,
                [c.attributes for c in picked] if any(c.attributes is not None for c in picked) else None,
                [c.system for c in picked] if any(c.system is not None for c in picked) else None,
                None if self.digests is None else self.digests[place],
            )
            at += 16 * count


class QueueTagged(msgspec.Struct, array_like=True, tag=20, gc=False, frozen=True):
    """All tags that it has from now on."""

    number: int
    at: int
    tags: dict[str, str]


class MoveStarted(msgspec.Struct, array_like=True, tag=31, gc=False, frozen=True):
    """The queue has a new move task. See records.MoveTask."""

    number: int
    task: int
    at: int
    destination: str | None
    rate: int | None
    through: int
    to_move: int


class MoveEnded(msgspec.Struct, array_like=True, tag=32, gc=False, frozen=True):
    """The queue's move task is over, with this status and, if it failed, this reason."""

    number: int
    task: int
    at: int
    status: str
    reason: str | None = None


def expired(number: int, messages: Collection[Message]) -> MessagesExpired:
    """These messages of a queue did."""
    return MessagesExpired(number, [m.sequence for m in messages], weigh(messages))


QueueEvent = (
    QueueCreated
    | QueueDeleted
    | AttributesSet
    | QueuePurged
    | MessagesSent
    | MessagesReceived
    | MessagesDeleted
    | VisibilityChanged
    | MessagesReturned
    | MessagesExpired
    | MessagesNeared
    | StoreFounded
    | MessagesMoved
    | QueueTagged
    | MoveStarted
    | MoveEnded
    | MessagesFanned
)
