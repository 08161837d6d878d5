"""Bit rot: one bit of a store's files is flipped, while nobody has them open or while they are served, and
the store must not be taken in.

What may come of a flip: the start, or a later call, says Corrupt (or, where the bit is in the format's
number, that a newer version wrote it); or everything is as it was, since nothing that counts was hit. A flip
in the frames of the log's very last commit looks like a torn write, so there the state before that commit is
right as well. Anything else is Broken.

A bit of SQLite's own structure can hide records of a paged space, so that what is read of it is right but not
all. A round of the scrub, which counts what is there, must then say so.
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

from ropewayd.store.protocol import Claim, Corrupt, Newer, StoreError
from ropewayd.store.sqlite import SqliteStore
from ropewayd.store.wal import scan
from tests.faults.ledger import Append, Broken, Ledger, State, read_all
from tests.faults.script import next_step
from tests.store.damage import TidyConnection

DATABASE: Final = "ropeway.db"
LOG: Final = "ropeway.db-wal"
STEPS: Final = 300
FLIPS: Final = 100
"""Of one sample."""


SERVED: Final = 30
"""Steps that are done with a file that is harmed."""


class Sample(NamedTuple):
    """The files of a store, what is in it, what was in it before its last append, and where in the log that
    append's commit begins."""

    files: dict[str, bytes]
    state: State
    before: State
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


def store_in(path: Path, cache_bytes: int = 32 << 20) -> SqliteStore:
    return SqliteStore(
        path, cache_bytes=cache_bytes, wal_bytes=1 << 17, reserve_bytes=1 << 12, connector=connect
    )


async def make_sample(seed: int, path: Path) -> Sample:
    """A store that a random script has filled, as it is found after a crash; every third was closed."""
    chance = random.Random(seed)
    store = store_in(path)
    claim = await store.claim("rot")
    ledger = Ledger()
    done = 0
    while done < STEPS:
        step = next_step(chance, ledger.state)
        if isinstance(step, Append):
            ledger.begin(step)
            ledger.done(await store.append(claim, ledger.state.last, step.batch, step.slice))
            done += 1
        elif step == "tidy":
            while await store.tidy():
                pass
    step = Append(chance.randbytes(chance.choice((100, 30_000))), None)
    before = ledger.state.copy()
    ledger.begin(step)
    ledger.done(await store.append(claim, ledger.state.last, step.batch, None))
    if seed % 3 == 0:
        await store.close()
    files = contents_of(path)
    await store.close()
    return Sample(files, ledger.state, before, last_commit(path, files))


def contents_of(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}


