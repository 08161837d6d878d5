"""Deduplication: a message that was accepted within the last five minutes is not accepted again.

Rule 1  What is remembered is a digest of the deduplication id, within its group where the queue's scope is
        that, or of a producer's token; with it stand the message's id, its sequence, and when it was
        accepted. An id keeps the scope it was accepted in.
Rule 2  The five minutes run from the acceptance, whatever becomes of the message. A purge ends them: what has
        a sequence up to the queue's floor is forgotten.
Rule 3  Memory holds the ids in slices of a minute at most, which count in the memory's budget. Each id goes
        to disk (see segments.py) before its part of the journal does, so it never holds the journal back.
        Where memory is short a slice that is durable leaves a filter behind, which tells nearly every new
        id from those that were there.
Rule 4  After a restart, or when a filter does not know better, an id that memory does not hold may be on
        disk: until the window of what is there has passed it is looked up before a message is accepted.
        Meanwhile what is there is read, page by page, and becomes a filter too.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from ropewayd.kernel.service import Needs, SliceBuilder
from ropewayd.kernel.wheel import Timer
from ropewayd.store.protocol import KeyRange, Record, Space

from .records import MAX_SEQUENCE, SEQUENCE_BITS
from .segments import DIGEST, WINDOW, Entry, Segment, Segments, Wanted, entries_of
from .slices import MINUTE, NONE, PAGE, PAGE_BYTES, Remembered, Slice, Unlearned, heads

IDS = Space(5, "ids", paged=True)
"""Accepted deduplication ids."""

PORTION = 8192
"""Ids that go to disk together, about."""
_WRITTEN = 64
"""Portions of which it is known when they are durable. Where nobody asks, older ones need not be known."""
_SLICE_IDS = 32_768
"""From so many on a slice is closed where memory is short."""


_LOOKED_AT, _WORTH = 1000, 32
"""Ids that a look for one reads in a segment, about; and how much of what is left to learn it may be."""


class Accepted(msgspec.Struct, gc=False, frozen=True):
    """An accepted message, as it is remembered."""

    sequence: int
    id: bytes


class Forget(msgspec.Struct, gc=False, frozen=True):
    """What the wheel gives back when the ids of a queue may be over."""

    number: int


def digests_of(kind: str, names: Iterable[str | None]) -> list[bytes]:
    """Of what makes an entry the same message as another, each; NONE where there is nothing. `kind`: "t", a
    token; "q", a deduplication id; "g", one with its group."""
    copy = _BEGUN[kind].copy
    digests = []
    for name in names:
        if name is None:
            digests.append(NONE)
            continue
        hashed = copy()
        hashed.update(name.encode())
        digests.append(hashed.digest())
    return digests


_BEGUN = {kind: hashlib.blake2b(kind.encode(), digest_size=DIGEST) for kind in "tqg"}


class Ids:
    """What one queue remembers (or a FIFO topic, in a space of its own). Times are carried milliseconds."""

    __slots__ = (
        "_checked",
        "_cleared",
        "_durable",
        "_pending",
        "_read",
        "_segments",
        "_slices",
        "_unlearned",
        "_written",
        "reading",
        "timer",
        "unknown_until",
    )

    def __init__(self, number: int, space: Space = IDS) -> None:
        self._segments = Segments(number, space)
        self._slices: deque[Slice] = deque()
        # Lists, since an empty deque takes 600 bytes, and there may be many queues.
        self._pending: list[Remembered] = []
        """What is on no disk but the journal's, or on its way there."""
        self._written: list[tuple[int, int]] = []
        """(lsn, last sequence) of the latest portions that may not be durable yet."""
        self._unlearned: list[Unlearned] = []
        """Segments, from a start on, that memory knows nothing of yet."""
        self._durable = 0
        """The last sequence that is on disk for sure, as far as anybody has asked."""
        self._checked: AbstractSet[bytes] = frozenset()
        self._cleared = 0
        """The floor of the last purge: what was sent up to it is none of the slices'."""
        self._read: dict[bytes, list[Entry]] = {}
        self.unknown_until = 0
        """Until then ids that are not known here may be on disk."""
        self.timer: Timer | None = None
        self.reading = False
        """Whether ids are being looked up. Who comes meanwhile waits behind that, and so keeps the order."""

    def __len__(self) -> int:
        return sum(each.count for each in self._slices)

    # Looking

    def find(self, digest: bytes, now: int, floor: int) -> Accepted | None:
        """The message that was accepted with this digest, if that counts still."""
        found = self.held(digest, now, floor)
        return found or _counting(self._read.get(digest, ()), now, floor)

    def held(self, digest: bytes, now: int, floor: int) -> Accepted | None:
        """Likewise, if memory holds it and need not have read it."""
        (head,) = heads(digest)
        for each in self._slices:
            for send in each.sends(head):
                entry = send.entry(digest)
                accepted = None if entry is None else _counting([entry], now, floor)
                if accepted is not None:
                    return accepted
        return None

    def may_know(self, digests: Sequence[bytes], now: int) -> bool:
        """Whether one of these may be remembered, here or on disk. Nearly all are new, so that this looks in
        vain: it is to cost a look at each slice and no more."""
        if now < self.unknown_until:
            return True
        found = heads(b"".join(digests))
        return any(each.may_have(found) for each in self._slices)

    def may_be_on_disk(self, digest: bytes, now: int) -> bool:
        """Whether one that is not known may be remembered all the same."""
        if digest in self._checked:
            return False
        found = heads(digest)
        left = (each.filter for each in self._slices if each.filter is not None)
        return now < self.unknown_until or any(each.any(found) for each in left)

    def ranges(self, digests: Iterable[bytes], now: int) -> list[KeyRange]:
        """Where on disk they may stand."""
        wanted: list[Wanted] = []
        for digest in digests:
            if now < self.unknown_until:
                wanted.append((digest, 0, MAX_SEQUENCE))
                continue
            found = heads(digest)
            wanted += [
                (digest, each.first, each.last)
                for each in self._slices
                if each.filter is not None and each.filter.any(found)
            ]
        return self._segments.ranges(wanted, now)

    def look(
        self, key: object, digests: Sequence[bytes], now: int, grow: Callable[[int], None]
    ) -> Needs | None:
        """What must be read before anything can be said of these. Who has none waits where others do, behind
        them."""
        if not digests and not self.reading:
            return None
        if digests and self.worth_learning(len(digests), now):
            return self.learning(key, now, grow, self.begin)
        ranges = self.ranges(digests, now)
        if not ranges and not self.reading:
            return None

        def fill(records: list[Record]) -> None:
            self.fill(digests, records)

        return Needs(key=key, space=self._segments.space, fill=fill, ranges=ranges, begin=self.begin)

    def begin(self) -> None:
        """Ids are being looked up."""
        self.reading = True

    def fill(self, digests: Iterable[bytes], records: Iterable[Record]) -> None:
        """They were looked up."""
        self.reading = False
        self._checked = frozenset(digests)
        self._read = entries_of([record.value for record in records], self._checked)

    # Remembering

    def remember(self, send: Remembered) -> int:
        """These were accepted. Gives by how many bytes memory grows."""
        if send.first <= self._segments.last:
            return 0  # recovery: the disk has them
        slices = self._slices
        if not slices or not slices[-1].takes(send):
            slices.append(Slice(send.at // MINUTE))
        self._checked = frozenset()  # they are not absent any more
        self._pending.append(send)
        return slices[-1].add(send)

    def forget(self, now: int) -> int:
        """Let go of what is over; gives how many bytes memory has back."""
        freed = 0
        while self._slices and self._slices[0].over_at <= now:
            freed += self._slices.popleft().bytes
        return freed

    @property
    def over_at(self) -> int | None:
        """When the oldest of them are over."""
        return self._slices[0].over_at if self._slices else None

    def let_go(self, durable: int) -> int:
        """Leave to the disk what it has as of the lsn `durable`; gives how many bytes memory has back."""
        while self._written and self._written[0][0] <= durable:
            self._durable = self._written.pop(0)[1]
        slices = self._slices
        if slices and slices[-1].count > _SLICE_IDS:
            slices[-1].closed = True
        there = (each for each in slices if each.filter is None and each.last <= self._durable)
        return sum(each.leave() for each in there)

    def clear(self, floor: int) -> int:
        """The queue was purged up to this sequence, or is no more; gives how many bytes memory has back.
        Records go by themselves."""
        self._cleared = floor
        freed = sum(each.bytes for each in self._slices)
        self._slices.clear()
        self._pending.clear()
        self._unlearned.clear()
        self.unknown_until = 0
        self._read = {}
        return freed

    # The disk

    @property
    def segments(self) -> list[Segment]:
        """What is on disk, as a record tells it."""
        return self._segments.kept

    def restore(self, segments: Iterable[Segment]) -> None:
        """Recovery: there are these."""
        self.unknown_until = self._segments.restore(segments)
        if all(each.listed for each in self.segments):
            before = 0
            for each in self.segments:
                self._unlearned.append(Unlearned(each, self._segments.whole(each), before + 1))
                before = each.last

    def worth_learning(self, count: int, now: int) -> bool:
        """Whether to look up so many costs so much that those who ask had better wait for what is learned."""
        ids = sum(each.count for each in self._unlearned)
        return now < self.unknown_until and count * len(self._unlearned) * _LOOKED_AT * _WORTH > ids

    def learning(
        self, key: object, now: int, grow: Callable[[int], None], begin: Callable[[], None] | None = None
    ) -> Needs | None:
        """The next page of what memory does not know of the disk. `grow` is told how many bytes memory takes
        for it; `begin` is given where somebody waits for it."""
        unlearned = self._unlearned
        while unlearned and unlearned[0].over_at <= now:
            unlearned.pop(0)
        if not unlearned:
            return None
        left = unlearned[0].left

        def fill(records: list[Record]) -> None:
            if begin is not None:
                self.reading = False
            grow(self._learn(left, records))

        return Needs(
            key=key,
            space=left.space,
            fill=fill,
            begin=begin,
            first=left.first,
            last=left.last,
            limit=PAGE,
            max_bytes=PAGE_BYTES,
        )

    def _learn(self, left: KeyRange, records: Sequence[Record]) -> int:
        """A page was read. Gives by how many bytes memory grows."""
        unlearned = self._unlearned
        if not unlearned or unlearned[0].left is not left:
            return 0  # a purge has ended it
        if unlearned[0].take(records):
            return 0
        learned = unlearned.pop(0).slice
        at = sum(1 for each in self._slices if each.last_at <= learned.last_at)
        self._slices.insert(at, learned)
        if not unlearned:
            self.unknown_until = 0
        return learned.bytes

    def spill(self, touch: Remembered, into: SliceBuilder) -> bool:
        """See to it that the records of these ids are written, and of some that came after them. True if
        `segments` changed."""
        segments, pending = self._segments, self._pending
        if touch.first <= max(segments.last, self._cleared) or not pending:
            return False
        now = pending[-1].at
        segments.drop(now, into)
        end = ids = 0
        while end < len(pending) and ids < PORTION:
            ids += len(pending[end].digests) // DIGEST
            end += 1
        portion = [send for send in pending[:end] if now < send.at + WINDOW]
        del pending[:end]
        if not portion:
            return True
        last = portion[-1]
        entries = [entry for send in portion for entry in send.packed()]
        segments.write(entries, portion[0].at, last.at, last.last, into)
        self._written.append((into.lsn, last.last))
        del self._written[:-_WRITTEN]
        return True


def drop_all(number: int, into: SliceBuilder, space: Space = IDS) -> None:
    """The queue is no more, and so is all that it remembers."""
    first = number << SEQUENCE_BITS
    into.drop_range(space, first, first | ((1 << SEQUENCE_BITS) - 1))


def _counting(entries: Iterable[Entry], now: int, floor: int) -> Accepted | None:
    """The message of these that was accepted, if that counts still."""
    for _, at, sequence, id_ in entries:
        if now < at + WINDOW and sequence > floor:
            return Accepted(sequence, id_)
    return None
