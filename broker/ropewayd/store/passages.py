"""Records that journal rows say: which ones, and which rows are kept for them.

A message that is spilled while others of its journal row live too need not be written a second time. A
passage says so for many keys at once: a row in the passages' own paged space (the number of the space whose
records they are, and 128), with a bit for each key that still has its record there. The journal row stays
until no passage speaks of it: another paged space counts, for each row that is kept, how many do.

Used by the records' tables alone, inside the engine's transactions.

Rule 1  A key has its record in a row of its own or in a passage, never in both. Whoever puts or drops a key
        clears its bit.
Rule 2  Passages of a space do not overlap: the one that begins last before a key is the only one to ask.
Rule 3  What a passage says is as of the lsn that it was put with, however many of its keys have gone.
Rule 4  A kept row is deleted in the transaction that clears the last bit of its last passage, or by the trim
        that comes to it later.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ropewayd.store.checksum import JOURNAL, matches
from ropewayd.store.protocol import Corrupt, Passage, Record, Space
from ropewayd.store.ranges import Ranges
from ropewayd.store.tables import PagedTable, State

if TYPE_CHECKING:
    from ropewayd.store.records import Records

OWN: Final = 128
"""Spaces from this number on are the store's own."""
KEPT: Final = Space(255, "kept journal rows", paged=True)
"""By the lsn of a journal row: how many passages speak of it."""

VERSION: Final = 1
"""Of a passage's form."""
COUNT: Final = Struct(">I")
"""The form of a row of KEPT."""
_HEAD: Final = Struct(">BQI")
_RECLAIMED: Final = 64
_RECLAIMED_BYTES: Final = 4 << 20
"""Passages of a dropped range that go at a time, and bytes of their journal rows, at most (but one, if that
is larger)."""


def passages_of(space: Space) -> Space:
    """The space of the passages that say records of this one."""
    return Space(space.number | OWN, f"{space.name} in journal rows", paged=True)


