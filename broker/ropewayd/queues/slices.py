"""Deduplication ids in memory: sends, and the slices of time that they came in.

A slice holds the sends of a minute at most, by the heads of their digests. When it has left memory to the
disk it is a filter of those. What is on disk from before a start becomes such a slice when it has been read.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import count, repeat

import msgspec
from msgspec.structs import replace

from ropewayd.store.protocol import KeyRange, Record

from .bloom import Filter
from .segments import DIGEST, FORM, WINDOW, Entry, Segment, heads_of

NONE = bytes(DIGEST)
"""In a column of digests: this message has none."""
MINUTE = 60_000
PAGE, PAGE_BYTES = 10_000, 128 << 10
"""Records, and their bytes, that are read at one time to learn what is on disk."""

_ID_BYTES, _SEND_BYTES = 170, 130
"""What an id takes in memory, about, and the send that it came with."""
_COLUMN = struct.Struct(f">{DIGEST}s")
_HEADS = struct.Struct(f">Q{DIGEST - 8}x")


class Remembered(msgspec.Struct, gc=False, frozen=True):
    """Messages that were accepted with digests, in columns: the touch of that, and what memory holds of
    it."""

    number: int
    first: int
    at: int
    ids: bytes
    digests: bytes

    def packed(self) -> list[bytes]:
        """The entries of all messages with a digest, in `FORM`. Both columns have 16 bytes each."""
        digests, ids = column(self.digests), column(self.ids)
        packed = list(map(FORM.pack, digests, repeat(self.at), count(self.first), ids))
        if NONE in self.digests:
            packed = [each for each in packed if not each.startswith(NONE)]
        return packed

    def entry(self, digest: bytes) -> Entry | None:
        """That of the message with this digest."""
        place = self.digests.find(digest)
        while place > 0 and place % DIGEST:
            place = self.digests.find(digest, place + 1)
        if place < 0:
            return None
        index = place // DIGEST
        return digest, self.at, self.first + index, self.ids[place : place + DIGEST]

    @property
    def last(self) -> int:
        return self.first + len(self.digests) // DIGEST - 1


class Slice:
    """The ids that were accepted within one minute at most: by the heads of their digests, the sends that
    they came with. When it has left memory, a filter of the heads is what it leaves."""

    __slots__ = ("bytes", "closed", "count", "filter", "first", "ids", "last", "last_at", "minute")

    def __init__(self, minute: int) -> None:
        self.minute = minute
        self.ids: dict[int, Remembered | tuple[Remembered, ...]] = {}
        self.filter: Filter | None = None
        self.closed = False
        """It is large enough to leave, when it is durable."""
        self.count = 0
        self.bytes = 0
        self.first = 0
        """Sequence of its first message."""
        self.last = self.last_at = 0
        """Of the last message: its sequence, and when it was accepted."""

    @property
    def over_at(self) -> int:
        return self.last_at + WINDOW

    def takes(self, send: Remembered) -> bool:
        """Whether this send belongs here, and not into the next slice."""
        return not self.closed and send.at // MINUTE <= self.minute

    def add(self, send: Remembered) -> int:
        """Gives by how many bytes memory grows."""
        ids, digests = self.ids, send.digests
        if NONE in digests:
            digests = b"".join([digest for digest in column(digests) if digest != NONE])
        found = heads(digests)
        if len(set(found)) == len(found) and ids.keys().isdisjoint(found):
            ids.update(dict.fromkeys(found, send))
        else:
            for head in found:
                ids[head] = (*self.sends(head), send)
        grown = _SEND_BYTES + _ID_BYTES * len(found)
        self.bytes += grown
        self.count += len(found)
        self.first = self.first or send.first
        self.last, self.last_at = send.last, send.at
        return grown

    def sends(self, head: int) -> tuple[Remembered, ...]:
        """Those with an id of this head: hardly ever more than one."""
        held = self.ids.get(head, ())
        return held if type(held) is tuple else (held,)  # type: ignore[return-value]  # as the type says

    def may_have(self, heads: Sequence[int]) -> bool:
        """Whether one of these is or was here, as far as memory can tell."""
        if self.filter is None:
            return not self.ids.keys().isdisjoint(heads)
        return self.filter.any(heads)

    def leave(self) -> int:
        """What is on disk leaves memory; gives how many bytes that has back."""
        freed = self.bytes
        self.closed, self.filter = True, Filter(len(self.ids))
        self.filter.add(self.ids)
        self.ids, self.count, self.bytes = {}, 0, self.filter.bytes
        return freed - self.bytes


class Unlearned:
    """A segment that is being read, so that memory can tell new ids from those that are there."""

    __slots__ = ("count", "left", "over_at", "slice")

    def __init__(self, segment: Segment, whole: KeyRange, first: int) -> None:
        self.left = whole
        self.count = segment.count
        self.over_at = segment.over_at
        self.slice = Slice(segment.last_at // MINUTE)
        self.slice.closed = True
        self.slice.first, self.slice.last, self.slice.last_at = first, segment.last, segment.last_at

    def take(self, records: Sequence[Record]) -> bool:
        """The next page of it. Whether there may be more."""
        learned = self.slice.filter
        if learned is None:
            learned = self.slice.filter = Filter(self.count)
            self.slice.bytes = learned.bytes
        size = 0
        for record in records:
            size += len(record.value)
            learned.add(heads_of(record.value))
        if size < PAGE_BYTES and len(records) < PAGE:
            return False
        assert type(records[-1].key) is int
        if records[-1].key >= self.left.last:
            return False
        self.left = replace(self.left, first=records[-1].key + 1)
        return True


def column(packed: bytes) -> list[bytes]:
    """The digests of a column, or the ids, which are as long."""
    return [each for (each,) in _COLUMN.iter_unpack(packed)]


def heads(digests: bytes) -> list[int]:
    """The first half of each digest of a column."""
    return [head for (head,) in _HEADS.iter_unpack(digests)]
