"""Sizes that the space watch goes by."""

import os
from pathlib import Path

from ropewayd.store.protocol import KeyRange, Record, Slice, Space
from ropewayd.store.sqlite import SqliteStore

ROWS = Space(200, "rows", paged=True)
MIB = 1 << 20


async def test_what_the_store_will_use_again_counts_as_free(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "data", wal_bytes=MIB, reserve_bytes=0)
    claim = await store.claim("test")
    puts = [Record(ROWS, key, 1, os.urandom(60_000)) for key in range(200)]
    lsn = await store.append(claim, 0, b"x", Slice(puts=puts))
    while await store.tidy():
        pass

    async def kept() -> int:
        room = os.statvfs(tmp_path)
        return (await store.figures()).free_bytes - room.f_bavail * room.f_frsize

    before = await kept()
    await store.append(claim, lsn, b"x", Slice(drop_ranges=[KeyRange(ROWS, 0, 199)]))
    while await store.tidy():
        pass
    # Twelve million bytes of rows are free pages now; other programs on the disk may move the rest a little.
    assert await kept() - before > 6 * MIB
    await store.close()
