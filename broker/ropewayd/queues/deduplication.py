"""Deduplication: a message that was accepted within the last five minutes is not accepted again.

Rule 1  What is remembered is a digest of the deduplication id, within its group where the queue's scope is
        that, or of a producer's token; with it stand the message's id, its sequence, and when it was
        accepted. An id keeps the scope it was accepted in.
Rule 2  The five minutes run from the acceptance, whatever becomes of the message. A purge ends them: what has
        a sequence up to the queue's floor is forgotten.
Rule 3  Memory holds the ids in slices of a minute, which count in the memory's budget. Each id is a record
        too when its part of the journal goes, so it never holds the journal back. A slice whose records are
        durable can leave memory.
Rule 4  After a restart, or when a slice has left memory, an id that memory does not know may be on disk:
        until the window of what is there has passed it is looked up by key before a message is accepted.

On disk an id is keyed by queue, epoch (of five minutes) and a part of its digest, in a record that holds
every id of that key. So what is over is dropped by range, an epoch at a time.
"""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

import msgspec

from ropewayd.kernel.service import SliceBuilder
from ropewayd.kernel.wheel import Timer
from ropewayd.store.protocol import Record, Space

from .actions import QueueAttributes, SendEntry
from .fifo import deduplication_id
from .records import SEQUENCE_BITS

IDS = Space(5, "ids", paged=True)
"""Accepted deduplication ids."""

WINDOW = 300_000
"""Milliseconds for which an id is remembered."""
DIGEST = 16
NONE = bytes(DIGEST)
"""In a column of digests: this message has none."""

_SLICE = 60_000
_ID_BYTES = 256
"""What an id takes in memory, about."""
_EPOCH_BITS = 4
_HASH_BITS = SEQUENCE_BITS - _EPOCH_BITS
_FORM = struct.Struct(">16sQQ16s")
"""Digest, when it was accepted, sequence, message id."""
_HEAD = struct.Struct(">Q")
_VERSION = b"\x01"


class Accepted(msgspec.Struct, gc=False, frozen=True):
    """An accepted message, as it is remembered."""

    sequence: int
    id: bytes


class Forget(msgspec.Struct, gc=False, frozen=True):
    """What the wheel gives back when the ids of a queue may be over."""

    number: int


class Remembered(msgspec.Struct, gc=False, frozen=True):
    """The touch of messages that were accepted with digests."""

    number: int
    first: int
    at: int
    ids: bytes
    digests: bytes


def digest_of(entry: SendEntry, attributes: QueueAttributes, scope: str) -> bytes:
    """Of what makes an entry the same message as another."""
    if not attributes.fifo:
        plain = f"t{entry.token}"
    elif scope == "queue":
        plain = f"q{deduplication_id(entry, attributes)}"
    else:
        plain = f"g{deduplication_id(entry, attributes)} {entry.group}"
    return hashlib.blake2b(plain.encode(), digest_size=DIGEST).digest()


def split(digests: bytes) -> Iterator[tuple[int, bytes]]:
    """(index, digest) of a column, but for those that have none."""
    for at in range(0, len(digests), DIGEST):
        digest = digests[at : at + DIGEST]
        if digest != NONE:
            yield at // DIGEST, digest


class Slice:
    """The ids that were accepted within one minute, by the part of their digests that is their key."""

    __slots__ = ("count", "ids", "minute", "stored", "unspilled")

    def __init__(self, minute: int) -> None:
        self.minute = minute
        self.ids: dict[int, bytes] = {}
        self.count = 0
        self.unspilled = 0
        """Events whose part of the journal is still there."""
        self.stored = 0

    @property
    def over_at(self) -> int:
        return (self.minute + 1) * _SLICE + WINDOW


