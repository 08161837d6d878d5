"""Where a store under test keeps what survives it, the same for every kind of store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ropewayd.store.memory import Disk, MemoryStore
from ropewayd.store.protocol import Space, Store
from ropewayd.store.sqlite import SqliteStore

NAMES = Space(1, "names", False)
TIMES = Space(2, "times", False)
MESSAGES = Space(10, "messages", True)
OTHERS = Space(11, "others", True)


class Place(Protocol):
    def store(self) -> Store:
        """A new store on what is there."""

    async def crash(self, store: Store) -> None:
        """End the store as a crash would: what comes next finds what is on disk at this moment."""


class MemoryPlace:
    def __init__(self, _: Path) -> None:
        self.disk = Disk()

    def store(self) -> MemoryStore:
        return MemoryStore(self.disk)

    async def crash(self, store: Store) -> None:
        assert isinstance(store, MemoryStore)
        store.crash()


class SqlitePlace:
    """A crash is a copy of the files as they are, and a store that goes on in the copy."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.crashes = 0
        self.path.mkdir()

    @property
    def path(self) -> Path:
        return self.root / f"data-{self.crashes}"

    def store(self) -> SqliteStore:
        # A small log, so that it is folded in often.
        return SqliteStore(self.path, wal_bytes=1 << 18, reserve_bytes=0)

    async def crash(self, store: Store) -> None:
        before = self.path
        self.crashes += 1
        image(before, self.path)
        await store.close()
        shutil.rmtree(before)


def image(source: Path, target: Path) -> Path:
    """What a crash at this moment would leave of a store that is open."""
    target.mkdir()
    for name in ("ropeway.db", "ropeway.db-wal"):
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    return target


PLACES: dict[str, Callable[[Path], Place]] = {"memory": MemoryPlace, "sqlite": SqlitePlace}
