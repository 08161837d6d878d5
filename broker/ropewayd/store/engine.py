"""The SQLite store, as plain calls. Everything here runs on the one thread that owns the connection.

Rule 1  What memory knows of the disk (`_state`, `_last`, `_dropped`) changes after the commit that makes it so.
Rule 2  Nothing comes between a BEGIN and its COMMIT: each public method is one unit of work.
Rule 3  After an error that leaves a doubt nothing more is written or read, and the files stay as they are, the
        write-ahead log too, for the next start to judge.
"""

from __future__ import annotations

import contextlib
import ctypes
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from ropewayd.store import tables
from ropewayd.store.checksum import checksum, row_checksum
from ropewayd.store.directory import Directory
from ropewayd.store.failures import translate, translate_opening
from ropewayd.store.protocol import (
    Claim,
    Corrupt,
    Entry,
    Fenced,
    Figures,
    Key,
    KeyRange,
    Record,
    Recovered,
    Refused,
    Slice,
    Space,
    StoreError,
    Unknown,
    Unusable,
)
from ropewayd.store.ranges import Range, Ranges

Result = TypeVar("Result")

PAGE: Final = 16384
"""Bytes of a database page. Measured: 64 KiB batches are written a fifth faster than with 4 KiB."""

_TRIM_ROWS, _TRIM_BYTES = 256, 16 << 20
"""Journal rows that one slice or one step of tidying deletes, at most (and one, if it is larger)."""

_RECLAIM_ROWS, _RECLAIM_BYTES = 1000, 4 << 20
"""Records of a dropped range that one step of tidying deletes, at most."""

_NO_CHECKPOINT_ON_CLOSE: Final = 1006  # sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, from Python 3.12 on

_APPEND = "INSERT INTO journal (lsn, checksum, events) SELECT ?, ?, ? FROM state WHERE one = 1 AND epoch = ?"


