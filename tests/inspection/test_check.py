"""`store check` finds what is wrong, names it, and finds nothing wrong with what is right."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ropewayd.inspection.check import Checked
from ropewayd.inspection.findings import LIMIT, Findings
from ropewayd.inspection.ledger import Ledger
from ropewayd.kernel.wheel import Wheel
from ropewayd.queues.records import CHUNKS, DELAYS, MESSAGES, QUEUES, WAITING, queue_key, row_key
from ropewayd.queues.service import Queues
from ropewayd.store import tables
from ropewayd.store.checksum import checksum
from ropewayd.store.passages import Held, parse, passages_of
from ropewayd.store.protocol import Corrupt, Record, Space
from tests.inspection.stories import COUNTS, RealHouse, Story, counts, judged, look, look_apart, sample
from tests.store.damage import flip
from tests.store.places import image


@pytest.mark.parametrize("seed", range(12))
async def test_a_store_is_in_order_at_every_moment_of_its_life(tmp_path: Path, seed: int) -> None:
    house = RealHouse(tmp_path / "data", Story.settings(seed), Story.limits(seed))
    await house.start()
    story = Story(house, seed)
    for at in range(8):
        for _ in range(story.dice.randint(5, 25)):
            await story.act()
        await house.quiet()
        found = await look_apart(image(house.path, tmp_path / f"at-{at}"))
        assert found.damage == []
        assert counts(found) == await house.all_counts()
    told = await house.all_counts()
    await house.close()
    found = await look_apart(house.path)
    assert (found.ok, found.clean, counts(found)) == (True, True, told)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(sample(tmp_path_factory.mktemp("sample")))


@pytest.fixture
def store(crashed: Path, tmp_path: Path) -> Path:
    return image(crashed, tmp_path / "store")


def test_it_counts_what_is_there(store: Path) -> None:
    found = look(store)
    assert found.ok
    assert not found.clean
    assert found.log_frames
    assert counts(found) == COUNTS
    by_name = {each.name: each for each in found.queues}
    assert (by_name["jobs"].in_records, by_name["jobs"].in_journal) == (42, 0)
    assert (by_name["mail"].in_records, by_name["mail"].in_journal) == (0, 3)
    assert {each.name: each.records for each in found.spaces} == {
        "kernel": 1,
        "queues": 4,
        "waiting": 6,
        "messages": 40,
        "delayed": 1,
        "delays": 1,
    }
    assert found.journal.rows == found.journal.last - found.journal.first + 1 > 0


@pytest.fixture(scope="module")
def crashed_keeping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(sample(tmp_path_factory.mktemp("sample"), kept=1))


@pytest.fixture
def keeping(crashed_keeping: Path, tmp_path: Path) -> Path:
    return image(crashed_keeping, tmp_path / "store")


def test_it_counts_what_journal_rows_say(keeping: Path) -> None:
    found = look(keeping)
    assert found.damage == []
    assert counts(found) == COUNTS
    by_name = {each.name: each for each in found.queues}
    assert (by_name["jobs"].in_records, by_name["jobs"].in_journal) == (42, 0)
    spaces = {each.name: each.records for each in found.spaces}
    assert "messages" in spaces
    assert spaces["messages"] < 10
    assert spaces["messages in journal rows"] == spaces["kept journal rows"] == 20
    assert found.journal.kept > 10


# Damage that only sums and references show: each row that is written here has a checksum that is right.


class Tamper:
    """Changes a store's rows, and keeps checksums and sums as if the store had done it."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path / "ropeway.db", isolation_level=None)
        self.db.text_factory = bytes
        self.state = tables.load_state(self.db)
        self.state.clean = True  # SQLite folds the log in when this connection closes
        tables.save_state(self.db, self.state)

    def small(self, space: Space, key: bytes) -> bytes:
        where = (space.number, key)
        (value,) = self.db.execute("SELECT value FROM small WHERE space = ? AND key = ?", where).fetchone()
        assert isinstance(value, bytes)
        return value

    def put_small(self, space: Space, key: bytes, value: bytes | None, lsn: int = 1) -> None:
        where = (space.number, key)
        found = self.db.execute("SELECT checksum FROM small WHERE space = ? AND key = ?", where).fetchone()
        if found is not None:
            self.db.execute("DELETE FROM small WHERE space = ? AND key = ?", where)
            self.state.count(found[0], -1)
        if value is not None:
            check = checksum(self.state.seed, space.number, key, lsn, value)
            self.db.execute("INSERT INTO small VALUES (?, ?, ?, ?, ?)", (*where, lsn, check, value))
            self.state.count(check, 1)
        tables.save_state(self.db, self.state)

    def put_message(self, key: int, value: bytes | None = None, lsn: int = 1) -> None:
        """`value`: that of another message unless given."""
        if value is None:
            (value,) = self.db.execute("SELECT value FROM space_4 LIMIT 1").fetchone()
        assert value is not None
        check = checksum(self.state.seed, MESSAGES.number, key, lsn, value)
        self.db.execute("INSERT OR REPLACE INTO space_4 VALUES (?, ?, ?, ?)", (key, lsn, check, value))

    def put_chunk(self, key: int, value: bytes) -> None:
        check = checksum(self.state.seed, CHUNKS.number, key, 1, value)
        self.db.execute("INSERT OR REPLACE INTO space_6 VALUES (?, ?, ?, ?)", (key, 1, check, value))

    def put_own(self, number: int, key: int, value: bytes | None) -> None:
        """A row of the store's own; None deletes it."""
        table = tables.PagedTable.of(number)
        self.db.execute(table.drop, (key,))
        if value is not None:
            self.db.execute(table.put, (key, 1, checksum(self.state.seed, number, key, 1, value), value))


