"""Looks at everything in a store, and goes on after the first damage to say how far it goes.

    the write-ahead log    its walk (opening.py)
    the journal            no gap, every checksum, every event known
    the records            every checksum, no lsn that the journal has not reached, no small one gone
    the queues             what records and journal say there must be is there (ledger.py)
    the pages              SQLite's own integrity check
    a start                the kernel recovers, and counts what is there (rehearsal.py)

It judges by the forms on disk, and shares only those with the code that writes them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from ropewayd.inspection.findings import Findings
from ropewayd.inspection.ledger import Ledger, known
from ropewayd.inspection.opening import Opened
from ropewayd.inspection.progress import Progress
from ropewayd.inspection.rehearsal import rehearse
from ropewayd.queues.delays import ChunkRecord, DelayRecord
from ropewayd.queues.message import RECORD_VERSION, MessageRecord, WaitingRecord
from ropewayd.queues.records import (
    CHUNKS,
    DELAYS,
    HANDLE_KEY,
    MESSAGES,
    NEXT_NUMBER,
    QUEUES,
    VERSION,
    WAITING,
    split_row_key,
)
from ropewayd.store import tally
from ropewayd.store.checksum import JOURNAL, matches
from ropewayd.store.failures import code, name, translate
from ropewayd.store.protocol import Corrupt, Newer, Space
from ropewayd.store.ranges import Ranges
from ropewayd.store.records import show
from ropewayd.store.tables import empty_state

STEP: Final = 1000
"""Rows between two looks at the progress."""

_SQLITE_ERROR: Final = 1  # sqlite3.SQLITE_ERROR: a table that is missing, say


class SpaceCount(msgspec.Struct):
    """Records of a space that can be read, their bytes, and rows that are still to be deleted."""

    number: int
    name: str
    records: int = 0
    bytes: int = 0
    dropped: int = 0


class JournalCount(msgspec.Struct):
    """The journal's tail, which a start replays: rows `first` to `last`. `trimmed`: rows still to be
    deleted."""

    first: int = 0
    last: int = 0
    rows: int = 0
    bytes: int = 0
    trimmed: int = 0


class QueueCount(msgspec.Struct):
    """A queue's messages as of the last commit: how the daemon would count them (null in a damaged store),
    and where they are. `remains`: records of messages that have ended."""

    number: int
    name: str
    visible: int | None
    in_flight: int | None
    delayed: int | None
    in_records: int
    in_journal: int
    remains: int


class Checked(msgspec.Struct):
    """What a check found. `damage` has one sentence for each, at most findings.LIMIT of `damages`."""

    directory: str
    ok: bool
    format: int
    epoch: int
    clean: bool
    log_frames: int
    journal: JournalCount
    spaces: list[SpaceCount]
    queues: list[QueueCount]
    damages: int
    damage: list[str]


def check(store: Opened, progress: Progress) -> Checked:
    """Look at all of it. Raises StoreError (Unknown) and OSError where the disk cannot be read."""
    return _Check(store, progress).run()


class _Check:
    def __init__(self, store: Opened, progress: Progress) -> None:
        self._store = store
        self._db, self._seed, self._progress = store.db, store.state.seed, progress
        self._findings = Findings()
        self._ledger = Ledger(self._findings)
        self._journal = JournalCount()
        self._spaces: dict[int, tuple[Space, SpaceCount]] = {}
        self._dropped: dict[int, Ranges] = {}
        self._tallies: dict[tuple[int, int], tally.Tally] = {}
        self._there: dict[tuple[int, int], tally.Tally] = {}
        self._small = empty_state()  # counts and sums what `small`, `spaces` and `dropped` hold
        self._bytes = 0
        self._all_bytes = max(1, store.database.stat().st_size)
        self._row = msgspec.msgpack.Decoder(MessageRecord)
        self._chunks = msgspec.msgpack.Decoder(ChunkRecord)

    def run(self) -> Checked:
        for look in (self._look_at_spaces, self._look_at_ranges, self._look_at_small):
            look()
        state, small = self._store.state, self._small
        if not self._findings.count and (small.records, small.sum) != (state.records, state.sum):
            self._findings.add(
                "The tables small, spaces and dropped are not what was written:"
                f" {small.records} of {state.records} rows are there."
            )
        self._look_at_journal()
        complete = not self._findings.count
        self._ledger.settle(complete=complete)
        for space, count in self._spaces.values():
            if space.paged:
                self._look_at_paged(space, count)
        if complete:
            self._compare_tallies()
        self._ledger.close()
        self._look_at_pages()
        queues = self._look_at_queues()
        store = self._store
        return Checked(
            directory=str(store.path),
            ok=not self._findings.count,
            format=store.format,
            epoch=state.epoch,
            clean=state.clean,
            log_frames=store.log.frames,
            journal=self._journal,
            spaces=[count for _, count in self._spaces.values()],
            queues=queues,
            damages=self._findings.count,
            damage=self._findings.sentences,
        )

    def _rows(self, what: str, query: str) -> Iterator[Any]:
        """The rows of a query, with progress. Damage that SQLite meets ends them, and is told."""
        at = 0
        try:
            for at, row in enumerate(self._db.execute(query), 1):
                if not at % STEP:
                    self._progress(what, self._bytes / self._all_bytes, f"{at:,} rows")
                yield row
        except sqlite3.Error as error:
            found = translate(error, f"reading {what}, after {at} rows")
            if not isinstance(found, Corrupt) and code(error) & 0xFF != _SQLITE_ERROR:
                raise found from error
            self._findings.add(f"The database is damaged ({name(error)} in {what}, after {at} rows).")

    # The records

    def _look_at_spaces(self) -> None:
        for number, called, paged, check in self._rows(
            "spaces", "SELECT number, name, paged, checksum FROM spaces ORDER BY number"
        ):
            if not matches(self._seed, number, b"space", paged, called, check):
                self._findings.add(
                    f"What is known of space {number} is damaged: its checksum does not match."
                )
                continue
            space = Space(number, called.decode(), bool(paged))
            self._spaces[number] = space, SpaceCount(number, space.name)
            self._small.count(check, 1)

    def _look_at_ranges(self) -> None:
        for number, first, last, check in self._rows(
            "dropped", "SELECT * FROM dropped ORDER BY space, first"
        ):
            if not matches(self._seed, number, first, last, b"", check):
                self._findings.add(f"The dropped range {first} to {last} of space {number} is damaged.")
                continue
            self._dropped.setdefault(number, Ranges()).add(first, last)
            self._small.count(check, 1)

    def _look_at_small(self) -> None:
        for number, *row in self._rows("small", "SELECT space, key, lsn, checksum, value FROM small"):
            if number == tally.OWN:
                self._tally(row)
                continue
            space, count = self._spaces.get(number, (None, None))
            if space is None or count is None or space.paged:
                self._findings.add(f"A small record is in space {number}, which is none of the small ones.")
            elif self._sound(space, count, row):
                self._small.count(row[2], 1)
                self._meaning(space, row[0], row[3])

    def _tally(self, row: list[Any]) -> None:
        """How many rows of a group of a paged space there must be."""
        key, lsn, check, value = row
        if not matches(self._seed, tally.OWN, key, lsn, value, check):
            self._findings.add(f"{tally.show(key)} is damaged: its checksum does not match.")
            return
        number, group, said = tally.parse(key, value)
        self._tallies[number, group] = said
        self._small.count(check, 1)

    def _compare_tallies(self) -> None:
        """Name what a bit of SQLite's own structure hides. Of sound rows, or there is more to tell."""
        nothing = tally.Tally()
        for number, group in sorted(self._tallies.keys() | self._there.keys()):
            said = self._tallies.get((number, group), nothing)
            wrong = said.missing(self._there.get((number, group), nothing))
            if wrong and number in self._spaces:
                space, _ = self._spaces[number]
                called = f"group {group} of space {number} ({space.name})"
                if space == MESSAGES and group in self._ledger.accounts:
                    called = f"{called}, the messages of {self._ledger.accounts[group]}"
                self._findings.add(f"In {called}, {wrong}.")

    def _sound(self, space: Space, count: SpaceCount, row: list[Any]) -> bool:
        """Whether a record is the one that was written."""
        key, lsn, check, value = row
        count.records += 1
        kind = int if space.paged else bytes
        if type(key) is not kind or not matches(self._seed, space.number, key, lsn, value, check):
            self._findings.add(f"Record {self._called(space, key)} is damaged: its checksum does not match.")
            return False
        count.bytes += len(value)
        self._bytes += len(value)
        return True

    def _called(self, space: Space, key: object) -> str:
        if space == MESSAGES and type(key) is int:
            number, sequence = split_row_key(key)
            queue = self._ledger.accounts.get(number)
            return f"{show(space, key)}, message {sequence} of {queue or f'queue number {number}'},"
        return show(space, key)

    def _meaning(self, space: Space, key: bytes, value: bytes) -> None:
        """What a sound small record says of queues."""
        ledger = self._ledger
        try:
            if space == WAITING:
                known(msgspec.msgpack.decode(value, type=WaitingRecord).version, RECORD_VERSION)
                ledger.waiting(int.from_bytes(key, "big"))
            elif space == DELAYS:
                said = msgspec.msgpack.decode(value, type=DelayRecord)
                known(said.version, VERSION)
                ledger.delay(int.from_bytes(key, "big"), said.last)
            elif space == QUEUES and key == NEXT_NUMBER:
                ledger.next_number = msgspec.msgpack.decode(value, type=int)
            elif space == QUEUES and key == HANDLE_KEY:
                ledger.founded = True
            elif space == QUEUES:
                ledger.queue(int.from_bytes(key[1:], "big"), value)
        except (msgspec.DecodeError, Newer) as error:
            self._findings.add(
                f"Record {show(space, key)} is of a kind that this version does not know: {error}."
            )

    def _look_at_paged(self, space: Space, count: SpaceCount) -> None:
        dropped, last, before = self._dropped.get(space.number, Ranges()), self._journal.last, -1
        query = f"SELECT key, lsn, checksum, value FROM space_{int(space.number)} ORDER BY key"  # noqa: S608 - a number
        for row in self._rows(space.name, query):
            key, lsn, checksum, value = row
            if type(key) is int and type(checksum) is int:
                there = self._there.setdefault((space.number, tally.group_of(key)), tally.Tally())
                there.count(key, checksum, 1)
            if type(key) is int and key in dropped:
                count.dropped += 1
                self._bytes += len(value)
                continue
            if type(key) is int and key <= before:
                self._findings.add(f"Record {self._called(space, key)} is out of its order.")
                continue
            before = key
            sound = self._sound(space, count, row)
            if sound and lsn > last:
                self._findings.add(
                    f"Record {self._called(space, key)} is of lsn {lsn}, but the journal ends at {last}."
                )
            if space == MESSAGES:
                self._ledger.row(key)
                if sound:
                    self._message(key, value)
            elif space == CHUNKS and sound:
                self._chunk(key, value)

    def _message(self, key: int, value: bytes) -> None:
        try:
            known(self._row.decode(value).version, RECORD_VERSION)
        except (msgspec.DecodeError, Newer) as error:
            self._unknown(MESSAGES, key, error)

    def _chunk(self, key: int, value: bytes) -> None:
        """Delayed messages: each counts as if it had a row."""
        try:
            chunk = self._chunks.decode(value)
            known(chunk.version, VERSION)
        except (msgspec.DecodeError, Newer) as error:
            self._unknown(CHUNKS, key, error)
        else:
            self._ledger.chunk(key, [m.sequence for m in chunk.messages])

    def _unknown(self, space: Space, key: int, error: Exception) -> None:
        called = self._called(space, key)
        self._findings.add(f"Record {called} is of a kind that this version does not know: {error}.")

    # The journal

    def _look_at_journal(self) -> None:
        state, count = self._store.state, self._journal
        count.first, count.last = state.trimmed + 1, state.trimmed
        for lsn, check, events in self._rows(
            "journal", "SELECT lsn, checksum, events FROM journal ORDER BY lsn"
        ):
            if lsn <= state.trimmed:
                count.trimmed += 1
                continue
            if lsn <= count.last:
                self._findings.add(f"Journal row {lsn} is out of its order.")
                continue
            if lsn != count.last + 1:
                gap = (
                    f"row {lsn - 1} is"
                    if lsn == count.last + 2
                    else f"rows {count.last + 1} to {lsn - 1} are"
                )
                self._findings.add(f"Journal {gap} missing.")
            count.last = lsn
            count.rows += 1
            if not matches(self._seed, JOURNAL, lsn, lsn, events, check):
                self._findings.add(f"Journal row {lsn} is damaged: its checksum does not match.")
                continue
            count.bytes += len(events)
            self._bytes += len(events)
            try:
                self._ledger.journal_row(events)
            except (msgspec.DecodeError, Newer) as error:
                self._findings.add(
                    f"Journal row {lsn} is of a kind that this version does not know: {error}."
                )
        if count.last < state.last:
            self._findings.add(f"The journal ends at lsn {count.last}, but lsn {state.last} was written.")
        if count.last and not self._ledger.founded:
            self._findings.add(
                f"Record {show(QUEUES, HANDLE_KEY)}, the key of the receipt handles, is missing."
            )

    # All of it together

    def _look_at_pages(self) -> None:
        self._db.set_progress_handler(lambda: self._progress("pages", 1.0), 100_000)
        try:
            for (line,) in self._rows("pages", "PRAGMA integrity_check"):
                if line != b"ok":
                    self._findings.add(f"The database's pages are damaged: {line.decode(errors='replace')}.")
        finally:
            self._db.set_progress_handler(None, 0)

    def _look_at_queues(self) -> list[QueueCount]:
        told: dict[str, dict[str, Any]] = {}
        if self._findings.count == 0:  # otherwise a start says nothing new
            try:
                told = rehearse(self._store).queues
            except (Corrupt, Newer) as error:
                self._findings.add(f"A start would fail: {error}")
            else:
                live = {name: sum(each[of] for of in STATES) for name, each in told.items()}
                self._ledger.compare(live)
        return [
            QueueCount(
                number=each.number,
                name=each.name,
                in_records=each.rows,
                in_journal=len(each.sent),
                remains=each.remains,
                **{of: told.get(each.name, {}).get(of) for of in STATES},
            )
            for each in sorted(self._ledger.accounts.values(), key=lambda each: each.number)
            if each.known
        ]


STATES: Final = ("visible", "in_flight", "delayed")
"""What a message can be, as GetQueueAttributes counts them."""
