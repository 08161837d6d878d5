"""The store on SQLite: the engine's calls, each one hop to the thread that owns the connection.

Rule 1  One call is one piece of work on the thread. Two calls never mix, and go in the order they were made.
Rule 2  A caller that stops waiting stops nothing: what was asked for is done.
Rule 3  Nothing runs that no one asked for.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from ropewayd.store.backup import Source, Target
from ropewayd.store.checks import check_batch, check_page, check_ranges, check_slice
from ropewayd.store.directory import Directory
from ropewayd.store.engine import Engine
from ropewayd.store.protocol import (
    Claim,
    Copied,
    Figures,
    Key,
    KeyRange,
    Record,
    Recovered,
    Slice,
    Space,
    StoreError,
)

Result = TypeVar("Result")


def connect(path: str) -> sqlite3.Connection:
    """A connection as the store wants it: in autocommit, with room for all of our statements."""
    return sqlite3.connect(
        path, timeout=0, isolation_level=None, cached_statements=1024, check_same_thread=False
    )


class Connection(aiosqlite.Connection):
    """aiosqlite's connection, with one more method: to run work of ours on its thread."""

    def __init__(self, connector: Callable[[], Any]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        # A process that ends without `close` ends like one that crashes: it does not wait for this thread.
        self._thread.daemon = True

    def run(self, work: Callable[..., Result], *given: object) -> asyncio.Future[Result]:
        """Run `work` on the connection's thread. The future can be awaited, or let go."""
        if not self._running:
            raise StoreError("The store is closed.")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, partial(work, *given)))
        return future

    def stop(self) -> asyncio.Future[Any] | None:
        """Tell the thread to end. SQLite's connection is left to whoever opened it."""
        self._connection = None
        return super().stop()

    async def finish(self) -> None:
        """End the thread."""
        ended = self.stop()
        if ended is not None:
            await ended
        self.join()

    def join(self) -> None:
        """Wait for the thread, which has been told to end: its last word needs the loop to be there."""
        self._thread.join()


class SqliteStore:
    """A Store (see protocol.py) in a data directory. Nothing is touched before `claim`.

    `directory`: made (0700) where it is missing and its parent is there. `cache_bytes`: pages kept in memory.
    `wal_bytes`: the write-ahead log is folded into the database when it is larger, and already from a quarter
    of it when there is time. `reserve_bytes`: set aside on disk, and given up when it is full. `connector`:
    makes the connection of a path; tests put a failing disk under it. What it gives must look like a
    sqlite3.Connection in autocommit: execute, executemany (cursors with fetchone, fetchall, rowcount, close),
    in_transaction, close.

    `claim` raises Unusable and Locked for the directory, Newer and Corrupt for what is in it. After Unknown
    or Corrupt every call raises, and a new SqliteStore (best, a new process) must take over. Before Python
    3.12 the files then stay open until the process ends, since closing them would have SQLite change them.
    """

    def __init__(
        self,
        directory: Path,
        *,
        cache_bytes: int = 8 << 20,
        wal_bytes: int = 4 << 20,
        reserve_bytes: int = 16 << 20,
        connector: Callable[[str], Any] = connect,
    ) -> None:
        self._connector = connector
        self._engine = Engine(Directory(directory, reserve_bytes), connector, cache_bytes, wal_bytes)
        self._connection: Connection | None = None
        self._closed = False

    async def claim(self, owner: str) -> Claim:
        """See Store.claim. The first call opens the files."""
        if self._closed:
            raise StoreError("The store is closed.")
        if self._connection is None:
            connection = Connection(partial(self._engine.open, owner))
            try:
                await connection
            except BaseException:
                connection.join()
                raise
            self._connection = connection
        return await self._connection.run(self._engine.claim, owner)

    async def append(self, claim: Claim, expect: int, batch: bytes, slice: Slice | None = None) -> int:
        """See Store.append."""
        check_batch(batch)
        if slice is not None:
            check_slice(slice, expect + bool(batch))
        return await self._thread().run(self._engine.append, claim, expect, batch, slice)

    async def recover(self, claim: Claim) -> Recovered:
        """See Store.recover."""
        return await self._thread().run(self._engine.recover, claim)

    async def read(self, claim: Claim, space: Space, keys: Sequence[Key]) -> list[Record]:
        """See Store.read."""
        return await self._thread().run(self._engine.read, claim, space, list(keys))

    async def page(
        self, claim: Claim, space: Space, first: int, last: int, limit: int, max_bytes: int
    ) -> list[Record]:
        """See Store.page."""
        check_page(space, first, last, limit)
        return await self._thread().run(self._engine.page, claim, space, first, last, limit, max_bytes)

    async def read_ranges(self, claim: Claim, ranges: Sequence[KeyRange]) -> list[Record]:
        """See Store.read_ranges."""
        check_ranges(ranges)
        return await self._thread().run(self._engine.read_ranges, claim, list(ranges))

    async def tidy(self) -> bool:
        """See Store.tidy."""
        return await self._thread().run(self._engine.tidy)

    async def figures(self) -> Figures:
        """See Store.figures."""
        return await self._thread().run(self._engine.figures)

    async def scrub(self, claim: Claim, max_bytes: int) -> int:
        """See Store.scrub."""
        return await self._thread().run(self._engine.scrub, claim, max_bytes)

    async def backup(self, claim: Claim, target: Path) -> Copied:
        """See Store.backup. A backup that is cancelled, or fails, leaves nothing behind."""
        connection, source, copy = self._thread(), Source(), Target(target, self._connector)
        needed = (await connection.run(self._engine.figures)).used_bytes
        await connection.run(self._engine.copy_from, source)
        loop, writer = asyncio.get_running_loop(), ThreadPoolExecutor(1, "ropeway-backup")
        try:
            await loop.run_in_executor(writer, copy.begin, needed)
            while True:
                piece = await connection.run(self._engine.read_piece, claim)
                await loop.run_in_executor(writer, copy.take, piece)
                if piece.done:
                    return await loop.run_in_executor(writer, copy.finish, piece)
        finally:
            with suppress(StoreError):
                connection.run(self._engine.copied)
            writer.submit(copy.give_up)
            writer.shutdown(wait=False)

    async def close(self) -> None:
        """See Store.close. After Unknown or Corrupt the files are left as they are."""
        connection, self._connection, self._closed = self._connection, None, True
        if connection is None:
            return
        try:
            await connection.run(self._engine.close)
        finally:
            await connection.finish()

    def _thread(self) -> Connection:
        if self._connection is None:
            raise StoreError("The store is closed." if self._closed else "The store is not claimed yet.")
        return self._connection