def change_queue(tamper: Tamper, **changes: int) -> None:
    from ropewayd.queues.records import QueueRecord

    record = msgspec.msgpack.decode(tamper.small(QUEUES, queue_key(1)), type=QueueRecord)
    (lsn,) = tamper.db.execute("SELECT lsn FROM small WHERE key = ?", (queue_key(1),)).fetchone()
    changed = msgspec.structs.replace(record, **changes)
    tamper.put_small(QUEUES, queue_key(1), msgspec.msgpack.encode(changed), lsn)


def waiting_sequence(tamper: Tamper) -> int:
    (key,) = tamper.db.execute("SELECT min(key) FROM small WHERE space = 3").fetchone()
    return int.from_bytes(key, "big") - row_key(1, 0)


PLANTED: dict[str, tuple[Callable[[Tamper], object], str]] = {
    "a message is gone": (
        lambda t: t.db.execute("DELETE FROM space_4 WHERE key = ?", (row_key(1, 12),)),
        "the messages of queue jobs (number 1), 1 of 40 rows is hidden, that of key 12.",
    ),
    "the row of a message in flight is gone": (
        lambda t: t.db.execute("DELETE FROM space_4 WHERE key = ?", (row_key(1, waiting_sequence(t)),)),
        "Message 1 of queue jobs (number 1) is invisible, but it has no row.",
    ),
    "a count is wrong": (
        lambda t: change_queue(t, live=43),
        "Queue jobs (number 1) counts 43 messages, but 42 are there.",
    ),
    "a row is beyond what the queue knows of": (
        lambda t: t.put_message(row_key(1, 999)),
        "Queue jobs (number 1) has message records that it does not know of: 1.",
    ),
    "a row has no queue": (
        lambda t: t.put_message(row_key(77, 1)),
        "Queue number 77 does not exist, but has message records: 1.",
    ),
    "a queue's number would be given again": (
        lambda t: t.put_small(QUEUES, b"next", msgspec.msgpack.encode(1)),
        "Queue jobs (number 1) has a number that the next new queue would get (1).",
    ),
    "the key of the handles is gone": (
        lambda t: t.put_small(QUEUES, b"key", None),
        "Record 6b6579 of queues (space 2), the key of the receipt handles, is missing.",
    ),
    "a message has an unknown form": (
        lambda t: t.put_message(row_key(1, 12), msgspec.msgpack.encode([9, b"", b"", None, 0, 0, 0])),
        "message 12 of queue jobs (number 1), is of a kind that this version does not know: it has version 9",
    ),
    "a deadline has an unknown form": (
        lambda t: t.put_small(WAITING, row_key(1, 1).to_bytes(8, "big"), b"\x90"),
        "of waiting (space 3) is of a kind that this version does not know",
    ),
    "a message is of a later time than the journal": (
        lambda t: t.put_message(row_key(1, 12), lsn=10_000),
        "message 12 of queue jobs (number 1), is of lsn 10000, but the journal ends at",
    ),
    "a small record is gone": (
        lambda t: t.db.execute(
            "DELETE FROM small WHERE space = 3 AND key = (SELECT max(key) FROM small WHERE space = 3)"
        ),
        "The tables small, spaces and dropped are not what was written: 19 of 20 rows are there.",
    ),
    "a table is gone": (
        lambda t: t.db.execute("DROP TABLE space_4"),
        "The database is damaged (SQLITE_ERROR: no such table: space_4 in messages, after 0 rows).",
    ),
    "a journal row is gone": (
        lambda t: t.db.execute("DELETE FROM journal WHERE lsn = (SELECT max(lsn) - 1 FROM journal)"),
        "Journal row 26 is missing.",
    ),
    "the journal's end is gone": (
        lambda t: t.db.executescript("DELETE FROM journal; DELETE FROM space_4"),
        "The journal ends at lsn 25, but lsn 27 was written.",
    ),
    "a journal row is another": (
        lambda t: t.db.execute("UPDATE journal SET events = events || x'00' WHERE lsn = 27"),
        "Journal row 27 is damaged: its checksum does not match.",
    ),
    "a message is another": (
        lambda t: t.db.execute("UPDATE space_4 SET value = value || x'00' WHERE key = ?", (row_key(1, 30),)),
        "message 30 of queue jobs (number 1), is damaged: its checksum does not match.",
    ),
    "a message is elsewhere": (
        lambda t: t.db.execute("UPDATE space_4 SET key = ? WHERE key = ?", (row_key(1, 500), row_key(1, 30))),
        "message 500 of queue jobs (number 1), is damaged: its checksum does not match.",
    ),
    "a chunk of delayed messages is gone": (
        lambda t: t.db.execute("DELETE FROM space_6"),
        "Chunk 1 of the delayed messages of queue jobs (number 1) is missing.",
    ),
    "a chunk has an unknown form": (
        lambda t: t.put_chunk(row_key(1, 1), msgspec.msgpack.encode([9, []])),
        "of delayed (space 6) is of a kind that this version does not know: it has version 9",
    ),
    "a chunk's time has an unknown form": (
        lambda t: t.put_small(DELAYS, row_key(1, 1).to_bytes(8, "big"), b"\x90"),
        "of delays (space 7) is of a kind that this version does not know",
    ),
    "a space is another": (
        lambda t: t.db.execute("UPDATE spaces SET name = 'lies' WHERE number = 3"),
        "What is known of space 3 is damaged: its checksum does not match.",
    ),
}


