"""A store, open to be looked at. Nothing of it is changed.

Rule 1  The daemon's lock is held meanwhile, and our name is noted in the lock file, for whoever starts a
        daemon now: that note is all that is written. Where there is no lock file none is made, since one of
        another user's would keep the daemon out.
Rule 2  What a start would refuse is refused here, by the same code and in the same order: the header, the
        walk of the write-ahead log, a log that is missing.
Rule 3  The database is opened read-only, and SQLite recovers what the log holds in memory alone. That takes
        its VFS without file locks (Rule 1 does their part), since a lock in exclusive mode asks for a file
        that may be written, and exclusive mode, since the other one keeps the log's index in a file.
Rule 4  Should the files have changed when we are done, whatever was found means nothing, and we say so.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from ropewayd.store import tables, wal
from ropewayd.store.failures import translate_opening
from ropewayd.store.generation import Stamp
from ropewayd.store.protocol import Corrupt, Locked, StoreError, Unusable

CACHE_KIB: Final = 32 << 10

_NO_CHECKPOINT_ON_CLOSE: Final = 1006  # sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, from Python 3.12 on


class Opened(msgspec.Struct, frozen=True):
    """`log` is what the walk of the write-ahead log found; `db` shows the store as of the last commit."""

    path: Path
    database: Path
    log_file: Path
    format: int
    log: wal.Log
    state: tables.State
    db: Any


@contextmanager
def opened(path: Path, purpose: str) -> Iterator[Opened]:
    """Open the store in `path`. `purpose` is what the lock file says of us ("ropewayd store check").

    Raises Unusable (no store there, or an older format), Locked, Newer, Corrupt; OSError if the disk fails.
    """
    database, log = path / "ropeway.db", path / "ropeway.db-wal"
    if not path.is_dir():
        raise Unusable(f"{path} is {'no directory' if path.exists() else 'not there'}.")
    if not database.exists():
        if log.exists() and log.stat().st_size:
            raise Corrupt(f"{database} is missing, but its log {log.name} is there.")
        raise Unusable(f"{path} holds no store: there is no {database.name}.")
    try:
        with _held(path / "lock", purpose), _unchanged(database, log):
            store = _open(path, database, log)
            try:
                yield store
            finally:
                if hasattr(store.db, "setconfig"):
                    store.db.setconfig(_NO_CHECKPOINT_ON_CLOSE, True)
                # Before Python 3.12 SQLite tries to fold the log in, and fails: the file is open for reading.
                store.db.close()
    except PermissionError as error:
        raise Unusable(f"{path} may not be read ({error.strerror}: {error.filename}).") from error


def _open(path: Path, database: Path, log: Path) -> Opened:
    rollback = path / "ropeway.db-journal"  # there only while the very first page is written
    if not database.stat().st_size or (rollback.exists() and rollback.stat().st_size):
        if log.exists() and log.stat().st_size:
            raise Corrupt(f"{database} is empty, but its log {log.name} is there.")
        raise Unusable(f"{path} holds no store yet: nothing was ever committed.")
    found = wal.scan(log)
    header = tables.check_files(database, log, found)
    version = Stamp.of_page(found.first_page or header).format
    if not version:
        raise Unusable(f"{path} holds no store yet: nothing was ever committed.")
    if version < tables.FORMAT:
        raise Unusable(
            f"{database} has format {version}, which the next start brings to {tables.FORMAT}. Look at it"
            " with the Ropeway that wrote it, or start this one first."
        )
    # A log without a commit adds nothing, and one that is missing must not be made.
    how = "mode=ro&vfs=unix-none" if found.frames else "immutable=1"
    try:
        db = sqlite3.connect(f"{database.absolute().as_uri()}?{how}", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise translate_opening(error, database) from error
    try:
        db.text_factory = bytes
        for pragma in ("locking_mode = EXCLUSIVE", "cell_size_check = 1", "trusted_schema = 0"):
            db.execute(f"PRAGMA {pragma}").fetchall()
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        state = tables.load_state(db)
        if not state.clean and not found.there:
            raise Corrupt(
                f"{log} is missing or empty, but the store was not closed: what was committed last was"
                " in there."
            )
    except sqlite3.Error as error:
        db.close()
        raise translate_opening(error, database) from error
    except BaseException:
        db.close()
        raise
    return Opened(path, database, log, version, found, state, db)


@contextmanager
def _held(lock: Path, purpose: str) -> Iterator[None]:
    """Hold the daemon's lock, if there is a lock file. Raises Locked."""
    handle = _open_lock(lock)
    if handle is None:
        yield
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.pread(handle, 200, 0).decode("utf-8", "replace").strip()
            raise Locked(
                f"{lock.parent} is in use by another process ({other or 'unknown'}). A store can be looked at"
                " when it is not served: stop that one first."
            ) from None
        with suppress(OSError):  # open for reading alone, or the disk is full: the lock holds all the same
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"pid {os.getpid()}, {purpose} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _open_lock(lock: Path) -> int | None:
    try:
        return os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise
        return os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


@contextmanager
def _unchanged(*files: Path) -> Iterator[None]:
    """Raise Unusable if the files are not what they were, whatever else went wrong because of it."""
    before = [_stamp(file) for file in files]

    def look() -> None:
        if [_stamp(file) for file in files] != before:
            raise Unusable(
                f"{files[0].parent} was changed while it was read: look again when nobody uses it."
            )

    try:
        yield
    except (StoreError, OSError):
        look()
        raise
    look()


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        info = file.stat()
    except FileNotFoundError:
        return None
    return info.st_ino, info.st_size, info.st_mtime_ns