class Ids:
    """What one queue remembers. Times are carried milliseconds."""

    __slots__ = ("_checked", "_number", "_read", "_slices", "epochs", "reading", "timer", "unknown_until")

    def __init__(self, number: int) -> None:
        self._number = number
        self._slices: deque[Slice] = deque()
        self._checked: AbstractSet[bytes] = frozenset()
        self._read: dict[int, bytes] = {}
        self.epochs: list[int] = []
        """Those of which there may be records on disk."""
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
        key = _hash(digest)
        # Nearly all are new, so that this looks in vain: it is to cost a look at each minute and no more.
        for each in self._slices:
            if key in each.ids:
                accepted = _counting(each.ids[key], digest, now, floor)
                if accepted is not None:
                    return accepted
        return _counting(self._read[key], digest, now, floor) if key in self._read else None

    def may_be_on_disk(self, digest: bytes, now: int) -> bool:
        """Whether one that is not known may be remembered all the same."""
        return now < self.unknown_until and digest not in self._checked

    def keys(self, digests: Iterable[bytes], now: int) -> list[int]:
        """Where on disk they would stand."""
        epochs = [each for each in (now // WINDOW, now // WINDOW - 1) if each in self.epochs]
        return [_key(self._number, epoch, _hash(digest)) for digest in digests for epoch in epochs]

    def begin(self) -> None:
        """Ids are being looked up."""
        self.reading = True

    def fill(self, digests: Iterable[bytes], records: Iterable[Record]) -> None:
        """They were looked up."""
        self.reading = False
        self._checked = frozenset(digests)
        self._read = {}
        for record in records:
            assert type(record.key) is int
            assert record.value[:1] == _VERSION
            key = record.key & ((1 << _HASH_BITS) - 1)
            self._read[key] = self._read.get(key, b"") + record.value[1:]

    # Remembering

    def remember(self, first: int, at: int, ids: bytes, digests: bytes) -> int:
        """These were accepted. Gives by how many bytes memory grows."""
        slices, minute = self._slices, at // _SLICE
        if not slices or slices[-1].minute < minute:
            slices.append(Slice(minute))
        into = slices[-1]
        count = 0
        for index, digest in split(digests):
            key = _hash(digest)
            entry = _FORM.pack(digest, at, first + index, ids[16 * index : 16 * index + 16])
            into.ids[key] = into.ids.get(key, b"") + entry
            count += 1
        self._checked = frozenset()  # they are not absent any more
        into.count += count
        into.unspilled += 1
        return _ID_BYTES * count

    def forget(self, now: int) -> int:
        """Let go of what is over; gives how many bytes memory has back."""
        freed = 0
        while self._slices and self._slices[0].over_at <= now:
            freed += _ID_BYTES * self._slices.popleft().count
        return freed

    @property
    def over_at(self) -> int | None:
        """When the oldest of them are over."""
        return self._slices[0].over_at if self._slices else None

    def let_go(self, durable: int) -> int:
        """Leave to the disk what it has as of the lsn `durable`; gives how many bytes memory has back."""
        freed = 0
        for each in list(self._slices):
            if not each.unspilled and each.stored <= durable:
                self._slices.remove(each)
                freed += _ID_BYTES * each.count
                self.unknown_until = max(self.unknown_until, each.over_at)
        return freed

    def clear(self) -> int:
        """The queue was purged, or is no more; gives how many bytes memory has back. Records go by
        themselves."""
        freed = _ID_BYTES * len(self)
        self._slices.clear()
        self._read = {}
        return freed

    # The disk

    def restore(self, epochs: list[int]) -> None:
        """Recovery: there may be records of these."""
        self.epochs = list(epochs)
        if epochs:
            self.unknown_until = (max(epochs) + 2) * WINDOW

    def spill(self, touch: Remembered, into: SliceBuilder) -> bool:
        """Write the records of these ids, unless they are over. True if `epochs` changed."""
        before = list(self.epochs)
        minute, epoch = touch.at // _SLICE, touch.at // WINDOW
        latest = self._slices[-1].minute * _SLICE if self._slices else touch.at
        self._drop(latest // WINDOW, into)
        beside: list[dict[int, bytes]] = []
        for each in self._slices:
            if each.minute == minute:
                each.unspilled -= 1
                each.stored = into.lsn
            if each.minute * _SLICE // WINDOW == epoch:
                beside.append(each.ids)
        if touch.at + WINDOW <= latest:
            return self.epochs != before
        if epoch not in self.epochs:
            self.epochs.append(epoch)
        for index, digest in split(touch.digests):
            key = _hash(digest)
            value = b"".join([ids[key] for ids in beside if key in ids])
            if not value:
                place = 16 * index
                value = _FORM.pack(digest, touch.at, touch.first + index, touch.ids[place : place + 16])
            into.put(IDS, _key(self._number, epoch, key), _VERSION + value)
        return self.epochs != before

    def _drop(self, epoch: int, into: SliceBuilder) -> None:
        for old in [each for each in self.epochs if each < epoch - 1]:
            self.epochs.remove(old)
            into.drop_range(IDS, _key(self._number, old, 0), _key(self._number, old, (1 << _HASH_BITS) - 1))


def drop_all(number: int, into: SliceBuilder) -> None:
    """The queue is no more, and so is all that it remembers."""
    first = number << SEQUENCE_BITS
    into.drop_range(IDS, first, first | ((1 << SEQUENCE_BITS) - 1))


def _counting(entries: bytes, digest: bytes, now: int, floor: int) -> Accepted | None:
    """The message of these that was accepted with this digest, if that counts still."""
    for found, at, sequence, id_ in _FORM.iter_unpack(entries):
        if found == digest and now < at + WINDOW and sequence > floor:
            return Accepted(sequence, id_)
    return None


def _hash(digest: bytes) -> int:
    head: int = _HEAD.unpack_from(digest)[0]
    return head >> (64 - _HASH_BITS)


def _key(number: int, epoch: int, hashed: int) -> int:
    return number << SEQUENCE_BITS | (epoch & ((1 << _EPOCH_BITS) - 1)) << _HASH_BITS | hashed
