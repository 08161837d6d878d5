"""Bit rot: one bit of a store's files is flipped while nobody has them open, and a start must not be taken
in.

What may come of a flip: the start says Corrupt (or, where the bit is in the format's number, that a newer
version wrote it); or everything is as it was, since nothing that counts was hit. A flip in the frames of the
log's very last commit looks like a torn write, so there the state before that commit is right as well.
Anything else is Broken.

One thing the store leaves to whoever keeps records in its paged spaces: to count them. A bit of SQLite's own
structure can hide one, so that what is read of such a space is right but not all. It is counted apart.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock

from ropewayd.store.protocol import Corrupt, Newer, StoreError
from ropewayd.store.sqlite import SqliteStore
from ropewayd.store.wal import scan
from tests.faults.ledger import Append, Broken, Contents, Ledger, read_all
from tests.faults.script import next_step
from tests.store.damage import TidyConnection

MISSING: Final = "paged records missing"
STEPS: Final = 300
FLIPS: Final = 100
"""Of one sample."""


class Sample(NamedTuple):
    """The files of a store, what is in it, what was in it before its last append, and where in the log that
    append's commit begins."""

    files: dict[str, bytes]
    now: Contents
    before: Contents
    last_commit: int


class Flip(NamedTuple):
    file: str
    byte: int
    bit: int


class Careless(TidyConnection):
    """Syncs nothing, for speed: the power stays on here."""

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        return super().execute(statement.replace("synchronous = FULL", "synchronous = OFF"), parameters)


def connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Careless)


def store_in(path: Path) -> SqliteStore:
    return SqliteStore(path, wal_bytes=1 << 17, reserve_bytes=1 << 12, connector=connect)


async def make_sample(seed: int, path: Path) -> Sample:
    """A store that a random script has filled, as it is found after a crash; every third was closed."""
    chance = random.Random(seed)
    store = store_in(path)
    claim = await store.claim("rot")
    ledger = Ledger()
    before = ledger.state.contents()
    done = 0
    while done < STEPS:
        step = next_step(chance, ledger.state)
        if isinstance(step, Append):
            before = ledger.state.contents()
            ledger.begin(step)
            ledger.done(await store.append(claim, ledger.state.last, step.batch, step.slice))
            done += 1
        elif step == "tidy":
            while await store.tidy():
                pass
    step = Append(chance.randbytes(chance.choice((100, 30_000))), None)
    before = ledger.state.contents()
    ledger.begin(step)
    ledger.done(await store.append(claim, ledger.state.last, step.batch, None))
    if seed % 3 == 0:
        await store.close()
    files = contents_of(path)
    await store.close()
    return Sample(files, ledger.state.contents(), before, last_commit(path, files))


def contents_of(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def write_harmed(sample: Sample, flip: Flip, path: Path) -> None:
    """The sample's files in an empty directory, with the flip."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    for name, content in sample.files.items():
        harmed = bytearray(content)
        if name == flip.file:
            harmed[flip.byte] ^= 1 << flip.bit
        (path / name).write_bytes(harmed)


def last_commit(path: Path, files: dict[str, bytes]) -> int:
    """Where the frames of the last whole commit begin in the log; its end, if there is no log."""
    content = files.get("ropeway.db-wal", b"")
    file = path / "log"
    file.write_bytes(content)
    log = scan(file)
    size = 24 + log.page_size
    commits = [
        frame
        for frame in range(1, log.frames + 1)
        if any(content[32 + (frame - 1) * size + 4 : 32 + (frame - 1) * size + 8])
    ]
    return 32 + (commits[-2] if len(commits) > 1 else 0) * size if commits else len(content)


def choose(sample: Sample, chance: random.Random) -> Flip:
    """A bit: as often in the small files and in the pages' heads as by chance in what is large."""
    file = chance.choice(sorted(name for name, content in sample.files.items() if content))
    if file not in {"ropeway.db", "ropeway.db-wal"} and chance.random() < 0.8:
        file = "ropeway.db"
    size = len(sample.files[file])
    byte = chance.randrange(size)
    if file == "ropeway.db" and chance.random() < 0.5:
        byte = byte // 16384 * 16384 + chance.randrange(120)
    elif file == "ropeway.db-wal" and chance.random() < 0.3:
        byte = chance.choice(
            (chance.randrange(32), byte // (24 + 16384) * (24 + 16384) + chance.randrange(60))
        )
    return Flip(file, min(byte, size - 1), chance.randrange(8))


async def trial(sample: Sample, flip: Flip, path: Path) -> str:
    """What a start makes of a flip. Raises Broken."""
    write_harmed(sample, flip, path)
    store = store_in(path)
    try:
        claim = await store.claim("rot")
        found = await read_all(store, claim)
        return judge(sample, flip, found)
    except (Corrupt, Newer):
        return "named"
    except StoreError as error:
        raise Broken("wrong", f"{error!r}") from error
    finally:
        await store.close()


def judge(sample: Sample, flip: Flip, found: Contents) -> str:
    if found == sample.now:
        return "harmless"
    if found == sample.before and flip.file == "ropeway.db-wal" and flip.byte >= sample.last_commit:
        return "last commit"
    if found.recovered == sample.now.recovered and set(found.paged) < set(sample.now.paged):
        return MISSING
    raise Broken("lost", "what is read is not what was written")


def rot(seed: int, directory: Path, flips: int = FLIPS) -> Counter[str]:
    """Make a sample and flip bits in it, one at a time; count what came of it. Raises Broken."""

    async def run() -> Counter[str]:
        with mock.patch("os.urandom", random.Random(seed).randbytes):  # the identity of the store
            sample = await make_sample(seed, directory / f"sample-{seed}")
        harmed = directory / f"harmed-{seed}"
        chance = random.Random(seed)
        figures: Counter[str] = Counter()
        for _ in range(flips):
            flip = choose(sample, chance)
            try:
                figures[await trial(sample, flip, harmed)] += 1
            except Broken as broken:
                raise Broken(
                    broken.kind,
                    f"{broken.what} after {flip}; replay with: python -m tests.faults rot --seed {seed}",
                ) from broken
        return figures

    return asyncio.run(run())
