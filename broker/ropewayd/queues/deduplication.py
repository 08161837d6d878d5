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
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from ropewayd.kernel.service import SliceBuilder
from ropewayd.kernel.wheel import Timer
from ropewayd.store.protocol import Record, Space

from .records import SEQUENCE_BITS

IDS = Space(5, "ids", paged=True)
"""Accepted deduplication ids."""

WINDOW = 300_000
"""Milliseconds for which an id is remembered."""
DIGEST = 16
NONE = bytes(DIGEST)
"""In a column of digests: this message has none."""

_SLICE = 60_000
_ID_BYTES, _SEND_BYTES = 170, 130
"""What an id takes in memory, about, and the send that it came with."""
_EPOCH_BITS = 4
_HASH_BITS = SEQUENCE_BITS - _EPOCH_BITS
_FORM = struct.Struct(">16sQQ16s")
"""Digest, when it was accepted, sequence, message id."""
_HEAD = struct.Struct(">Q")
_HEADS = struct.Struct(f">Q{DIGEST - 8}x")
_VERSION = b"\x01"


Entry = tuple[bytes, int, int, bytes]
"""Of an accepted message: digest, when it was, sequence, id. As `_FORM` has it."""


class Accepted(msgspec.Struct, gc=False, frozen=True):
    """An accepted message, as it is remembered."""

    sequence: int
    id: bytes


class Forget(msgspec.Struct, gc=False, frozen=True):
    """What the wheel gives back when the ids of a queue may be over."""

    number: int


class Remembered(msgspec.Struct, gc=False, frozen=True):
    """Messages that were accepted with digests, in columns: the touch of that, and what memory holds of
    it."""

    number: int
    first: int
    at: int
    ids: bytes
    digests: bytes

    def all(self) -> Iterator[Entry]:
        """Every message, those without a digest too. Both columns have 16 bytes each."""
        ids, digests = self.ids, self.digests
        for sequence, place in enumerate(range(0, len(digests), DIGEST), self.first):
            yield digests[place : place + DIGEST], self.at, sequence, ids[place : place + DIGEST]

    def entries(self, key: int) -> Iterator[Entry]:
        """Those whose digests have this key."""
        ids, digests = self.ids, self.digests
        head = (key >> (_HASH_BITS - 32)).to_bytes(4, "big")
        place = digests.find(head)
        while place >= 0:
            index, inside = divmod(place, DIGEST)
            digest = digests[place : place + DIGEST]
            if not inside and _hash(digest) == key:
                yield digest, self.at, self.first + index, ids[16 * index : 16 * index + 16]
            place = digests.find(head, place + 1)


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


def split(digests: bytes) -> Iterator[tuple[int, bytes]]:
    """(index, digest) of a column, but for those that have none."""
    for at in range(0, len(digests), DIGEST):
        digest = digests[at : at + DIGEST]
        if digest != NONE:
            yield at // DIGEST, digest


class Slice:
    """The ids that were accepted within one minute: by the part of their digests that is their key, the sends
    that they came with."""

    __slots__ = ("bytes", "count", "ids", "minute", "stored", "unspilled")

    def __init__(self, minute: int) -> None:
        self.minute = minute
        self.ids: dict[int, Remembered | tuple[Remembered, ...]] = {}
        self.count = 0
        self.bytes = 0
        self.unspilled = 0
        """Events whose part of the journal is still there."""
        self.stored = 0

    @property
    def over_at(self) -> int:
        return (self.minute + 1) * _SLICE + WINDOW

    def add(self, send: Remembered) -> int:
        """Gives by how many bytes memory grows."""
        ids, digests = self.ids, send.digests
        if NONE in digests:
            digests = b"".join([digest for _, digest in split(digests)])
        keys = _hashes(digests)
        if len(set(keys)) == len(keys) and ids.keys().isdisjoint(keys):
            ids.update(dict.fromkeys(keys, send))
        else:
            for key in keys:
                ids[key] = (*self.sends(key), send)
        grown = _SEND_BYTES + _ID_BYTES * len(keys)
        self.bytes += grown
        self.count += len(keys)
        self.unspilled += 1
        return grown

    def only(self, send: Remembered, keys: Iterable[int]) -> bool:
        """Whether these keys are all here, and this send's alone."""
        get = self.ids.get
        return all(get(key) is send for key in keys)

    def sends(self, key: int) -> tuple[Remembered, ...]:
        """Those with an id of this key: hardly ever more than one."""
        held = self.ids.get(key, ())
        return held if type(held) is tuple else (held,)  # type: ignore[return-value]  # as the type says


