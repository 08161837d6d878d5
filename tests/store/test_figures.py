"""Sizes that the space watch goes by."""

import os
from pathlib import Path

import pytest

from ropewayd.store.directory import Directory
from ropewayd.store.protocol import KeyRange, Record, Slice, Space
from ropewayd.store.sqlite import SqliteStore

ROWS = Space(100, "rows", paged=True)
MIB = 1 << 20


async def kept(path: Path) -> int:
    """What a fresh start says is free beyond what the disk says: its log is empty."""
    store = SqliteStore(path, reserve_bytes=0)
    await store.claim("test")
    free = (await store.figures()).free_bytes
    await store.close()
    return free


async def test_what_the_store_will_use_again_counts_as_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Directory, "free", lambda self: 0)  # other programs write to the disk too
    path = tmp_path / "data"
    store = SqliteStore(path, reserve_bytes=0)
    claim = await store.claim("test")
    puts = [Record(ROWS, key, 1, os.urandom(60_000)) for key in range(200)]
    lsn = await store.append(claim, 0, b"x", Slice(puts=puts))
    await store.close()
    assert await kept(path) < 4 * MIB
    store = SqliteStore(path, reserve_bytes=0)
    claim = await store.claim("test")
    await store.append(claim, lsn, b"x", Slice(drop_ranges=[KeyRange(ROWS, 0, 199)]))
    while await store.tidy():
        pass
    await store.close()
    assert await kept(path) > 8 * MIB  # of the twelve million bytes of rows