def write(files: dict[str, bytes], path: Path) -> None:
    """The files, in an empty directory."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    for name, content in files.items():
        (path / name).write_bytes(content)


def harm(path: Path, flip: Flip) -> None:
    with (path / flip.file).open("r+b") as file:
        file.seek(flip.byte)
        (byte,) = file.read(1)
        file.seek(flip.byte)
        file.write(bytes([byte ^ 1 << flip.bit]))


def last_commit(path: Path, files: dict[str, bytes]) -> int:
    """Where the frames of the last whole commit begin in the log; its end, if there is no log."""
    content = files.get(LOG, b"")
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


def end_of_log(path: Path, files: dict[str, bytes]) -> int:
    """Where the log's last whole commit ends; the file's own end, where a start would say Corrupt."""
    content = files.get(LOG, b"")
    file = path / "log"
    file.write_bytes(content)
    try:
        log = scan(file)
    except Corrupt:
        return len(content)
    finally:
        file.unlink()
    return 32 + log.frames * (24 + log.page_size)


def choose(files: dict[str, bytes], chance: random.Random) -> Flip:
    """A bit: as often in the small files and in the pages' heads as by chance in what is large."""
    file = chance.choice(sorted(name for name, content in files.items() if content))
    if file not in {DATABASE, LOG} and chance.random() < 0.8:
        file = DATABASE
    size = len(files[file])
    byte = chance.randrange(size)
    if file == DATABASE and chance.random() < 0.5:
        byte = byte // 16384 * 16384 + chance.randrange(120)
    elif file == LOG and chance.random() < 0.3:
        byte = chance.choice(
            (chance.randrange(32), byte // (24 + 16384) * (24 + 16384) + chance.randrange(60))
        )
    return Flip(file, min(byte, size - 1), chance.randrange(8))


async def look(path: Path, possible: list[State], before: State | None) -> str:
    """What a start makes of the files. It may find any of the possible states, and the one before the last
    commit, if that was hit. Raises Broken."""
    store = store_in(path)
    try:
        claim = await store.claim("rot")
        found = await read_all(store, claim)
        while await store.scrub(claim, 1 << 20):  # which counts what is there
            pass
    except (Corrupt, Newer):
        return "named"
    except StoreError as error:
        raise Broken("wrong", f"{error!r}") from error
    finally:
        await store.close()
    contents = [state.contents() for state in possible]
    if found in contents:
        return "harmless"
    if before is not None and found == before.contents():
        return "last commit"
    raise Broken("lost", "what is read is not what was written")


async def trial(sample: Sample, flip: Flip, path: Path) -> str:
    """A flip while nobody has the files open."""
    write(sample.files, path)
    harm(path, flip)
    in_last = flip.file == LOG and flip.byte >= sample.last_commit
    return await look(path, [sample.state], sample.before if in_last else None)


async def trial_served(sample: Sample, chance: random.Random, path: Path) -> tuple[Flip, str]:
    """A flip under a store that works on, until it says so, crashes, or is closed; and then a start.

    With a small cache it reads the files again and again.
    """
    write(sample.files, path)
    store = store_in(path, cache_bytes=chance.choice((1 << 14, 32 << 20)))
    ledger = Ledger()
    ledger.state = sample.state.copy()
    claim = await store.claim("rot")
    flip = choose(contents_of(path), chance)
    harm(path, flip)
    before = [ledger.state.copy()]
    named = False
    try:
        for _ in range(SERVED):
            await work(store, claim, ledger, chance, before)
        if chance.random() < 0.5:
            await store.close()
    except Corrupt:
        named = True
    except Hidden:
        await count_rows(store, claim)
        named = True
    except (StoreError, Broken) as error:
        raise Broken("wrong", f"{error!r} after {flip} while it was served") from error
    finally:
        files = contents_of(path)  # as a crash leaves them, where it was not closed
        await store.close()
    possible = [ledger.state]
    if ledger.pending is not None:
        possible.append(ledger.state.copy())
        possible[-1].append(ledger.pending)
    in_last = flip.file == LOG and flip.byte >= end_of_log(path, files)
    write(files, path)
    outcome = await look(path, possible, before[0] if in_last else None)
    return flip, "named while served" if named else outcome


async def count_rows(store: SqliteStore, claim: Claim) -> None:
    """Records are missing: a round of the scrub says so, or this raises Broken."""
    try:
        while await store.scrub(claim, 1 << 20):
            pass
    except Corrupt:
        return
    raise Broken("lost", "records are hidden, and whoever counts them does not see it")


class Hidden(Exception):
    """Records of a paged space are missing, see the module."""


async def work(
    store: SqliteStore, claim: Claim, ledger: Ledger, chance: random.Random, before: list[State]
) -> None:
    """One step of the script; `before` gets the state before an append."""
    step = next_step(chance, ledger.state)
    if isinstance(step, Append):
        before[0] = ledger.state.copy()
        ledger.begin(step)
        ledger.done(await store.append(claim, ledger.state.last, step.batch, step.slice))
    elif step == "tidy":
        while await store.tidy():
            pass
    else:
        found, must = await read_all(store, claim), ledger.state.contents()
        if found.recovered == must.recovered and set(found.paged) < set(must.paged):
            raise Hidden
        if found != must:
            raise Broken("lost", "what is read is not what was written")


def rot(seed: int, directory: Path, flips: int = FLIPS) -> Counter[str]:
    """Make a sample and flip bits in it, one at a time, every fifth while it is served; count what came of
    it. Raises Broken."""

    async def run() -> Counter[str]:
        with mock.patch("os.urandom", random.Random(seed).randbytes):  # the identity of the store
            sample = await make_sample(seed, directory / f"sample-{seed}")
        harmed = directory / f"harmed-{seed}"
        chance = random.Random(seed)
        figures: Counter[str] = Counter()
        for number in range(flips):
            flip = choose(sample.files, chance)
            try:
                if number % 5 == 4:
                    flip, outcome = await trial_served(sample, chance, harmed)
                    figures["served"] += 1
                else:
                    outcome = await trial(sample, flip, harmed)
            except Broken as broken:
                raise Broken(
                    broken.kind,
                    f"{broken.what} after {flip}; replay with: python -m tests.faults rot --seed {seed}",
                ) from broken
            figures[outcome] += 1
        return figures

    return asyncio.run(run())