class Ids:
    """What one queue remembers (or a FIFO topic, in a space of its own). Times are carried milliseconds."""

    __slots__ = (
        "_checked",
        "_cleared",
        "_number",
        "_read",
        "_slices",
        "_space",
        "epochs",
        "reading",
        "timer",
        "unknown_until",
    )

    def __init__(self, number: int, space: Space = IDS) -> None:
        self._number = number
        self._space = space
        self._slices: deque[Slice] = deque()
        self._checked: AbstractSet[bytes] = frozenset()
        self._cleared = 0
        """The floor of the last purge: what was sent up to it is none of the slices'."""
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
        found = self.held(digest, now, floor)
        if found is not None:
            return found
        return _counting(_FORM.iter_unpack(self._read.get(_hash(digest), b"")), digest, now, floor)

    def held(self, digest: bytes, now: int, floor: int) -> Accepted | None:
        """Likewise, if memory holds it and need not have read it."""
        key = _hash(digest)
        for each in self._slices:
            for send in each.sends(key):
                accepted = _counting(send.entries(key), digest, now, floor)
                if accepted is not None:
                    return accepted
        return None

    def may_know(self, digests: Sequence[bytes], now: int) -> bool:
        """Whether one of these may be remembered, here or on disk. Nearly all are new, so that this looks in
        vain: it is to cost a look at each minute and no more."""
        if now < self.unknown_until:
            return True
        keys = _hashes(b"".join(digests))
        return any(not each.ids.keys().isdisjoint(keys) for each in self._slices)

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

    def remember(self, send: Remembered) -> int:
        """These were accepted. Gives by how many bytes memory grows."""
        slices, minute = self._slices, send.at // _SLICE
        if not slices or slices[-1].minute < minute:
            slices.append(Slice(minute))
        self._checked = frozenset()  # they are not absent any more
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
        freed = 0
        for each in list(self._slices):
            if not each.unspilled and each.stored <= durable:
                self._slices.remove(each)
                freed += each.bytes
                self.unknown_until = max(self.unknown_until, each.over_at)
        return freed

    def clear(self, floor: int) -> int:
        """The queue was purged up to this sequence, or is no more; gives how many bytes memory has back.
        Records go by themselves."""
        self._cleared = floor
        freed = sum(each.bytes for each in self._slices)
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
        beside: list[Slice] = []
        for each in self._slices:
            if each.minute == minute and touch.first > self._cleared:
                each.unspilled -= 1
                each.stored = into.lsn
            if each.minute * _SLICE // WINDOW == epoch:
                beside.append(each)
        if touch.at + WINDOW <= latest:
            return self.epochs != before
        if epoch not in self.epochs:
            self.epochs.append(epoch)
        place, keys = _key(self._number, epoch, 0), _hashes(touch.digests)
        if _alone(touch, keys, beside):
            for entry, key in zip(touch.all(), keys, strict=True):
                into.put(self._space, place | key, _VERSION + _FORM.pack(*entry))
            return self.epochs != before
        for (digest, at, sequence, id_), key in zip(touch.all(), keys, strict=True):
            if digest == NONE:
                continue
            held = [each.ids[key] for each in beside if key in each.ids]
            if not held or (len(held) == 1 and held[0] is touch):
                value = _FORM.pack(digest, at, sequence, id_)
            else:  # others have this key, or have come instead since a purge
                sends = {send.first: send for each in beside for send in each.sends(key)}
                entries = (entry for send in sends.values() for entry in send.entries(key))
                value = b"".join(_FORM.pack(*entry) for entry in entries)
            into.put(self._space, place | key, _VERSION + value)
        return self.epochs != before

    def _drop(self, epoch: int, into: SliceBuilder) -> None:
        for old in [each for each in self.epochs if each < epoch - 1]:
            self.epochs.remove(old)
            into.drop_range(
                self._space, _key(self._number, old, 0), _key(self._number, old, (1 << _HASH_BITS) - 1)
            )


def drop_all(number: int, into: SliceBuilder, space: Space = IDS) -> None:
    """The queue is no more, and so is all that it remembers."""
    first = number << SEQUENCE_BITS
    into.drop_range(space, first, first | ((1 << SEQUENCE_BITS) - 1))


def _alone(touch: Remembered, keys: list[int], beside: Iterable[Slice]) -> bool:
    """Whether each of these has a digest, and no other send in these slices has an id of its key. So it is
    with nearly every send: that costs no look at each id."""
    if NONE in touch.digests:
        return False
    return all(each.ids.keys().isdisjoint(keys) or each.only(touch, keys) for each in beside)


def _counting(entries: Iterable[Any], digest: bytes, now: int, floor: int) -> Accepted | None:
    """The message of these (see Entry) that was accepted with this digest, if that counts still."""
    for found, at, sequence, id_ in entries:
        if found == digest and now < at + WINDOW and sequence > floor:
            return Accepted(sequence, id_)
    return None


def _hash(digest: bytes) -> int:
    head: int = _HEAD.unpack_from(digest)[0]
    return head >> (64 - _HASH_BITS)


def _hashes(digests: bytes) -> list[int]:
    """That of each digest of a column."""
    return [head >> (64 - _HASH_BITS) for (head,) in _HEADS.iter_unpack(digests)]


def _key(number: int, epoch: int, hashed: int) -> int:
    return number << SEQUENCE_BITS | (epoch & ((1 << _EPOCH_BITS) - 1)) << _HASH_BITS | hashed
