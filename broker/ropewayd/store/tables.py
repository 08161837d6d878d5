"""The tables of the database, their versions, and the one row that says how the store stands.

    journal   lsn, checksum, events         a row a commit
    small     space, key, lsn, checksum, value      the records of all small spaces, and tallies (tally.py)
    space_N   key, lsn, checksum, value     the records of paged space N, made when it is first used; those
                                            that journal rows say are in space_(N+128) (passages.py)
    spaces    number, name, paged, checksum     what the numbers mean
    dropped   space, first, last, checksum  ranges whose rows are still to be deleted, and that no read shows
    state     one row, below

The format's number is in SQLite's user_version (see generation.py), and its application_id says that the file
is ours; both are in the file's first hundred bytes, so they can be read without SQLite and before anything is
touched.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec

from ropewayd.store import tally
from ropewayd.store.generation import Stamp, check_generation, first_number
from ropewayd.store.protocol import Corrupt, Newer
from ropewayd.store.wal import Log

FORMAT: Final = 3
"""The format that this code writes. Add 1 for each change, and its step to MIGRATIONS."""

APPLICATION: Final = 0x52_6F_70_65
"""SQLite's application_id of our files: "Rope"."""

UNFINISHED: Final = 0x52_6F_70_2E
"""In its place while a backup is being made: "Rop."."""

_SCHEMA: Final = """
CREATE TABLE journal (lsn INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, events BLOB NOT NULL);
CREATE TABLE small (
    space INTEGER NOT NULL, key BLOB NOT NULL, lsn INTEGER NOT NULL, checksum INTEGER NOT NULL,
    value BLOB NOT NULL, PRIMARY KEY (space, key)
) WITHOUT ROWID;
CREATE TABLE spaces (
    number INTEGER PRIMARY KEY, name BLOB NOT NULL, paged INTEGER NOT NULL, checksum INTEGER NOT NULL
);
CREATE TABLE dropped (
    space INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, checksum INTEGER NOT NULL,
    PRIMARY KEY (space, first)
) WITHOUT ROWID;
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1), identity BLOB NOT NULL, epoch INTEGER NOT NULL,
    owner TEXT NOT NULL, clean INTEGER NOT NULL, last INTEGER NOT NULL, trimmed INTEGER NOT NULL,
    records INTEGER NOT NULL, sum INTEGER NOT NULL, checksum INTEGER NOT NULL
)
"""


SUM: Final = 1 << 62
"""Sums of checksums are kept modulo this."""

_STATE: Final = struct.Struct(">qBqqqq")


class State(msgspec.Struct):
    """The row of `state`.

    `clean`: SQLite closed the files in order, so there need be no write-ahead log. `last` is a lower bound of
    the last lsn. `trimmed`: journal rows up to this lsn are no longer needed, whether or not they are deleted
    yet. `records` and `sum` are the number of rows in `small`, `spaces` and `dropped` together, and the
    sum of their checksums: a row that gets lost shows.
    """

    identity: bytes
    epoch: int
    owner: str
    clean: bool
    last: int
    trimmed: int
    records: int
    sum: int

    @property
    def seed(self) -> int:
        """What this store's checksums start from."""
        return crc32(self.identity)

    def checksum(self) -> int:
        """Over every field."""
        numbers = _STATE.pack(self.epoch, self.clean, self.last, self.trimmed, self.records, self.sum)
        return crc32(self.owner.encode(), crc32(numbers, self.seed))

    def count(self, checksum: int, rows: int) -> None:
        """A row of `small`, `spaces` or `dropped` with this checksum came (1) or went (-1)."""
        self.records += rows
        self.sum = (self.sum + rows * checksum) % SUM


def empty_state() -> State:
    """Nothing yet."""
    return State(b"", 0, "", False, 0, 0, 0, 0)


LOOKED_UP: Final = 64
"""Keys that one statement looks up."""
TOGETHER: Final = 64
"""Rows that one statement puts."""


class PagedTable(NamedTuple):
    """The statements for the table of one paged space."""

    create: str
    put: str
    put_together: str
    drop: str
    drop_range: str
    read: str
    page: str
    upto: str
    lengths: str
    some: str
    checksums: str
    between: str
    counted: str

    @classmethod
    @cache
    def of(cls, number: int) -> PagedTable:
        """Those of space `number`."""
        name = f"space_{int(number)}"  # of a number, so nothing else can get into the SQL
        return cls(
            create=f"CREATE TABLE {name} (key INTEGER PRIMARY KEY, lsn INTEGER NOT NULL,"
            " checksum INTEGER NOT NULL, value BLOB NOT NULL)",
            put=f"INSERT OR REPLACE INTO {name} VALUES (?, ?, ?, ?)",  # noqa: S608  # see above
            put_together=f"INSERT OR REPLACE INTO {name} VALUES "  # noqa: S608
            + ", ".join(["(?, ?, ?, ?)"] * TOGETHER),
            drop=f"DELETE FROM {name} WHERE key = ?",  # noqa: S608
            drop_range=f"DELETE FROM {name} WHERE key BETWEEN ? AND ?",  # noqa: S608
            read=f"SELECT key, lsn, checksum, value FROM {name} WHERE key = ?",  # noqa: S608
            page=f"SELECT key, lsn, checksum, value FROM {name} WHERE key BETWEEN ? AND ?"  # noqa: S608
            " ORDER BY key LIMIT ?",
            upto=f"SELECT key, lsn, checksum, value FROM {name} WHERE key <= ?"  # noqa: S608
            " ORDER BY key DESC LIMIT 1",
            some=f"SELECT 1 FROM {name} WHERE key BETWEEN ? AND ? LIMIT 1",  # noqa: S608
            checksums=f"SELECT key, checksum FROM {name}"  # noqa: S608
            f" WHERE key IN ({', '.join('?' * LOOKED_UP)})",
            between=f"SELECT key, checksum FROM {name} WHERE key BETWEEN ? AND ?",  # noqa: S608
            counted="SELECT count(*), coalesce(sum(checksum), 0), coalesce(sum(key & ?), 0)"  # noqa: S608
            f" FROM {name} WHERE key BETWEEN ? AND ?",
            lengths=f"SELECT key, length(value), checksum FROM {name} WHERE key BETWEEN ? AND ?"  # noqa: S608
            " ORDER BY key LIMIT ?",
        )


