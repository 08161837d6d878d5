"""The SQLite store, as plain calls. Everything here runs on the one thread that owns the connection.

Rule 1  Nothing comes between a BEGIN and its COMMIT: each public method is one unit of work.
Rule 2  What memory knows of the disk changes after the commit that makes it so, or is read anew after one
        that failed.
Rule 3  After an error that leaves a doubt nothing more is written or read, and the files stay as they are,
        the write-ahead log too, for the next start to judge.
"""

from __future__ import annotations

import ctypes
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec.structs import replace

from ropewayd.store import tables, wal
from ropewayd.store.directory import Directory
from ropewayd.store.failures import translate, translate_opening, translate_system
from ropewayd.store.generation import Stamp
from ropewayd.store.journal import Journal
from ropewayd.store.passages import KEPT
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
    Unplaced,
    Unusable,
)
from ropewayd.store.records import Records, Seen
from ropewayd.store.scrub import Scrub

if TYPE_CHECKING:
    from ropewayd.store.backup import Piece, Source

Result = TypeVar("Result")

PAGE: Final = 16384
"""Bytes of a database page. Measured: 2 KiB batches commit a fifth faster than with 4 KiB, and 64 KiB batches
are folded from the log in two thirds of the time; 32 KiB gains nothing more and writes more."""

_NO_CHECKPOINT_ON_CLOSE: Final = 1006  # sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, from Python 3.12 on


