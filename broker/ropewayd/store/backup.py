"""A backup while the store is served: what is on disk, page by page between commits, into a new store.

Rule 1  Reading is in small pieces on the connection's thread, so that commits go between them; writing is on
        a thread of the backup's own.
Rule 2  A cursor goes through the paged spaces in order, the store's own ones too, then the small ones. What a
        commit or housekeeping does to rows behind the cursor is done to the copy's as well; what is ahead of
        it the cursor will meet. So the copied rows are those of the store at any moment, as far as the cursor
        is. The copy draws no conclusions: passages and what they count are rows like others there.
Rule 3  Where a kept journal row is counted, the row itself is copied with the count, or soon after. Last
        comes the journal's tail, and with its last piece the moment that the copy stands for: whatever was
        committed until then is in it, and nothing that had gone. With that piece come the spaces and the
        dropped ranges; rows of a range that was dropped are in the copy or not.
Rule 4  Every checksum is looked at on the way, and the copy has its own. Damage ends the store as it would in
        any other read.
Rule 5  A copy is made in a directory beside its target, which it is called by when it is whole and synced.
        Until then its database says that it is none: no daemon opens it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from ropewayd.store.directory import Directory, sync_directory
from ropewayd.store.engine import Engine
from ropewayd.store.journal import Journal
from ropewayd.store.passages import KEPT
from ropewayd.store.protocol import (
    Copied,
    Entry,
    Key,
    KeyRange,
    Record,
    Slice,
    Space,
    StoreError,
    Unplaced,
)
from ropewayd.store.records import Records, Seen
from ropewayd.store.tables import State

PIECE_ROWS: Final = 500
PIECE_BYTES: Final = 512 << 10
"""What is read at a time, about: a few milliseconds."""
_HURRY: Final = 16
"""After so many pieces of journal a piece may be twice as large, so that the copy catches up."""
_WAL_BYTES: Final = 32 << 20
_LAST_KEY: Final = 2**63 - 1


class Piece(msgspec.Struct, gc=False):
    """What was read at a time: what became of rows behind the cursor, in order (see Records.mirror), then
    what the cursor met. `spaces` and `dropped` come with the last one."""

    changes: list[Slice]
    records: list[Record]
    entries: list[Entry]
    trimmed: int
    last: int
    done: bool
    spaces: list[Space] = msgspec.field(default_factory=list)
    dropped: list[KeyRange] = msgspec.field(default_factory=list)


class Source:
    """The store's side. Used by the engine, on its thread."""

    def __init__(self) -> None:
        self._changes: list[Slice] = []
        self._space = 0  # the paged space that the cursor is in
        self._key = -1  # and the last key that it met there
        self._small: tuple[int, bytes] | None = None  # once the paged spaces are through: the last one met
        self._paged_through = False
        self._through = False
        self._kept: set[int] = set()  # journal rows that are counted behind the cursor, and to be read
        self._first = 1  # once all records are through: the journal rows that were read,
        self._lsn = 0  # first and last
        self._rows = 0

    def see(self, seen: Seen) -> None:
        """This was committed."""
        behind = [each for each in seen.rows.items() if self._behind(*each[0])]
        drops = [place for place, record in behind if record is None]
        puts = [record for _, record in behind if record is not None]
        if seen.reclaimed or drops or puts:
            self._changes.append(Slice(puts, drops, seen.reclaimed))
        self._kept.update(lsn for lsn in seen.kept if self._behind(KEPT, lsn))

    def _behind(self, space: Space, key: Key) -> bool:
        if self._through:
            return True
        if not space.paged:
            assert isinstance(key, bytes)
            return self._small is not None and (space.number, key) <= self._small
        assert isinstance(key, int)
        return self._paged_through or (space.number, key) <= (self._space, self._key)

    def read(self, records: Records, journal: Journal, state: State) -> Piece:
        """The next piece. Raises Corrupt."""
        piece = Piece([], [], [], state.trimmed, journal.last, done=False)
        self._read_kept(piece, records)
        if not self._paged_through:
            self._read_paged(piece, records)
        elif not self._through:
            self._read_small(piece, records)
        else:
            self._read_journal(piece, journal)
            if piece.done:
                piece.spaces, piece.dropped = records.spaces, records.dropped
        # What was seen until now is behind where the cursor stood, and older than what it met.
        piece.changes, self._changes = self._changes, []
        return piece

    def _read_kept(self, piece: Piece, records: Records) -> None:
        """Journal rows that are kept since the cursor went by."""
        size = 0
        while self._kept and size < self._budget:
            lsn = self._kept.pop()
            # One that the journal's cursor has read is in the copy; one that was let go is not needed there.
            if not self._first <= lsn <= self._lsn and records.row(KEPT, lsn) is not None:
                piece.entries.append(Entry(lsn, records.passages.row(lsn)))
                size += len(piece.entries[-1].batch)

    @property
    def _budget(self) -> int:
        return PIECE_BYTES << self._rows // _HURRY

    def _read_paged(self, piece: Piece, records: Records) -> None:
        space = records.paged_space(self._space if self._key < _LAST_KEY else self._space + 1)
        if space is None:
            self._paged_through = True
            return
        if space.number != self._space:
            self._space, self._key = space.number, -1
        piece.records = records.page_rows(space, self._key + 1, PIECE_ROWS, PIECE_BYTES, piece.last)
        size = sum(len(each.value) for each in piece.records)
        full = len(piece.records) >= PIECE_ROWS or size >= PIECE_BYTES
        if space.number == KEPT.number:
            full = self._read_counted(piece, records) or full
        self._key = int(piece.records[-1].key) if full else _LAST_KEY

    def _read_counted(self, piece: Piece, records: Records) -> bool:
        """The journal rows of the counts that the cursor met. Whether they are too large for one piece: then
        it has met the first counts alone."""
        size = 0
        for at, counted in enumerate(piece.records, 1):
            lsn = int(counted.key)
            piece.entries.append(Entry(lsn, records.passages.row(lsn)))
            size += len(piece.entries[-1].batch)
            if size >= PIECE_BYTES:
                del piece.records[at:]
                return True
        return False

    def _read_small(self, piece: Piece, records: Records) -> None:
        piece.records = records.page_small(self._small or (0, b""), PIECE_ROWS, PIECE_BYTES, piece.last)
        if piece.records:
            last = piece.records[-1]
            assert isinstance(last.key, bytes)
            self._small = (last.space.number, last.key)
        else:
            self._through = True

    def _read_journal(self, piece: Piece, journal: Journal) -> None:
        self._rows += 1
        if self._lsn < piece.trimmed:
            self._first, self._lsn = piece.trimmed + 1, piece.trimmed
        rows = journal.piece(self._lsn, self._budget)
        self._lsn += len(rows)
        piece.entries += rows
        piece.done = self._lsn == piece.last and not self._kept