def load_state(db: Any) -> State:
    """Read and check the row. Raises Corrupt."""
    rows = db.execute(
        "SELECT identity, epoch, owner, clean, last, trimmed, records, sum, checksum FROM state"
    ).fetchall()
    try:
        ((identity, epoch, owner, clean, last, trimmed, records, total, check),) = rows
        state = State(identity, epoch, owner.decode(), bool(clean), last, trimmed, records, total)
        if state.checksum() == check:
            return state
    except (ValueError, TypeError, AttributeError, ArithmeticError, struct.error):
        pass  # the row has another shape than we gave it
    raise Corrupt("The store's state row is damaged: its checksum does not match.")


def save_state(db: Any, state: State) -> None:
    """Write the row."""
    numbers = (
        state.epoch,
        state.owner,
        int(state.clean),
        state.last,
        state.trimmed,
        state.records,
        state.sum,
    )
    db.execute(
        "UPDATE state SET epoch = ?, owner = ?, clean = ?, last = ?, trimmed = ?, records = ?, sum = ?,"
        " checksum = ?",
        (*numbers, state.checksum()),
    )


def create(db: Any) -> Stamp:
    """Make the tables of an empty store; give what page 1 says now. To be called in a transaction."""
    for statement in _SCHEMA.split(";"):
        db.execute(statement)
    state = State(os.urandom(16), 0, "", True, 0, 0, 0, 0)
    db.execute("INSERT INTO state VALUES (1, ?, 0, '', 1, 0, 0, 0, 0, ?)", (state.identity, state.checksum()))
    db.execute(f"PRAGMA application_id = {APPLICATION}")
    return write_stamp(db, Stamp(FORMAT, first_number(state.identity)))


def write_stamp(db: Any, stamp: Stamp) -> Stamp:
    """Write page 1, whatever it says already."""
    db.execute(f"PRAGMA user_version = {stamp.word}")
    return stamp


def count_rows(db: Any) -> None:
    """From format 1, which had no tallies."""
    state = load_state(db)
    tally.found(db, state.seed, state)
    save_state(db, state)


def as_it_is(db: Any) -> None:
    """From format 2, which had no passages."""


MIGRATIONS: Final[Mapping[int, Callable[[Any], None]]] = {1: count_rows, 2: as_it_is}
"""For each older format, the step that makes it the next one. It runs inside a transaction, at claim."""


def migrate(db: Any, stamp: Stamp) -> Stamp:
    """Bring the tables to FORMAT, step by step; give what page 1 says now. To be called in a transaction."""
    number = stamp.number if stamp.numbered else first_number(load_state(db).identity)
    for step in range(stamp.format, FORMAT):
        MIGRATIONS[step](db)
    return write_stamp(db, Stamp(FORMAT, number))


def check_header(header: bytes, file: object) -> None:
    """Look at a database's first hundred bytes. Raises Newer, and Corrupt where it is none of ours."""
    if len(header) < 100 or header[:16] != b"SQLite format 3\0":
        raise Corrupt(f"{file} is damaged: it is not an SQLite database.")
    schema, word, application = (int.from_bytes(header[at : at + 4], "big") for at in (40, 60, 68))
    if schema == word == application == 0:
        return  # the crash came before the tables did
    if application == UNFINISHED:
        raise Corrupt(f"{file} belongs to a backup that was not finished, and never will be. Remove it.")
    if application != APPLICATION:
        raise Corrupt(f"{file} is an SQLite database, but none of Ropeway's, or its header is damaged.")
    version = Stamp.of(word).format
    if version == 0:
        raise Corrupt(f"The header of {file} is damaged: it names no format.")
    if version > FORMAT:
        raise Newer(
            f"{file} has format {version}, and this Ropeway knows formats up to {FORMAT}. Install the Ropeway"
            " that wrote it, or a later one; nothing was changed."
        )


def check_files(database: Path, log: Path, found: Log) -> bytes:
    """Look at the database's header, and at whether the log belongs to it; give the header. To be called
    before SQLite has them. Raises Newer, Corrupt, OSError."""
    with database.open("rb") as file:
        header = file.read(100)
    check_header(header, database)
    check_header(found.first_page or header, database)
    if found.frames:
        if found.page_size != page_size(header):
            raise Corrupt(f"{log} belongs to another database: its pages have another size.")
        check_generation(log, header, found.base_page, found.first_page)
    return header


def page_size(header: bytes) -> int:
    """The size of a database's pages, from its first hundred bytes."""
    size = int.from_bytes(header[16:18], "big")
    return 65536 if size == 1 else size
