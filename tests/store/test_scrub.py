"""What is on disk is read again: nothing is wrong however much is written meanwhile, and damage is named."""

import random
from pathlib import Path

import pytest

from ropewayd.store import scrub
from ropewayd.store.protocol import Claim, Corrupt, KeyRange, Record, Slice, Space
from ropewayd.store.sqlite import SqliteStore
from ropewayd.store.tally import in_group
from tests.faults.rot import connect
from tests.store.places import MESSAGES, NAMES, OTHERS


def store_in(path: Path) -> SqliteStore:
    return SqliteStore(path, wal_bytes=1 << 18, reserve_bytes=0, connector=connect)


def place(dice: random.Random) -> tuple[Space, int]:
    return dice.choice((MESSAGES, OTHERS)), in_group(dice.randrange(4), dice.randrange(40))


async def rounds(store: SqliteStore, claim: Claim, count: int = 1) -> int:
    """Read on until so many rounds are over; gives the bytes."""
    size = 0
    while count:
        read = await store.scrub(claim, 4000)
        size += read
        count -= not read
    return size


@pytest.mark.parametrize("seed", range(4))
async def test_a_store_in_order_is_found_in_order(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrub, "ROWS", 7)
    dice, over, lsn = random.Random(seed), 0, 0
    store = store_in(tmp_path / "data")
    claim = await store.claim("test")
    while over < 4:
        puts = [
            Record(
                dice.choice((MESSAGES, OTHERS)), in_group(dice.randrange(4), dice.randrange(40)), lsn, b"x"
            )
            for _ in range(dice.choice((0, 3, 20)))
        ]
        puts += [Record(NAMES, dice.randbytes(1), lsn, b"y") for _ in range(2)]
        drops = [place(dice) for _ in range(dice.choice((0, 3, 20)))]
        first = in_group(dice.randrange(4), dice.randrange(40))
        ranges = [KeyRange(MESSAGES, first, first + dice.choice((9, 1 << 41)))] if dice.random() < 0.1 else []
        lsn = await store.append(claim, lsn, b"row", Slice(puts, drops, ranges, max(0, lsn - 5)))
        if dice.random() < 0.3:
            await store.tidy()
        for _ in range(dice.randrange(4)):
            over += not await store.scrub(claim, 4000)
    await store.close()


async def filled(path: Path) -> tuple[SqliteStore, Claim]:
    store = store_in(path)
    claim = await store.claim("test")
    puts = [Record(MESSAGES, in_group(group, key), 1, b"x" * 100) for group in (0, 3, 4) for key in range(50)]
    await store.append(claim, 0, b"row", Slice([*puts, Record(NAMES, b"n", 1, b"name")]))
    assert await rounds(store, claim) > 15_000
    return store, claim


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (f"UPDATE space_10 SET value = x'00' WHERE key = {in_group(3, 7)}", "is damaged: its checksum"),
        (
            f"DELETE FROM space_10 WHERE key = {in_group(3, 7)}",
            r"group 3 of space 10 \(messages\), 1 of 50 rows is hidden, that of key 7",
        ),
        (
            f"DELETE FROM space_10 WHERE key BETWEEN {in_group(3, 0)} AND {in_group(4, 0) - 1}",
            "Group 3 .* is hidden",
        ),
        (f"DELETE FROM space_10 WHERE key < {in_group(1, 0)}", "Group 0 .* is hidden"),
        (f"DELETE FROM space_10 WHERE key >= {in_group(4, 0)}", "Group 4 .* is hidden"),
        ("DELETE FROM space_10", "Group 0 .* is hidden"),
        ("UPDATE small SET value = x'00' WHERE space = 1", "names .* is damaged"),
        ("UPDATE journal SET events = x'00'", "Journal row 1 is damaged"),
    ],
)
async def test_damage_is_named(tmp_path: Path, harm: str, said: str) -> None:
    store, claim = await filled(tmp_path / "data")
    store._engine._db.execute(harm)
    with pytest.raises(Corrupt, match=said):
        await rounds(store, claim)
    await store.close()