class Target:
    """The copy's side: a new store in `path`, which must not be there. On a thread of its own.

    Every method raises Unplaced where the copy cannot be written.
    """

    def __init__(self, path: Path, connector: Callable[[str], Any]) -> None:
        self._path = path
        self._making = path.with_name(path.name + ".incomplete")
        self._engine = Engine(Directory(self._making, 0), connector, 4 << 20, _WAL_BYTES)
        self._made = False
        self._copied = Copied(0, 0, 0, 0)

    def begin(self, room: int) -> None:
        """Make it, if there is room for so many bytes."""
        with _placing(self._path):
            if not self._path.is_absolute():
                raise Unplaced(f"{self._path} is no absolute path.")
            for each in (self._path, self._making):
                if each.is_symlink() or each.exists():
                    raise Unplaced(f"{each} is there already, and a backup makes a new directory.")
            if not self._path.parent.is_dir():
                raise Unplaced(f"{self._path.parent} is no directory.")
            free = Directory(self._path.parent, 0).free()
            if free < room:
                raise Unplaced(
                    f"{self._path.parent} has {free >> 20} MiB free, and the backup needs about"
                    f" {(room >> 20) + 1} MiB."
                )
            self._made = True
            self._engine.open("ropeway backup")
            self._engine.begin_copy()

    def take(self, piece: Piece) -> None:
        """Write a piece."""
        with _placing(self._path):
            slices = [*piece.changes, Slice(piece.records)] if piece.records else piece.changes
            size = self._engine.copy(slices, piece.entries)
            copied = self._copied
            self._copied = replace(
                copied,
                records=copied.records + len(piece.records),
                batches=copied.batches + len(piece.entries),
                bytes=copied.bytes + size,
                last_lsn=piece.last,
            )

    def finish(self, piece: Piece) -> Copied:
        """The last piece was taken: make the copy a store, and durable, and give it its name."""
        with _placing(self._path):
            self._engine.end_copy(piece.trimmed, piece.last, piece.spaces, piece.dropped)
            self._engine.close()
            for leftover in ("lock", "reserve"):
                (self._making / leftover).unlink(missing_ok=True)
            sync_directory(self._making)
            if self._path.exists():
                raise Unplaced(f"{self._path} is there now: somebody made it meanwhile.")
            self._making.rename(self._path)
            self._made = False
            sync_directory(self._path.parent)
        return self._copied

    def give_up(self) -> None:
        """Remove what was made, unless it is finished."""
        if self._made:
            with suppress(StoreError, OSError):
                self._engine.discard()
            rmtree(self._making, ignore_errors=True)


class _placing:  # noqa: N801  # it reads as a statement
    """Turns whatever goes wrong with the copy into Unplaced: the store itself has nothing to do with it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Unplaced) or not isinstance(error, StoreError | OSError):
            return
        raise Unplaced(f"The backup {self._path} cannot be written: {error}") from error
