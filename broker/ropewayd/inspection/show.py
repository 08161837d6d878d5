"""What a store holds, in figures. No checksum of a message is looked at: that is what `check` is for."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

import msgspec

from ropewayd.inspection.check import JournalCount, SpaceCount
from ropewayd.inspection.findings import Findings
from ropewayd.inspection.ledger import Ledger
from ropewayd.inspection.opening import Opened
from ropewayd.inspection.progress import Progress
from ropewayd.inspection.rehearsal import rehearse
from ropewayd.queues.records import HANDLE_KEY, NEXT_NUMBER, QUEUES
from ropewayd.store.failures import translate
from ropewayd.store.passages import KEPT


class Files(msgspec.Struct):
    """Bytes. `unused` is inside the database, to be used again; `disk_free` is what the disk has left."""

    database: int
    log: int
    unused: int
    reserve: int
    disk_free: int


class QueueShown(msgspec.Struct):
    """A queue as of the last commit."""

    number: int
    name: str
    attributes: dict[str, Any]
    """As GetQueueAttributes gives them, with the numbers of messages: visible, in_flight, delayed."""


class Shown(msgspec.Struct):
    """See the module. `clean`: the daemon closed it in order. `owner`: who opened it last."""

    directory: str
    format: int
    epoch: int
    owner: str
    clean: bool
    last_lsn: int
    files: Files
    log_frames: int
    journal: JournalCount
    spaces: list[SpaceCount]
    queues: list[QueueShown]


def show(store: Opened, progress: Progress) -> Shown:
    """Look at it. Raises Corrupt and Newer as a start would, and OSError."""
    try:
        return _show(store, progress)
    except sqlite3.Error as error:
        raise translate(error, "counting records") from error


def _show(store: Opened, progress: Progress) -> Shown:
    db, state = store.db, store.state
    db.set_progress_handler(lambda: progress("counting", 0.5), 100_000)
    queues = rehearse(store).queues  # so what is counted below is sound
    rows, first, last, size = _row(
        db,
        "SELECT count(*), min(lsn), max(lsn), total(length(events)) FROM journal WHERE lsn > ?",
        state.trimmed,
    )
    spaces = [
        _count(db, *each) for each in db.execute("SELECT number, name, paged FROM spaces ORDER BY number")
    ]
    trimmed, kept = _trimmed(db, state.trimmed)
    numbers = _numbers(store)
    db.set_progress_handler(None, 0)
    return Shown(
        directory=str(store.path),
        format=store.format,
        epoch=state.epoch,
        owner=state.owner,
        clean=state.clean,
        last_lsn=last or state.trimmed,
        files=_files(store),
        log_frames=store.log.frames,
        journal=JournalCount(
            first or state.trimmed + 1, last or state.trimmed, rows, int(size), trimmed, kept
        ),
        spaces=spaces,
        queues=sorted(
            (QueueShown(numbers[name], name, said) for name, said in queues.items()),
            key=lambda queue: queue.name,
        ),
    )


def _row(db: Any, query: str, *given: object) -> tuple[Any, ...]:
    return tuple(db.execute(query, given).fetchone())


def _trimmed(db: Any, upto: int) -> tuple[int, int]:
    """Journal rows that no start replays: those to be deleted, and those that are kept for messages."""
    query = "SELECT count(*) FROM journal WHERE lsn <= ?"
    (rows,) = _row(db, query, upto)
    if not db.execute("SELECT 1 FROM spaces WHERE number = ?", (KEPT.number,)).fetchone():
        return rows, 0
    kept_rows = f"{query} AND lsn IN (SELECT key FROM space_{KEPT.number})"  # noqa: S608 - a number
    (kept,) = _row(db, kept_rows, upto)
    return rows - kept, kept


def _count(db: Any, number: int, name: bytes, paged: int) -> SpaceCount:
    """Records of a space. Those in dropped ranges are there, and do not count."""
    query = f"SELECT count(*), total(length(value)) FROM {f'space_{int(number)}' if paged else 'small'}"  # noqa: S608 - a number
    if not paged:
        records, size = _row(db, f"{query} WHERE space = ?", number)
        return SpaceCount(number, name.decode(), records, int(size))
    records, size = _row(db, query)
    found = SpaceCount(number, name.decode(), records, int(size))
    for first, last in db.execute("SELECT first, last FROM dropped WHERE space = ?", (number,)):
        records, size = _row(db, f"{query} WHERE key BETWEEN ? AND ?", first, last)
        found.records, found.bytes = found.records - records, found.bytes - int(size)
        found.dropped += records
    return found


def _numbers(store: Opened) -> dict[str, int]:
    """The queues' numbers by name. Of sound records."""
    ledger = Ledger(Findings())
    for key, value in store.db.execute("SELECT key, value FROM small WHERE space = ?", (QUEUES.number,)):
        if key not in (NEXT_NUMBER, HANDLE_KEY):
            ledger.queue(int.from_bytes(key[1:], "big"), value)
    query = "SELECT events FROM journal WHERE lsn > ? ORDER BY lsn"
    for (events,) in store.db.execute(query, (store.state.trimmed,)):
        ledger.journal_row(events)
    return {account.name: account.number for account in ledger.accounts.values() if account.known}


def _files(store: Opened) -> Files:
    (page,), (unused,) = _row(store.db, "PRAGMA page_size"), _row(store.db, "PRAGMA freelist_count")
    reserve, room = store.path / "reserve", os.statvfs(store.path)
    return Files(
        database=store.database.stat().st_size,
        log=store.log_file.stat().st_size if store.log_file.exists() else 0,
        unused=page * unused,
        reserve=reserve.stat().st_size if reserve.exists() else 0,
        disk_free=room.f_bavail * room.f_frsize,
    )