class Held(msgspec.Struct, gc=False):
    """A passage as its row says it. `count`: the keys that it was put with; bit n of `live` is set as long as
    key `first` + n has its record here."""

    first: int
    lsn: int
    source: int
    count: int
    live: int

    @property
    def last(self) -> int:
        """The last key that has its record here."""
        return self.first + self.live.bit_length() - 1

    def has(self, key: int) -> bool:
        """Whether this key's record is here."""
        return key >= self.first and bool(self.live >> (key - self.first) & 1)

    def keys(self, first: int, last: int) -> Sequence[int]:
        """Those from `first` to `last` that have their records here, in order."""
        at, last = max(first, self.first), min(last, self.last)
        bits = self.live >> (at - self.first)
        bits &= (1 << max(0, last - at + 1)) - 1
        if bits & (bits + 1) == 0:
            return range(at, at + bits.bit_length())
        keys: list[int] = []
        for place, byte in enumerate(bits.to_bytes((bits.bit_length() + 7) // 8, "little")):
            # A byte at a time: to shift all of a long number for each of its bits takes its square.
            while byte:
                keys.append(at + 8 * place + (byte & -byte).bit_length() - 1)
                byte &= byte - 1  # noqa: PLW2901  # its bits are taken off one by one
        return keys

    def value(self) -> bytes:
        """What its row holds."""
        size = (self.live.bit_length() + 7) // 8
        return _HEAD.pack(VERSION, self.source, self.count) + self.live.to_bytes(size, "little")


def parse(record: Record) -> Held:
    """A passage from its row."""
    version, source, count = _HEAD.unpack_from(record.value)
    assert version == VERSION
    assert type(record.key) is int
    return Held(record.key, record.lsn, source, count, int.from_bytes(record.value[_HEAD.size :], "little"))


def count_of(record: Record) -> int:
    """How many passages speak of a journal row, from the row of KEPT."""
    return int(COUNT.unpack(record.value)[0])


def bits_of(keys: Sequence[int], first: int) -> int:
    """A bit for each key, counted from `first`."""
    if keys[-1] - keys[0] == len(keys) - 1:
        return ((1 << len(keys)) - 1) << (keys[0] - first)
    bits = bytearray((keys[-1] - first) // 8 + 1)
    for key in keys:
        bits[(key - first) >> 3] |= 1 << ((key - first) & 7)
    return int.from_bytes(bits, "little")


def _outside(held: Held, ranges: Ranges) -> int:
    """What is left of a passage's bits without these keys."""
    live = 0
    for first, last in ranges.gaps(held.first, held.last):
        live |= held.live & bits_of(range(first, last + 1), held.first)
    return live


class Passages:
    """See the module."""

    def __init__(self, db: Any, seed: int, records: Records) -> None:
        self._db = db
        self._seed = seed
        self._records = records
        self._row: tuple[int, bytes] = (0, b"")  # the journal row that records were read from last
        self.released: list[int] = []
        """Journal rows that no passage speaks of any more. The engine takes them."""

    def of(self, space: Space) -> Space | None:
        """The space of this one's passages, if it has any."""
        return self._records.known(space.number | OWN) if space.number < OWN else None

    # Writing

    def put(self, state: State, given: Sequence[Passage]) -> None:
        """Write them down, and keep their journal rows. Raises ValueError where one has no place."""
        kept = Counter(each.source for each in given)
        by_space: dict[Space, list[Passage]] = {}
        for each in given:
            by_space.setdefault(each.space, []).append(each)
        for space, passages in by_space.items():
            self._records.know(state, space)
            own = passages_of(space)
            rows: list[Record] = []
            end = -1
            for each in sorted(passages, key=lambda each: each.keys[0]):
                first, keys = each.keys[0], each.keys
                if first <= end:
                    raise ValueError(f"A passage from key {first} on overlaps another of its slice.")
                end = keys[-1]
                self._require_new(state, each)
                held = Held(first, each.lsn, each.source, len(keys), bits_of(keys, first))
                rows.append(Record(own, first, each.lsn, held.value()))
            self._records.know(state, own)
            self._records.put_rows(state, own, rows)
        self._count(state, kept)

    def _require_new(self, state: State, given: Passage) -> None:
        self._records.revive(state, given.space, given.keys)
        own = self.of(given.space)
        if own is not None:
            with closing(self._between(own, given.keys[0], given.keys[-1])) as found:
                for held in found:
                    raise ValueError(
                        f"A passage from key {given.keys[0]} on overlaps that from {held.first} on."
                    )
        if self._records.present(given.space.number, given.keys):
            raise ValueError(f"A key of the passage from {given.keys[0]} on has a record already.")

    def clear(self, state: State, space: Space, keys: Sequence[int]) -> None:
        """These keys, given in order, have no record in a passage any more."""
        own = self.of(space)
        if own is None:
            return
        changes: list[tuple[Held, int]] = []
        at = 0
        while at < len(keys):
            held = self._last_before(own, keys[at])
            if held is not None and keys[at] <= held.last:
                end = bisect_right(keys, held.last, at)
                changes.append((held, held.live & ~bits_of(keys[at:end], held.first)))
                at = end
            else:
                following = self._following(own, keys[at], keys[-1])
                if following is None:
                    break
                at = bisect_left(keys, following, at)
        self._leave(state, own, changes)

    def reclaim(self, state: State, space: Space, first: int, last: int) -> bool:
        """Clear some of what lies in a dropped range. Whether it was all."""
        own = self.of(space)
        if own is None:
            return True
        room, ranges, changes = _RECLAIMED_BYTES, Ranges([(first, last)]), list[tuple[Held, int]]()
        with closing(self._between(own, first, last)) as found:
            for held in found:
                changes.append((held, _outside(held, ranges)))
                room -= self._length(held.source)
                if room <= 0 or len(changes) == _RECLAIMED:
                    break
            done = next(found, None) is None
        self._leave(state, own, changes)
        return done

    def reclaim_for(self, state: State, space: Space, first: int, last: int, ranges: Ranges) -> None:
        """Clear what dropped ranges have of all passages that lie between these keys or reach in."""
        own = self.of(space)
        if own is not None:
            found = list(self._between(own, first, last))
            self._leave(state, own, [(held, _outside(held, ranges)) for held in found])

    def _leave(self, state: State, own: Space, changes: Sequence[tuple[Held, int]]) -> None:
        """So many bits of each are left. They are given in order."""
        puts: list[Record] = []
        drops: list[int] = []
        gone: Counter[int] = Counter()
        for held, live in changes:
            if live == 0:
                drops.append(held.first)
                gone[held.source] -= 1
            elif live != held.live:
                held.live = live
                puts.append(Record(own, held.first, held.lsn, held.value()))
        if puts:
            self._records.put_rows(state, own, puts)
        if drops:
            self._records.drop_rows(state, own, drops)
            self._count(state, gone)

    def _count(self, state: State, changes: Counter[int]) -> None:
        """So many more passages speak of these journal rows."""
        known = self._records.known(KEPT.number) is not None
        puts: list[Record] = []
        drops: list[int] = []
        for lsn, change in sorted(changes.items()):
            row = self._records.row(KEPT, lsn) if known else None
            count = change + (0 if row is None else count_of(row))
            if count < 0:
                raise Corrupt(f"Journal row {lsn} is spoken of by more passages than were counted.")
            if count:
                puts.append(Record(KEPT, lsn, lsn, COUNT.pack(count)))
            else:
                drops.append(lsn)
        if puts:
            self._records.know(state, KEPT)
            self._records.put_rows(state, KEPT, puts)
        if drops:
            self._records.drop_rows(state, KEPT, drops)
            self.released += drops

    # Reading

    def holding(self, own: Space, key: int, before: Held | None) -> Held | None:
        """The passage that says this key's record, if one does. `before`: one of which others were read just
        before."""
        held = before
        if held is None or not held.first <= key <= held.last:
            held = self._last_before(own, key)
        return held if held is not None and held.has(key) else None

    def runs(self, own: Space, first: int, last: int) -> Generator[tuple[Held, Sequence[int]]]:
        """The passages that say records of keys between these, in order, each with these keys."""
        with closing(self._between(own, first, last)) as found:
            for held in found:
                keys = held.keys(first, last)
                if keys:
                    yield held, keys

    def said(
        self, space: Space, held: Held, keys: Sequence[int], limit: int = 1, max_bytes: int = 1
    ) -> list[Record]:
        """The records that a passage says of the first of its keys, within the limits (see Store.page).
        Raises Corrupt."""
        if self._row[0] != held.source:
            self._row = held.source, self.row(held.source)
        row, lsn = self._row[1], held.lsn
        share = max(1, len(row) // held.count)
        room = max(1, min(limit, (max_bytes - 1) // share + 1))
        return [Record(space, key, lsn, row, share) for key in keys[:room]]

    def row(self, lsn: int) -> bytes:
        """A journal row that is kept, read from the disk. Raises Corrupt where it is damaged or missing."""
        found = self._db.execute("SELECT checksum, events FROM journal WHERE lsn = ?", (lsn,)).fetchone()
        if found is None:
            raise Corrupt(f"Journal row {lsn} is missing, which says records that are still there.")
        if not matches(self._seed, JOURNAL, lsn, lsn, found[1], found[0]):
            raise Corrupt(f"Journal row {lsn} is damaged: its checksum does not match.")
        row: bytes = found[1]
        return row

    def _length(self, lsn: int) -> int:
        found = self._db.execute("SELECT length(events) FROM journal WHERE lsn = ?", (lsn,)).fetchone()
        return 0 if found is None else int(found[0])

    def _between(self, own: Space, first: int, last: int) -> Generator[Held]:
        """Every passage that lies between these keys or reaches in, in order."""
        held = self._last_before(own, first)
        if held is not None and held.last >= first:
            yield held
        if first == last:
            return  # and the key after the last there can be is none that SQLite knows
        with closing(self._db.execute(PagedTable.of(own.number).page, (first + 1, last, -1))) as rows:
            for row in rows:
                yield parse(self._records.sound(own, row))

    def _last_before(self, own: Space, key: int) -> Held | None:
        row = self._db.execute(PagedTable.of(own.number).upto, (key,)).fetchone()
        return None if row is None else parse(self._records.sound(own, row))

    def _following(self, own: Space, key: int, last: int) -> int | None:
        """Where the next passage behind this key begins, up to `last`."""
        if key == last:
            return None
        row = self._db.execute(PagedTable.of(own.number).lengths, (key + 1, last, 1)).fetchone()
        return None if row is None else int(row[0])
