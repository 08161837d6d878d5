"""A small world that a seed drives: clients, a daemon that dies and comes back, and a disk with faults.

Everything real runs here but sockets, SQLite and time: the kernel, the queues, the wheel, the store in
memory. Each choice comes from the seed, so a seed is a history that can be lived again, event by event.

A daemon's life ends by a crash at any moment (recovery included), by an append that is refused or fails,
written or not, by another owner of its store, or in an orderly way. Limits are small, so that every
history spills, trims and pages. At each start, and now and then, the state is compared with what the
whole journal gives (see `replay`).
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable
from typing import Any

import msgspec

from ropewayd.kernel.kernel import Kernel
from ropewayd.kernel.settings import KernelSettings
from ropewayd.kernel.wheel import Wheel
from ropewayd.queues.actions import CreateQueue, DeleteMessage, GetQueueAttributes, ReceiveMessage
from ropewayd.queues.service import Queues
from ropewayd.queues.settings import QueueLimits
from ropewayd.store.memory import Disk
from ropewayd.store.protocol import Slice
from tests.simulation.checker import Checker
from tests.simulation.client import CALLS, QUEUES, Client
from tests.simulation.life import LOST, Life, LifeStore, Watched, task_factory
from tests.simulation.line import SLACK, Op, Violation
from tests.simulation.loop import run
from tests.simulation.replay import Shadow

EPOCH = 1_700_000_000_000
HOUR = 3_600_000


class WholeDisk(Disk):
    """A disk, and beside it the journal as it was ever written, which no slice trims."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[tuple[int, bytes]] = []
        self.events = 0
        """How many events are durable, in all."""
        self.trims = 0
        self.spilled = self.kept = 0

    def write(self, lsn: int, batch: bytes, slice: Slice | None) -> None:
        super().write(lsn, batch, slice)
        if batch:
            self.history.append((lsn, bytes(batch)))
            self.events += len(msgspec.msgpack.decode(batch)[2])
        if slice is not None:
            self.trims += slice.trim_to > 0
            self.spilled += len(slice.puts)
            self.kept += len(slice.passages)


