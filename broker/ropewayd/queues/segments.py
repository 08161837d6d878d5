"""Deduplication ids on disk: how a queue's (or a FIFO topic's) lie there, and are found again.

Rule 1  Ids are written in portions, each id once, in the order in which they were accepted. What is on disk
        is told by one number, the last sequence that was written.
Rule 2  A segment holds the portions of a stretch of time. It is divided into buckets by the heads of the
        digests; a portion adds one record to each bucket that it has ids for. So a look reads one bucket of
        each segment, a few hundred ids, and a write goes to as few places as there are buckets.
Rule 3  A segment is closed when its buckets are full or after five minutes, and dropped by range when the
        last of its ids is over. The next one has as many buckets as the ids of this one would fill, or four
        times as many.

A key is: queue, segment (4 bits), bucket, portion. Segments of 37 bits have a bucket for each digest and no
portions: so ids were written once, and are still read.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import msgspec

from ropewayd.kernel.service import SliceBuilder
from ropewayd.store.protocol import GROUP_BITS, KeyRange, Space

WINDOW = 300_000
"""Milliseconds for which an id is remembered."""
DIGEST = 16
FORM = struct.Struct(">16sQQ16s")
"""Digest, when it was accepted, sequence, message id."""
VERSION = b"\x01"

_HEADS = struct.Struct(f">Q{FORM.size - 8}x")
_DIGESTS = struct.Struct(f">{DIGEST}s{FORM.size - DIGEST}x")

Entry = tuple[bytes, int, int, bytes]
"""Of an accepted message, as `FORM` has it."""
Wanted = tuple[bytes, int, int]
"""A digest, and the first and last sequence that its message can have."""

_SEGMENT_BITS = 4
_PLACE_BITS = GROUP_BITS - _SEGMENT_BITS
"""Of bucket and portion."""
_SEGMENTS = 1 << _SEGMENT_BITS
_MOST_BITS = 15
_FILL = 1024
"""Ids of a bucket that is full."""


class Segment(msgspec.Struct, array_like=True, gc=False):
    """One of a queue's: 2**`bits` buckets, `portions` of `count` ids that were accepted up to `last_at`, the
    last one with the sequence `last`."""

    number: int
    bits: int
    first_at: int
    last_at: int
    last: int
    count: int = 0
    portions: int = 0

    @property
    def over_at(self) -> int:
        return self.last_at + WINDOW

    @property
    def portion_bits(self) -> int:
        return _PLACE_BITS - self.bits

    @property
    def full(self) -> bool:
        """Another would do better."""
        return self.count >= _FILL << self.bits and self.bits < _MOST_BITS

    @property
    def listed(self) -> bool:
        """Whether it is known how many ids it has."""
        return self.bits <= _MOST_BITS

    @property
    def ended(self) -> bool:
        """It can take no more."""
        return self.portions >= 1 << self.portion_bits


def former(epoch: int) -> Segment:
    """The ids of five minutes, as they were written once."""
    return Segment(epoch % _SEGMENTS, _PLACE_BITS, epoch * WINDOW, (epoch + 1) * WINDOW - 1, 0, 0, 1)


class Segments:
    """Those of one queue."""

    __slots__ = ("_lasts", "_next", "_number", "kept", "space")

    def __init__(self, number: int, space: Space) -> None:
        self._number = number
        self.space = space
        self._next = 0
        """Where to look for the number of the next segment: a range that was dropped is best left alone."""
        self._lasts: dict[int, tuple[int, list[int]]] = {}
        """By segment: portions that are older than this process, and the last sequences of the others."""
        self.kept: list[Segment] = []
        """In the order in which they began; portions go to the last one."""

    @property
    def last(self) -> int:
        """The last sequence that was written."""
        return self.kept[-1].last if self.kept else 0

    def restore(self, kept: Iterable[Segment]) -> int:
        """Recovery. Gives until when there may be ids of them on disk."""
        self.kept = list(kept)
        if self.kept:
            self._next = self.kept[-1].number + 1
        return max((each.over_at for each in self.kept), default=0)

    def ranges(self, wanted: Iterable[Wanted], now: int) -> list[KeyRange]:
        """Where on disk the records of these are."""
        places: dict[int, int] = {}
        for digest, first, last in wanted:
            head, before = int.from_bytes(digest), 0
            for each in self.kept:
                if now < each.over_at and ((before < last and first <= each.last) or not each.listed):
                    bucket = head >> 8 * DIGEST - each.bits
                    low, high = self._portions(each, first, last)
                    if low <= high:
                        place = self._key(each, bucket, low)
                        places[place] = max(places.get(place, 0), self._key(each, bucket, high))
                before = each.last
        return [KeyRange(self.space, first, last) for first, last in places.items()]

    def _portions(self, segment: Segment, first: int, last: int) -> tuple[int, int]:
        """The first and the last portion of a segment that can have an id with one of these sequences."""
        before, lasts = self._lasts.get(segment.number, (segment.portions, ()))
        low, high = bisect_left(lasts, first), bisect_left(lasts, last)
        return (before + low if low else 0), before + min(high, len(lasts) - 1)

    def write(self, entries: list[bytes], first_at: int, last_at: int, last: int, into: SliceBuilder) -> None:
        """A portion: entries in `FORM`, all that were accepted since the last one, and when."""
        segment = self._open(first_at, len(entries))
        entries.sort()
        skip, at = 64 - segment.bits, 0
        while at < len(entries):
            bucket = int.from_bytes(entries[at][:8]) >> skip
            beyond = (bucket + 1 << skip).to_bytes(9)[1:]
            end = bisect_left(entries, beyond, at) if any(beyond) else len(entries)
            value = VERSION + b"".join(entries[at:end])
            into.put(self.space, self._key(segment, bucket, segment.portions), value)
            at = end
        segment.portions += 1
        lasts = self._lasts.setdefault(segment.number, (segment.portions - 1, []))[1]
        lasts.append(last)
        segment.count += len(entries)
        segment.last_at, segment.last = last_at, last

    def drop(self, now: int, into: SliceBuilder) -> None:
        """What is over goes."""
        for each in [each for each in self.kept if each.over_at <= now]:
            self.kept.remove(each)
            self._lasts.pop(each.number, None)
            whole = self.whole(each)
            into.drop_range(self.space, whole.first, whole.last)

    def whole(self, segment: Segment) -> KeyRange:
        """All of a segment."""
        last = self._key(segment, (1 << segment.bits) - 1, -1)
        return KeyRange(self.space, self._key(segment, 0, 0), last)

    def _open(self, at: int, count: int) -> Segment:
        """The segment that the next portion goes to, which has so many ids."""
        kept, bits = self.kept, 0
        taken = {each.number for each in kept}
        if kept:
            now = kept[-1]
            due = len(taken) < _SEGMENTS and (now.full or at >= now.first_at + WINDOW)
            if not (due or now.ended):
                return now
            bits = now.bits + 2 if now.full else (now.count // _FILL).bit_length()
        numbers = (each % _SEGMENTS for each in range(self._next, self._next + _SEGMENTS))
        number = next(each for each in numbers if each not in taken)
        self._next = number + 1
        bits = min(_MOST_BITS, max(bits, (count // _FILL).bit_length()))
        kept.append(Segment(number, bits, at, at, self.last))
        return kept[-1]

    def _key(self, segment: Segment, bucket: int, portion: int) -> int:
        """Of a record; portion -1 is the last."""
        place = bucket << segment.portion_bits | portion & ((1 << segment.portion_bits) - 1)
        return self._number << GROUP_BITS | segment.number << _PLACE_BITS | place


def entries_of(values: Iterable[bytes], digests: AbstractSet[bytes]) -> dict[bytes, list[Entry]]:
    """What records say of these digests."""
    found: dict[bytes, list[Entry]] = {}
    for value in values:
        assert value[:1] == VERSION
        for at, (digest,) in enumerate(_DIGESTS.iter_unpack(memoryview(value)[1:])):
            if digest in digests:
                found.setdefault(digest, []).append(FORM.unpack_from(value, 1 + at * FORM.size))
    return found


def heads_of(value: bytes) -> list[int]:
    """The first halves of the digests in a record."""
    assert value[:1] == VERSION
    return [head for (head,) in _HEADS.iter_unpack(memoryview(value)[1:])]