def passage(tamper: Tamper, at: int = 10) -> Held:
    """One of the sample: of two messages that were sent in a batch."""
    row = tamper.db.execute(
        f"SELECT key, lsn, value FROM space_132 ORDER BY key LIMIT 1 OFFSET {at}"
    ).fetchone()
    return parse(Record(passages_of(MESSAGES), *row))


def change_passage(tamper: Tamper, **changes: int) -> None:
    changed = msgspec.structs.replace(passage(tamper), **changes)
    tamper.put_own(132, changed.first, changed.value())


PLANTED_IN_PASSAGES: dict[str, tuple[Callable[[Tamper], object], str]] = {
    "a kept journal row is gone": (
        lambda t: t.db.execute("DELETE FROM journal WHERE lsn = ?", (passage(t).source,)),
        "which says messages 21 to 22 of queue jobs (number 1), is missing.",
    ),
    "a kept journal row is another": (
        lambda t: t.db.execute(
            "UPDATE journal SET events = events || x'00' WHERE lsn = ?", (passage(t).source,)
        ),
        "which says messages 21 to 22 of queue jobs (number 1), is damaged: its checksum does not match.",
    ),
    "a passage is gone": (
        lambda t: t.put_own(132, passage(t).first, None),
        "In group 1 of space 132 (messages in journal rows), 1 of 20 rows is hidden",
    ),
    "a kept row has no passage": (
        lambda t: t.put_own(132, passage(t).first, None),
        "is kept for 1 passages, but 0 speak of it.",
    ),
    "a passage is another": (
        lambda t: t.db.execute(
            "UPDATE space_132 SET value = value || x'00' WHERE key = ?", (row_key(1, 21),)
        ),
        "of messages in journal rows (space 132) is damaged: its checksum does not match.",
    ),
    "a passage has an unknown form": (
        lambda t: t.put_own(132, row_key(1, 21), b"\x09" + bytes(20)),
        "(space 132) is of a kind that this version does not know: it has version 9",
    ),
    "a passage is cut off": (
        lambda t: t.put_own(132, row_key(1, 21), b"\x01"),
        "(space 132) is of a kind that this version does not know",
    ),
    "a passage has no key": (
        lambda t: change_passage(t, live=0),
        "(space 132) is no passage: its keys cannot be of one.",
    ),
    "a passage speaks of another row": (
        lambda t: change_passage(t, source=passage(t, 11).source),
        "does not say message 21 of queue jobs (number 1) and 1 more, though it is kept for that.",
    ),
    "a passage overlaps another": (
        lambda t: change_passage(t, live=7, count=3),
        "is a passage that overlaps the one before it.",
    ),
    "a count is too low": (
        lambda t: change_passage(t, source=passage(t, 11).source),
        "is kept for 1 passages, but 2 speak of it.",
    ),
    "a count is too high": (
        lambda t: t.put_own(255, passage(t).source, b"\0\0\0\2"),
        "is kept for 2 passages, but 1 speak of it.",
    ),
    "a count is missing": (
        lambda t: t.put_own(255, passage(t).source, None),
        "is kept for 0 passages, but 1 speak of it.",
    ),
    "a count is none": (
        lambda t: t.put_own(255, passage(t).source, b"\1"),
        "of kept journal rows (space 255) is of a kind that this version does not know",
    ),
    "a message is there twice": (
        lambda t: t.put_message(row_key(1, 22), b""),
        "message 22 of queue jobs (number 1), is there twice: in a row and in journal row",
    ),
    "the space of the messages is gone": (
        lambda t: t.db.execute("DELETE FROM spaces WHERE number = 4"),
        "speaks of space 4, which is no paged one.",
    ),
}