class World:
    """See the module. Subclasses plant bugs."""

    ends: tuple[str, ...] = ("crash", "crash", "stop", "takeover")
    """How a life ends where nothing else ends it."""
    looks_inside = True
    """Whether state is compared, and not answers alone."""

    def __init__(self, seed: int, say: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.disk = WholeDisk()
        self.lives: list[Life] = []
        self.life: Life | None = None
        self.older: Life | None = None
        """It does not know that its store has another owner, and some clients still ask it."""
        self.up = asyncio.Event()
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.calls = 0
        self.audits = 0
        self.finishing = False
        self.entropy = random.Random(seed + 1).randbytes
        self._say = say
        self.told = say is not None
        """Whether anybody listens: what is said takes time to put into words."""
        dice = self.dice
        self.trouble = dice.choice([0.0, 0.003, 0.01, 0.03])
        self.slowness = dice.choice([1, 3, 10, 40])
        self.length = CALLS * (5 if seed % 8 == 7 else 1)
        self.clients = (2, 3, 4, 5, 8, 12)[seed // 8 % 6]  # not by chance: shards are to be alike
        self.wall_step = 0
        self.settings = KernelSettings(
            max_batch_bytes=dice.choice([300, 2_000, 1 << 20]),
            tail_bytes=dice.choice([600, 2_000, 6_000]),
            slice_bytes=dice.choice([100, 400, 1_500]),
            idle_spill_after=dice.choice([50, 1_000]),
        )
        self.limits = QueueLimits(
            page_messages=dice.choice([3, 10, 50]),
            page_bytes=dice.choice([200, 5_000]),
            memory_bytes=dice.choice([0, 1_000, 1 << 20]),
            min_window_bytes=dice.choice([0, 300, 2_000]),
            max_in_flight=dice.choice([5, 30, 120_000, 120_000]),
            max_answer_bytes=dice.choice([700, 5_000, 1 << 24]),
            kept_bytes=(1, 1, 16 << 10)[seed // 3 % 3],
        )
        self.checker = Checker(self.limits)
        self.shadow = Shadow(lambda: self.make_queues(Wheel(EPOCH)))

    # What a bug can be planted in

    def make_queues(self, wheel: Wheel) -> Queues:
        return Queues(wheel, self.limits, self.entropy)

    def make_store(self, life: Life) -> LifeStore:
        return LifeStore(life)

    def make_kernel(self, life: Life) -> Kernel:
        return Kernel(life.store, life.clock, [Watched(life.queues, life)], life.wheel, self.settings)

    # Chance

    def wall(self) -> int:
        return EPOCH + self.wall_step + int(asyncio.get_running_loop().time())

    def set_the_wall(self) -> None:
        step = self._step()
        if step:
            self.say(f"the clock is set by {step}")
            self.wall_step += step

    def latency(self) -> int:
        return 0 if self.dice.random() < 0.2 else self.dice.randint(1, 4 * self.slowness)

    def stall(self) -> int:
        return self.dice.randint(1, SLACK // 2) if self.dice.random() < 0.02 else 0

    def say(self, text: str) -> None:
        if self._say is not None:
            self._say(f"{int(asyncio.get_running_loop().time()):>9} {text}")

    # Watching

    def guard(self, check: Callable[..., Any], *args: Any) -> Any:
        """Run a check; the first violation ends the history."""
        try:
            return check(*args)
        except Exception as error:
            self.break_off(error)
            raise

    def break_off(self, error: BaseException) -> None:
        if not self.broken.done():
            self.broken.set_exception(error)

    def claimed(self, life: Life) -> None:
        for other in self.lives:
            other.zombie = other is not life
        self.checker.restarted(self.disk.events)

    # The history

    async def call(self, client: str, action: Any, patience: int | None = None) -> Any:
        """Ask whichever daemon is up, and give its answer, or LOST."""
        while self.life is None or not self.life.alive:
            self.up.clear()
            await self.up.wait()
        life = self.life
        if self.older is not None and self.older.alive and self.dice.random() < 0.3:
            life = self.older
        self.calls += 1
        if not self.calls % 100:
            self.set_the_wall()
        op = Op(self.calls, client, action)
        if self.told:
            self.say(f"{client} -> #{op.number} {action!r}")
        receipt = life.submit(op)
        if patience is not None:
            await asyncio.wait({receipt.future}, timeout=patience)
            if not receipt.future.done() and life.alive and self.dice.random() < 0.5:
                self.say(f"{client} has enough to take before #{op.number}")
                op.hurried = True
                life.run(life.kernel.hurry, receipt)
            elif not receipt.future.done() and life.alive:
                self.say(f"{client} gives up on #{op.number}")
                op.abandoned = action.fleeting and op.decided_at is None
                life.kernel.abandon(receipt)
                return LOST
        answer = await receipt.future
        if self.dice.random() < 0.05 and life.quiet():
            self.audits += 1
            self.guard(life.audit)
        return answer

    async def live(self) -> None:
        """Keep a daemon up, whatever happens to it, until all is done."""
        while True:
            life = Life(self, len(self.lives))
            self.lives.append(life)
            self.say(f"life {life.number} begins")
            if not self.finishing and self.dice.random() < 0.15:
                asyncio.get_running_loop().call_later(self.dice.randint(0, 30), life.die)
            if await life.start():
                self.older, self.life = self.life, life
                if self.older is not None:
                    asyncio.get_running_loop().call_later(self.dice.randint(0, 3_000), self.older.die)
                self.up.set()
                await self._until_it_ends(life)
            if not self.finishing:
                await asyncio.sleep(self._downtime())
            self.set_the_wall()

    async def _until_it_ends(self, life: Life) -> None:
        """Wait for its end, or bring it about."""
        patience = None
        if not self.finishing:
            patience = self.dice.choice([200, 2_000, 20_000, 200_000, None])
        waiting = asyncio.ensure_future(life.ended.wait())
        if patience is not None:
            await asyncio.wait({waiting}, timeout=self.dice.randint(1, patience))
        if patience is not None and life.alive and not self.finishing:
            end = self.dice.choice(self.ends)
            self.say(f"life {life.number}: {end}")
            if end == "takeover":
                waiting.cancel()
                return  # another daemon starts, and this one does not know
            if end == "crash":
                life.die()
            else:
                await life.stop()
        await waiting

    def _downtime(self) -> int:
        return self.dice.randint(1, 20 * HOUR) if self.dice.random() < 0.03 else self.dice.randint(1, 2_000)

    def _step(self) -> int:
        """By how much the wall's clock is set, now and then, while the daemon is down or while it runs."""
        if self.dice.random() < 0.8:
            return 0
        return self.dice.choice([-HOUR, -5_000, 5_000, HOUR])

    async def history(self) -> None:
        living = asyncio.ensure_future(self.live())
        clients = [
            asyncio.ensure_future(
                Client(self.call, f"client{n}", random.Random(self.dice.random())).run(self.length)
            )
            for n in range(self.clients)
        ]
        watched: set[asyncio.Future[Any]] = {self.broken, living}
        pending: set[asyncio.Future[Any]] = {*clients, *watched}
        while pending - watched:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        end = asyncio.ensure_future(self.finish())
        await asyncio.wait({end, *watched}, return_when=asyncio.FIRST_COMPLETED)
        for future in (self.broken, living, end):
            if future.done():
                future.result()

    async def finish(self) -> None:
        """With faults over, one more restart: everything that must be there is there, and nothing else."""
        self.finishing, self.trouble = True, 0.0
        for life in self.lives:
            life.die()
        await self.settle()
        queues = self.checker.model.queues.values()
        latest = max((held.visible_at for queue in queues for held in queue.messages.values()), default=0)
        assert self.life is not None
        await asyncio.sleep(max(0, latest - self.life.clock.now()) + 2 * SLACK)
        for name in QUEUES:
            await self.call("end", CreateQueue(queue=name))
            await self.call("end", GetQueueAttributes(queue=name))
            while found := await self.call(
                "end", ReceiveMessage(queue=name, max_messages=7, wait=0, visibility_timeout=HOUR)
            ):
                await self.call("end", DeleteMessage(queue=name, handles=[message[1] for message in found]))
            await self.call("end", GetQueueAttributes(queue=name))
        await self.settle()

    async def settle(self) -> None:
        """Let spilling come to rest, then compare."""
        await self.call("end", GetQueueAttributes(queue=QUEUES[0]))
        await asyncio.sleep(3 * self.settings.idle_spill_after)
        assert self.life is not None
        for _ in range(1_000):
            if self.life.quiet():
                break
            await asyncio.sleep(7)
        else:
            raise Violation("nothing is asked of it, and still not everything is on disk")
        self.guard(self.life.audit, True)


def simulate(seed: int, kind: type[World] = World, say: Callable[[str], None] | None = None) -> World:
    """Live one history. Raises Violation, or whatever else went wrong."""

    async def main() -> World:
        world = kind(seed, say)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(
            lambda _, context: world.break_off(context.get("exception") or Violation(str(context["message"])))
        )
        await world.history()
        return world

    thresholds = gc.get_threshold()
    gc.set_threshold(200_000, 10, 10)  # a history makes many objects and little garbage
    try:
        world: World = run(main(), task_factory)
    finally:
        gc.set_threshold(*thresholds)
    return world
