"""The same world on the real store: SQLite, on a model disk that loses, reorders and tears what was not
synced.

The kernel, the queues and the store run here under one seed. The store's own code does its work on the event
loop instead of a thread of its own, so that nothing depends on what runs when; each call takes virtual time.
A daemon's life ends by a loss of power or by its process's death, in the midst of any operation of the disk;
operations fail, also once the commit is done. Nobody else takes the store over: there is a lock on it.

What the journal holds is known from what was acknowledged, and of the append that was under way from what the
next start finds.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest import mock

import msgspec

from ropewayd.queues.records import CHUNKS, MESSAGES
from ropewayd.store.protocol import Claim, Record, Slice, Space, StoreError
from ropewayd.store.sqlite import SqliteStore
from tests import memory
from tests.faults.disk import Disk, Failed, Operation
from tests.faults.vfs import Machine
from tests.simulation.life import Life, describe
from tests.simulation.line import Violation
from tests.simulation.world import World, simulate

PAGED: Final = (MESSAGES, CHUNKS)
EVERYTHING: Final = (0, 2**63 - 1, 1 << 20, 1 << 40)
"""A page that is the whole of a space."""


class KnownDisk:
    """What is known of the disk: the journal as it was ever written, and the rows of the store on it."""

    def __init__(self) -> None:
        self.history: list[tuple[int, bytes]] = []
        self.events = 0
        """How many events are durable, in all."""
        self.trims = 0
        self.spilled = self.kept = 0
        self.doubtful: tuple[int, bytes] | None = None
        """The append that is under way."""
        self.rows: Callable[[], list[Record]] = list

    @property
    def records(self) -> dict[Space, dict[Any, tuple[int, bytes, int]]]:
        found: dict[Space, dict[Any, tuple[int, bytes, int]]] = {}
        for record in self.rows():
            found.setdefault(record.space, {})[record.key] = record.lsn, record.value, record.share
        return found

    def done(self, slice: Slice | None) -> None:
        """The append that is under way is on disk."""
        assert self.doubtful is not None
        lsn, batch = self.doubtful
        self.doubtful = None
        if batch:
            self.history.append((lsn, batch))
            self.events += len(msgspec.msgpack.decode(batch)[2])
        if slice is not None:
            self.trims += slice.trim_to > 0
            self.spilled += len(slice.puts)
            self.kept += len(slice.passages)

    def found(self, last: int) -> None:
        """A start finds the journal's end here."""
        if self.doubtful is not None and self.doubtful[0] == last == len(self.history) + 1:
            self.done(None)
        self.doubtful = None
        if last != len(self.history):
            raise Violation(f"the journal ends at lsn {last}, and {len(self.history)} rows were acknowledged")


class SqliteLifeStore(SqliteStore):
    """The real store of one life. Its calls return in virtual time, or never, when the life has ended."""

    def __init__(self, life: Life, world: SqliteWorld) -> None:
        super().__init__(
            world.directory,
            cache_bytes=world.cache_bytes,
            wal_bytes=world.wal_bytes,
            reserve_bytes=0,
            connector=world.machine.connect,
        )
        self._life = life
        self._world = world
        self._opened = False

    @property
    def failed(self) -> bool:
        """Whether an operation has failed: its life ends soon, and until then nothing is read from it."""
        return self._engine._failure is not None

    async def claim(self, owner: str) -> Claim:
        """See Store.claim."""
        if not self._opened:
            await self.run(self._engine.open, owner)
            self._opened = True
        claim: Claim = await self.run(self._engine.claim, owner)
        known = self._world.disk
        self._world.guard(known.found, claim.last_lsn)
        known.rows = partial(self._rows, claim)
        self._world.guard(self._world.claimed, self._life)
        return claim

    def _rows(self, claim: Claim) -> list[Record]:
        return [each for space in PAGED for each in self._engine.page(claim, space, *EVERYTHING)]

    async def append(self, claim: Claim, expect: int, batch: bytes, slice: Slice | None = None) -> int:
        """See Store.append."""
        world = self._world
        if world.told:
            world.say(f"append {expect + bool(batch)}: {len(batch)} bytes, {describe(slice)}")
        world.disk.doubtful = (expect + 1, bytes(batch)) if batch else (expect, b"")
        lsn = await super().append(claim, expect, batch, slice)
        world.disk.done(slice)
        return lsn

    async def close(self) -> None:
        """See Store.close."""
        self._closed = True
        if self._opened:
            with suppress(StoreError):
                rows = self._world.disk.rows()
                self._world.disk.rows = lambda: rows  # nothing more is written
            await self.run(self._engine.close)

    def _thread(self) -> Any:
        return self

    async def run(self, work: Callable[..., Any], *given: object) -> Any:
        """Do it after a while; power, process or disk may fail in its midst."""
        world = self._world
        await asyncio.sleep(world.latency())
        await self._alive()
        world.arm(self._life)
        try:
            return work(*given)
        except StoreError:
            if world.model.dead:
                self._life.die()
            await self._alive()
            raise
        finally:
            world.disarm()

    async def _alive(self) -> None:
        if not self._life.alive:
            await asyncio.get_running_loop().create_future()

    def crash(self) -> None:
        """The process has ended, and perhaps the power went too. What it held open is let go."""
        world = self._world
        power = world.dice.random() < 0.7
        if not world.model.dead:
            if power:
                world.model.cut()
            world.model.dead = True
        with suppress(StoreError):
            self._engine.abandon()
        if power and world.model.image:
            world.say("the power is back")
            world.model.restore()
        else:
            world.model.restart()
        world.model.image = {}


