"""A backup holds the store as it was at one moment of its making, whatever is written meanwhile."""

import asyncio
import random
import sqlite3
import stat
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from ropewayd.store import backup, passages
from ropewayd.store.protocol import (
    Claim,
    Corrupt,
    KeyRange,
    Passage,
    Record,
    Slice,
    Space,
    StoreError,
    Unplaced,
)
from ropewayd.store.sqlite import SqliteStore
from tests.faults.ledger import LAST_KEY, PAGED, Append, Contents, State, read_all
from tests.faults.rot import connect
from tests.faults.script import next_step
from tests.store.places import MESSAGES


def store_in(path: Path) -> SqliteStore:
    return SqliteStore(path, wal_bytes=1 << 18, reserve_bytes=0, connector=connect)


def names(path: Path) -> list[str]:
    return [each.name for each in path.iterdir()]


async def contents(path: Path) -> Contents:
    store = store_in(path)
    try:
        return await read_all(store, await store.claim("reader"))
    finally:
        await store.close()


class Spoken(State):
    """A state in which journal rows say records."""

    def append(self, append: Append) -> None:
        given = append.slice
        if given is not None:
            said = [
                Record(each.space, key, each.lsn, row, max(1, len(row) // len(each.keys)))
                for each in given.passages
                for row in [self.tail[each.source]]
                for key in each.keys
            ]
            append = Append(
                append.batch, Slice([*said, *given.puts], given.drops, given.drop_ranges, given.trim_to)
            )
        super().append(append)


_FIRST = 1000
"""Keys from this one on are of passages at first, and within ..."""
_SPAN = 40
"""... so many each."""


class Script:
    """Random appends, and what the store holds after each."""

    def __init__(self, seed: int, store: SqliteStore, claim: Claim) -> None:
        self.chance = random.Random(seed)
        self.store, self.claim = store, claim
        self.state = Spoken()
        self.next = _FIRST

    async def steps(self, count: int) -> None:
        done = 0
        while done < count:
            step = next_step(self.chance, self.state)
            if isinstance(step, Append):
                step = self.with_passages(step)
                await self.store.append(self.claim, self.state.last, step.batch, step.slice)
                self.state.append(step)
                done += 1
            if step == "tidy" or self.chance.random() < 0.3:
                await self.store.tidy()

    def with_passages(self, step: Append) -> Append:
        """Let some journal rows say records, others than the step has, and do something to such records."""
        chance, given = self.chance, replace(step.slice or Slice(), passages=())
        space = chance.choice(PAGED)
        match chance.randrange(8) if self.state.tail else 9:
            case 0 | 1 | 2:
                sources = chance.choices(list(self.state.tail), k=chance.choice((1, 1, 3)))
                said = [
                    self.passage(chance.choice(PAGED), source, again=len(sources) == 1) for source in sources
                ]
                made = [each for each in said if each is not None]
                at_once = [each for each in made if chance.random() < 0.3]
                puts = [Record(each.space, key, 0, b"at once") for each in at_once for key in each.keys]
                given = replace(given, passages=made, puts=[*given.puts, *puts])
            case 3:
                key = chance.randrange(_FIRST, self.next + 1)
                given = replace(given, puts=[*given.puts, Record(space, key, self.state.last, b"anew")])
            case 4:
                first = chance.randrange(_FIRST, self.next + 1)
                dropped = KeyRange(space, first, first + chance.choice((3, 40, 200)))
                given = replace(given, drop_ranges=[*given.drop_ranges, dropped])
            case _ if step.slice is None:
                return step
        return Append(step.batch, given)

    def passage(self, space: Space, source: int, *, again: bool) -> Passage | None:
        """One of keys that were never used, or of some that are free again and in nobody's way."""
        chance, first = self.chance, self.next
        keys = set(chance.sample(range(first, first + _SPAN), chance.randint(1, _SPAN)))
        if again and first > _FIRST and chance.random() < 0.3:
            first = chance.randrange(_FIRST, first, _SPAN)
            keys = {first, *(key - self.next + first for key in keys), first + _SPAN - 1}
        if any(of == space and first <= int(key) < first + _SPAN for of, key in self.state.records):
            return None
        self.next = max(self.next, first + _SPAN)
        return Passage(space, sorted(keys), chance.randint(0, self.state.last), source)


def kept(path: Path) -> Counter[int]:
    """How many passages speak of each journal row: it is what is counted, they are there, and nothing else is
    there of what is trimmed."""
    db = sqlite3.connect(path / "ropeway.db")
    spoken: Counter[int] = Counter()
    for own in map(passages.passages_of, PAGED):
        for row in db.execute(f"SELECT key, lsn, value FROM space_{own.number}"):
            spoken[passages.parse(Record(own, *row)).source] += 1
    counted = db.execute(f"SELECT key, value FROM space_{passages.KEPT.number}")
    assert spoken == {lsn: int.from_bytes(value, "big") for lsn, value in counted}
    (trimmed,) = db.execute("SELECT trimmed FROM state").fetchone()
    rows = {lsn for (lsn,) in db.execute("SELECT lsn FROM journal")}
    assert spoken.keys() <= rows
    assert {lsn for lsn in rows if lsn <= trimmed} <= spoken.keys()
    db.close()
    return spoken


async def read_again(path: Path) -> None:
    """Every checksum and every count of a store holds, and when all its records are dropped nothing is
    left."""
    store = store_in(path)
    claim = await store.claim("reader")
    while await store.scrub(claim, 1 << 20):
        pass
    everything = [KeyRange(space, 0, LAST_KEY) for space in PAGED]
    await store.append(claim, claim.last_lsn, b"", Slice((), (), everything, claim.last_lsn))
    for _ in range(1000):
        if not await store.tidy():
            break
    await store.close()
    db = sqlite3.connect(path / "ropeway.db")
    assert db.execute("SELECT count(*) FROM journal").fetchone() == (0,)
    spaces = [number for (number,) in db.execute("SELECT number FROM spaces WHERE paged")]
    assert spaces
    for number in spaces:
        assert db.execute(f"SELECT count(*) FROM space_{number}").fetchone() == (0,)
    db.close()


@pytest.mark.parametrize("seed", range(12))
async def test_it_is_the_store_at_one_moment(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "PIECE_ROWS", 4)
    monkeypatch.setattr(backup, "PIECE_BYTES", 3000)
    store = store_in(tmp_path / "data")
    script = Script(seed, store, await store.claim("writer"))
    await script.steps(300)
    making = asyncio.create_task(store.backup(script.claim, tmp_path / "copy"))
    moments = [script.state.contents()]
    while not making.done():
        await script.steps(1)
        moments.append(script.state.contents())
        await asyncio.sleep(0)
    copied = await making
    await script.steps(20)
    await store.close()
    assert len(moments) > 20
    assert kept(tmp_path / "copy")
    found = await contents(tmp_path / "copy")
    assert found in moments
    assert copied.last_lsn == (found.recovered.tail[-1].lsn if found.recovered.tail else copied.last_lsn)
    assert await contents(tmp_path / "copy") == found
    assert await contents(tmp_path / "data") == script.state.contents()
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "copy").iterdir()]
    assert set(modes) == {0o600}
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700
    for name in ("copy", "data"):
        await read_again(tmp_path / name)


