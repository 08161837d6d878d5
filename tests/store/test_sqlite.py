"""What is particular to the store on SQLite: its files, its lock, its refusals, its formats."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ropewayd.store import tables
from ropewayd.store.generation import Stamp
from ropewayd.store.protocol import (
    Claim,
    Corrupt,
    Entry,
    Fenced,
    KeyRange,
    Locked,
    Newer,
    Record,
    Recovered,
    Refused,
    Slice,
    StoreError,
    Unknown,
    Unusable,
)
from ropewayd.store.sqlite import SqliteStore
from tests.store.damage import TidyConnection, connect, examine
from tests.store.places import MESSAGES, NAMES, image


class Failing(sqlite3.Connection):
    """A connection that fails where it is told to: statements that begin so get this result code."""

    plan: dict[str, int]

    def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
        for beginning, code in getattr(self, "plan", {}).items():
            if statement.startswith(beginning):
                error = sqlite3.OperationalError("planned")
                error.sqlite_errorcode = code
                error.sqlite_errorname = f"CODE_{code}"
                raise error
        return super().execute(statement, parameters)


class Disk:
    """A directory, and the connections that were made to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.made: list[Failing] = []

    def connect(self, path: str) -> Failing:
        self.made.append(
            sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Failing)
        )
        return self.made[-1]

    def store(self, **settings: Any) -> SqliteStore:
        return SqliteStore(self.path, **{"reserve_bytes": 0, "connector": self.connect, **settings})

    def fail(self, beginning: str = "", code: int = 0) -> None:
        """From now on statements that begin so fail with this code; without a beginning, none."""
        self.made[-1].plan = {beginning: code} if beginning else {}


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "data")


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def modes(path: Path) -> dict[str, str]:
    return {file.name: oct(file.stat().st_mode & 0o777) for file in (path, *path.iterdir())}


# Files


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
async def test_nobody_else_may_look(tmp_path: Path, umask: Callable[[int], int], mask: int) -> None:
    umask(mask)
    path = tmp_path / "data"
    store = SqliteStore(path, reserve_bytes=1 << 16)
    claim = await store.claim("test")
    await store.append(claim, 0, b"one")
    assert modes(path) == {
        "data": "0o700",
        "lock": "0o600",
        "reserve": "0o600",
        "ropeway.db": "0o600",
        "ropeway.db-wal": "0o600",
    }
    await store.close()
    assert "ropeway.db-wal" not in modes(path)


async def test_modes_that_were_loosened_are_mended(disk: Disk) -> None:
    store = disk.store()
    await store.claim("test")
    await store.close()
    disk.path.chmod(0o755)
    (disk.path / "ropeway.db").chmod(0o644)
    store = disk.store()
    await store.claim("test")
    assert set(modes(disk.path).values()) == {"0o700", "0o600"}
    await store.close()


async def test_the_mode_of_a_directory_that_is_somebody_elses_business_stays(disk: Disk) -> None:
    disk.path.mkdir(mode=0o755)
    (disk.path / "letter.txt").touch()
    store = disk.store()
    await store.claim("test")
    await store.close()
    assert modes(disk.path)["data"] == "0o755"
    assert modes(disk.path)["ropeway.db"] == "0o600"


