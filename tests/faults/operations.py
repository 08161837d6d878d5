"""Every operation of the disk fails in turn: with an I/O error, for want of space, or cut short, once or from
then on; of the syncs also all from then on, while everything else goes well.

A script of five hundred steps is cut into chapters. Each begins with a start, from the files that the one
before has left: closed, as the power went, or as it went in the middle of an append. So each operation of
starting, working and closing is one that can fail, from many states of the files. Ten more chapters are
nothing but a start, from states that a crash leaves in chosen moments (MOMENTS).
"""

from __future__ import annotations

import asyncio
import enum
import random
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple
from unittest import mock

from ropewayd.store.protocol import Claim, Record, Refused, Slice, StoreError, Unknown, Unusable
from ropewayd.store.sqlite import SqliteStore
from tests.faults.disk import Disk, Failed, Operation
from tests.faults.ledger import Append, Broken, Ledger, read_all
from tests.faults.script import next_step
from tests.faults.vfs import Machine
from tests.store.places import MESSAGES

CHAPTERS: Final = 25
STEPS: Final = 20
"""In a chapter."""


MOMENTS: Final = (
    *(("founding", 0.5), ("founding", 0.9), ("start", 0.3), ("start", 0.8), ("append", 0.6)),
    *(("slice", 0.5), ("slice", 0.9), ("fold", 0.2), ("fold", 0.8), ("close", 0.5)),
)
"""Where the power goes to make the ten states: in which work, and how far into its operations."""


class Kind(enum.Enum):
    """How an operation fails."""

    ERROR = "I/O error"
    FULL = "no space"
    SHORT = "no space after a part"
    TORN = "I/O error after a part"


class Fault(NamedTuple):
    """The operation of this number fails, and if it is for ever, those after it as well. Want of space and
    parts are of writes alone. `alone`: only operations of the first one's sort fail."""

    at: int
    kind: Kind
    forever: bool
    alone: Operation | None = None

    def hits(self, number: int, operation: Operation) -> bool:
        if self.kind in {Kind.FULL, Kind.SHORT} and operation is not Operation.WRITE:
            return False
        if self.alone is not None and operation is not self.alone:
            return False
        return number == self.at or (self.forever and number > self.at)

    def failed(self, operation: Operation) -> Failed:
        writes = operation is Operation.WRITE
        return Failed(
            operation,
            full=self.kind in {Kind.FULL, Kind.SHORT},
            short=writes and self.kind in {Kind.SHORT, Kind.TORN},
        )


class Chapter(NamedTuple):
    """Where it begins, and the operations of the disk that it takes when nothing fails."""

    number: int
    image: dict[str, bytes]
    ledger: Ledger
    operations: list[Operation]
    steps: int = STEPS

    def faults(self) -> list[Fault]:
        """All that can go wrong in it."""
        found = []
        for at, operation in enumerate(self.operations, 1):
            found += [Fault(at, Kind.ERROR, False), Fault(at, Kind.ERROR, True)]
            if operation is Operation.WRITE:
                found += [Fault(at, Kind.FULL, False), Fault(at, Kind.FULL, True)]
                found += [Fault(at, Kind.SHORT, False), Fault(at, Kind.TORN, False)]
            if operation is Operation.SYNC:
                found.append(Fault(at, Kind.ERROR, True, alone=operation))
        return found


def recorder(operations: list[Operation]) -> Callable[[int, Operation], None]:
    """Trouble that makes none, and writes down what is asked for."""
    return lambda number, operation: operations.append(operation)


