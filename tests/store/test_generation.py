"""A database and a log of different times: a start refuses them, or finds the store as it was at one time."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ropewayd.store import wal
from ropewayd.store.generation import NUMBERS, Stamp, check_generation, first_number
from ropewayd.store.protocol import Corrupt, KeyRange, Record, Slice, StoreError
from ropewayd.store.sqlite import SqliteStore
from tests.store.damage import Contents, TidyConnection, contents
from tests.store.places import MESSAGES, NAMES, OTHERS, image

DATABASE, LOG = "ropeway.db", "ropeway.db-wal"


class Moment(NamedTuple):
    """The files of a store as they were, and what a start finds in them. `folding`: the log was just being
    folded into the database."""

    files: dict[str, bytes]
    found: Contents
    folding: bool

    @property
    def log(self) -> bytes:
        return self.files.get(LOG, b"")


class Careless(TidyConnection):
    """Syncs nothing, for speed: the power stays on here."""

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        return super().execute(statement.replace("synchronous = FULL", "synchronous = OFF"), parameters)


class Camera(Careless):
    """Takes an image before and after the log is folded."""

    film: list[Path]
    root: Path
    data: Path

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        fold = statement.startswith("PRAGMA wal_checkpoint")
        if fold:
            self.take()
        done = super().execute(statement, parameters)
        if fold:
            done = Rows(done.fetchall())  # type: ignore[assignment]
            self.take()
        return done

    @classmethod
    def take(cls) -> None:
        cls.film.append(image(cls.data, cls.root / f"image-{len(cls.film)}"))


class Rows:
    """What a statement gave, read to its end: so what it does is done."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def fetchone(self) -> Any:
        return self.rows.pop(0)


def opened(path: Path, factory: type[TidyConnection]) -> SqliteStore:
    return SqliteStore(
        path,
        wal_bytes=3 << 17,
        reserve_bytes=0,
        connector=lambda at: sqlite3.connect(
            at, isolation_level=None, check_same_thread=False, factory=factory
        ),
    )


async def judge(path: Path) -> Contents | StoreError:
    store = opened(path, Careless)
    try:
        return await contents(store)
    except StoreError as error:
        return error
    finally:
        await store.close()


async def history(root: Path, seed: int) -> list[Moment]:
    """A store's moments in order: two lives that end in order, and one that does not."""
    dice = random.Random(seed)
    Camera.film, Camera.root, Camera.data = [], root, root / "data"
    lsn = 0
    for life in range(3):
        store = opened(Camera.data, Camera)
        claim = await store.claim("history")
        for _ in range(7):
            puts = [Record(NAMES, dice.randbytes(1), lsn, dice.randbytes(20))]
            puts += [
                Record(dice.choice((MESSAGES, OTHERS)), dice.randrange(60), lsn, dice.randbytes(9_000))
                for _ in range(4)
            ]
            first = dice.randrange(60)
            ranges = [KeyRange(MESSAGES, first, first + dice.randrange(9))] if dice.random() < 0.4 else ()
            given = Slice(puts, drop_ranges=ranges, trim_to=max(0, lsn - 3))
            lsn = await store.append(claim, lsn, dice.randbytes(dice.choice((10, 8_000))), given)
            if dice.random() < 0.3:
                await store.tidy()
            if dice.random() < 0.6:
                Camera.take()
        if life == 2:
            Camera.take()
        await store.close()
        if life < 2:
            Camera.take()
    files = [{file.name: file.read_bytes() for file in path.iterdir()} for path in Camera.film]
    whole = [(each, False) for each in files]
    for before, after in pairwise(files):
        if before.get(LOG) == after.get(LOG) and before[DATABASE] != after[DATABASE]:
            # In the midst of the fold: SQLite writes pages in order.
            for pages in (1, 3):
                cut = pages * 16384
                whole.append(({**before, DATABASE: after[DATABASE][:cut] + before[DATABASE][cut:]}, True))
    moments = []
    for number, (each, folding) in enumerate(whole):
        found = await judge(write(root / f"moment-{number}", each))
        assert isinstance(found, Contents), found
        moments.append(Moment(each, found, folding))
    return moments


def write(path: Path, files: dict[str, bytes]) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def follows(path: Path, moment: Moment, log: bytes) -> bool:
    """Whether this log is the one right after the fold that the moment is in the midst of."""
    (path / "log").write_bytes(log)
    began = Stamp.of_page(wal.scan(path / "log").base_page)
    return moment.folding and began == Stamp.of_page(moment.files[DATABASE]).beginning()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_database_and_a_log_of_different_times(tmp_path: Path, seed: int) -> None:
    """Whatever is put together, a start that succeeds finds what was there at one time."""
    moments = asyncio.run(history(tmp_path, seed))
    states = [moment.found for moment in moments]
    dice, outcomes = random.Random(seed), Counter[str]()
    places = range(len(moments))
    pairs = [(i, j) for i in places for j in places if moments[i].log != moments[j].log and moments[j].log]
    near = [pair for pair in pairs if abs(pair[0] - pair[1]) < 4]
    for i, j in dice.sample(near, min(len(near), 50)) + dice.sample(pairs, 50):
        one, two = moments[i], moments[j]
        if follows(tmp_path, one, two.log):
            continue  # the one pairing that cannot be told: see generation.py
        found = asyncio.run(judge(write(tmp_path / "pair", {DATABASE: one.files[DATABASE], LOG: two.log})))
        if isinstance(found, StoreError):
            assert isinstance(found, Corrupt), repr(found)
            outcomes["refused"] += 1
            outcomes["by number"] += "of another time" in str(found)
        else:
            assert found in states
            outcomes["whole"] += 1
    assert outcomes["by number"] > 40, outcomes
    assert outcomes["whole"] > 0, outcomes


def test_the_log_of_another_store(tmp_path: Path) -> None:
    """The numbers of two stores that did the very same differ."""
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        found.append(asyncio.run(history(tmp_path / name, 1)))
    tried = 0
    for one, two in zip(*found, strict=True):
        path = write(tmp_path / "pair", {DATABASE: one.files[DATABASE], LOG: two.log})
        if wal.scan(path / LOG).frames and Stamp.of_page(one.files[DATABASE]).format:
            said = asyncio.run(judge(path))
            assert isinstance(said, Corrupt), said
            assert "does not belong to this database" in str(said)
            tried += 1
    assert tried > 20


def page(word: int) -> bytes:
    return bytes(60) + word.to_bytes(4, "big") + bytes(36)


def test_numbers_go_round() -> None:
    last = Stamp(2, NUMBERS - 2)
    assert last.folding() == Stamp(2, NUMBERS - 1)
    assert last.folding().beginning() == Stamp(2, 0)
    assert last.folding().folding() == Stamp(2, 1)
    check_generation("log", page(last.folding().word), page(Stamp(2, 0).word), page(Stamp(2, 1).word))
    check_generation("log", page(Stamp(2, 1).word), page(last.word), page(Stamp(2, 3).word))
    with pytest.raises(Corrupt):
        check_generation("log", page(Stamp(2, 5).word), page(last.word), page(Stamp(2, 3).word))
    assert Stamp.of(last.word) == last
    assert first_number(b"\xff" * 16) == NUMBERS - 2