@pytest.mark.parametrize("where", ["missing/data", "file", "file/data", "not\0a name"])
async def test_a_place_that_cannot_be_used_is_unusable(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    store = SqliteStore(tmp_path / where)
    with pytest.raises(Unusable) as caught:
        await store.claim("test")
    assert str(tmp_path / where) in str(caught.value)
    assert not isinstance(caught.value, Locked)
    await store.close()


async def test_a_database_that_sqlite_cannot_open_for_writing_is_unusable(disk: Disk) -> None:
    def refuse(_: str) -> sqlite3.Connection:
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY
        raise error

    with pytest.raises(Unusable, match=r"ropeway\.db cannot be opened for writing"):
        await disk.store(connector=refuse).claim("test")
    # And the lock was let go.
    store = disk.store()
    await store.claim("test")
    await store.close()


# The lock


async def test_a_second_store_is_told_who_is_there(disk: Disk) -> None:
    store = disk.store()
    await store.claim("owner of this test")
    with pytest.raises(Locked, match=rf"in use .*pid {os.getpid()}, owner of this test"):
        await disk.store().claim("second")
    await store.close()
    second = disk.store()
    await second.claim("second")
    await second.close()


async def test_another_process_is_kept_out(disk: Disk) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from ropewayd.store.sqlite import SqliteStore\n"
        "try: asyncio.run(SqliteStore(Path(sys.argv[1])).claim('x'))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    store = disk.store()
    await store.claim("first")
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(disk.path), stdout=subprocess.PIPE
    )
    out, _ = await run.communicate()
    assert out.startswith(b"Locked")
    assert f"pid {os.getpid()}, first".encode() in out
    await store.close()


async def test_another_program_in_the_database_is_noticed(disk: Disk) -> None:
    store = disk.store()
    await store.claim("first")
    await store.close()
    other = sqlite3.connect(disk.path / "ropeway.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Locked, match="open in another process"):
        await SqliteStore(disk.path).claim("second")
    other.close()


async def test_nobody_else_gets_into_the_database(disk: Disk) -> None:
    store = disk.store()
    claim = await store.claim("first")
    await store.append(claim, 0, b"one")
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM journal')"
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(disk.path / "ropeway.db"), stderr=subprocess.PIPE
    )
    _, err = await run.communicate()
    assert b"database is locked" in err
    await store.close()


# A full disk, and one that fails


async def fill(store: SqliteStore, claim: Claim, size: int = 20_000) -> int:
    """Append until it is refused; give the last lsn."""
    lsn = (await store.recover(claim)).tail[-1].lsn
    try:
        while lsn < 10_000:
            lsn = await store.append(claim, lsn, bytes([lsn % 256]) * size)
    except Refused as error:
        assert "full" in str(error)  # noqa: PT017  # raises() would hold the loop
        return lsn
    raise AssertionError("the disk is never full")


@pytest.mark.parametrize("with_slice", [False, True])
async def test_a_full_disk_refuses_and_the_claim_stands(disk: Disk, with_slice: bool) -> None:
    store = disk.store()
    claim = await store.claim("test")
    await store.append(
        claim, 0, b"one", Slice([Record(MESSAGES, 1, 1, b"old"), Record(NAMES, b"a", 1, b"old")])
    )
    disk.made[0].execute("PRAGMA max_page_count = 40").fetchall()
    lsn = await fill(store, claim)
    before = await store.recover(claim), await store.page(claim, MESSAGES, 0, 99, 99, 9999)
    if with_slice:
        given = Slice(
            [Record(NAMES, b"a", lsn, b"new"), Record(MESSAGES, 2, lsn, bytes(500_000))],
            drop_ranges=[KeyRange(MESSAGES, 0, 50)],
            trim_to=lsn,
        )
        with pytest.raises(Refused):
            await store.append(claim, lsn, b"", given)
    assert (await store.recover(claim), await store.page(claim, MESSAGES, 0, 99, 99, 9999)) == before
    disk.made[0].execute("PRAGMA max_page_count = 1000").fetchall()
    assert await store.append(claim, lsn, b"goes on") == lsn + 1
    await store.close()
    store = disk.store()
    assert (await store.claim("after")).last_lsn == lsn + 1
    await store.close()


async def test_trimming_makes_room_on_a_full_disk(disk: Disk) -> None:
    store = disk.store()
    claim = await store.claim("test")
    await store.append(claim, 0, b"one")
    disk.made[0].execute("PRAGMA max_page_count = 60").fetchall()
    lsn = await fill(store, claim)
    await store.append(claim, lsn, b"", Slice(trim_to=lsn))
    while await store.tidy():
        pass
    assert await store.append(claim, lsn, bytes(100_000)) == lsn + 1
    await store.close()