class Script:
    """The script of one seed, on a disk in `directory`. `figures` counts how the trials ended."""

    def __init__(self, seed: int, directory: Path, store: type[SqliteStore] = SqliteStore) -> None:
        self._seed = seed
        self._kind = store
        self._disk = Disk(directory, random.Random(seed))
        self._machine = Machine(self._disk)
        self._ledger = Ledger()
        self._store: SqliteStore
        self._claim = Claim(0, 0)
        self.figures: Counter[str] = Counter()

    async def close(self) -> None:
        self._disk.dead = True
        with suppress(StoreError):
            await self._store.close()  # it may be that something was found in its midst
        self._machine.close()

    async def write(self, last: int) -> list[Chapter]:
        """Go through the script while nothing fails; give its chapters, at least up to the last one that is
        asked for."""
        chapters: list[Chapter] = []
        image: dict[str, bytes] = {}
        for number in range(min(last + 1, CHAPTERS)):
            operations: list[Operation] = []
            ledger = self._ledger.copy()
            self._begin(number, image)
            self._disk.trouble = recorder(operations)
            await self._play(number)
            chapters.append(Chapter(number, image, ledger, operations))
            # Once more, to leave it in another way than closed.
            self._ledger = ledger.copy()
            self._begin(number, image)
            await self._play(number, how=("close", "cut", "cut in an append")[number % 3])
            image = self._disk.seen()
        return chapters if last < CHAPTERS else chapters + await self._crash_states(chapters[9])

    async def _crash_states(self, chapter: Chapter) -> list[Chapter]:
        """Chapters that are a start alone, from the state that a crash leaves in each of the moments."""
        chapters: list[Chapter] = []
        for number, (work, part) in enumerate(MOMENTS, CHAPTERS):
            image = {} if work == "founding" else chapter.image
            ledger = Ledger() if work == "founding" else chapter.ledger
            first = last = 0
            for cut in (False, True):
                self._ledger = ledger.copy()
                self._begin(number, image)
                if cut:
                    at = first + round(part * (last - first))
                    self._disk.trouble = self._cut_at(at)
                with suppress(StoreError), mock.patch("os.urandom", random.Random(number).randbytes):
                    first, last = await self._work(work, random.Random(number))
                if cut:
                    assert self._disk.dead, (work, part)
                else:
                    self._disk.cut()
                with suppress(StoreError):
                    await self._store.close()
                self._disk.restore()
            image = self._disk.seen()
            ledger = self._ledger.copy()
            operations: list[Operation] = []
            self._begin(number, image)
            self._disk.trouble = recorder(operations)
            await self._play(number, steps=0)
            chapters.append(Chapter(number, image, ledger, operations, steps=0))
        return chapters

    def _cut_at(self, at: int) -> Callable[[int, Operation], None]:
        def trouble(number: int, operation: Operation) -> None:
            if number == at:
                self._disk.cut_in_the_middle(operation)

        return trouble

    async def _work(self, work: str, chance: random.Random) -> tuple[int, int]:
        """Do what a moment is in; give the first and the last of its operations."""
        first = 1
        await self._open()
        if work not in {"founding", "start"}:
            while self._ledger.state.last < 20 or not self._ledger.state.records:
                await self._step(chance)
            await self._append(Append(bytes(60_000), None))
            first = self._disk.operations + 1
        if work == "append":
            await self._append(Append(bytes(60_000), None))
        elif work == "slice":
            puts = [Record(MESSAGES, 500 + key, 1, bytes(3_000)) for key in range(10)]
            slice = Slice(puts, list(self._ledger.state.records)[:3], [], self._ledger.state.last)
            await self._append(Append(b"with a slice", slice))
        elif work == "fold":
            while await self._store.tidy():
                pass
        elif work == "close":
            await self._store.close()
        return first, self._disk.operations

    def _begin(self, number: int, image: dict[str, bytes]) -> None:
        self._disk.trouble = lambda _, operation: None
        self._disk.load(image)
        self._disk.operations = 0
        self._disk.chance.seed(f"{self._seed}/{number}")

    async def _play(self, number: int, how: str = "close", steps: int = STEPS) -> None:
        """The steps of a chapter. Raises StoreError for what the store says, Broken for what it may not
        do."""
        chance = random.Random(f"{self._seed}/{number}")
        with mock.patch("os.urandom", chance.randbytes):
            await self._open()
            for _ in range(steps):
                await self._step(chance)
        if how == "close":
            await self._store.close()
            return
        if how == "cut in an append":
            self._disk.trouble = self._cut_at(self._disk.operations + chance.randint(1, 4))
            with suppress(StoreError):
                await self._append(Append(bytes(40_000), None))
        if not self._disk.dead:
            self._disk.cut()
        with suppress(StoreError):
            await self._store.close()
        self._disk.restore()

    async def _open(self) -> None:
        self._store = self._kind(
            self._disk.directory, wal_bytes=1 << 16, reserve_bytes=0, connector=self._machine.connect
        )
        self._claim = await self._store.claim("script")
        self._ledger.claimed(self._claim)
        self._ledger.settle(await read_all(self._store, self._claim), self._claim.last_lsn)

    async def _step(self, chance: random.Random) -> None:
        step = next_step(chance, self._ledger.state)
        if isinstance(step, Append):
            await self._append(step)
        elif step == "tidy":
            for _ in range(100):  # with a full disk there is always more to do
                if not await self._store.tidy():
                    break
        elif step == "reopen":
            await self._store.close()
            await self._open()
        else:
            if step == "claim":
                self._claim = await self._store.claim("script")
                self._ledger.claimed(self._claim)
            self._ledger.settle(await read_all(self._store, self._claim), self._ledger.state.last)

    async def _append(self, step: Append) -> None:
        self._ledger.begin(step)
        try:
            lsn = await self._store.append(self._claim, self._ledger.state.last, step.batch, step.slice)
        except Refused:
            self._ledger.undone()
            self.figures["refused"] += 1
        else:
            self._ledger.done(lsn)

    # With a fault

    async def attempt(self, chapter: Chapter, fault: Fault) -> None:
        """Play a chapter with a fault in it, and look at what is there afterwards. Raises Broken."""
        try:
            await self._attempt(chapter, fault)
        except Broken as broken:
            raise Broken(
                broken.kind,
                f"{broken.what}, with {fault} in chapter {chapter.number}; replay with: python -m"
                f" tests.faults operations --seed {self._seed} --chapter {chapter.number} --at {fault.at}",
            ) from broken

    async def _attempt(self, chapter: Chapter, fault: Fault) -> None:
        self._ledger = chapter.ledger.copy()
        self._begin(chapter.number, chapter.image)

        def trouble(number: int, operation: Operation) -> None:
            if fault.hits(number, operation):
                raise fault.failed(operation)

        self._disk.trouble = trouble
        ended = "unharmed"
        try:
            await self._play(chapter.number, steps=chapter.steps)
        except (Unknown, Refused, Unusable) as error:
            ended = type(error).__name__
            await self._stays_ended(error)
        except (StoreError, AssertionError) as error:
            raise Broken("wrong", f"the store says {error!r}") from error
        finally:
            with suppress(StoreError):
                await self._store.close()
        self.figures[ended] += 1
        await self._look_again(chapter, fault)

    async def _stays_ended(self, error: StoreError) -> None:
        """Whoever goes on after Unknown gets nothing done."""
        if not isinstance(error, Unknown) or self._claim.epoch == 0:
            return
        self._disk.trouble = lambda number, operation: None
        try:
            await self._store.append(self._claim, self._ledger.state.last, b"more", None)
        except StoreError:
            return
        raise Broken("wrong", "a store that had failed has appended")

    async def _look_again(self, chapter: Chapter, fault: Fault) -> None:
        """The power goes now; or the process begins anew, works a little, and then it goes. After a sync that
        failed both are tried, else either: what fails once gets the one, and what fails for ever the
        other."""
        self._disk.trouble = lambda number, operation: None
        both = chapter.operations[fault.at - 1] is Operation.SYNC
        ledger = self._ledger.copy()
        self._disk.cut()
        lost = self._disk.image
        if both or (fault.at + fault.forever) % 2:
            self._disk.restart()
            await self._works()
            self._disk.cut()
            with suppress(StoreError):
                await self._store.close()
            self._disk.restore()
            await self._works()
            with suppress(StoreError):
                await self._store.close()
            self._ledger = ledger
        if both or not (fault.at + fault.forever) % 2:
            self._disk.load(lost)
            await self._works()
            await self._store.close()

    async def _works(self) -> None:
        try:
            await self._open()
            await self._append(Append(b"after the fault", None))
        except StoreError as error:
            raise Broken("corrupt", f"{error!r} after the fault") from error
        if self._ledger.pending is not None:
            raise Broken("wrong", "refused after the fault")


def fail_all(
    seed: int, directory: Path, chapters: range, every: int = 1, store: type[SqliteStore] = SqliteStore
) -> Counter[str]:
    """Let each `every`-th operation in some chapters fail in all ways; give how it ended. Raises Broken."""
    data = directory / f"script-{seed}-{chapters.start}"
    data.mkdir(mode=0o700)

    async def run() -> Counter[str]:
        script = Script(seed, data, store)
        try:
            written = await script.write(chapters[-1])
            for chapter in chapters:
                for fault in written[chapter].faults()[chapter % every :: every]:
                    await script.attempt(written[chapter], fault)
        finally:
            await script.close()
        return script.figures

    figures = asyncio.run(run())
    shutil.rmtree(data)
    return figures
