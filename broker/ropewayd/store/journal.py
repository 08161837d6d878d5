"""The journal's table: rows in order of lsn, each a commit's batch.

Used by the engine alone, on its thread and inside its transactions. `last` and `oldest` are moved by the
engine, after the commit that makes them so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Final

from ropewayd.store.checksum import JOURNAL, matches, row_checksum
from ropewayd.store.passages import KEPT
from ropewayd.store.protocol import Claim, Corrupt, Entry, Fenced

_TRIM_ROWS: Final = 256
_TRIM_BYTES: Final = 16 << 20
"""Rows that are deleted at a time, at most (but one, if that is larger)."""

# The epoch is checked by the statement that writes, so that nothing can come between. Measured: it costs
# nothing.
_INSERT: Final = (
    "INSERT INTO journal (lsn, checksum, events) SELECT ?, ?, ? FROM state WHERE one = 1 AND epoch = ?"
)


_DELETE: Final = "DELETE FROM journal WHERE lsn BETWEEN ? AND ?"
_DELETE_BUT_KEPT: Final = (
    f"{_DELETE} AND NOT EXISTS (SELECT 1 FROM space_{KEPT.number} WHERE key = journal.lsn)"  # noqa: S608  # a number
)


class Journal:
    """`last`: the last lsn that was written. `oldest`: trimmed rows from this one on are still to be
    deleted."""

    def __init__(self, db: Any, seed: int, trimmed: int) -> None:
        self._db = db
        self._seed = seed
        first, last = db.execute("SELECT min(lsn), max(lsn) FROM journal").fetchone()
        self.last: int = max(trimmed, last or 0)
        self.oldest: int = first or self.last + 1

    def insert(self, claim: Claim, lsn: int, batch: bytes) -> None:
        """Write one row. Raises Fenced where it is there already, or the epoch is over."""
        check = row_checksum(self._seed, lsn, batch)
        try:
            done = self._db.execute(_INSERT, (lsn, check, batch, claim.epoch))
        except sqlite3.IntegrityError as error:
            raise Fenced(f"Journal row {lsn} is there already.") from error
        if done.rowcount != 1:
            raise Fenced(f"Epoch {claim.epoch} is over: another owner has claimed the store.")

    def check_epoch(self, claim: Claim) -> None:
        """For a transaction that writes no row. Raises Fenced."""
        query = "SELECT 1 FROM state WHERE one = 1 AND epoch = ?"
        if self._db.execute(query, (claim.epoch,)).fetchone() is None:
            raise Fenced(f"Epoch {claim.epoch} is over: another owner has claimed the store.")

    def delete(self, trimmed: int, *, some_kept: bool) -> int:
        """Delete some of the rows up to `trimmed`, but for those that are kept; give the oldest that is
        left to look at."""
        upto, size = self.oldest - 1, 0
        rows = self._db.execute(
            "SELECT lsn, length(events) FROM journal WHERE lsn BETWEEN ? AND ? ORDER BY lsn LIMIT ?",
            (self.oldest, trimmed, _TRIM_ROWS),
        ).fetchall()
        for at, (lsn, length) in enumerate(rows, 1):
            upto, size = lsn, size + (length or 0)
            if size >= _TRIM_BYTES or at == _TRIM_ROWS:
                break
        else:
            upto = max(upto, trimmed)  # between rows that were kept there may be none
        if rows:
            self._db.execute(_DELETE_BUT_KEPT if some_kept else _DELETE, (self.oldest, upto))
        return upto + 1

    def forget(self, trimmed: int, *, some_kept: bool) -> None:
        """Delete all rows up to `trimmed`, but for those that are kept."""
        self._db.execute(_DELETE_BUT_KEPT if some_kept else _DELETE, (0, trimmed))

    def has(self, lsn: int) -> bool:
        """Whether this row is there, trimmed or not."""
        return self._db.execute("SELECT 1 FROM journal WHERE lsn = ?", (lsn,)).fetchone() is not None

    def release(self, lsns: Sequence[int]) -> None:
        """Delete rows that were kept, if trimming has come by already."""
        self._db.executemany("DELETE FROM journal WHERE lsn = ?", [(n,) for n in lsns if n < self.oldest])

    def piece(self, after: int, max_bytes: int) -> list[Entry]:
        """Rows behind this lsn, none of them trimmed, up to the one that reaches `max_bytes`. Raises
        Corrupt."""
        found: list[Entry] = []
        query = "SELECT lsn, checksum, events FROM journal WHERE lsn > ? ORDER BY lsn"
        with closing(self._db.execute(query, (after,))) as rows:
            for lsn, check, events in rows:
                after += 1
                found.append(_entry(lsn, check, events, after, self._seed))
                max_bytes -= len(events)
                if max_bytes <= 0:
                    return found
        if after != self.last:
            raise Corrupt(f"The journal ends at lsn {after}, but lsn {self.last} was written.")
        return found

    def tail(self, trimmed: int) -> list[Entry]:
        """All rows that are not trimmed. Raises Corrupt for a bad or a missing one."""
        expected, tail = trimmed + 1, []
        query = "SELECT lsn, checksum, events FROM journal WHERE lsn > ? ORDER BY lsn"
        for lsn, check, events in self._db.execute(query, (trimmed,)):
            tail.append(_entry(lsn, check, events, expected, self._seed))
            expected += 1
        if expected != self.last + 1:
            raise Corrupt(f"The journal ends at lsn {expected - 1}, but lsn {self.last} was written.")
        return tail


def _entry(lsn: int, check: int, events: bytes, expected: int, seed: int) -> Entry:
    if lsn != expected:
        raise Corrupt(f"Journal row {expected} is missing: {lsn} comes in its place.")
    if not matches(seed, JOURNAL, lsn, lsn, events, check):
        raise Corrupt(f"Journal row {lsn} is damaged: its checksum does not match.")
    return Entry(lsn, events)