class Engine:
    """One store's connection, and what is known of its contents."""

    def __init__(
        self, directory: Directory, connector: Callable[[str], Any], cache_bytes: int, wal_bytes: int
    ) -> None:
        self._directory = directory
        self._connector = connector
        self._cache_bytes = cache_bytes
        self._wal_bytes = wal_bytes
        self._db: Any = None
        self._failure: StoreError | None = None
        self._state = tables.State(b"", 0, "", False, 0, 0, 0, 0)
        self._seed = 0
        self._last = 0
        self._oldest = 0  # the first journal row that is still there, trimmed or not
        self._debt = 0  # bytes in the write-ahead log that are not in the database yet, about
        self._spaces: dict[int, Space] = {}
        self._dropped: dict[int, Ranges] = {}

    # Opening and closing

    def open(self, owner: str) -> Any:
        """Take the lock, open the database, make or migrate the tables. Gives the connection."""
        self._directory.prepare(owner)
        try:
            self._open()
        except sqlite3.Error as error:
            self.abandon()
            raise translate_opening(error, self._directory.database) from error
        except OSError as error:
            self.abandon()
            raise Unusable(f"The data directory {self._directory.path} cannot be used: {error}.") from error
        except BaseException:
            self.abandon()
            raise
        return self._db

    def _open(self) -> None:
        file = self._directory.database
        with file.open("rb") as header:
            version = tables.check_header(header.read(100), file)
        self._db = self._connector(str(file))
        self._db.text_factory = bytes
        self._set_pragmas()
        if version < tables.FORMAT:
            self._execute("BEGIN IMMEDIATE")
            if version == 0:
                tables.create(self._db)
            else:
                tables.migrate(self._db, version)
            self._execute("COMMIT")
        self._load()

    def _set_pragmas(self) -> None:
        for pragma in (
            "locking_mode = EXCLUSIVE",
            f"page_size = {PAGE}",
            "synchronous = FULL",
            "fullfsync = 1",
            "checkpoint_fullfsync = 1",
            "mmap_size = 0",
            "temp_store = MEMORY",
            "secure_delete = 0",
            "cell_size_check = 1",
            "trusted_schema = 0",
            f"cache_size = -{self._cache_bytes // 1024}",
            "wal_autocheckpoint = 0",  # ours looks at the errors, SQLite's does not
            f"journal_size_limit = {2 * self._wal_bytes}",
        ):
            self._execute(f"PRAGMA {pragma}").fetchall()
        mode = self._execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != b"wal":
            raise Unusable(f"{self._directory.database} cannot have a write-ahead log here (mode {mode!r}).")

    def _load(self) -> None:
        """Read what memory keeps of the disk."""
        self._state = tables.load_state(self._db)
        self._seed = self._state.seed
        first, last = self._execute("SELECT min(lsn), max(lsn) FROM journal").fetchone()
        self._last = max(self._state.trimmed, last or 0)
        self._oldest = first or self._last + 1
        if self._last < self._state.last:
            raise Corrupt(
                f"The journal ends at lsn {self._last}, but lsn {self._state.last} was written: rows are missing."
            )
        self._load_spaces()

    def _load_spaces(self) -> None:
        self._spaces = {
            number: Space(number, name.decode(), bool(paged))
            for number, name, paged in self._execute("SELECT number, name, paged FROM spaces")
        }
        self._dropped = {}
        for space, first, last, check in self._execute("SELECT space, first, last, checksum FROM dropped"):
            if check != self._range_checksum(space, (first, last)):
                raise Corrupt(f"The dropped range {first} to {last} of space {space} is damaged.")
            self._dropped.setdefault(space, Ranges()).add(first, last)

    def close(self) -> None:
        """Close in order: everything in the database, no write-ahead log, the lock let go."""
        if self._db is None:
            return
        if self._failure is not None:
            self.abandon()
            return
        try:
            self._in_room(self._save, replace(self._state, clean=True, last=self._last), "closing")
            self._checkpoint()
            self._db.close()
        except (sqlite3.Error, StoreError) as error:
            # A full disk: all of it is in the log, and the next start folds it in.
            self.abandon()
            if not isinstance(error, StoreError):
                error = translate(error, "closing")
            if not isinstance(error, Refused):
                raise error from None
        self._db = None
        self._failure = StoreError("The store is closed.")
        self._directory.release()

    def abandon(self) -> None:
        """Let go of the files as they are, as a crash would."""
        db, self._db = self._db, None
        if self._failure is None:
            self._failure = StoreError("The store is closed.")
        if db is None:
            self._directory.release()
        elif hasattr(db, "setconfig"):
            db.setconfig(_NO_CHECKPOINT_ON_CLOSE, True)
            db.close()
            self._directory.release()
        else:
            # Before Python 3.12 there is no closing without SQLite's own tidying up, which would take the log away.
            # So it stays open until the process ends, and the lock with it.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(db))

    # Claiming and appending

    def claim(self, owner: str) -> Claim:
        """A new epoch. Ends with an empty log, so that a later start can tell a lost one."""
        self._require()
        state = replace(self._state)
        state.epoch += 1
        state.owner, state.clean, state.last = owner, False, self._last
        self._in_room(self._save, state, "claiming")
        self._checkpoint()
        self._directory.build_reserve()
        return Claim(state.epoch, self._last)

    def append(self, claim: Claim, expect: int, batch: bytes, slice: Slice | None) -> int:
        """See Store.append."""
        if self._failure is not None or claim.epoch != self._state.epoch:
            self._require(claim)
        if expect != self._last:
            raise Fenced(f"The journal ends at lsn {self._last}, not at {expect}.")
        if self._debt > self._wal_bytes:
            self._checkpoint()
        return self._in_room(self._append, claim, expect, batch, slice)

    def _append(self, claim: Claim, expect: int, batch: bytes, slice: Slice | None) -> int:
        lsn = expect + 1
        if slice is not None:
            return self._append_slice(claim, expect, batch, slice)
        if not batch:
            return expect
        try:
            self._insert(claim, lsn, batch)
        except sqlite3.Error as error:
            self._go_back(f"appending lsn {lsn}")
            raise self._judge(error, f"appending lsn {lsn}") from error
        self._last = lsn
        self._debt += len(batch) + 2 * PAGE
        return lsn

    def _insert(self, claim: Claim, lsn: int, batch: bytes) -> None:
        try:
            done = self._db.execute(_APPEND, (lsn, row_checksum(self._seed, lsn, batch), batch, claim.epoch))
        except sqlite3.IntegrityError as error:
            raise Fenced(f"Journal row {lsn} is there already.") from error
        if done.rowcount != 1:
            raise Fenced(f"Epoch {claim.epoch} has ended: another owner has claimed the store.")

    def _append_slice(self, claim: Claim, expect: int, batch: bytes, slice: Slice) -> int:
        lsn = expect + 1 if batch else expect
        with self._transaction(f"appending lsn {lsn} with a slice"):
            if batch:
                self._insert(claim, lsn, batch)
            elif not self._execute(
                "SELECT 1 FROM state WHERE one = 1 AND epoch = ?", (claim.epoch,)
            ).fetchone():
                raise Fenced(f"Epoch {claim.epoch} has ended: another owner has claimed the store.")
            state = replace(self._state)
            for each in slice.drop_ranges:
                self._drop_range(state, each)
            self._drop(state, slice.drops)
            size = self._put(state, slice.puts)
            state.trimmed = max(state.trimmed, slice.trim_to)
            oldest = self._delete_trimmed(state.trimmed)
            if state != self._state:
                state.last = lsn
                tables.save_state(self._db, state)
        self._state, self._last, self._oldest = state, lsn, oldest
        self._debt += len(batch) + size + 8 * PAGE
        return lsn

    # The parts of a slice

    def _put(self, state: tables.State, puts: Sequence[Record]) -> int:
        """Write the records; give their size."""
        by_space: dict[Space, list[Record]] = {}
        for record in puts:
            by_space.setdefault(record.space, []).append(record)
        for space, records in by_space.items():
            self._know(space)
            if space.paged:
                self._restore(state, space, records)
            else:
                for record in records:
                    self._forget(state, space, record.key)
            rows = [
                (r.key, r.lsn, checksum(self._seed, space.number, r.key, r.lsn, r.value), r.value)
                for r in records
            ]
            if space.paged:
                self._db.executemany(f"INSERT OR REPLACE INTO space_{space.number} VALUES (?, ?, ?, ?)", rows)
                continue
            rows = list({row[0]: row for row in rows}.values())
            self._db.executemany(f"INSERT INTO small VALUES ({space.number}, ?, ?, ?, ?)", rows)
            for row in rows:
                state.count(row[2], 1)
        return sum(len(record.value) for record in puts)

    def _drop(self, state: tables.State, drops: Sequence[tuple[Space, Key]]) -> None:
        by_space: dict[Space, list[tuple[Key]]] = {}
        for space, key in drops:
            by_space.setdefault(space, []).append((key,))
        for space, keys in by_space.items():
            if space.number not in self._spaces:
                continue
            if space.paged:
                self._db.executemany(f"DELETE FROM space_{space.number} WHERE key = ?", keys)
            else:
                for (key,) in keys:
                    self._forget(state, space, key)

    def _forget(self, state: tables.State, space: Space, key: Key) -> None:
        """Delete a small record, if it is there, and take it out of the sum."""
        found = self._execute(
            "SELECT checksum FROM small WHERE space = ? AND key = ?", (space.number, key)
        ).fetchone()
        if found is not None:
            self._execute("DELETE FROM small WHERE space = ? AND key = ?", (space.number, key))
            state.count(found[0], -1)

    def _drop_range(self, state: tables.State, dropped: KeyRange) -> None:
        if dropped.space.number in self._spaces:
            ranges = self._dropped.setdefault(dropped.space.number, Ranges())
            self._change_ranges(state, dropped.space.number, ranges.add(dropped.first, dropped.last))

    def _restore(self, state: tables.State, space: Space, records: Iterable[Record]) -> None:
        """Take keys that are put again out of the dropped ranges."""
        ranges = self._dropped.get(space.number)
        if not ranges:
            return
        for record in records:
            if isinstance(record.key, int) and record.key in ranges:
                self._change_ranges(state, space.number, ranges.remove(record.key, record.key))

    def _change_ranges(
        self, state: tables.State, space: int, change: tuple[list[Range], list[Range]]
    ) -> None:
        gone, came = change
        for each in gone:
            self._execute("DELETE FROM dropped WHERE space = ? AND first = ?", (space, each[0]))
            state.count(self._range_checksum(space, each), -1)
        for each in came:
            check = self._range_checksum(space, each)
            self._execute("INSERT INTO dropped VALUES (?, ?, ?, ?)", (space, *each, check))
            state.count(check, 1)

    def _range_checksum(self, space: int, each: Range) -> int:
        return checksum(self._seed, space, each[0], 0, each[1].to_bytes(8, "big"))

    def _delete_trimmed(self, trimmed: int) -> int:
        """Delete some of the trimmed journal rows; give the oldest row that is left."""
        upto, size = self._oldest - 1, 0
        rows = self._execute(
            "SELECT lsn, length(events) FROM journal WHERE lsn BETWEEN ? AND ? ORDER BY lsn LIMIT ?",
            (self._oldest, trimmed, _TRIM_ROWS),
        ).fetchall()
        for lsn, length in rows:
            upto, size = lsn, size + length
            if size >= _TRIM_BYTES:
                break
        if upto >= self._oldest:
            self._execute("DELETE FROM journal WHERE lsn <= ?", (upto,))
        return upto + 1

    def _know(self, space: Space) -> None:
        """See to it that the disk knows this space."""
        known = self._spaces.get(space.number)
        if known == space:
            return
        if known is not None and known.paged != space.paged:
            raise ValueError(f"Space {space.number} is {'paged' if known.paged else 'small'} on disk.")
        self._execute(
            "INSERT OR REPLACE INTO spaces VALUES (?, ?, ?)", (space.number, space.name, int(space.paged))
        )
        if space.paged:
            self._execute(
                f"CREATE TABLE IF NOT EXISTS space_{space.number} (key INTEGER PRIMARY KEY, lsn INTEGER NOT NULL,"
                " checksum INTEGER NOT NULL, value BLOB NOT NULL)"
            )
        self._spaces[space.number] = space

    # Reading

    def recover(self, claim: Claim) -> Recovered:
        """See Store.recover."""
        with self._reading(claim, "recovering"):
            return Recovered(self._small_records(), self._tail())

    def _small_records(self) -> list[Record]:
        found = tables.State(b"", 0, "", False, 0, 0, 0, 0)
        records = []
        for number, key, lsn, check, value in self._execute("SELECT * FROM small ORDER BY space, key"):
            space = self._spaces.get(number)
            if space is None:
                raise Corrupt(f"A record is in space {number}, which is not known.")
            records.append(self._record(space, key, lsn, check, value))
            found.count(check, 1)
        for number, ranges in self._dropped.items():
            for each in ranges:
                found.count(self._range_checksum(number, each), 1)
        if (found.records, found.sum) != (self._state.records, self._state.sum):
            raise Corrupt(
                f"The small records are not complete: {self._state.records} rows were written, {found.records} are"
                " there (or others than were written)."
            )
        return records

    def _tail(self) -> list[Entry]:
        expected, tail = self._state.trimmed + 1, []
        query = "SELECT lsn, checksum, events FROM journal WHERE lsn > ? ORDER BY lsn"
        for lsn, check, events in self._execute(query, (self._state.trimmed,)):
            if lsn != expected:
                raise Corrupt(f"Journal row {expected} is missing: {lsn} comes in its place.")
            if type(events) is not bytes or row_checksum(self._seed, lsn, events) != check:
                raise Corrupt(f"Journal row {lsn} is damaged: its checksum does not match.")
            tail.append(Entry(lsn, events))
            expected += 1
        if expected != self._last + 1:
            raise Corrupt(f"The journal ends at lsn {expected - 1}, but lsn {self._last} was written.")
        return tail

    def _record(self, space: Space, key: Key, lsn: int, check: int, value: bytes) -> Record:
        """The record, checked."""
        if (
            type(value) is not bytes
            or type(lsn) is not int
            or type(key) is not (int if space.paged else bytes)
            or checksum(self._seed, space.number, key, lsn, value) != check
        ):
            raise Corrupt(f"Record {show(space, key)} is damaged: its checksum does not match.")
        if lsn > self._last:
            raise Corrupt(
                f"Record {show(space, key)} is of lsn {lsn}, but the journal ends at {self._last}: rows are missing."
            )
        return Record(space, key, lsn, value)

    def read(self, claim: Claim, space: Space, keys: Sequence[Key]) -> list[Record]:
        """See Store.read."""
        with self._reading(claim, f"reading records of {space.name}"):
            if space.number not in self._spaces:
                return []
            if space.paged:
                query, given = f"SELECT key, lsn, checksum, value FROM space_{space.number} WHERE key = ?", ()
            else:
                query, given = (
                    "SELECT key, lsn, checksum, value FROM small WHERE space = ? AND key = ?",
                    (space.number,),
                )
            dropped = self._dropped.get(space.number, ())
            records = []
            for key in keys:
                if key in dropped:
                    continue
                row = self._execute(query, (*given, key)).fetchone()
                if row is not None:
                    records.append(self._record(space, *row))
            return records

    def page(
        self, claim: Claim, space: Space, first: int, last: int, limit: int, max_bytes: int
    ) -> list[Record]:
        """See Store.page."""
        assert space.paged, f"{space.name} is no paged space"
        records: list[Record] = []
        with self._reading(claim, f"reading a page of {space.name}"):
            if space.number not in self._spaces:
                return records
            query = (
                f"SELECT key, lsn, checksum, value FROM space_{space.number} WHERE key BETWEEN ? AND ?"
                " ORDER BY key LIMIT ?"
            )
            at = first
            for low, high in self._dropped.get(space.number, Ranges()).gaps(first, last):
                with contextlib.closing(self._execute(query, (low, high, limit - len(records)))) as rows:
                    for key, lsn, check, value in rows:
                        if not at <= key <= high:
                            raise Corrupt(f"Record {show(space, key)} is out of its order.")
                        at = key + 1
                        records.append(self._record(space, key, lsn, check, value))
                        max_bytes -= len(value)
                        if max_bytes <= 0 or len(records) >= limit:
                            return records
        return records

    # Housekeeping

    def tidy(self) -> bool:
        """See Store.tidy. One step: trimmed rows, or a part of a dropped range, or the log."""
        self._require()
        try:
            if self._oldest <= self._state.trimmed:
                with self._transaction("deleting trimmed journal rows"):
                    oldest = self._delete_trimmed(self._state.trimmed)
                self._oldest = oldest
                self._debt += 8 * PAGE
            elif self._pending():
                self._reclaim(*self._pending()[0])
            elif self._debt > self._wal_bytes // 4:
                self._checkpoint()
                self._directory.build_reserve()
        except Refused:
            return False  # no room to tidy in: there is nothing to do before somebody makes some
        return (
            self._oldest <= self._state.trimmed or bool(self._pending()) or self._debt > self._wal_bytes // 4
        )

    def _pending(self) -> list[tuple[int, Range]]:
        for space, ranges in self._dropped.items():
            for each in ranges:
                return [(space, each)]
        return []

    def _reclaim(self, space: int, dropped: Range) -> None:
        with self._transaction(f"reclaiming a dropped range of space {space}"):
            rows = self._execute(
                f"SELECT key, length(value) FROM space_{space} WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?",
                (*dropped, _RECLAIM_ROWS),
            ).fetchall()
            upto, size = dropped[1], 0
            for at, (key, length) in enumerate(rows, 1):
                size += length
                if size >= _RECLAIM_BYTES or at == _RECLAIM_ROWS:
                    upto = key
                    break
            self._execute(f"DELETE FROM space_{space} WHERE key BETWEEN ? AND ?", (dropped[0], upto))
            state = replace(self._state)
            self._change_ranges(state, space, self._dropped[space].remove(dropped[0], upto))
            tables.save_state(self._db, state)
        self._state = state
        self._debt += (8 + len(rows) // 8) * PAGE

    def _checkpoint(self) -> None:
        """Fold the write-ahead log into the database; the next commit begins it anew.

        A full disk leaves it for later. Any other failure ends the store: the system reports a failed sync once, so a
        second try could seem to succeed.
        """
        try:
            self._in_room(self._fold)
        except Refused:
            pass
        except StoreError as failure:
            self._failure = failure
            raise
        self._debt = 0

    def _fold(self) -> None:
        try:
            self._execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            raise translate(error, "folding the write-ahead log into the database") from error

    def figures(self) -> Figures:
        """See Store.figures."""
        self._require()
        return Figures(
            journal_rows=self._last - self._state.trimmed,
            database_bytes=self._directory.size(self._directory.database),
            wal_bytes=self._directory.size(self._directory.wal),
            free_bytes=self._directory.free(),
        )

    # What all of it rests on

    def _in_room(self, work: Callable[..., Result], *given: object) -> Result:
        """Do the work; if the disk is too full for it, give up the reserve and try once more."""
        try:
            return work(*given)
        except Refused:
            if not self._directory.give_up_reserve():
                raise
            return work(*given)

    def _save(self, state: tables.State, doing: str) -> None:
        with self._transaction(doing):
            tables.save_state(self._db, state)
        self._state = state

    def _execute(self, statement: str, parameters: tuple[object, ...] = ()) -> Any:
        return self._db.execute(statement, parameters)

    def _require(self, claim: Claim | None = None) -> None:
        """Raise unless the store is in order and the claim is the newest."""
        if self._failure is not None:
            if type(self._failure) is StoreError:
                raise self._failure
            raise Unknown(f"The store has failed before: {self._failure}")
        if self._db is None:
            raise StoreError("The store is not claimed yet.")
        if claim is not None and claim.epoch != self._state.epoch:
            raise Fenced(f"Epoch {claim.epoch} has ended: another owner has claimed the store.")

    @contextlib.contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        try:
            self._execute("BEGIN IMMEDIATE")
            yield
            self._execute("COMMIT")
        except sqlite3.Error as error:
            self._go_back(doing)
            raise self._judge(error, doing) from error
        except BaseException:
            self._go_back(doing)
            raise

    @contextlib.contextmanager
    def _reading(self, claim: Claim, doing: str) -> Iterator[None]:
        self._require(claim)
        try:
            yield
        except sqlite3.Error as error:
            self._failure = translate(error, doing)
            raise self._failure from error
        except Corrupt as error:
            self._failure = error
            raise

    def _judge(self, error: sqlite3.Error, doing: str) -> StoreError:
        """The error to raise for one of SQLite's. All but a full disk end the store."""
        failure = translate(error, doing)
        if not isinstance(failure, Refused):
            self._failure = failure
        return failure

    def _go_back(self, doing: str) -> None:
        """Roll back. What memory knew before the transaction holds again."""
        try:
            if self._db.in_transaction:
                self._execute("ROLLBACK")
            self._load_spaces()
        except (sqlite3.Error, StoreError) as error:
            self._failure = Unknown(f"The disk failed ({error} while going back from {doing}).")
            raise self._failure from error


def show(space: Space, key: Key) -> str:
    """A record's name, for people."""
    return f"{key if isinstance(key, int) else key.hex()} of {space.name} (space {space.number})"
