"""A backup holds the store as it was at one moment of its making, whatever is written meanwhile."""

import asyncio
import random
import stat
from pathlib import Path

import pytest

from ropewayd.store import backup
from ropewayd.store.protocol import Claim, Corrupt, Record, Slice, StoreError, Unplaced
from ropewayd.store.sqlite import SqliteStore
from tests.faults.ledger import Append, Contents, State, read_all
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


class Script:
    """Random appends, and what the store holds after each."""

    def __init__(self, seed: int, store: SqliteStore, claim: Claim) -> None:
        self.chance = random.Random(seed)
        self.store, self.claim = store, claim
        self.state = State()

    async def steps(self, count: int) -> None:
        done = 0
        while done < count:
            step = next_step(self.chance, self.state)
            if isinstance(step, Append):
                await self.store.append(self.claim, self.state.last, step.batch, step.slice)
                self.state.append(step)
                done += 1
            elif step == "tidy":
                await self.store.tidy()


@pytest.mark.parametrize("seed", range(6))
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
    found = await contents(tmp_path / "copy")
    assert found in moments
    assert copied.last_lsn == (found.recovered.tail[-1].lsn if found.recovered.tail else copied.last_lsn)
    assert await contents(tmp_path / "copy") == found
    assert await contents(tmp_path / "data") == script.state.contents()
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "copy").iterdir()]
    assert set(modes) == {0o600}
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700


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