async def test_the_reserve_is_given_up_when_the_disk_is_full_and_built_again(disk: Disk) -> None:
    store = disk.store(reserve_bytes=1 << 16, wal_bytes=1 << 16)
    claim = await store.claim("test")
    await store.append(claim, 0, b"one")
    assert (disk.path / "reserve").stat().st_size == 1 << 16
    disk.made[0].execute("PRAGMA max_page_count = 40").fetchall()
    await fill(store, claim)
    assert not (disk.path / "reserve").exists()
    disk.made[0].execute("PRAGMA max_page_count = 4000").fetchall()
    await fill_a_little(store, claim)
    while await store.tidy():
        pass
    assert (disk.path / "reserve").stat().st_size == 1 << 16
    await store.close()


async def fill_a_little(store: SqliteStore, claim: Claim) -> None:
    lsn = (await store.recover(claim)).tail[-1].lsn
    await store.append(claim, lsn, bytes(100_000))


@pytest.mark.parametrize("statement", ["INSERT", "COMMIT"])
async def test_an_io_error_is_unknown_and_ends_the_store(disk: Disk, statement: str) -> None:
    store = disk.store()
    claim = await store.claim("test")
    await store.append(claim, 0, b"one")
    disk.fail(statement, sqlite3.SQLITE_IOERR_FSYNC)
    given = Slice([Record(NAMES, b"a", 2, b"")]) if statement == "COMMIT" else None
    with pytest.raises(Unknown, match="The disk failed"):
        await store.append(claim, 1, b"two", given)
    disk.fail()
    for call in (store.append(claim, 1, b"x"), store.recover(claim), store.tidy(), store.claim("again")):
        with pytest.raises(Unknown, match="has failed before"):
            await call
    before = hashes(disk.path)
    await store.close()
    assert hashes(disk.path) == before
    assert "ropeway.db-wal" in before


async def append_many(store: SqliteStore, claim: Claim) -> None:
    for lsn in range(20):
        await store.append(claim, lsn, bytes(20_000))


async def test_a_full_disk_while_the_log_is_folded_in_loses_nothing(disk: Disk) -> None:
    store = disk.store(wal_bytes=1 << 16)
    claim = await store.claim("test")
    disk.fail("PRAGMA wal_checkpoint", sqlite3.SQLITE_FULL)
    await append_many(store, claim)
    assert not await store.tidy()
    path = image(disk.path, disk.path.parent / "image")
    await store.close()
    found = await examine(path)
    assert not isinstance(found, StoreError)
    assert [entry.lsn for entry in found.tail] == list(range(1, 21))


async def test_an_io_error_while_the_log_is_folded_in_ends_the_store(disk: Disk) -> None:
    store = disk.store(wal_bytes=1 << 16)
    claim = await store.claim("test")
    disk.fail("PRAGMA wal_checkpoint", sqlite3.SQLITE_IOERR_FSYNC)
    with pytest.raises(Unknown, match="folding the write-ahead log"):
        await append_many(store, claim)
    path = image(disk.path, disk.path.parent / "image")
    await store.close()
    found = await examine(path)
    assert not isinstance(found, StoreError)
    assert len(found.tail) > 1