async def test_what_was_rolled_back_is_not_told(tmp_path: Path) -> None:
    store, source = store_in(tmp_path / "data"), backup.Source()
    claim = await store.claim("writer")
    await store.append(claim, 0, b"row", Slice([Record(MESSAGES, 1, 0, b"")]))
    store._engine.copy_from(source)
    while not store._engine.read_piece(claim).done:
        pass
    passage = Passage(MESSAGES, [1, 2], 1, 1)
    with pytest.raises(ValueError, match="has a record already"):
        await store.append(claim, 1, b"two", Slice((), [(MESSAGES, 2)], (), 0, [passage]))
    assert store._engine._records.seen is None
    await store.append(claim, 1, b"two", Slice((), [(MESSAGES, 1)], (), 1, [passage]))
    piece = store._engine.read_piece(claim)
    assert [change.drops for change in piece.changes] == [[(MESSAGES, 1)]]
    assert [(r.space.number, r.key) for r in piece.changes[0].puts] == [
        (passages.passages_of(MESSAGES).number, 1),
        (passages.KEPT.number, 1),
    ]
    assert [entry.lsn for entry in piece.entries] == [2]  # the first one was read before it was trimmed
    assert piece.done
    await store.close()


async def test_what_was_not_to_be_is_said(tmp_path: Path) -> None:
    store = store_in(tmp_path / "data")
    claim = await store.claim("writer")
    await store.append(claim, 0, b"x")
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "half.incomplete").mkdir()
    for name in ("there", "file", "link", "half"):
        with pytest.raises(Unplaced, match="is there already"):
            await store.backup(claim, tmp_path / name)
    with pytest.raises(Unplaced, match="is no directory"):
        await store.backup(claim, tmp_path / "no" / "copy")
    with pytest.raises(Unplaced, match="is no absolute path"):
        await store.backup(claim, Path("copy"))
    making = asyncio.create_task(store.backup(claim, tmp_path / "copy"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(Unplaced, match="Another backup"):
        await asyncio.gather(*(store.backup(claim, tmp_path / "other") for _ in range(2)))
    await making
    await store.append(claim, 1, b"still here")
    await store.close()


async def test_one_that_is_cancelled_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "PIECE_ROWS", 1)
    store = store_in(tmp_path / "data")
    claim = await store.claim("writer")
    await store.append(claim, 0, b"x", Slice([Record(MESSAGES, key, 1, b"") for key in range(500)]))
    making = asyncio.create_task(store.backup(claim, tmp_path / "copy"))
    while not (tmp_path / "copy.incomplete" / "ropeway.db").exists():  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.001)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    while names(tmp_path) != ["data"]:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.001)
    await store.backup(claim, tmp_path / "copy")
    await store.close()


