"""A store that is looked at is not changed, and what cannot be looked at says why."""

from __future__ import annotations

import asyncio
import fcntl
import os
from hashlib import blake2b
from pathlib import Path

import pytest

from ropewayd.inspection.opening import opened
from ropewayd.inspection.progress import Progress
from ropewayd.inspection.show import show
from ropewayd.store.protocol import Corrupt, Locked, Newer, StoreError, Unusable
from ropewayd.store.sqlite import SqliteStore
from tests.inspection.stories import COUNTS, Silent, counts, look, sample
from tests.store.damage import connect
from tests.store.places import image


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(sample(tmp_path_factory.mktemp("sample")))


@pytest.fixture
def store(crashed: Path, tmp_path: Path) -> Path:
    return image(crashed, tmp_path / "a store?#%20")


async def restart(path: Path) -> None:
    """A start and an orderly end."""
    store = SqliteStore(path, reserve_bytes=0, connector=connect)
    await store.claim("test")
    await store.close()


def traces(path: Path) -> dict[str, tuple[int, bytes]]:
    return {
        file.name: (file.stat().st_mtime_ns, blake2b(file.read_bytes()).digest()) for file in path.iterdir()
    }


@pytest.mark.parametrize("state", ["crashed", "closed", "damaged", "read-only"])
def test_nothing_is_changed(store: Path, state: str) -> None:
    if state == "closed":
        asyncio.run(restart(store))
        (store / "lock").unlink()
    if state == "damaged":
        os.truncate(store / "ropeway.db", (store / "ropeway.db").stat().st_size - 16384)
    if state == "read-only":
        for file in store.iterdir():
            file.chmod(0o400)
        store.chmod(0o500)
    before = traces(store)
    try:
        found = look(store)
        assert found.ok == (state != "damaged")
        if found.ok:
            assert counts(found) == COUNTS
            with opened(store, "a test") as seen:
                told = show(seen, Progress(Silent())).queues  # type: ignore[arg-type]
            assert {queue.name: queue.attributes["visible"] for queue in told} == {"jobs": 34, "mail": 3}
    except Corrupt:
        assert state == "damaged"
    assert traces(store) == before
    store.chmod(0o700)


def test_a_start_after_it_finds_everything(store: Path) -> None:
    assert look(store).log_frames
    asyncio.run(restart(store))
    assert counts(look(store)) == COUNTS


def test_the_lock_is_held_meanwhile_and_says_by_whom(store: Path) -> None:
    (store / "lock").write_text("pid 1, a daemon of old\n")
    with opened(store, "ropewayd store check"):
        assert (store / "lock").read_text().startswith(f"pid {os.getpid()}, ropewayd store check on ")
        with pytest.raises(Locked, match=f"pid {os.getpid()}"):
            asyncio.run(restart(store))
    asyncio.run(restart(store))


def test_a_store_in_use_is_left_alone(store: Path) -> None:
    with (store / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("pid 4711, ropewayd/1 on box\n")
        lock.flush()
        with pytest.raises(Locked, match=r"in use by another process \(pid 4711, ropewayd/1 on box\)"):
            look(store)
    assert look(store).ok


def test_a_store_that_changes_meanwhile_is_told(store: Path) -> None:
    with pytest.raises(Unusable, match="was changed while it was read"), opened(store, "a test"):
        asyncio.run(restart(store))  # nothing holds it off: there was no lock file


def test_what_was_found_in_a_store_that_changed_means_nothing(store: Path) -> None:
    def find() -> None:
        with opened(store, "a test"):
            os.utime(store / "ropeway.db")
            raise Corrupt("What was read was half of each.")

    with pytest.raises(Unusable, match="was changed while it was read"):
        find()


@pytest.mark.parametrize(
    ("harm", "kind", "said"),
    [
        ("rm -r", Unusable, "is not there"),
        ("file", Unusable, "is no directory"),
        ("empty", Unusable, "holds no store: there is no ropeway.db"),
        ("rm db", Corrupt, "ropeway.db is missing, but its log ropeway.db-wal is there"),
        ("rm wal", Corrupt, "ropeway.db-wal is missing or empty, but the store was not closed"),
        ("cut wal", Corrupt, "ropeway.db-wal is missing or empty, but the store was not closed"),
        ("empty db", Corrupt, "ropeway.db is empty, but its log ropeway.db-wal is there"),
        ("never", Unusable, "holds no store yet"),
        ("text", Corrupt, "it is not an SQLite database"),
        ("other", Corrupt, "none of Ropeway's"),
        ("newer", Newer, "has format 99"),
        ("wal", Corrupt, "Frame 1 of"),
    ],
)
def test_what_cannot_be_looked_at_says_why(store: Path, harm: str, kind: type[StoreError], said: str) -> None:
    database, log = store / "ropeway.db", store / "ropeway.db-wal"
    if harm in ("rm -r", "file", "empty"):
        database.unlink()
        log.unlink()
        if harm != "empty":
            store.rmdir()
        if harm == "file":
            store.write_text("text")
    if harm in ("rm db", "empty db"):
        database.unlink()
    if harm == "empty db":
        database.touch()
    if harm in ("rm wal", "never", "text", "other", "newer"):
        log.unlink()
    if harm == "cut wal":
        os.truncate(log, 20)
    if harm == "never":
        os.truncate(database, 0)
    if harm == "text":
        database.write_text("text " * 100)
    if harm in ("other", "newer"):
        content = bytearray(database.read_bytes())
        content[68:72] = b"Rope" if harm == "newer" else b"Bolt"
        content[63] = 99
        database.write_bytes(content)
    if harm == "wal":
        content = bytearray(log.read_bytes())
        content[100] ^= 1
        log.write_bytes(content)
    with pytest.raises(kind, match=said):
        look(store)