@pytest.mark.parametrize("planted", PLANTED_IN_PASSAGES)
def test_what_is_wrong_with_passages_is_named(keeping: Path, planted: str) -> None:
    harm, said = PLANTED_IN_PASSAGES[planted]
    tamper = Tamper(keeping)
    harm(tamper)
    tamper.db.close()
    found = look(keeping)
    assert not found.ok
    assert any(said in sentence for sentence in found.damage), found.damage
    assert len(set(found.damage)) == found.damages < 10


@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_wrong_is_named(store: Path, planted: str) -> None:
    harm, said = PLANTED[planted]
    tamper = Tamper(store)
    if planted == "the journal's end is gone":
        tamper.state.last = 27
        tables.save_state(tamper.db, tamper.state)
    harm(tamper)
    tamper.db.close()
    found = look(store)
    assert not found.ok
    assert found.damages == len(found.damage) > 0
    assert any(said in sentence for sentence in found.damage), found.damage


def test_it_goes_on_after_the_first_damage_and_has_an_end(store: Path) -> None:
    tamper = Tamper(store)
    tamper.db.execute("UPDATE space_4 SET value = x'00'")
    for sequence in range(1000, 1000 + LIMIT):
        tamper.put_message(row_key(1, sequence))
        tamper.db.execute("UPDATE space_4 SET checksum = 1 WHERE key = ?", (row_key(1, sequence),))
    tamper.db.close()
    found = look(store)
    assert found.damages >= 42 + LIMIT
    assert len(found.damage) == LIMIT
    assert {each.name: each.in_records for each in found.queues}["jobs"] == 42 + LIMIT


@pytest.mark.parametrize("name", ["crashed", "crashed_keeping"])
def test_flipped_bits_are_found_or_harmless(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    crashed = request.getfixturevalue(name)
    dice = random.Random(4565)
    before = look(image(crashed, tmp_path / "whole"))
    found_out = 0
    for at in range(120):
        path = image(crashed, tmp_path / f"flipped-{at}")
        file = path / dice.choice(["ropeway.db", "ropeway.db-wal"])
        flip(file, dice)
        found = judged(path)
        if isinstance(found, Checked) and found.ok:
            # Harmless, or in the last commit (the two messages that were sent last), which nobody can tell.
            there = counts(found)
            assert there in (COUNTS, COUNTS | {"mail": (1, 0, 0)})
            assert {each.name: each.records for each in found.spaces} == {
                each.name: each.records for each in before.spaces
            }
        else:
            assert isinstance(found, Checked | Corrupt), repr(found)
            found_out += 1
        shutil.rmtree(path)
    assert found_out > 5


def test_every_event_has_its_place_in_the_ledger() -> None:
    assert set(Ledger(Findings())._tell) == set(Queues(Wheel(0)).appliers())
