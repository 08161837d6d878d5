"""The tallies say what the tables hold, whatever was put, dropped or reclaimed."""

import random
from pathlib import Path

import pytest

from ropewayd.store.protocol import GROUP_BITS, Corrupt, KeyRange, Record, Slice
from ropewayd.store.sqlite import SqliteStore
from ropewayd.store.tally import Tally, group_of, in_group, read
from tests.store.damage import connect
from tests.store.places import MESSAGES


async def test_they_follow_the_rows(tmp_path: Path) -> None:
    dice = random.Random(5)
    store = SqliteStore(tmp_path / "data", wal_bytes=1 << 18, reserve_bytes=0, connector=connect)
    claim = await store.claim("test")
    engine = store._engine
    groups, lsn = range(4), 0

    def key() -> int:
        return in_group(dice.choice(groups), dice.randrange(200))

    for _ in range(150):
        puts = [Record(MESSAGES, key(), lsn, dice.randbytes(9)) for _ in range(dice.choice((0, 1, 90)))]
        drops = [(MESSAGES, key()) for _ in range(dice.choice((0, 1, 90)))]
        ranges = []
        if dice.random() < 0.2:
            first = key()
            ranges = [KeyRange(MESSAGES, first, first + dice.choice((3, 50, 1 << GROUP_BITS)))]
        lsn = await store.append(claim, lsn, b"x", Slice(puts, drops, ranges))
        if dice.random() < 0.3:
            await store.tidy()
        there = {group: Tally() for group in groups}
        if engine._records._spaces:
            for found, check in engine._db.execute(f"SELECT key, checksum FROM space_{MESSAGES.number}"):
                there.setdefault(group_of(found), Tally()).count(found, check, 1)
        for group, tally in there.items():
            assert read(engine._db, engine._state.seed, MESSAGES.number, group) == tally
    await store.close()
    store = SqliteStore(tmp_path / "data", reserve_bytes=0, connector=connect)
    assert (await store.recover(await store.claim("test"))).records == []
    await store.close()


async def test_a_group_does_not_end_with_more_rows_than_it_counts(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "data", reserve_bytes=0, connector=connect)
    claim = await store.claim("test")
    await store.append(claim, 0, b"x", Slice([Record(MESSAGES, key, 1, b"") for key in range(3)]))
    table = f"space_{MESSAGES.number}"
    store._engine._db.execute(f"INSERT INTO {table} SELECT 9, lsn, checksum, value FROM {table} LIMIT 1")
    with pytest.raises(Corrupt, match="does not have the rows that it counts"):
        await store.append(claim, 1, b"x", Slice(drops=[(MESSAGES, key) for key in range(10)]))
    await store.close()


def test_what_is_missing_is_said() -> None:
    said = Tally()
    for key in (5, 7, 9):
        said.count(in_group(3, key), key * 100, 1)
    assert said.missing(Tally(3, 2100, 21)) is None
    assert said.missing(Tally(2, 1400, 14)) == "1 of 3 rows is hidden, that of key 7"
    assert said.missing(Tally(1, 500, 5)) == "2 of 3 rows are hidden"
    assert said.missing(Tally(4, 0, 0)) == "1 rows are too many beside 3"
    assert said.missing(Tally(3, 1, 21)) == "the 3 rows are not those that were written"
