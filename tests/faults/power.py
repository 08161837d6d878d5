"""Power loss: the real store on a model disk whose power goes at any moment, in working and in starting.

A history begins with an empty directory and goes through many lives. Each life opens the store, holds what it
finds against the ledger, and works on, until its power is cut (or, at times, only its process killed) while
some operation of the disk is under way.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

from ropewayd.store.protocol import Claim, Corrupt, Slice, StoreError
from ropewayd.store.sqlite import SqliteStore
from tests.faults.disk import Disk, Failed, Operation
from tests.faults.ledger import Append, Broken, Ledger, read_all
from tests.faults.script import next_step
from tests.faults.vfs import Machine

LIVES = 50
"""In one history."""


class History:
    """One seed's history. `figures` counts what happened.

    `store`, `lies` and `rewrite` are there to plant bugs.
    """

    def __init__(
        self,
        seed: int,
        directory: Path,
        *,
        store: type[SqliteStore] = SqliteStore,
        lies: bool = False,
        rewrite: Callable[[str], str] = lambda statement: statement,
    ) -> None:
        self._seed = seed
        self._chance = random.Random(seed)
        self._disk = Disk(directory, random.Random(self._chance.random()), lies=lies)
        self._machine = Machine(self._disk, rewrite)
        self._kind = store
        self._store: SqliteStore
        self._claim = Claim(0, 0)
        self._wal_bytes = self._chance.choice((1 << 16, 1 << 17, 1 << 18, 1 << 19))
        self.ledger = Ledger()
        self.figures: Counter[str] = Counter()

    async def live(self, lives: int = LIVES) -> None:
        """Go through so many lives, and look once more at the end. Raises Broken."""
        # The only chance in the store itself is the identity that it gives to a new one.
        with mock.patch("os.urandom", self._chance.randbytes):
            try:
                for number in range(lives):
                    await self._life(killed=number % 10 == 9)
                self._disk.trouble = lambda number, operation: None
                await self._open()
                await self._store.close()
            except Broken as broken:
                raise Broken(
                    broken.kind,
                    f"{broken.what}; replay with: python -m tests.faults power --seed {self._seed}",
                ) from broken
            finally:
                self._disk.dead = True
                with suppress(StoreError):
                    await self._store.close()  # it may be that something was found in its midst
                self._machine.close()
        self.figures["batches"] = self.ledger.acknowledged
        self.figures["found"], self.figures["gone"] = self.ledger.found, self.ledger.gone

    async def _life(self, killed: bool) -> None:
        self._arm(killed)
        self.figures["kills" if killed else "cuts"] += 1
        try:
            await self._open()
            while not self._disk.dead:
                await self._step()
        except StoreError as error:
            if isinstance(error, Corrupt) or not self._disk.dead:
                raise Broken("corrupt", f"{error!r}, and no disk failed") from error
        with suppress(StoreError):
            await self._store.close()
        self.figures[self._place] += 1
        if killed:
            self._disk.restart()
        else:
            self._disk.restore()

    def _arm(self, killed: bool) -> None:
        """Choose the operation in whose middle this life ends."""
        within = self._chance.choice((60, 600, 600, 600, 600))  # a start takes about sixty
        at = self._disk.operations + self._chance.randint(1, within)
        disk = self._disk
        self._place = "in a start"

        def trouble(number: int, operation: Operation) -> None:
            if number == at:
                if not killed:
                    disk.cut_in_the_middle(operation)
                disk.dead = True
                raise Failed(operation)

        disk.trouble = trouble

    async def _open(self) -> None:
        self._store = self._kind(
            self._disk.directory,
            wal_bytes=self._wal_bytes,
            reserve_bytes=0,
            connector=self._machine.connect,
        )
        await self._begin()
        self._place = "at work"

    async def _begin(self) -> None:
        self._claim = await self._store.claim("history")
        self.ledger.claimed(self._claim)
        self.ledger.settle(await read_all(self._store, self._claim), self._claim.last_lsn)

    async def _step(self) -> None:
        step = next_step(self._chance, self.ledger.state)
        if isinstance(step, Append):
            await self._append(step)
        elif step == "tidy":
            while await self._store.tidy():
                pass
        elif step == "claim":
            await self._begin()
        elif step == "reopen":
            self._place = "in a close"
            await self._store.close()
            self._place = "in a start"
            await self._open()
        else:
            self.ledger.settle(await read_all(self._store, self._claim), self.ledger.state.last)

    async def _append(self, step: Append) -> None:
        self.ledger.begin(step)
        lsn = await self._store.append(self._claim, self.ledger.state.last, step.batch, step.slice)
        self.ledger.done(lsn)
        self.figures["slices"] += isinstance(step.slice, Slice)


def history(seed: int, directory: Path, **plants: Any) -> Counter[str]:
    """Live one history in a directory of its own inside `directory`; give its figures. Raises Broken."""
    data = directory / f"history-{seed}"
    data.mkdir(mode=0o700)
    told = History(seed, data, **plants)
    asyncio.run(told.live())
    shutil.rmtree(data)
    return told.figures
