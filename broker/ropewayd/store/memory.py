"""The store in memory, for the simulation: deterministic, without threads or time, and with faults on demand.

A `Disk` is what survives. Dropping a MemoryStore and making another on the same Disk is a crash and a
restart.

Rule 1  Values are copied in and out, so whoever changes what it handed over changes nothing here.
Rule 2  Whatever an append does to the disk it does in one step, after its fault has been decided: a fault may
        wait as long as it likes, and the disk is as it was until then.
Rule 3  Every append gives way to the loop at least once, as a real one does.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from ropewayd.store.checks import check_batch, check_page, check_ranges, check_slice
from ropewayd.store.protocol import (
    Claim,
    Copied,
    Corrupt,
    Entry,
    Fenced,
    Figures,
    Key,
    KeyRange,
    Passage,
    Record,
    Recovered,
    Refused,
    Slice,
    Space,
    StoreError,
    Unknown,
    Unplaced,
)


class Fate(enum.Enum):
    """What becomes of an append."""

    OK = "written, and says so"
    REFUSE = "not written: Refused"
    UNKNOWN_WRITTEN = "written, but Unknown"
    UNKNOWN_LOST = "not written, and Unknown"
    CRASH_BEFORE = "the process ends before it is written"
    CRASH_AFTER = "the process ends after it is written, before it says so"


class Faults:
    """Decides what goes wrong. This one lets everything pass; override what a test is about.

    Either method may await something (a future that the test resolves): the call is held until then. No time
    passes here by itself.
    """

    async def append(self, lsn: int, batch: bytes, slice: Slice | None) -> Fate:
        """Called for each append that its claim allows. `lsn` is the one it asks for."""
        return Fate.OK

    async def read(self) -> None:
        """Called before each recover, read and page."""


class Disk:
    """What a crash leaves. Made empty; hand the same one to each MemoryStore in turn."""

    def __init__(self) -> None:
        self.epoch = 0
        self.owner = ""
        self.last = 0
        self.trimmed = 0
        self.free = 1 << 30
        """What `figures` says is free."""
        self.journal: dict[int, bytes] = {}
        self.spaces: dict[int, Space] = {}
        self.records: dict[Space, dict[Key, tuple[int, bytes, int]]] = {}
        """(lsn, value, share): see Record."""
        self.said: dict[Space, dict[int, set[int]]] = {}
        """Of each passage, by the first key that it was put with, the keys that have their records there."""

    def write(self, lsn: int, batch: bytes, slice: Slice | None) -> None:
        """One append, all of it. ValueError, with nothing done, where a space is of another kind here."""
        if slice is not None:
            self._check(slice)
        if batch:
            assert lsn == self.last + 1
            self.journal[lsn] = bytes(batch)
            self.last = lsn
        if slice is None:
            return
        for dropped in slice.drop_ranges:
            kept = self.records.get(dropped.space, {})
            for key in [k for k in kept if isinstance(k, int) and dropped.first <= k <= dropped.last]:
                self._forget(dropped.space, key)
        for space, gone in slice.drops:
            self._forget(space, gone)
        for passage in slice.passages:
            self._keep(passage)
        for record in slice.puts:
            self._forget(record.space, record.key)
            self.records.setdefault(record.space, {})[record.key] = (record.lsn, bytes(record.value), 0)
        for old in range(self.trimmed + 1, slice.trim_to + 1):
            del self.journal[old]
        self.trimmed = max(self.trimmed, slice.trim_to)

    def _check(self, slice: Slice) -> None:
        spaces = dict(self.spaces)
        for space in (*(each.space for each in slice.passages), *(each.space for each in slice.puts)):
            known = spaces.setdefault(space.number, space)
            if known.paged != space.paged:
                raise ValueError(f"Space {known.number} is {'paged' if known.paged else 'small'} on disk.")
        spans: dict[Space, list[tuple[int, int]]] = {}
        for passage in slice.passages:
            self._check_passage(passage, slice, spans.setdefault(passage.space, []))
        self.spaces = spaces

    def _check_passage(self, passage: Passage, slice: Slice, spans: list[tuple[int, int]]) -> None:
        """`spans`: first and last key of those of the slice that come before it."""
        space, keys = passage.space, passage.keys
        ranges = [(each.first, each.last) for each in slice.drop_ranges if each.space == space]
        drops = {key for other, key in slice.drops if other == space}

        def stay(keys: Iterable[int]) -> list[int]:
            """Those that the slice does not drop first."""
            return [k for k in keys if k not in drops and not any(low <= k <= high for low, high in ranges)]

        if passage.source <= self.trimmed:
            raise ValueError(f"Journal row {passage.source} is trimmed.")
        kept = self.records.get(space, {})
        if stay(key for key in keys if key in kept):
            raise ValueError(f"A key of the passage from {keys[0]} on has a record already.")
        said = ((at, live) for at, live in self.said.get(space, {}).items() if max(live) >= keys[0])
        there = [(at, left[-1]) for at, live in said if (left := sorted(stay(live)))]
        if any(at <= keys[-1] and end >= keys[0] for at, end in (*there, *spans)):
            raise ValueError(f"A passage from key {keys[0]} on overlaps another.")
        spans.append((keys[0], keys[-1]))

    def _forget(self, space: Space, key: Key) -> None:
        _, _, share = self.records.get(space, {}).pop(key, (0, b"", 0))
        if share:
            said = self.said[space]
            first = next(first for first, live in said.items() if key in live)
            said[first].discard(int(key))
            if not said[first]:
                del said[first]

    def _keep(self, passage: Passage) -> None:
        row = self.journal[passage.source]
        said = passage.lsn, row, max(1, len(row) // len(passage.keys))
        self.records.setdefault(passage.space, {}).update(dict.fromkeys(passage.keys, said))
        self.said.setdefault(passage.space, {})[passage.keys[0]] = set(passage.keys)


class MemoryStore:
    """A Store (see protocol.py) on a Disk."""

    def __init__(self, disk: Disk, faults: Faults | None = None) -> None:
        self._disk = disk
        self._faults = faults or Faults()
        self._failure: StoreError | None = None
        self._claimed = False
        self.crashed = False
        """The process that this store was part of has ended. No call of it returns any more."""

    def crash(self) -> None:
        """End the process that this store is part of: what is held is never written, and nothing returns."""
        self.crashed = True

    async def claim(self, owner: str) -> Claim:
        """See Store.claim."""
        await self._pause()
        self._require()
        self._claimed = True
        self._disk.epoch += 1
        self._disk.owner = owner
        return Claim(self._disk.epoch, self._disk.last)

    async def append(self, claim: Claim, expect: int, batch: bytes, slice: Slice | None = None) -> int:
        """See Store.append."""
        lsn = expect + bool(batch)
        check_batch(batch)
        if slice is not None:
            check_slice(slice, lsn)
            slice = Slice(
                *(list(slice.puts), list(slice.drops), list(slice.drop_ranges)),
                slice.trim_to,
                [replace(each, keys=list(each.keys)) for each in slice.passages],
            )
        batch = bytes(batch)
        await self._pause()
        self._require_newest(claim, expect)
        fate = await self._faults.append(lsn, batch, slice)
        await self._alive()
        self._require_newest(claim, expect)  # somebody may have claimed while it was held
        if fate in {Fate.OK, Fate.UNKNOWN_WRITTEN, Fate.CRASH_AFTER}:
            self._disk.write(lsn, batch, slice)
        if fate in {Fate.CRASH_BEFORE, Fate.CRASH_AFTER}:
            self.crash()
            await self._alive()
        if fate is Fate.REFUSE:
            raise Refused("The disk is full (simulated).")
        if fate in {Fate.UNKNOWN_WRITTEN, Fate.UNKNOWN_LOST}:
            self._failure = Unknown("The disk failed (simulated).")
            raise self._failure
        return lsn

    async def recover(self, claim: Claim) -> Recovered:
        """See Store.recover."""
        await self._reading(claim)
        disk = self._disk
        records = [
            Record(space, key, *disk.records[space][key])
            for space in sorted(disk.records, key=lambda space: space.number)
            if not space.paged
            for key in sorted(disk.records[space])
        ]
        tail = [Entry(lsn, disk.journal[lsn]) for lsn in sorted(disk.journal)]
        if [entry.lsn for entry in tail] != list(range(disk.trimmed + 1, disk.last + 1)):
            raise Corrupt("The journal has a gap.")
        return Recovered(records, tail)

    async def read(self, claim: Claim, space: Space, keys: Sequence[Key]) -> list[Record]:
        """See Store.read."""
        keys = list(keys)
        await self._reading(claim)
        kept = self._disk.records.get(space, {})
        return [Record(space, key, *kept[key]) for key in keys if key in kept]

    async def page(
        self, claim: Claim, space: Space, first: int, last: int, limit: int, max_bytes: int
    ) -> list[Record]:
        """See Store.page."""
        check_page(space, first, last, limit)
        await self._reading(claim)
        kept = self._disk.records.get(space, {})
        records: list[Record] = []
        for key in sorted(k for k in kept if isinstance(k, int) and first <= k <= last)[:limit]:
            records.append(Record(space, key, *kept[key]))
            max_bytes -= records[-1].size
            if max_bytes <= 0:
                break
        return records

    async def read_ranges(self, claim: Claim, ranges: Sequence[KeyRange]) -> list[Record]:
        """See Store.read_ranges."""
        check_ranges(ranges)
        await self._reading(claim)
        return [
            Record(each.space, key, *kept[key])
            for each in ranges
            for kept in [self._disk.records.get(each.space, {})]
            for key in sorted(k for k in kept if isinstance(k, int) and each.first <= k <= each.last)
        ]

    async def tidy(self) -> bool:
        """See Store.tidy. There is never anything to do."""
        await self._pause()
        self._require()
        return False

    async def figures(self) -> Figures:
        """See Store.figures. Bytes of values."""
        await self._pause()
        self._require()
        records = (each for kept in self._disk.records.values() for each in kept.values())
        size = sum(share or len(value) for _, value, share in records)
        return Figures(
            len(self._disk.journal), size, sum(map(len, self._disk.journal.values())), self._disk.free
        )

    async def scrub(self, claim: Claim, max_bytes: int) -> int:
        """There is nothing to read again."""
        return 0

    async def backup(self, claim: Claim, target: Path) -> Copied:
        """There is none of a store in memory."""
        raise Unplaced("A store in memory has no backup.")

    async def close(self) -> None:
        """See Store.close."""
        await self._pause()
        self._failure = self._failure or StoreError("The store is closed.")

    async def _pause(self) -> None:
        await self._alive()
        await asyncio.sleep(0)
        await self._alive()

    async def _alive(self) -> None:
        """Return, unless the process has ended; a dead one says nothing, for ever."""
        if self.crashed:
            await asyncio.get_running_loop().create_future()

    async def _reading(self, claim: Claim) -> None:
        await self._pause()
        self._require()
        await self._faults.read()
        await self._alive()
        self._require()
        if claim.epoch != self._disk.epoch:
            raise Fenced(f"Epoch {claim.epoch} has ended: another owner has claimed the store.")

    def _require(self) -> None:
        if self._failure is not None:
            if isinstance(self._failure, Unknown):
                raise Unknown(f"The store has failed before: {self._failure}")
            raise self._failure

    def _require_newest(self, claim: Claim, expect: int) -> None:
        self._require()
        if not self._claimed:
            raise StoreError("The store is not claimed yet.")
        if claim.epoch != self._disk.epoch:
            raise Fenced(f"Epoch {claim.epoch} has ended: another owner has claimed the store.")
        if expect != self._disk.last:
            raise Fenced(f"The journal ends at lsn {self._disk.last}, not at {expect}.")
