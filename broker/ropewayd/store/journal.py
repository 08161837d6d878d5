"""The journal's table: rows in order of lsn, each a commit's batch.

Used by the engine alone, on its thread and inside its transactions. `last` and `oldest` are moved by the
engine, after the commit that makes them so.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any, Final

from ropewayd.store.checksum import JOURNAL, matches, row_checksum
from ropewayd.store.protocol import Claim, Corrupt, Entry, Fenced

_TRIM_ROWS: Final = 256
_TRIM_BYTES: Final = 16 << 20
"""Rows that are deleted at a time, at most (but one, if that is larger)."""

# The epoch is checked by the statement that writes, so that nothing can come between. Measured: it costs
# nothing.
_INSERT: Final = (
    "INSERT INTO journal (lsn, checksum, events) SELECT ?, ?, ? FROM state WHERE one = 1 AND epoch = ?"
)


class Journal:
    """`last`: the last lsn that was written. `oldest`: the first row that is still there, trimmed or not."""

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

    def delete(self, trimmed: int) -> int:
        """Delete some of the rows up to `trimmed`; give the oldest that is left."""
        upto, size = self.oldest - 1, 0
        rows = self._db.execute(
            "SELECT lsn, length(events) FROM journal WHERE lsn BETWEEN ? AND ? ORDER BY lsn LIMIT ?",
            (self.oldest, trimmed, _TRIM_ROWS),
        ).fetchall()
        for lsn, length in rows:
            upto, size = lsn, size + (length or 0)
            if size >= _TRIM_BYTES:
                break
        if rows:
            self._db.execute("DELETE FROM journal WHERE lsn <= ?", (upto,))
        return upto + 1

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