class SqliteWorld(World):
    """See the module."""

    ends = ("crash", "crash", "stop")
    directory: Path
    """Where the files are; `simulate_on_sqlite` makes it."""

    def __init__(self, seed: int, say: Callable[[str], None] | None = None) -> None:
        super().__init__(seed, say)
        self.disk: Any = KnownDisk()
        self.cache_bytes = self.dice.choice((1 << 16, 1 << 20))
        self.wal_bytes = self.dice.choice((1 << 16, 1 << 17, 1 << 18))
        self.model = Disk(self.directory, random.Random(self.dice.random()))
        self.machine = Machine(self.model, self.rewrite)

    def rewrite(self, statement: str) -> str:
        """Here a bug can be planted."""
        return statement

    def say(self, text: str) -> None:
        """Where the files are is no part of the history: some errors name it."""
        super().say(text.replace(str(self.directory), "the directory"))

    def make_store(self, life: Life) -> Any:
        return SqliteLifeStore(life, self)

    def arm(self, life: Life) -> None:
        """Choose what befalls the call that comes, if anything: at which operation, and what."""
        if self.dice.random() >= 1.5 * self.trouble:
            return
        at = self.model.operations + self.dice.choice((1, 2, 3, 4, 5, 8, 20))
        what = self.dice.choice(("cut", "cut", "kill", "error", "full"))

        def trouble(number: int, operation: Operation) -> None:
            if number != at or (what == "full" and operation is not Operation.WRITE):
                return
            self.say(f"a {operation.value} meets: {what}")
            if what == "cut":
                self.model.cut_in_the_middle(operation)
            if what == "kill":
                self.model.dead = True
                raise Failed(operation)
            life.injected = True
            short = operation is Operation.WRITE and self.dice.random() < 0.5
            raise Failed(operation, full=what == "full", short=short)

        self.model.trouble = trouble

    def disarm(self) -> None:
        self.model.trouble = lambda number, operation: None


def simulate_on_sqlite(
    seed: int, kind: type[SqliteWorld] = SqliteWorld, say: Callable[[str], None] | None = None
) -> SqliteWorld:
    """Live one history on the real store. Raises Violation, or whatever else went wrong."""
    made: list[SqliteWorld] = []
    with memory.directory() as path:

        class Here(kind):  # type: ignore[valid-type, misc]  # a class that is given
            directory = path

            def __init__(self, *given: Any) -> None:
                super().__init__(*given)
                made.append(self)

        try:
            # The only chance in the store itself is the identity that it gives to a new one.
            with mock.patch("os.urandom", random.Random(seed).randbytes):
                simulate(seed, Here, say)
        finally:
            for world in made:
                world.model.dead = True
                world._say = None  # the loop is gone, and with it the time
                for life in world.lives:
                    with suppress(StoreError):
                        life.store.crash()
                world.machine.close()
    return made[0]