async def test_corruption_while_reading_ends_the_store(disk: Disk) -> None:
    store = disk.store()
    claim = await store.claim("test")
    await store.append(claim, 0, b"one", Slice([Record(MESSAGES, 7, 1, b"right")]))
    disk.made[0].execute("UPDATE space_10 SET value = x'00'")
    with pytest.raises(Corrupt, match=r"7 of messages \(space 10\) is damaged"):
        await store.read(claim, MESSAGES, [7])
    with pytest.raises(Unknown, match="has failed before"):
        await store.append(claim, 1, b"two")
    await store.close()


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ("DELETE FROM journal WHERE lsn = 2", "Journal row 2 is missing"),
        ("DELETE FROM journal WHERE lsn = 1", "Journal row 1 is missing"),
        ("DELETE FROM journal WHERE lsn = 3", "ends at lsn 2, but lsn 3 was written"),
        ("UPDATE journal SET events = 'text' WHERE lsn = 2", "Journal row 2 is damaged"),
        ("UPDATE journal SET checksum = checksum + 1 WHERE lsn = 3", "Journal row 3 is damaged"),
        ("DELETE FROM small WHERE key = x'61'", "not what was written"),
        ("UPDATE small SET key = x'63' WHERE key = x'61'", "Record 63 of names"),
        ("UPDATE small SET lsn = 9 WHERE key = x'61'", "Record 61 of names"),
        ("UPDATE small SET value = 5 WHERE key = x'62'", "Record 62 of names"),
        ("DELETE FROM spaces", "space 1"),
        ("UPDATE spaces SET name = x'61'", "space 1"),
        ("DELETE FROM dropped", "not what was written"),
        ("UPDATE dropped SET last = last + 1", "The dropped range 5 to 10 of space 10 is damaged"),
        ("UPDATE state SET trimmed = 1", "state row is damaged"),
        ("UPDATE state SET epoch = 'x'", "state row is damaged"),
        ("DELETE FROM state", "state row is damaged"),
    ],
)
async def test_what_was_changed_behind_our_back_is_corrupt_by_name(disk: Disk, harm: str, says: str) -> None:
    store = disk.store()
    claim = await store.claim("test")
    puts = [Record(NAMES, b"a", 1, b"A"), Record(NAMES, b"b", 1, b"B"), Record(MESSAGES, 1, 1, b"")]
    await store.append(claim, 0, b"one", Slice(puts))
    await store.append(claim, 1, b"two", Slice(drop_ranges=[KeyRange(MESSAGES, 5, 9)]))
    await store.append(claim, 2, b"three")
    await store.close()
    other = sqlite3.connect(disk.path / "ropeway.db", isolation_level=None)
    assert other.execute(harm).rowcount > 0
    other.close()
    found = await examine(disk.path)
    assert isinstance(found, Corrupt), found
    assert says in str(found)


# Formats


def hashes(path: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.iterdir()
        if file.name.startswith("ropeway")
    }


async def make_newer(disk: Disk, where: str) -> Path:
    """A store of a later format, which is told in the database, or as yet only in the log."""
    store = disk.store()
    claim = await store.claim("test")
    await store.append(claim, 0, b"one")
    if where == "database":
        await store.close()
    else:
        await store.append(claim, 1, b"two")
        disk.made[0].execute("PRAGMA user_version = 9").fetchall()
        path = image(disk.path, disk.path.parent / "newer")
        await store.close()
        return path
    other = sqlite3.connect(disk.path / "ropeway.db", isolation_level=None)
    other.execute("PRAGMA user_version = 9").fetchall()
    other.close()
    return disk.path


@pytest.mark.parametrize("where", ["database", "log"])
async def test_a_newer_store_is_refused_and_not_touched(disk: Disk, where: str) -> None:
    path = await make_newer(disk, where)
    before = hashes(path)
    with pytest.raises(Newer, match=r"has format 9, and this Ropeway knows formats up to 3\. Install"):
        await SqliteStore(path).claim("test")
    assert hashes(path) == before


