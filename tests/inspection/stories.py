"""Stores with a history: the real kernel and queues on SQLite, and what a crash leaves of their files."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from ropewayd.inspection.check import Checked, check
from ropewayd.inspection.opening import opened
from ropewayd.inspection.progress import Progress
from ropewayd.kernel.kernel import Kernel
from ropewayd.kernel.settings import KernelSettings
from ropewayd.kernel.wheel import Wheel
from ropewayd.queues import actions as a
from ropewayd.queues.service import Queues
from ropewayd.queues.settings import QueueLimits
from ropewayd.store.protocol import StoreError
from ropewayd.store.sqlite import SqliteStore
from tests.house import HANDLE, House, settle
from tests.store.damage import connect
from tests.store.places import image

QUEUES = ("jobs", "mail", "films")


class Silent:
    """A stream that is no terminal."""

    def isatty(self) -> bool:
        return False


class RealHouse(House):
    """A house on a real store in `path`. What is under way is finished before anything else happens."""

    def __init__(
        self, path: Path, settings: KernelSettings | None = None, limits: QueueLimits | None = None
    ) -> None:
        self.path = path
        super().__init__(settings, limits)

    def _build(self) -> None:
        self.real = SqliteStore(self.path, wal_bytes=1 << 18, reserve_bytes=0, connector=connect)
        self.wheel = Wheel(self.clock.now())
        self.queues = Queues(self.wheel, self.limits, self._entropy)
        self.kernel = Kernel(self.real, self.clock, [self.queues], self.wheel, self.settings)

    async def quiet(self) -> None:
        """Wait until nothing is under way."""
        await settle()
        while under_way := [task for task in (self.kernel._commit, *self.kernel._reads) if task is not None]:
            await asyncio.wait(under_way)
            await settle()

    async def wait(self, milliseconds: int) -> None:
        self.clock.at += milliseconds
        self.kernel.tick()
        await self.quiet()

    async def close(self) -> None:
        await self.kernel.stop()
        await self.real.close()

    async def all_counts(self) -> dict[str, tuple[int, int, int]]:
        names = (await self.call(a.ListQueues()))["queues"]
        return {name: await self.counts(name) for name in names}


class Story:
    """A history that a seed writes: every action, tails and slices so small that all forms come up."""

    def __init__(self, house: RealHouse, seed: int) -> None:
        self.house = house
        self.dice = random.Random(seed)
        self.handles: list[tuple[str, bytes]] = []

    @classmethod
    def settings(cls, seed: int) -> KernelSettings:
        dice = random.Random(seed)
        return KernelSettings(
            max_batch_bytes=dice.choice([300, 2_000, 1 << 20]),
            tail_bytes=dice.choice([600, 2_000, 6_000, 60_000]),
            slice_bytes=dice.choice([100, 400, 1_500]),
            idle_spill_after=1000,
        )

    @classmethod
    def limits(cls, seed: int) -> QueueLimits:
        """Half of the stories keep journal rows for their messages."""
        return QueueLimits(kept_bytes=200 if seed % 2 else QueueLimits().kept_bytes)

    async def act(self) -> None:
        house, dice = self.house, self.dice
        queue = dice.choice(QUEUES)
        if queue not in house.queues._registry.by_name:
            await house.create(queue, visibility_timeout=dice.choice([1000, 100_000]))
        match dice.choices(range(8), [8, 6, 4, 3, 3, 1, 1, 1])[0]:
            case 0:
                bodies = [dice.randbytes(dice.choice([5, 50, 900])) for _ in range(dice.randint(1, 9))]
                await house.send(*bodies, queue=queue, delay=dice.choice([None, None, 0, 3000, 600_000]))
            case 1:
                found = await house.receive(dice.randint(1, 9), queue)
                self.handles += [(queue, each[HANDLE]) for each in found]
            case 2 if self.handles:
                dice.shuffle(self.handles)
                of = self.handles[-1][0]
                await house.delete(*(handle for name, handle in self.handles if name == of), queue=of)
                self.handles = [each for each in self.handles if each[0] != of]
            case 3 if self.handles:
                of, handle = dice.choice(self.handles)
                if of in house.queues._registry.by_name:
                    await house.change(handle, dice.choice([0, 5000]), of)
            case 4:
                await house.wait(dice.choice([10, 1000, 3000, 3000]))
            case 5:
                await house.call(a.PurgeQueue(queue=queue))
            case 6:
                await house.call(a.DeleteQueue(queue=queue))
                self.handles = [each for each in self.handles if each[0] != queue]
            case 7:
                await house.call(a.SetQueueAttributes(queue=queue, attributes={"delay": dice.randint(0, 9)}))
            case _:
                pass


async def sample(root: Path, *, tail: int = 4000, kept: int = 16 << 10) -> Path:
    """A crashed store: 40 messages in `jobs`, 6 in flight and 2 delayed, and another queue. Some of it is in
    records, some in the tail alone. `kept`: so many bytes of messages keep their journal row."""
    settings = KernelSettings(tail_bytes=tail, slice_bytes=2000, idle_spill_after=1000)
    house = RealHouse(root / "live", settings, QueueLimits(kept_bytes=kept))
    await house.start()
    await house.create("jobs")
    await house.create("mail")
    for at in range(20):
        await house.send(*(b"%d" % at * 200 for _ in range(2)))
    await house.receive(6)
    await house.send(b"later", b"much later", delay=600_000)
    for _ in range(2):
        await house.wait(1000)  # the idle daemon spills
    await house.send(b"by post", queue="mail")
    await house.send(b"and more", b"of it", queue="mail")
    await house.quiet()
    crashed = image(house.path, root / "crashed")
    await house.close()
    return crashed


COUNTS = {"jobs": (34, 6, 2), "mail": (3, 0, 0)}
"""What is in the sample."""


def look(path: Path) -> Checked:
    with opened(path, "a test") as store:
        return check(store, Progress(Silent()))  # type: ignore[arg-type]  # all that it is asked


async def look_apart(path: Path) -> Checked:
    """As `look`, inside a loop."""
    return await asyncio.to_thread(look, path)


def judged(path: Path) -> Checked | StoreError:
    try:
        return look(path)
    except StoreError as error:
        return error


def counts(found: Checked) -> dict[str, tuple[int | None, int | None, int | None]]:
    return {each.name: (each.visible, each.in_flight, each.delayed) for each in found.queues}