async def test_one_that_was_killed_is_no_store(tmp_path: Path) -> None:
    target = backup.Target(tmp_path / "copy", connect)
    target.begin(0)
    target.take(backup.Piece([], [Record(MESSAGES, 1, 1, b"")], [], 0, 1, done=False))
    path = tmp_path / "copy.incomplete"
    for _ in range(2):  # in the log alone, then in the database too
        left = {each.name: each.read_bytes() for each in path.iterdir() if each.name != "lock"}
        (tmp_path / "left").mkdir()
        for name, content in left.items():
            (tmp_path / "left" / name).write_bytes(content)
        with pytest.raises(Corrupt, match="a backup that was not finished"):
            await store_in(tmp_path / "left").claim("reader")
        for each in (tmp_path / "left").iterdir():
            each.unlink()
        (tmp_path / "left").rmdir()
        target._engine._checkpoint()
    target.give_up()
    assert names(tmp_path) == []


async def test_damage_in_the_store_ends_it_and_not_in_the_copy(tmp_path: Path) -> None:
    store = store_in(tmp_path / "data")
    claim = await store.claim("writer")
    await store.append(claim, 0, b"x", Slice([Record(MESSAGES, 7, 1, b"right")]))
    store._engine._db.execute(f"UPDATE space_{MESSAGES.number} SET value = x'00'")
    with pytest.raises(Corrupt, match="7 of messages"):
        await store.backup(claim, tmp_path / "copy")
    with pytest.raises(StoreError, match="has failed before"):
        await store.append(claim, 1, b"two")
    await store.close()
