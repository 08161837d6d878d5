"""Reads again what is on disk, a little at a time, and ends the store at the first thing that is not right.

It goes round: the paged spaces in the order of their keys, the small records, the journal's tail. Each row is
held against its checksum, and each group of a paged space against its tally. Rows come and go meanwhile: what
changes behind the cursor is counted in the part of the group that was read (see Watch), so that at the
group's end the two must agree.
"""

from __future__ import annotations

from typing import Final

from ropewayd.store import tally
from ropewayd.store.journal import Journal
from ropewayd.store.protocol import GROUP_BITS, Corrupt, Space
from ropewayd.store.records import Records
from ropewayd.store.tally import Watch

ROWS: Final = 1000
"""Rows that are read at a time, at most."""


class Scrub:
    """Used by the engine, on its thread."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._space = 0
        self._key = -1
        self._watch: Watch | None = None
        self._paged_through = False
        self._small: tuple[int, bytes] | None = (0, b"")
        self._lsn = 0

    def go_back(self) -> None:
        """What was counted may have been rolled back: this group begins anew."""
        if self._watch is not None:
            self._key = (self._watch.group << GROUP_BITS) - 1
            self._watch = None

    def read(self, records: Records, journal: Journal, trimmed: int, max_bytes: int) -> int:
        """Read on, for about so many bytes; give how many. 0: a round is over, and another begins. Raises
        Corrupt."""
        if not self._paged_through:
            space = records.paged_space(self._space)
            if space is not None:
                return self._read_paged(space, records, journal.last, max_bytes)
            self._paged_through = True
        if self._small is not None:
            found = records.page_small(self._small, ROWS, max_bytes, journal.last)
            if found:
                key = found[-1].key
                assert isinstance(key, bytes)
                self._small = (found[-1].space.number, key)
                return 1 + sum(len(each.value) for each in found)
            self._small = None
        self._lsn = max(self._lsn, trimmed)
        rows = journal.piece(self._lsn, max_bytes)
        self._lsn += len(rows)
        if rows:
            return 1 + sum(len(each.batch) for each in rows)
        self._begin()
        return 0

    def _read_paged(self, space: Space, records: Records, last: int, max_bytes: int) -> int:
        if space.number != self._space:
            self._space, self._key = space.number, -1
        rows, more = records.rows(space, self._key, ROWS, max_bytes, last)
        size = 1
        for key, check, length in rows:
            group = tally.group_of(key)
            if self._watch is None or self._watch.group != group:
                self._end_group(space, records, group)
                self._watch = records.watch = Watch(space.number, group)
            self._watch.tally.count(key, check, 1)
            self._watch.upto = self._key = key
            size += length
        if not more:
            self._end_group(space, records, None)
            self._space, self._key = space.number + 1, -1
        return size

    def _end_group(self, space: Space, records: Records, following: int | None) -> None:
        """All of the group was read, and the next one with rows follows (None: there is none)."""
        watch, self._watch, records.watch = self._watch, None, None
        after = tally.group_of(max(self._key, 0)) - (self._key < 0)
        if watch is not None:
            after = watch.group
            wrong = records.tally(space, watch.group).missing(watch.tally)
            if wrong:
                raise Corrupt(f"In group {watch.group} of space {space.number} ({space.name}), {wrong}.")
        for group in records.groups(space, after, following):
            raise Corrupt(f"Group {group} of space {space.number} ({space.name}) is hidden: it has no row.")
