"""The records' tables: one for all small spaces, one for each paged space, and the ranges that are dropped.

Used by the engine alone, on its thread and inside its transactions. The counts that belong to a change go
into the `State` that the caller is about to write. What memory knows here (`_spaces`, `_dropped`) changes
within a transaction; after one that did not come to its commit the engine makes this object anew.

A dropped range is a row in `dropped`. Every read leaves its keys out from that moment; the records go later,
some at a time. A key of it that is put again is taken out of the range, which so falls into two.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain
from operator import itemgetter
from typing import Any, Final

from ropewayd.store import tally
from ropewayd.store.checks import LAST_KEY
from ropewayd.store.checksum import checksum, matcher, matches
from ropewayd.store.passages import KEPT, Held, Passages
from ropewayd.store.protocol import Corrupt, Key, KeyRange, Record, Slice, Space
from ropewayd.store.ranges import Change, Range, Ranges
from ropewayd.store.tables import LOOKED_UP, TOGETHER, PagedTable, State, empty_state

_SPACE: Final = b"space"
"""The key in the checksum of what is known of a space: its kind stands for the lsn, its name for
the value."""

_ALL_SMALL: Final = "SELECT space, key, lsn, checksum, value FROM small ORDER BY space, key"
_PAGE_SMALL: Final = (
    "SELECT space, key, lsn, checksum, value FROM small WHERE space > 0 AND (space, key) > (?, ?)"
    " ORDER BY space, key LIMIT ?"
)
_READ_SMALL: Final = "SELECT key, lsn, checksum, value FROM small WHERE space = ? AND key = ?"

_RUN: Final = 8
"""From so many on, keys without a gap are looked at and dropped as a range. A drain drops nothing else."""
_RECLAIM_ROWS: Final = 1000
_RECLAIM_BYTES: Final = 4 << 20
"""Records of a dropped range that are deleted at a time, at most (but one, if that is larger)."""


class Seen:
    """What became of rows in one transaction."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Space, Key], Record | None] = {}
        """Each that was put or deleted: what it is at the end, None if it is gone."""
        self.reclaimed: list[KeyRange] = []
        """Rows of these were deleted besides."""
        self.kept: list[int] = []
        """Journal rows that were not kept before."""

    def put(self, records: Iterable[Record], before: Sequence[tuple[int, int]]) -> None:
        """Rows were put; of the paged ones these were there `before`."""
        there = {key for key, _ in before}
        for record in records:
            self.rows[record.space, record.key] = record
            if record.space.number == KEPT.number and record.key not in there:
                self.kept.append(int(record.key))

    def drop(self, space: Space, keys: Iterable[Key]) -> None:
        """Rows were deleted, if they were there."""
        self.rows.update(dict.fromkeys((space, key) for key in keys))


