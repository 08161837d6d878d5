"""What a topic keeps of what was published to it, and how it comes back.

An archive is a hidden queue that nobody receives from: one message each for what was published, in order. So
it is on disk, paged, and expires in slices as every queue; its retention period is the archive's.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ropewayd.queues import hidden
from ropewayd.queues.events import AttributesSet, Content, QueueCreated, QueueDeleted
from ropewayd.vocabulary.errors import InvalidAttributeName, RopewayError

from . import events as e
from .actions import PublishEntry
from .notification import Notification, bodies_of
from .records import FAILED, RUNNING, sequence_number
from .topic import Topic

DAY: Final = 86_400_000
"""Milliseconds."""
REPLAYED: Final = "Replayed"
"""The attribute of a message that comes from an archive."""
_MOST_ATTRIBUTES: Final = 10
"""That a message of a queue can have: one with as many is not marked."""


class Archived(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A message as an archive holds it. `sequence` is 0 where the topic has none."""

    id: bytes
    sequence: int
    at: int
    entry: PublishEntry


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Archived).decode


def kept(note: Notification, sequence: int, now: int) -> Content:
    """What the archive gets of a message."""
    entry = msgspec.structs.replace(note.entry, deduplication_id=note.deduplication_id)
    return Content(_encode(Archived(note.id, sequence, now, entry)), None, None)


def sent_at(body: bytes) -> int:
    """When an archived message was published."""
    return _decode(body).at


def restored(topic: Topic, body: bytes) -> Notification:
    """A message as it was published."""
    said = _decode(body)
    shown = bodies_of(said.entry, "body")
    assert not isinstance(shown, RopewayError), "it was read when it was published"
    note = Notification(said.entry, shown)
    note.id, note.at = said.id, said.at
    if said.sequence:
        note.sequence_number = sequence_number(topic.number, said.sequence)
    return note


def mark(note: Notification) -> None:
    """It comes from an archive. Filter policies have seen it before this."""
    if len(note.attributes or ()) < _MOST_ATTRIBUTES:
        note.attributes = {**(note.attributes or {}), REPLAYED: ("String", "true")}


def begun(number: int, queue: int, days: int, now: int) -> tuple[QueueCreated, e.ArchiveBegun] | RopewayError:
    """The events that give a topic an archive, in the queue of this number, the registry's next."""
    made = hidden.made(queue, f"archive-{number}", now, days * DAY)
    return made if isinstance(made, RopewayError) else (made, e.ArchiveBegun(number, queue, now))


def changed(topic: Topic, days: int | None, next_queue: int, now: int) -> tuple[Any, ...] | RopewayError:
    """The events by which a topic's archive becomes what its new attribute says."""
    if not topic.archive:
        return () if days is None else begun(topic.number, next_queue, days, now)
    if days is None:
        running = [
            s for s in topic.subscriptions.values() if s.replay is not None and s.replay.status == RUNNING
        ]
        failed = [e.ReplayEnded(topic.number, each.id, FAILED) for each in running]
        return (*failed, e.ArchiveEnded(topic.number), QueueDeleted(topic.archive, now))
    return (AttributesSet(topic.archive, now, {"retention_period": days * DAY}),)


def beginning(topic: Topic, now: int) -> int:
    """From when on there are messages."""
    return max(topic.archive_at, now - (topic.attributes.archive_days or 0) * DAY)


def problem(given: dict[str, Any], fifo: bool, standard: bool) -> RopewayError | None:
    """Whether a topic can have an archive. `standard`: even if it is no FIFO topic."""
    if given.get("archive_days") is None or fifo or standard:
        return None
    return InvalidAttributeName(
        "The topic cannot have it. Reason: ArchivePolicy is supported only for FIFO topics "
        "(the setting topics.archives)",
        "attributes",
    )