async def test_an_older_store_is_migrated_step_by_step(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    store = disk.store()
    claim = await store.claim("test")
    await store.append(claim, 0, b"one")
    await store.close()

    def third(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE third (a)")

    def fourth(db: sqlite3.Connection) -> None:
        db.execute("ALTER TABLE third RENAME TO fourth")

    def broken(db: sqlite3.Connection) -> None:
        db.execute("DROP TABLE journal")
        raise Corrupt("planned")

    monkeypatch.setattr(tables, "FORMAT", 5)
    monkeypatch.setattr(tables, "MIGRATIONS", {3: third, 4: broken})
    with pytest.raises(Corrupt, match="planned"):
        await disk.store(connector=connect).claim("test")
    monkeypatch.setattr(tables, "MIGRATIONS", {3: third, 4: fourth})
    store = disk.store()
    claim = await store.claim("test")
    assert await store.recover(claim) == Recovered([], [Entry(1, b"one")])
    assert disk.made[-1].execute("SELECT count(*) FROM fourth").fetchone() == (0,)
    (word,) = disk.made[-1].execute("PRAGMA user_version").fetchone()
    assert Stamp.of(word).format == 5
    await store.close()


async def test_a_crash_at_any_point_of_the_making_leaves_a_store_or_none(tmp_path: Path) -> None:
    """Every state of the files that a crash can leave while a store is first opened can be opened."""
    images: list[Path] = []
    data = tmp_path / "data"

    class Filming(TidyConnection):
        def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
            images.append(image(data, tmp_path / f"image-{len(images)}"))
            return super().execute(statement, parameters)

    store = SqliteStore(
        data,
        reserve_bytes=0,
        connector=lambda path: sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=Filming
        ),
    )
    await store.claim("test")
    await store.close()
    assert len(images) > 20
    for path in images:
        found = await examine(path)
        assert not isinstance(found, StoreError), repr(found)
        assert found.tail == []


# The claim, on disk


@pytest.mark.parametrize("batch", [b"two", b""])
@pytest.mark.parametrize("given", [None, Slice([Record(MESSAGES, 1, 1, b"")], trim_to=1)])
async def test_the_epoch_on_disk_counts_and_not_the_one_in_memory(
    disk: Disk, batch: bytes, given: Slice | None
) -> None:
    store = disk.store()
    claim = await store.claim("test")
    await store.append(claim, 0, b"one")
    disk.made[0].execute("UPDATE state SET epoch = epoch + 1")
    if batch or given:
        with pytest.raises(Fenced):
            await store.append(claim, 1, batch, given)
    assert (await store.recover(claim)).tail == [Entry(1, b"one")]
    assert await store.read(claim, MESSAGES, [1]) == []
    await store.close()


async def test_a_row_that_is_there_already_is_not_written_again(disk: Disk) -> None:
    store = disk.store()
    claim = await store.claim("test")
    await store.append(claim, 0, b"one")
    disk.made[0].execute("INSERT INTO journal VALUES (2, 0, x'00')")
    for given in (None, Slice([Record(MESSAGES, 1, 1, b"")])):
        with pytest.raises(Fenced, match="2 is there already"):
            await store.append(claim, 1, b"two", given)
    assert await store.read(claim, MESSAGES, [1]) == []
    await store.close()


# The thread


async def test_a_caller_that_stops_waiting_stops_nothing(disk: Disk) -> None:
    store = disk.store()
    claim = await store.claim("test")
    call = asyncio.create_task(store.append(claim, 0, b"one"))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await store.append(claim, 1, b"two") == 2
    await store.close()


async def test_an_append_is_one_hop_to_the_thread(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    store = disk.store()
    claim = await store.claim("test")
    assert store._connection is not None
    hops, put = [], store._connection._tx.put_nowait

    class Counting:
        def put_nowait(self, work: Any) -> None:
            hops.append(work)
            put(work)

    monkeypatch.setattr(store._connection, "_tx", Counting())
    await store.append(claim, 0, b"one")
    await store.append(claim, 1, b"two", Slice([Record(MESSAGES, n, 2, b"") for n in range(100)], trim_to=1))
    assert len(hops) == 2
    monkeypatch.undo()
    await store.close()


async def test_the_files_are_as_the_design_says(disk: Disk) -> None:
    store = disk.store()
    await store.claim("test")
    asked = {
        name: disk.made[0].execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_size", "synchronous", "mmap_size", "wal_autocheckpoint", "fullfsync")
    }
    assert asked == {
        "page_size": 16384,
        "synchronous": 2,
        "mmap_size": 0,
        "wal_autocheckpoint": 0,
        "fullfsync": 1,
    }
    assert disk.made[0].execute("PRAGMA journal_mode").fetchone() == (b"wal",)
    assert disk.made[0].execute("PRAGMA locking_mode").fetchone() == (b"exclusive",)
    await store.close()