def written_by_this_thread() -> int:
    """Bytes that the calling thread has handed to the system to write; 0 where the system does not tell."""
    try:
        with Path("/proc/thread-self/io").open("rb") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(b"wchar:"))
    except (OSError, StopIteration):
        return 0


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
        self._failure: StoreError | None = StoreError("The store is not claimed yet.")
        self._state = tables.empty_state()
        self._journal: Journal
        self._records: Records
        self._debt = 0  # bytes in the write-ahead log that are not in the database yet, about
        self._batch_bytes = self._record_bytes = self._log_bytes = self._folded_bytes = 0  # written so far
        self._scrub = Scrub()
        self._source: Source | None = None  # of the backup that is being made
        self._stamp = Stamp(0, 0)  # what page 1 says
        self._beginning: Stamp | None = None  # what it is to say in the first commit of a new log

    # Opening and closing

    def open(self, owner: str) -> Any:
        """Take the lock, look at the log, open the database, make or migrate the tables. Gives the
        connection."""
        self._directory.prepare(owner)
        try:
            self._open()
        except BaseException as error:
            if isinstance(error, sqlite3.Error | OSError):
                self._directory.doubt(True)
            self.abandon()
            if isinstance(error, sqlite3.Error):
                raise translate_opening(error, self._directory.database) from error
            if isinstance(error, OSError):
                raise translate_system(error, self._directory.path) from error
            raise
        return self._db

    def _open(self) -> None:
        file = self._directory.database
        log = wal.scan(self._directory.wal)
        if not self._directory.unborn:
            tables.check_files(file, self._directory.wal, log)
        if log.there and self._directory.size(self._directory.wal) > log.end:
            wal.cut_off(self._directory.wal, log.end)
        if self._directory.in_doubt and log.there:
            wal.rewrite(self._directory.wal)
        self._db = self._connector(str(file))
        self._pin()
        self._db.text_factory = bytes
        self._set_pragmas()
        self._stamp = Stamp.of(self._execute("PRAGMA user_version").fetchone()[0])
        if self._stamp.format < tables.FORMAT:
            self._execute("BEGIN IMMEDIATE")
            if self._stamp.format:
                self._stamp = tables.migrate(self._db, self._stamp)
            else:
                self._stamp = tables.create(self._db)
            self._execute("COMMIT")
        elif not log.frames:
            self._beginning = self._stamp.beginning()
        self._load()
        if not self._state.clean and not log.there:
            raise Corrupt(
                f"{self._directory.wal} is missing or empty, but the store was not closed: what was committed"
                " last was in there."
            )
        self._debt = log.frames * log.page_size
        self._failure = None
        if self._directory.in_doubt:
            self._directory.doubt(False)

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
        if mode not in {b"wal", "wal"}:
            raise Unusable(f"{self._directory.database} cannot have a write-ahead log here (mode {mode!r}).")

    def _load(self) -> None:
        """Read what memory keeps of the disk."""
        state = tables.load_state(self._db)
        self._state = state
        self._journal = Journal(self._db, state.seed, state.trimmed)
        self._records = Records(self._db, state.seed)
        if self._journal.last < state.last:
            raise Corrupt(
                f"The journal ends at lsn {self._journal.last}, but lsn {state.last} was written: rows are"
                " missing."
            )

    def close(self) -> None:
        """Close in order: everything in the database, no write-ahead log, the lock let go."""
        if self._failure is not None:
            self.abandon()
            return
        try:
            self._in_room(self._save, replace(self._state, clean=True, last=self._journal.last), "closing")
            if not self._checkpoint():
                self.abandon()
                return
            self._unpin()
            self._db.close()
        except Refused:
            self.abandon()  # the disk is full: all of it is in the log, and the next start folds it in
        except sqlite3.Error as error:
            self._directory.doubt(True)
            self.abandon()
            raise translate(error, "closing") from error
        except BaseException:
            self.abandon()
            raise
        else:
            self._db = None
            self._failure = StoreError("The store is closed.")
            self._directory.release()

    def abandon(self) -> None:
        """Let go of the files as they are, as a crash would."""
        db, self._db = self._db, None
        if db is None or hasattr(db, "setconfig"):
            if db is not None:
                db.close()
            self._directory.release()
        # Else the connection stays open until the process ends, and the lock with it.

    def discard(self) -> None:
        """Close the files, which are to be removed."""
        db, self._db = self._db, None
        if db is not None:
            if not hasattr(db, "setconfig"):
                ctypes.pythonapi.Py_DecRef(ctypes.py_object(db))
            db.close()
        self._directory.release()

    def _pin(self) -> None:
        """See to it that SQLite does not fold in and remove the log unless `close` says so.

        It would whenever the connection is closed, if only since nobody refers to it any more: at the end of
        the process, say. Then the next start would miss the log. Before Python 3.12 the only way is never to
        let the connection be closed.
        """
        if hasattr(self._db, "setconfig"):
            self._db.setconfig(_NO_CHECKPOINT_ON_CLOSE, True)
        else:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._db))

    def _unpin(self) -> None:
        if hasattr(self._db, "setconfig"):
            self._db.setconfig(_NO_CHECKPOINT_ON_CLOSE, False)
        else:
            ctypes.pythonapi.Py_DecRef(ctypes.py_object(self._db))

    # Claiming and appending

    def claim(self, owner: str) -> Claim:
        """A new epoch. It goes into the database itself, so that a later start can tell that a log is
        missing."""
        self._require()
        state = replace(
            self._state, epoch=self._state.epoch + 1, owner=owner, clean=False, last=self._journal.last
        )
        self._in_room(self._save, state, "claiming")
        self._checkpoint()
        self._directory.build_reserve()
        return Claim(state.epoch, self._journal.last)

    def append(self, claim: Claim, expect: int, batch: bytes, given: Slice | None) -> int:
        """See Store.append."""
        self._require(claim)
        if expect != self._journal.last:
            raise Fenced(f"The journal ends at lsn {self._journal.last}, not at {expect}.")
        if self._debt > self._wal_bytes:
            self._checkpoint()
        for passage in given.passages if given is not None else ():
            if passage.source <= self._state.trimmed:
                raise ValueError(f"Journal row {passage.source} is trimmed.")
        if given is not None:
            return self._in_room(self._append_slice, claim, expect, batch, given)
        return self._in_room(self._append, claim, expect, batch) if batch else expect

    def _append(self, claim: Claim, expect: int, batch: bytes) -> int:
        lsn = expect + 1
        if self._beginning is None:
            try:
                self._journal.insert(claim, lsn, batch)
            except sqlite3.Error as error:
                doing = f"appending lsn {lsn}"
                self._go_back(doing)
                raise self._judge(error, doing) from error
        else:
            with self._transaction(f"appending lsn {lsn}"):
                self._journal.insert(claim, lsn, batch)
        self._journal.last = lsn
        self._batch_bytes += len(batch)
        self._debt += len(batch) + 2 * PAGE
        return lsn

    def _append_slice(self, claim: Claim, expect: int, batch: bytes, given: Slice) -> int:
        lsn = expect + 1 if batch else expect
        with self._transaction(f"appending lsn {lsn} with a slice"):
            if batch:
                self._journal.insert(claim, lsn, batch)
            else:
                self._journal.check_epoch(claim)
            state = replace(self._state)
            self._watch()
            size = self._records.write(state, given)
            self._release()
            state.trimmed = max(state.trimmed, given.trim_to)
            oldest = self._journal.delete(state.trimmed, some_kept=self._some_kept)
            if state != self._state:
                state.last = lsn
                tables.save_state(self._db, state)
        self._state = state
        self._journal.last, self._journal.oldest = lsn, oldest
        self._tell()
        self._batch_bytes += len(batch)
        self._record_bytes += size
        self._debt += len(batch) + size + 8 * PAGE
        return lsn

    def _release(self) -> None:
        """Journal rows that were kept, and that no record needs any more."""
        released, self._records.passages.released = self._records.passages.released, []
        self._journal.release(released)

    @property
    def _some_kept(self) -> bool:
        return self._records.known(KEPT.number) is not None

    # Reading

    def recover(self, claim: Claim) -> Recovered:
        """See Store.recover."""
        with self._reading(claim, "recovering"):
            records = self._records.small(self._state, self._journal.last)
            return Recovered(records, self._journal.tail(self._state.trimmed))

    def read(self, claim: Claim, space: Space, keys: Sequence[Key]) -> list[Record]:
        """See Store.read."""
        with self._reading(claim, f"reading records of {space.name}"):
            return self._records.read(space, keys, self._journal.last)

    def page(
        self, claim: Claim, space: Space, first: int, last: int, limit: int, max_bytes: int
    ) -> list[Record]:
        """See Store.page."""
        with self._reading(claim, f"reading a page of {space.name}"):
            return self._records.page(space, first, last, limit, max_bytes, self._journal.last)

    def read_ranges(self, claim: Claim, ranges: Sequence[KeyRange]) -> list[Record]:
        """See Store.read_ranges."""
        with self._reading(claim, "reading ranges of records"):
            return self._records.ranges(ranges, self._journal.last)

    def figures(self) -> Figures:
        """See Store.figures."""
        self._require()
        try:
            return Figures(
                journal_rows=self._journal.last - self._state.trimmed,
                database_bytes=self._directory.size(self._directory.database),
                wal_bytes=self._directory.size(self._directory.wal),
                free_bytes=self._directory.free() + self._reusable(),
                used_bytes=self._used(),
                last_lsn=self._journal.last,
                record_bytes=self._record_bytes,
                batch_bytes=self._batch_bytes,
                log_bytes=self._log_bytes + self._debt,
                folded_bytes=self._folded_bytes,
            )
        except OSError as error:
            raise translate_system(error, self._directory.path) from error

    def _used(self) -> int:
        (pages,) = self._execute("PRAGMA page_count").fetchone()
        (unused,) = self._execute("PRAGMA freelist_count").fetchone()
        return (int(pages) - int(unused)) * PAGE + self._debt

    def _reusable(self) -> int:
        """What SQLite writes to before it asks the disk for more: free pages, and the log it begins anew."""
        (pages,) = self._execute("PRAGMA freelist_count").fetchone()
        return int(pages) * PAGE + max(0, self._directory.size(self._directory.wal) - self._debt)

    def scrub(self, claim: Claim, max_bytes: int) -> int:
        """See Store.scrub."""
        with self._reading(claim, "reading again what is on disk"):
            return self._scrub.read(self._records, self._journal, self._state.trimmed, max_bytes)

    # Backups (see backup.py)

    def copy_from(self, source: Source) -> None:
        """From now on tell this backup of every change. Raises Unplaced if there is another."""
        self._require()
        if self._source is not None:
            raise Unplaced("Another backup is being made.")
        self._source = source

    def read_piece(self, claim: Claim) -> Piece:
        """The next piece of the backup."""
        assert self._source is not None
        with self._reading(claim, "reading for a backup"):
            return self._source.read(self._records, self._journal, self._state)

    def copied(self) -> None:
        """The backup is made, or given up."""
        self._source = None

    def _watch(self) -> None:
        """A transaction begins that may change records. One that is rolled back takes with it what was seen:
        the records are made anew."""
        if self._source is not None:
            self._records.seen = Seen()

    def _tell(self) -> None:
        """It is committed."""
        seen, self._records.seen = self._records.seen, None
        if seen is not None and self._source is not None:
            self._source.see(seen)

    def begin_copy(self) -> None:
        """This store is to be a copy. Until it is one it says that it is none, and syncs nothing."""
        self._execute("PRAGMA synchronous = OFF").fetchall()
        with self._transaction("beginning a copy"):
            self._execute(f"PRAGMA application_id = {tables.UNFINISHED}")

    def copy(self, slices: Sequence[Slice], entries: Sequence[Entry]) -> int:
        """Write records and journal rows as they are; one of these that is there already is the same. Gives
        their bytes."""
        if self._debt > self._wal_bytes:
            self._checkpoint()
        state = replace(self._state)
        size = sum(len(each.batch) for each in entries)
        with self._transaction("copying"):
            for given in slices:
                size += self._records.mirror(state, given)
            for entry in entries:
                if not self._journal.has(entry.lsn):
                    self._journal.insert(Claim(state.epoch, 0), entry.lsn, entry.batch)
            tables.save_state(self._db, state)
        self._state = state
        self._debt += size + 8 * PAGE
        return size

    def end_copy(self, trimmed: int, last: int, spaces: Sequence[Space], dropped: Sequence[KeyRange]) -> None:
        """All is copied, this is where the journal stands, and these are the spaces and what is dropped of
        them. From now on it is a store like any other."""
        self._execute("PRAGMA synchronous = FULL").fetchall()
        state = replace(self._state, trimmed=trimmed, last=last)
        with self._transaction("ending a copy"):
            self._records.mirror_whole(state, spaces, dropped)
            # What was trimmed, or let go by its last passage, after it was copied.
            self._journal.forget(trimmed, some_kept=self._some_kept)
            tables.save_state(self._db, state)
            self._execute(f"PRAGMA application_id = {tables.APPLICATION}")
        self._state = state
        self._journal = Journal(self._db, state.seed, trimmed)
        assert self._journal.last == last

    # Housekeeping

    def tidy(self) -> bool:
        """See Store.tidy. One step: trimmed journal rows, or a part of a dropped range, or the log."""
        self._require()
        try:
            if self._journal.oldest <= self._state.trimmed:
                with self._transaction("deleting trimmed journal rows"):
                    oldest = self._journal.delete(self._state.trimmed, some_kept=self._some_kept)
                self._journal.oldest = oldest
                self._debt += 8 * PAGE
            elif self._records.pending:
                with self._transaction("reclaiming a dropped range"):
                    state = replace(self._state)
                    self._watch()
                    rows = self._records.reclaim(state)
                    self._release()
                    tables.save_state(self._db, state)
                self._state = state
                self._tell()
                self._debt += (8 + rows // 8) * PAGE
            elif self._debt > self._wal_bytes // 4:
                self._checkpoint()
                self._directory.build_reserve()
        except Refused:
            return False  # no room to tidy in: there is nothing to do before somebody makes some
        return (
            self._journal.oldest <= self._state.trimmed
            or self._records.pending
            or self._debt > self._wal_bytes // 4
        )

    def _checkpoint(self) -> bool:
        """Fold the write-ahead log into the database; the next commit begins it anew.

        A full disk leaves it for later (False). Any other failure ends the store: the system reports a failed
        sync once, so a second try could seem to succeed.
        """
        self._debt = 0
        with suppress(Refused):
            self._in_room(self._fold)
            return True
        return False

    def _fold(self) -> None:
        doing = "folding the write-ahead log into the database"
        if self._beginning is not None:
            return  # there is nothing in it
        stamp = self._stamp.folding()
        with self._transaction(doing):
            tables.write_stamp(self._db, stamp)
        self._stamp = stamp
        before = written_by_this_thread()
        try:
            busy, frames, done = self._execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            raise self._judge(error, doing) from error
        self._log_bytes += int(frames) * (PAGE + 24)
        self._folded_bytes += written_by_this_thread() - before
        assert (busy, done) == (0, frames), f"{doing}: {done} of {frames} frames, though nobody else is there"
        self._beginning = self._stamp.beginning()

    # What all of it rests on

    def _execute(self, statement: str) -> Any:
        return self._db.execute(statement)

    def _save(self, state: tables.State, doing: str) -> None:
        with self._transaction(doing):
            tables.save_state(self._db, state)
        self._state = state

    def _require(self, claim: Claim | None = None) -> None:
        """Raise unless the store is in order and the claim is the newest."""
        if self._failure is not None:
            if type(self._failure) is StoreError:
                raise self._failure
            raise Unknown(f"The store has failed before: {self._failure}")
        if claim is not None and claim.epoch != self._state.epoch:
            raise Fenced(f"Epoch {claim.epoch} is over: another owner has claimed the store.")

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        beginning = self._beginning
        try:
            self._execute("BEGIN IMMEDIATE")
            if beginning is not None:
                tables.write_stamp(self._db, beginning)
            yield
            self._execute("COMMIT")
        except sqlite3.Error as error:
            self._go_back(doing)
            raise self._judge(error, doing) from error
        except BaseException:
            self._go_back(doing)
            raise
        if beginning is not None:
            self._stamp, self._beginning = beginning, None

    @contextmanager
    def _reading(self, claim: Claim, doing: str) -> Iterator[None]:
        self._require(claim)
        try:
            yield
        except sqlite3.Error as error:
            raise self._judge(error, doing) from error
        except Corrupt as error:
            self._failure = error
            raise

    def _in_room(self, work: Callable[..., Result], *given: object) -> Result:
        """Do the work; if the disk is too full for it, give up the reserve and try once more."""
        try:
            return work(*given)
        except Refused:
            if not self._directory.give_up_reserve():
                raise
            return work(*given)

    def _judge(self, error: sqlite3.Error, doing: str) -> StoreError:
        """The error to raise for one of SQLite's. All but a full disk end the store."""
        failure = translate(error, doing)
        if not isinstance(failure, Refused):
            self._failure = failure
        if isinstance(failure, Unknown):
            self._directory.doubt(True)
        return failure

    def _go_back(self, doing: str) -> None:
        """Roll back. What memory knew before the transaction holds again."""
        try:
            if self._db.in_transaction:
                self._execute("ROLLBACK")
            self._records = Records(self._db, self._state.seed)
            self._scrub.go_back()
        except (sqlite3.Error, StoreError) as error:
            failure = (
                translate(error, f"going back from {doing}") if isinstance(error, sqlite3.Error) else error
            )
            if not isinstance(failure, Corrupt):
                failure = Unknown(f"The disk failed ({error} while going back from {doing}).")
                self._directory.doubt(True)
            self._failure = failure
            raise failure from error