class Records:
    """The records of every space."""

    def __init__(self, db: Any, seed: int) -> None:
        self._db = db
        self._seed = seed
        self.watch: tally.Watch | None = None
        """Who is to be told of changes in the rows of paged spaces."""
        self._spaces: dict[int, Space] = {}
        self._dropped: dict[int, Ranges] = {}
        self.passages = Passages(db, seed, self)
        self.seen: Seen | None = None
        """Where somebody wants to know what becomes of rows."""
        for number, name, paged, check in db.execute("SELECT number, name, paged, checksum FROM spaces"):
            if not matches(seed, number, _SPACE, paged, name, check):
                raise Corrupt(f"What is known of space {number} is damaged: its checksum does not match.")
            self._spaces[number] = Space(number, name.decode(), bool(paged))
        for number, first, last, check in db.execute("SELECT space, first, last, checksum FROM dropped"):
            if not matches(seed, number, first, last, b"", check):
                raise Corrupt(f"The dropped range {first} to {last} of space {number} is damaged.")
            self._dropped.setdefault(number, Ranges()).add(first, last)

    # Writing

    def write(self, state: State, given: Slice) -> int:
        """Do what a slice says, but for the journal. Give the size of what was put."""
        for each in given.drop_ranges:
            self._drop_range(state, each)
        if given.drops:
            self._drop(state, given.drops)
        if given.passages:
            self.passages.put(state, given.passages)
        return self._put(state, given.puts) if given.puts else 0

    def mirror(self, state: State, given: Slice) -> int:
        """Write rows as another store's tables have them, and nothing that follows from them: passages are
        rows like others, and what lies in `drop_ranges` is deleted. Give the size of what was put."""
        for each in given.drop_ranges:
            number, run = each.space.number, (each.first, each.last)
            if number in self._spaces:
                changes = tally.Changes(number)
                changes.count_run(self._db, PagedTable.of(number), run, -1)
                self._db.execute(PagedTable.of(number).drop_range, run)
                changes.write(self._db, self._seed, state)
        self._drop(state, given.drops, raw=True)
        return self._put(state, given.puts, raw=True)

    def mirror_whole(self, state: State, spaces: Iterable[Space], ranges: Iterable[KeyRange]) -> None:
        """All rows are written: these are the spaces of the other store, and what it has dropped of them."""
        for space in spaces:
            self.know(state, space)
        for each in ranges:
            self._drop_range(state, each)

    def _put(self, state: State, puts: Sequence[Record], *, raw: bool = False) -> int:
        by_space: dict[Space, list[Record]] = {}
        for record in puts:
            by_space.setdefault(record.space, []).append(record)
        for space, records in by_space.items():
            self.know(state, space)
            if space.paged and raw:
                self.put_rows(state, space, records)
            elif space.paged:
                self._put_paged(state, space, records)
            else:
                self._put_small(state, space, records)
        return sum(len(record.value) for record in puts)

    def _put_paged(self, state: State, space: Space, records: list[Record]) -> None:
        ranges = self._dropped.get(space.number)
        if ranges:
            for record in records:
                if isinstance(record.key, int) and record.key in ranges:
                    self._change(state, space.number, ranges.remove(record.key, record.key))
        if self.passages.of(space) is not None:
            self.passages.clear(state, space, sorted({int(record.key) for record in records}))
        self.put_rows(state, space, records)

    def revive(self, state: State, space: Space, keys: Sequence[int]) -> None:
        """Keys of a paged space, given in order, are to have records again: what dropped ranges still have of
        them goes now, and whole passages that would be in the way of another."""
        ranges = self._dropped.get(space.number)
        if not ranges:
            return
        self.passages.reclaim_for(state, space, keys[0], keys[-1], ranges)
        again = [key for key in keys if key in ranges]
        if again:
            self.drop_rows(state, space, again)
            runs, alone = _runs(again)
            for run in (*runs, *((key, key) for key in alone)):
                self._change(state, space.number, ranges.remove(*run))

    def put_rows(self, state: State, space: Space, records: list[Record]) -> None:
        """Rows of a paged space, and nothing else."""
        seed, number = self._seed, space.number
        rows = [(r.key, r.lsn, checksum(seed, number, r.key, r.lsn, r.value), r.value) for r in records]
        # In order of keys, so that a page of the table is come to once; of one key the last still comes last.
        rows.sort(key=itemgetter(0))
        checks = {int(row[0]): row[2] for row in rows}
        changes = tally.Changes(number, self.watch)
        before = self.present(number, list(checks))
        changes.count_all(before, -1)
        changes.count_all(list(checks.items()), 1)
        if self.seen is not None:
            self.seen.put(records, before)
        self._insert(PagedTable.of(number), rows)
        changes.write(self._db, seed, state)

    def _insert(self, table: PagedTable, rows: list[tuple[Key, int, int, bytes]]) -> None:
        """Many rows a statement: measured, a tenth more messages a second go to disk so."""
        alone = len(rows) % TOGETHER
        for at in range(0, len(rows) - alone, TOGETHER):
            self._db.execute(table.put_together, list(chain.from_iterable(rows[at : at + TOGETHER])))
        if alone:
            self._db.executemany(table.put, rows[-alone:])

    def present(self, number: int, keys: Sequence[int]) -> list[tuple[int, int]]:
        """Which of these keys of a paged space, given in order, have a row: (key, checksum), in order."""
        table = PagedTable.of(number)
        if number not in self._spaces or self._db.execute(table.some, (keys[0], keys[-1])).fetchone() is None:
            return []  # as it is when a backlog is spilled
        found: list[tuple[int, int]] = []
        runs, wanted = _runs(keys)
        for run in runs:
            found += self._db.execute(table.between, run).fetchall()
        for at in range(0, len(wanted), LOOKED_UP):
            few = wanted[at : at + LOOKED_UP]
            few += few[-1:] * (LOOKED_UP - len(few))
            found += self._db.execute(table.checksums, few).fetchall()
        for key, check in found:
            if type(key) is not int or type(check) is not int:
                raise Corrupt(f"Record {key!r} of space {number} is damaged: its checksum is no number.")
        found.sort()
        return found

    def _put_small(self, state: State, space: Space, records: list[Record]) -> None:
        for record in records:
            self._forget(state, space, record.key)
            check = checksum(self._seed, space.number, record.key, record.lsn, record.value)
            self._db.execute(
                "INSERT INTO small VALUES (?, ?, ?, ?, ?)",
                (space.number, record.key, record.lsn, check, record.value),
            )
            state.count(check, 1)
        if self.seen is not None:
            self.seen.put(records, ())

    def _drop(self, state: State, drops: Sequence[tuple[Space, Key]], *, raw: bool = False) -> None:
        paged: dict[int, set[int]] = {}
        for space, key in drops:
            if space.number not in self._spaces:
                continue
            if space.paged:
                paged.setdefault(space.number, set()).add(int(key))
            else:
                self._forget(state, space, key)
                if self.seen is not None:
                    self.seen.drop(space, [key])
        for number, found in paged.items():
            keys, space = sorted(found), self._spaces[number]
            if not raw:
                self.passages.clear(state, space, keys)
            self.drop_rows(state, space, keys)

    def drop_rows(self, state: State, space: Space, keys: list[int]) -> None:
        """Rows of a paged space, given in order, and nothing else."""
        if self.seen is not None:
            self.seen.drop(space, keys)
        number = space.number
        changes = tally.Changes(number, self.watch)
        runs, alone = _runs(keys)
        for run in runs:
            changes.count_run(self._db, PagedTable.of(number), run, -1)
            self._db.execute(PagedTable.of(number).drop_range, run)
        if alone:
            present = self.present(number, alone)
            changes.count_all(present, -1)
            self._db.executemany(PagedTable.of(number).drop, [(key,) for key, _ in present])
        changes.write(self._db, self._seed, state)

    def _forget(self, state: State, space: Space, key: Key) -> None:
        """Delete a small record, if it is there, and take it out of the count."""
        where = (space.number, key)
        found = self._db.execute("SELECT checksum FROM small WHERE space = ? AND key = ?", where).fetchone()
        if found is not None:
            if type(found[0]) is not int:
                raise Corrupt(f"Record {show(space, key)} is damaged: its checksum is no number.")
            self._db.execute("DELETE FROM small WHERE space = ? AND key = ?", where)
            state.count(found[0], -1)

    def _drop_range(self, state: State, dropped: KeyRange) -> None:
        number = dropped.space.number
        if number in self._spaces:
            ranges = self._dropped.setdefault(number, Ranges())
            self._change(state, number, ranges.add(dropped.first, dropped.last))

    def _change(self, state: State, space: int, change: Change) -> None:
        """Write down how the dropped ranges of a space have changed."""
        for each in change.gone:
            self._db.execute("DELETE FROM dropped WHERE space = ? AND first = ?", (space, each[0]))
            state.count(self._range_checksum(space, each), -1)
        for each in change.came:
            check = self._range_checksum(space, each)
            self._db.execute("INSERT INTO dropped VALUES (?, ?, ?, ?)", (space, *each, check))
            state.count(check, 1)

    def _range_checksum(self, space: int, each: Range) -> int:
        return checksum(self._seed, space, each[0], each[1], b"")

    def _space_checksum(self, space: Space) -> int:
        return checksum(self._seed, space.number, _SPACE, space.paged, space.name.encode())

    def known(self, number: int) -> Space | None:
        """The space of this number, if the disk knows it."""
        return self._spaces.get(number)

    def know(self, state: State, space: Space) -> None:
        """See to it that the disk knows this space."""
        known = self._spaces.get(space.number)
        if known == space:
            return
        if known is not None and known.paged != space.paged:
            raise ValueError(f"Space {space.number} is {'paged' if known.paged else 'small'} on disk.")
        if known is not None:
            state.count(self._space_checksum(known), -1)
        elif space.paged:
            self._db.execute(PagedTable.of(space.number).create)
        check = self._space_checksum(space)
        row = (space.number, space.name.encode(), int(space.paged), check)
        self._db.execute("INSERT OR REPLACE INTO spaces VALUES (?, ?, ?, ?)", row)
        state.count(check, 1)
        self._spaces[space.number] = space

    # Reading. `last` is the journal's last lsn: a record cannot be of a later one.

    def small(self, state: State, last: int) -> list[Record]:
        """All records of the small spaces. Raises Corrupt where one is bad, or one is missing."""
        found, records = empty_state(), []
        for number, *row in self._db.execute(_ALL_SMALL):
            if number == tally.OWN:
                if not matches(self._seed, tally.OWN, row[0], row[1], row[3], row[2]):
                    raise Corrupt(f"{tally.show(row[0])} is damaged: its checksum does not match.")
                found.count(row[2], 1)
                continue
            space = self._spaces.get(number)
            if space is None or space.paged:
                raise Corrupt(f"A small record is in space {number}, which is none of the small ones.")
            records.append(self._record(space, last, row))
            found.count(row[2], 1)
        for space in self._spaces.values():
            found.count(self._space_checksum(space), 1)
        for number, ranges in self._dropped.items():
            for each in ranges:
                found.count(self._range_checksum(number, each), 1)
        if (found.records, found.sum) != (state.records, state.sum):
            raise Corrupt(
                "The tables small, spaces and dropped are not what was written:"
                f" {found.records} of {state.records} rows are there."
            )
        return records

    def read(self, space: Space, keys: Sequence[Key], last: int) -> list[Record]:
        """The records of these keys that are there."""
        if space.number not in self._spaces:
            return []
        before: tuple[int, ...]
        if space.paged:
            query, before = PagedTable.of(space.number).read, ()
        else:
            query, before = _READ_SMALL, (space.number,)
        dropped = self._dropped.get(space.number, ())
        own, held = self.passages.of(space), None
        records = []
        for key in keys:
            if key in dropped:
                continue
            row = self._db.execute(query, (*before, key)).fetchone()
            if row is not None:
                if row[0] != key:
                    raise Corrupt(f"Record {show(space, key)} is damaged: {row[0]!r} is in its place.")
                records.append(self._record(space, last, row))
            elif own is not None:
                held = self.passages.holding(own, int(key), held)
                if held is not None:
                    records += self.passages.said(space, held, [int(key)])
        return records

    def row(self, space: Space, key: int) -> Record | None:
        """A row of a paged space that the disk knows."""
        row = self._db.execute(PagedTable.of(space.number).read, (key,)).fetchone()
        return None if row is None else self.sound(space, row)

    def sound(self, space: Space, row: Sequence[Any]) -> Record:
        """What a row says, if its checksum holds. Raises Corrupt."""
        return self._record(space, LAST_KEY, row)

    def page(
        self, space: Space, first: int, last_key: int, limit: int, max_bytes: int, last: int
    ) -> list[Record]:
        """Records of a paged space in key order, within the limits (see Store.page)."""
        return self._page(space, self.passages.of(space), first, last_key, limit, max_bytes, last)

    def page_rows(self, space: Space, first: int, limit: int, max_bytes: int, last: int) -> list[Record]:
        """Likewise from `first` on, but only what has a row of its own."""
        return self._page(space, None, first, LAST_KEY, limit, max_bytes, last)

    def _page(
        self, space: Space, own: Space | None, first: int, end: int, limit: int, max_bytes: int, last: int
    ) -> list[Record]:
        """`own`: the space of the passages that are to be looked at, too."""
        records: list[Record] = []
        if space.number not in self._spaces:
            return records
        for low, high in self._dropped.get(space.number, Ranges()).gaps(first, end):
            for each in self._merged(space, own, low, high, limit - len(records), last):
                if isinstance(each, Record):
                    found = [each]
                else:
                    found = self.passages.said(space, *each, limit - len(records), max_bytes)
                records += found
                max_bytes -= found[0].size * len(found)
                if max_bytes <= 0 or len(records) >= limit:
                    return records
        return records

    def _merged(
        self, space: Space, own: Space | None, low: int, high: int, limit: int, last: int
    ) -> Iterator[Record | tuple[Held, Sequence[int]]]:
        """In order, rows, and keys that one passage says without a row between them."""
        rows = self._rows(space, low, high, limit, last)
        if own is None:
            yield from rows
            return
        # Both are closed here: whoever keeps the error of a damaged row would keep open what they read from.
        with closing(rows), closing(self.passages.runs(own, low, high)) as runs:
            row = next(rows, None)
            for held, keys in runs:
                at = 0
                while at < len(keys):
                    while row is not None and int(row.key) < keys[at]:
                        yield row
                        row = next(rows, None)
                    end = len(keys) if row is None else bisect_left(keys, int(row.key), at)
                    yield held, keys[at:end]
                    at = end
            if row is not None:
                yield row
            yield from rows

    def _rows(self, space: Space, low: int, high: int, limit: int, last: int) -> Generator[Record]:
        query, match, at = PagedTable.of(space.number).page, matcher(self._seed, space.number), low
        with closing(self._db.execute(query, (low, high, limit))) as rows:
            for row in rows:
                key, lsn, check, value = row
                if not at <= key <= high:
                    raise Corrupt(f"Record {show(space, key)} is out of its order.")
                at = key + 1
                if not match(key, lsn, check, value) or lsn > last:
                    self._record(space, last, row)  # raises, and says what is wrong
                yield Record(space, key, lsn, value)

    def ranges(self, ranges: Iterable[KeyRange], last: int) -> list[Record]:
        """All records of these, in key order."""
        found: list[Record] = []
        for each in ranges:
            found += self.page(each.space, each.first, each.last, sys.maxsize, sys.maxsize, last)
        return found

    @property
    def spaces(self) -> list[Space]:
        """Those that the disk knows."""
        return list(self._spaces.values())

    @property
    def dropped(self) -> list[KeyRange]:
        """Ranges whose rows may still be there."""
        return [
            KeyRange(self._spaces[number], first, last)
            for number, ranges in self._dropped.items()
            for first, last in ranges
        ]

    def paged_space(self, least: int) -> Space | None:
        """The first paged space with at least this number."""
        numbers = [each.number for each in self._spaces.values() if each.paged and each.number >= least]
        return self._spaces[min(numbers)] if numbers else None

    def page_small(self, after: tuple[int, bytes], limit: int, max_bytes: int, last: int) -> list[Record]:
        """Records of the small spaces behind (space, key), in that order, within the limits (see
        Store.page)."""
        records: list[Record] = []
        with closing(self._db.execute(_PAGE_SMALL, (*after, limit))) as rows:
            for number, *row in rows:
                space = self._spaces.get(number)
                if space is None or space.paged:
                    raise Corrupt(f"A small record is in space {number}, which is none of the small ones.")
                records.append(self._record(space, last, row))
                max_bytes -= len(row[3])
                if max_bytes <= 0:
                    break
        return records

    def rows(
        self, space: Space, after: int, limit: int, max_bytes: int, last: int
    ) -> tuple[list[tuple[int, int, int]], bool]:
        """(key, checksum, size) of rows behind `after`, also those of dropped ranges, within the limits; and
        whether there may be more. Raises Corrupt."""
        found: list[tuple[int, int, int]] = []
        if after == LAST_KEY:
            return found, False
        with closing(
            self._db.execute(PagedTable.of(space.number).page, (after + 1, LAST_KEY, limit))
        ) as rows:
            for row in rows:
                if type(row[0]) is int and row[0] <= after:
                    raise Corrupt(f"Record {show(space, row[0])} is out of its order.")
                self._record(space, last, row)
                after = row[0]
                size = len(row[3]) + (len(self.passages.row(after)) if space.number == KEPT.number else 0)
                found.append((after, row[2], size))
                max_bytes -= size
                if max_bytes <= 0:
                    return found, True
        return found, len(found) == limit

    def tally(self, space: Space, group: int) -> tally.Tally:
        """That of a group of a paged space."""
        return tally.read(self._db, self._seed, space.number, group)

    def groups(self, space: Space, after: int, before: int | None) -> list[int]:
        """A group between these two that has a tally, if there is one."""
        return tally.groups(self._db, space.number, after, before)

    def _record(self, space: Space, last: int, row: Sequence[Any]) -> Record:
        key, lsn, check, value = row
        kind = int if space.paged else bytes
        if type(key) is not kind or not matches(self._seed, space.number, key, lsn, value, check):
            raise Corrupt(f"Record {show(space, key)} is damaged: its checksum does not match.")
        if lsn > last:
            raise Corrupt(f"Record {show(space, key)} is of lsn {lsn}, but the journal ends at {last}.")
        return Record(space, key, lsn, value)

    # Reclaiming

    @property
    def pending(self) -> bool:
        """Whether there are dropped ranges whose records may still be there."""
        return any(self._dropped.values())

    def reclaim(self, state: State) -> int:
        """Delete some records of the first dropped range; give how many."""
        number, (first, last) = next((n, each) for n, ranges in self._dropped.items() for each in ranges)
        if not self.passages.reclaim(state, self._spaces[number], first, last):
            return 0
        table = PagedTable.of(number)
        rows = self._db.execute(table.lengths, (first, last, _RECLAIM_ROWS)).fetchall()
        upto, size = last, 0
        changes = tally.Changes(number, self.watch)
        for at, (key, length, check) in enumerate(rows, 1):
            changes.count(key, check, -1)
            size += length or 0
            if size >= _RECLAIM_BYTES or at == _RECLAIM_ROWS:
                upto = key
                break
        self._db.execute(table.drop_range, (first, upto))
        if self.seen is not None:
            self.seen.reclaimed.append(KeyRange(self._spaces[number], first, upto))
        changes.write(self._db, self._seed, state)
        self._change(state, number, self._dropped[number].remove(first, upto))
        return len(rows)


def _runs(keys: Sequence[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """What there is of runs without a gap among keys in order, as (first, last), and all other keys."""
    runs: list[tuple[int, int]] = []
    alone: list[int] = []
    at, sure = 0, _RUN - 1
    while at < len(keys):
        if at + sure >= len(keys) or keys[at + sure] - keys[at] != sure:
            alone.append(keys[at])  # keys that are digests have no runs: they are to cost a look each
            at += 1
            continue
        end = at + _RUN
        # Whether the rest, or a long part of it, has no gap is seen at its ends.
        step = len(keys) - end
        while step:
            while end + step <= len(keys) and keys[end + step - 1] - keys[at] == end + step - 1 - at:
                end += step
            step //= 2
        runs.append((keys[at], keys[end - 1]))
        at = end
    return runs, alone


def show(space: Space, key: object) -> str:
    """A record's name, for people."""
    return f"{key.hex() if isinstance(key, bytes) else key} of {space.name} (space {space.number})"
