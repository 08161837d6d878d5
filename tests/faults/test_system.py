"""What the store asks of the system beside SQLite fails in turn: directories, modes, the lock, its look at
the log."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropewayd.store.protocol import Entry, Refused, StoreError, Unknown, Unusable
from ropewayd.store.sqlite import SqliteStore
from tests.store.damage import connect

CALLS = (
    *("open", "fsync", "fchmod", "ftruncate", "pwrite", "posix_fallocate", "statvfs", "stat", "mkdir"),
    *("chmod", "unlink", "listdir", "scandir"),
)


class System:
    """Counts the calls of every thread but this one, and fails that of number `at`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.at = 0
        self.error = 0
        self._mine = threading.get_ident()
        for name in CALLS:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))
        monkeypatch.setattr(io, "open", self._counted(io.open))

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._mine:
                self.calls += 1
                if self.calls == self.at:
                    raise OSError(self.error, os.strerror(self.error))
            return call(*args, **kwargs)

        return counted


async def live(path: Path) -> int:
    """A short life of a store; give the last lsn that it has acknowledged."""
    store = SqliteStore(path, reserve_bytes=1 << 14, wal_bytes=1 << 16, connector=connect)
    lsn = 0
    try:
        claim = await store.claim("test")
        lsn = claim.last_lsn
        for _ in range(5):
            lsn = await store.append(claim, lsn, bytes(20_000))
        while await store.tidy():
            pass
        await store.figures()
    finally:
        await store.close()
    return lsn


async def check(path: Path, said: int) -> None:
    store = SqliteStore(path, reserve_bytes=0, connector=connect)
    claim = await store.claim("check")
    assert claim.last_lsn >= said
    tail = (await store.recover(claim)).tail
    assert tail == [Entry(lsn, bytes(20_000)) for lsn in range(1, claim.last_lsn + 1)]
    await store.close()


@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (errno.EIO, (Unknown,)),
        (errno.ENOSPC, (Refused,)),
        (errno.EACCES, (Unusable,)),
    ],
)
async def test_each_call_of_the_system_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, kinds: tuple[type[StoreError], ...]
) -> None:
    system = System(monkeypatch)
    system.error = error
    await live(tmp_path / "whole")
    first = system.calls
    await live(tmp_path / "whole")
    assert first > 20
    failed = 0
    for at in range(1, first + 1):
        path = tmp_path / str(at)
        system.calls, system.at = 0, at
        said = 0
        try:
            said = await live(path)
        except StoreError as found:
            failed += 1
            assert isinstance(found, kinds), (at, found)  # noqa: PT017  # many calls may fail without harm
            assert str(path) in str(found)  # noqa: PT017
        system.at = 0
        await check(path, said)
    assert failed > 5
