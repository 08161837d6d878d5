"""A store with something of everything in it, and what a start makes of it after some harm."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from pathlib import Path

import msgspec

from ropewayd.store.protocol import Claim, Entry, KeyRange, Record, Slice, StoreError
from ropewayd.store.sqlite import SqliteStore
from tests.store.places import MESSAGES, NAMES, OTHERS, TIMES, image


class Contents(msgspec.Struct, frozen=True):
    """All that a store gives back."""

    small: list[Record]
    tail: list[Entry]
    paged: list[Record]


class Sample(msgspec.Struct, frozen=True):
    """The files of a store that was not closed, and what is in them: as of the last commit, and the one
    before."""

    path: Path
    now: Contents
    before: Contents


class TidyConnection(sqlite3.Connection):
    """Pretends to have what Python 3.12 has, so that a store that gives up closes its files in tests."""

    def setconfig(self, *_: object) -> None:
        """The files are copies that nobody looks at again."""


def connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=TidyConnection)


async def contents(store: SqliteStore) -> Contents:
    claim = await store.claim("reader")
    recovered = await store.recover(claim)
    paged = []
    for space in (MESSAGES, OTHERS):
        paged += await store.page(claim, space, 0, 2**63 - 1, 1 << 20, 1 << 40)
    return Contents(recovered.records, recovered.tail, paged)


async def examine(path: Path) -> Contents | StoreError:
    """What a start in these files gives."""
    store = SqliteStore(path, reserve_bytes=0, connector=connect)
    try:
        return await contents(store)
    except StoreError as error:
        return error
    finally:
        await store.close()


def judge(path: Path) -> Contents | StoreError:
    """What a start in these files gives, outside of a loop."""
    return asyncio.run(examine(path))


def read(path: Path) -> Contents:
    """What is in these files, which are in order."""
    found = judge(path)
    assert isinstance(found, Contents), repr(found)
    return found


async def fill(path: Path) -> tuple[SqliteStore, Claim]:
    """A store whose database holds records, tail, remains of a trim and a dropped range, and whose log holds
    more."""
    rng = random.Random(7)
    store = SqliteStore(path, reserve_bytes=0, connector=connect)
    claim = await store.claim("writer")
    for lsn in range(40):
        await store.append(claim, lsn, rng.randbytes(rng.choice([100, 3000, 20_000])))
    small = [Record(NAMES, b"name %d" % n, 40, rng.randbytes(50)) for n in range(60)]
    small += [Record(TIMES, b"time", 40, rng.randbytes(20_000))]
    paged = [Record(MESSAGES, n * 3, 40, rng.randbytes(rng.choice([10, 300, 20_000]))) for n in range(100)]
    paged += [Record(OTHERS, 2**40 + n, 40, rng.randbytes(30)) for n in range(300)]
    await store.append(claim, 40, b"", Slice(small + paged, trim_to=20))
    await store.append(claim, 40, b"", Slice(drop_ranges=[KeyRange(MESSAGES, 30, 99)]))
    await store.close()

    store = SqliteStore(path, reserve_bytes=0, connector=connect)
    claim = await store.claim("writer")
    for lsn in range(40, 50):
        given = Slice(
            [Record(NAMES, b"name %d" % lsn, lsn, b"later"), Record(MESSAGES, lsn, lsn, rng.randbytes(500))],
            drops=[(OTHERS, 2**40 + lsn)],
            trim_to=lsn - 18,
        )
        await store.append(claim, lsn, rng.randbytes(rng.choice([100, 20_000])), given if lsn % 3 else None)
    return store, claim


def make_sample(root: Path) -> Sample:
    async def main() -> tuple[Path, Path]:
        store, claim = await fill(root / "live")
        before = image(root / "live", root / "before")
        await store.append(claim, 50, b"the last commit" * 1500)
        now = image(root / "live", root / "now")
        await store.close()
        return before, now

    before, now = asyncio.run(main())
    return Sample(now, read(copy(now, root / "a")), read(copy(before, root / "b")))


def copy(source: Path, target: Path) -> Path:
    if target.exists():
        shutil.rmtree(target)
    return image(source, target)


def flip(file: Path, rng: random.Random, start: int = 0) -> int:
    """Flip one bit of a file; give the place of its byte."""
    content = bytearray(file.read_bytes())
    at = rng.randrange(start, len(content))
    content[at] ^= 1 << rng.randrange(8)
    file.write_bytes(content)
    return at
