"""Looks at everything in a store, and goes on after the first damage to say how far it goes.

    the write-ahead log    its walk (opening.py)
    the journal            no gap, every checksum, every event known
    the records            every checksum, no lsn that the journal has not reached, no small one gone
    the passages           that the journal rows which they speak of are kept, counted, and say these messages
    the queues             what records and journal say there must be is there (ledger.py)
    the pages              SQLite's own integrity check
    a start                the kernel recovers, and counts what is there (rehearsal.py)

It judges by the forms on disk, and shares only those with the code that writes them.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from struct import error as StructError  # noqa: N812  # it is a class
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
from ropewayd.store import passages, tally
from ropewayd.store.checks import LAST_KEY, SPAN
from ropewayd.store.checksum import JOURNAL, matches
from ropewayd.store.failures import code, name, translate
from ropewayd.store.passages import KEPT, OWN, Held, parse
from ropewayd.store.protocol import Corrupt, Newer, Record, Space
from ropewayd.store.ranges import Ranges
from ropewayd.store.records import show
from ropewayd.store.tables import empty_state

STEP: Final = 1000
"""Rows between two looks at the progress."""

_WINDOW: Final = 1 << 18
"""Counts of kept journal rows that are held against the passages at a time."""

_SQLITE_ERROR: Final = 1  # sqlite3.SQLITE_ERROR: a table that is missing, say


class SpaceCount(msgspec.Struct):
    """Records of a space that can be read, their bytes, and rows that are still to be deleted."""

    number: int
    name: str
    records: int = 0
    bytes: int = 0
    dropped: int = 0


class JournalCount(msgspec.Struct):
    """The journal's tail, which a start replays: rows `first` to `last`. `trimmed`: older rows that are still
    to be deleted. `kept`: older rows that stay, since they say messages that are still there."""

    first: int = 0
    last: int = 0
    rows: int = 0
    bytes: int = 0
    trimmed: int = 0
    kept: int = 0


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
        self._end = -1  # the last key that a passage of this space has spoken for
        self._source: tuple[int, Ranges | None] = (0, None)  # a journal row, and the messages that it says
        self._counts_to_compare = True  # every passage, and every count of them, could be read
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
        if self._counts_to_compare:
            self._look_at_counts()
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

    def _rows(self, what: str, query: str, *given: int) -> Iterator[Any]:
        """The rows of a query, with progress. Damage that SQLite meets ends them, and is told."""
        at = 0
        try:
            for at, row in enumerate(self._db.execute(query, given), 1):
                if not at % STEP:
                    self._progress(what, self._bytes / self._all_bytes, f"{at:,} rows")
                yield row
        except sqlite3.Error as error:
            found = translate(error, f"reading {what}, after {at} rows")
            if not isinstance(found, Corrupt) and code(error) & 0xFF != _SQLITE_ERROR:
                raise found from error
            self._findings.add(f"The database is damaged ({name(error)} in {what}, after {at} rows).")
            self._counts_to_compare = False

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
        self._end = -1
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
                self._counts_to_compare = False
                continue
            before = key
            sound = self._sound(space, count, row)
            if sound and lsn > last:
                self._findings.add(
                    f"Record {self._called(space, key)} is of lsn {lsn}, but the journal ends at {last}."
                )
            if space.number >= OWN:
                self._speaks(space, key, lsn, value if sound else None)
            elif space == MESSAGES:
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

    # The passages (see store/passages.py)

    def _speaks(self, own: Space, key: int, lsn: int, value: bytes | None) -> None:
        """A row that the store has for itself, None if it is damaged."""
        said: Held | None = None
        try:
            if value is not None and own.number == KEPT.number:
                passages.COUNT.unpack(value)
            elif value is not None:
                known(value[0] if value else 0, passages.VERSION)
                said = parse(Record(own, key, lsn, value))
        except (StructError, Newer) as error:
            self._unknown(own, key, error)
            value = None
        if value is None:
            self._counts_to_compare = False
        if said is not None:
            self._passage(own, said)

    def _passage(self, own: Space, held: Held) -> None:
        """A passage in order, so far: hold it against its journal row, and what else there is."""
        called = show(own, held.first)
        base, _ = self._spaces.get(own.number - OWN, (None, None))
        if base is None or not base.paged:
            if self._end < 0:  # of the first passage of this space
                self._findings.add(
                    f"Record {called} speaks of space {own.number - OWN}, which is no paged one."
                )
            self._end = held.last
            return
        bits, group = held.live.bit_length(), tally.group_of(held.first)
        if (
            not held.live
            or bits > SPAN
            or held.live.bit_count() > held.count
            or tally.group_of(held.last) != group
        ):
            self._findings.add(f"Record {called} is no passage: its keys cannot be of one.")
        if held.first <= self._end:
            self._findings.add(f"Record {called} is a passage that overlaps the one before it.")
        self._end = max(self._end, held.last)
        said = self._read_source(base, held)
        if said is not None:
            self._compare_with_row(held, said)
        self._count_said(base, held)

    def _named(self, base: Space, first: int, last: int) -> str:
        if base != MESSAGES:
            return f"records {first} to {last} of {base.name} (space {base.number})"
        (number, first), (_, last) = split_row_key(first), split_row_key(last)
        queue = self._ledger.accounts.get(number) or f"queue number {number}"
        return f"message {first} of {queue}" if first == last else f"messages {first} to {last} of {queue}"

    def _read_source(self, base: Space, held: Held) -> Ranges | None:
        """The keys of the messages that a passage's journal row says. It is read once for all passages that
        follow each other."""
        lsn = held.source
        if self._source[0] == lsn:
            return self._source[1]
        self._source = lsn, None
        self._progress(KEPT.name, self._bytes / self._all_bytes, f"row {lsn:,}")
        says = f"which says {self._named(base, held.first, held.last)}"
        found = next(self._rows("journal", "SELECT checksum, events FROM journal WHERE lsn = ?", lsn), None)
        if found is None:
            self._findings.add(f"Journal row {lsn}, {says}, is missing.")
        elif not matches(self._seed, JOURNAL, lsn, lsn, found[1], found[0]):
            self._findings.add(f"Journal row {lsn}, {says}, is damaged: its checksum does not match.")
        elif base == MESSAGES:
            try:
                self._source = lsn, self._ledger.said_by(found[1])
            except (msgspec.DecodeError, Newer) as error:
                self._findings.add(
                    f"Journal row {lsn}, {says}, is of a kind that this version does not know: {error}."
                )
        if found is not None and lsn <= self._store.state.trimmed:
            self._bytes += len(found[1])
        return self._source[1]

    def _compare_with_row(self, held: Held, said: Ranges) -> None:
        missing = [key for key in held.keys(held.first, held.last) if key not in said]
        if missing:
            called = self._named(MESSAGES, missing[0], missing[0])
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            self._findings.add(
                f"Journal row {held.source} does not say {called}{more}, though it is kept for that."
            )

    def _count_said(self, base: Space, held: Held) -> None:
        """What is in a passage counts as if it had a row, and must have none."""
        query = f"SELECT key FROM space_{int(base.number)} WHERE key BETWEEN ? AND ?"  # noqa: S608 - a number
        beside = {key for (key,) in self._rows(base.name, query, held.first, held.last) if held.has(key)}
        for key in sorted(beside):
            called = self._called(base, key).rstrip(",")
            self._findings.add(f"Record {called}, is there twice: in a row and in journal row {held.source}.")
        if base == MESSAGES:
            dropped = self._dropped.get(base.number, Ranges())
            for key in held.keys(held.first, held.last):
                if key not in dropped and key not in beside:
                    self._ledger.row(key)

    def _look_at_counts(self) -> None:
        """Hold what is counted of kept journal rows against the passages that speak of them: some at a time,
        since there can be as many as the backlog has."""
        after = upto = -1
        while upto < LAST_KEY:
            counted: dict[int, int] = {}
            if KEPT.number in self._spaces:
                query = f"SELECT key, value FROM space_{KEPT.number} WHERE key > ? ORDER BY key LIMIT ?"  # noqa: S608 - a number
                rows = self._rows(KEPT.name, query, after, _WINDOW)
                counted = {lsn: passages.COUNT.unpack(value)[0] for lsn, value in rows}
            upto = max(counted) if len(counted) == _WINDOW else LAST_KEY
            spoken = Counter(lsn for lsn in self._sources() if after < lsn <= upto)
            for lsn in sorted(counted.keys() | spoken.keys()):
                count, there = counted.get(lsn, 0), spoken[lsn]
                if count != there:
                    self._findings.add(
                        f"Journal row {lsn} is kept for {count} passages, but {there} speak of it."
                    )
            after = upto

    def _sources(self) -> Iterator[int]:
        """The journal row of each passage."""
        for number, (space, _) in self._spaces.items():
            if OWN <= number < KEPT.number:
                query = f"SELECT key, lsn, value FROM space_{int(number)}"  # noqa: S608 - a number
                for key, lsn, value in self._rows(space.name, query):
                    yield parse(Record(space, key, lsn, value)).source

    # The journal

    def _look_at_journal(self) -> None:
        state, count = self._store.state, self._journal
        count.first, count.last = state.trimmed + 1, state.trimmed
        self._look_at_trimmed()
        query = "SELECT lsn, checksum, events FROM journal WHERE lsn > ? ORDER BY lsn"
        for lsn, check, events in self._rows("journal", query, state.trimmed):
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

    def _look_at_trimmed(self) -> None:
        """Count the rows that no start replays. What passages speak of is looked at with them."""
        query = "SELECT count(*) FROM journal WHERE lsn <= ?"
        kept = f"{query} AND lsn IN (SELECT key FROM space_{KEPT.number})"  # noqa: S608 - a number
        count, trimmed = self._journal, self._store.state.trimmed
        if KEPT.number in self._spaces:
            ((count.kept,),) = [*self._rows("journal", kept, trimmed)] or [(0,)]
        ((rows,),) = [*self._rows("journal", query, trimmed)] or [(count.kept,)]
        count.trimmed = rows - count.kept

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
