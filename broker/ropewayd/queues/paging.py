"""What must be seen of a queue and is on disk alone: the next page, messages by key, or bodies of stubs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

from ropewayd.kernel.service import Needs
from ropewayd.store.protocol import Record

from .groups import Groups
from .message import Message
from .queue import Queue
from .records import MAX_SEQUENCE, MESSAGES, row_key
from .registry import Registry

_FETCHED = 16
"""Messages read by key at one time, whose bodies can be a mebibyte each."""


def next_page(registry: Registry, queue: Queue, limit: int, events: tuple[Any, ...] = ()) -> Needs:
    """The next `limit` messages that are on disk alone; `events` happen already, whatever will be read."""
    number, first, max_bytes = queue.number, queue.paged_through + 1, registry.page_bytes()
    limit = min(limit, registry.page_messages())

    def fill(records: list[Record]) -> None:
        registry.fill(number, first, limit, max_bytes, records)

    return Needs(
        key=(number, "page"),
        space=MESSAGES,
        fill=fill,
        first=row_key(number, first),
        last=row_key(number, MAX_SEQUENCE),
        limit=limit,
        max_bytes=max_bytes,
        begin=queue.begin_page,
        events=events,
    )


def fetch(registry: Registry, queue: Queue, sequences: list[int]) -> Needs:
    """The rows of these messages, the first of them if there are many."""
    number = queue.number
    del sequences[_FETCHED:]  # the rest when this has been decided again
    keys = [row_key(number, sequence) for sequence in sequences]

    def fill(records: list[Record]) -> None:
        registry.fill_keys(number, sequences, records)

    return Needs(key=(number, *keys), space=MESSAGES, fill=fill, keys=keys)


def bodies(registry: Registry, queue: Queue, stubs: Iterable[Message], events: tuple[Any, ...] = ()) -> Needs:
    """The bodies of these stubs, the first of them if they are many or large; `events` happen already."""
    number = queue.number
    sequences: list[int] = []
    room = registry.limits.page_bytes
    for message in stubs:
        sequences.append(message.sequence)
        room -= message.body
        if room <= 0 or len(sequences) == registry.limits.page_messages:
            break  # the rest when this has been decided again
    keys = [row_key(number, sequence) for sequence in sequences]

    def fill(records: list[Record]) -> None:
        registry.fill_bodies(number, sequences, records)

    return Needs(key=(number, "bodies", *keys), space=MESSAGES, fill=fill, keys=keys, events=events)


def coming(
    registry: Registry,
    queue: Queue,
    groups: Groups,
    picked: Iterable[Message],
    most: int,
    events: tuple[Any, ...],
) -> Needs | None:
    """The bodies of the stubs among these messages, and among those that the next receives of `most` will
    take; None if there are none. While they are read no others are: who needs one waits for these first."""
    number = queue.number
    key = (number, "coming")
    if queue.fetching:
        return Needs(key=key, space=MESSAGES, fill=lambda _: None, events=events)
    sequences: dict[int, None] = {}
    room = registry.page_bytes()
    queue.near = 0
    for message in chain(picked, groups.coming(registry.page_messages(), most)):
        queue.near += 1
        if message.stub and message.sequence not in sequences:
            sequences[message.sequence] = None
            room -= message.body
            if room <= 0:
                break
    if not sequences:
        return None

    def begin() -> None:
        queue.fetching = True

    def fill(records: list[Record]) -> None:
        queue.fetching = False
        registry.fill_bodies(number, list(sequences), records)

    keys = [row_key(number, sequence) for sequence in sequences]
    return Needs(key=key, space=MESSAGES, fill=fill, keys=keys, begin=begin, events=events)


def go_on(queue: Queue, events: tuple[Any, ...]) -> Needs:
    """These events are enough for one step: let others have their turn, and decide again."""
    return Needs(key=(queue.number, "again"), space=MESSAGES, fill=lambda _: None, events=events)


def may_be_on_disk(queue: Queue, sequence: int) -> bool:
    """Whether a message that is not in memory may be on disk."""
    return (
        queue.paged_through < sequence <= queue.spilled_through
        and queue.on_disk > 0
        and sequence > queue.floor
        and sequence not in queue.dead
        and sequence not in queue.absent
    )
