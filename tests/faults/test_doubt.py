"""After a sync that failed nobody knows what the disk holds: what is read may be lost when the power goes. So
the next start writes the log again before anything is appended to it.
"""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from ropewayd.store.lock import Lock
from ropewayd.store.protocol import StoreError, Unknown
from ropewayd.store.sqlite import SqliteStore
from tests.faults.disk import Disk, Failed, Operation
from tests.faults.vfs import Machine


class Failing:
    """A store on a model disk."""

    def __init__(self, directory: Path, seed: int) -> None:
        directory.mkdir(mode=0o700)
        self.disk = Disk(directory, random.Random(seed))
        self.machine = Machine(self.disk)
        self.begin()

    def begin(self) -> None:
        self.store = SqliteStore(self.disk.directory, reserve_bytes=0, connector=self.machine.connect)

    async def fail_a_sync(self) -> int:
        """Append until one is not synced; give the last lsn that was acknowledged."""
        claim = await self.store.claim("doubt")
        lsn = 0
        for _ in range(3):
            lsn = await self.store.append(claim, lsn, b"acknowledged" * 100)

        def trouble(number: int, operation: Operation) -> None:
            if operation is Operation.SYNC:
                raise Failed(operation)

        self.disk.trouble = trouble
        with pytest.raises(Unknown):
            await self.store.append(claim, lsn, b"not synced" * 5000)
        await self.end()
        return lsn

    async def end(self) -> None:
        self.disk.trouble = lambda number, operation: None
        with suppress(StoreError):
            await self.store.close()


@pytest.mark.parametrize("seed", range(3))
async def test_the_power_goes_at_any_moment_of_the_start_after_a_failed_sync(
    tmp_path: Path, seed: int
) -> None:
    for at in range(1, 60):
        failing = Failing(tmp_path / str(at), seed)
        try:
            lsn = await failing.fail_a_sync()
            failing.disk.restart()
            failing.begin()
            cut_at = failing.disk.operations + at

            def trouble(
                number: int, operation: Operation, failing: Failing = failing, at: int = cut_at
            ) -> None:
                if number == at:
                    failing.disk.cut_in_the_middle(operation)

            failing.disk.trouble = trouble
            with suppress(StoreError):
                await failing.store.claim("doubt")
            if not failing.disk.dead:
                failing.disk.cut()
            await failing.end()
            failing.disk.restore()
            failing.begin()
            claim = await failing.store.claim("doubt")
            assert claim.last_lsn >= lsn
            await failing.store.close()
        finally:
            failing.machine.close()


def test_the_doubt_outlives_the_process_and_is_settled_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for before, after in ((False, True), (True, True), (True, False), (False, False)):
        lock = Lock(path)
        lock.take("a daemon")
        assert lock.in_doubt is before
        if before is not after:
            lock.doubt(after)
        lock.release()
        assert path.read_bytes().startswith(b"pid ")
