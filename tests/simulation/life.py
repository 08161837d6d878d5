"""One life of a daemon, from its start to its end, and how the world looks over its shoulder.

Between kernel and service stands `Watched`, which tells the checker what was decided, in order; between
kernel and store stand the faults; at the end of a call its `Receipt`.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ropewayd.kernel.alarm import Alarm
from ropewayd.kernel.service import Decision, Outcome, Wait
from ropewayd.kernel.wheel import Wheel
from ropewayd.queues.events import MessagesExpired, MessagesMoved
from ropewayd.queues.message import size_of
from ropewayd.queues.service import Queues
from ropewayd.store.memory import Fate, Faults, MemoryStore
from ropewayd.store.protocol import Claim, Record, Refused, Slice, Space, StoreError, Unknown, Unusable
from ropewayd.vocabulary.errors import RopewayError, ServiceUnavailable
from tests.simulation.line import Moves, Op, Violation
from tests.simulation.replay import compare

if TYPE_CHECKING:
    from tests.simulation.world import World

LOST = ServiceUnavailable("The connection is gone.")
"""What a client sees when it will never know."""

_life: contextvars.ContextVar[Any] = contextvars.ContextVar("life", default=None)


class WorldClock:
    """The carried clock of one life. It starts at the wall's time, which is set anew now and then."""

    def __init__(self, wall: Callable[[], int]) -> None:
        self.wall = wall
        self._base = wall() - self.counter()

    def counter(self) -> int:
        return int(asyncio.get_running_loop().time())

    def now(self) -> int:
        return self._base + self.counter()

    def carry_from(self, last: int) -> None:
        self._base += max(0, last - self.now())

    def when(self, time: int) -> int:
        """The loop's time for a carried one."""
        return time - self._base


class WorldAlarm(Alarm):
    """The kernel's own alarm on virtual time. Sometimes the process is held up before it rings."""

    def __init__(self, life: Life) -> None:
        super().__init__(life.clock, lambda: life.run(life.kernel.tick))
        self._life = life

    def _after(self, milliseconds: int) -> asyncio.TimerHandle:
        delay = max(0, milliseconds) + self._life.world.stall()
        return asyncio.get_running_loop().call_later(delay, self._fire)


class Watched:
    """A service as the kernel sees it, and the checker with it."""

    def __init__(self, inner: Queues, life: Life) -> None:
        self._inner = inner
        self._at = life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def deciders(self) -> Mapping[Any, Callable[[Any, int], Outcome]]:
        return {kind: self._watch(decide) for kind, decide in self._inner.deciders().items()}

    def _watch(self, decide: Callable[[Any, int], Outcome]) -> Callable[[Any, int], Outcome]:
        def watched(action: Any, now: int) -> Outcome:
            outcome = decide(action, now)
            op = self._at.ops.get(id(action))
            if not isinstance(outcome, RopewayError):
                moves = [event for event in outcome.events if type(event) is MessagesMoved]
                if moves:
                    self._at.world.guard(self._at.moved, op, moves, len(outcome.events), now)
            if op is not None:
                self._at.world.guard(self._at.decided, op, outcome, now)
            return outcome

        return watched

    def appliers(self) -> Mapping[Any, Callable[[Any, int], Any]]:
        return {kind: self._count(apply) for kind, apply in self._inner.appliers().items()}

    def _count(self, apply: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
        def counted(event: Any, lsn: int) -> Any:
            if self._at.recovered:
                self._at.applied += 1
            if self._at.world.told:
                self._at.world.say(f"life {self._at.number} lsn {lsn}: {event!r}")
            return apply(event, lsn)

        return counted

    def recovered(self, now: int) -> None:
        self._inner.recovered(now)
        self._at.world.guard(self._at.has_recovered)


class LifeStore(MemoryStore):
    """Tells the world when the store has a new owner: then nothing of an older one can become durable."""

    def __init__(self, life: Life) -> None:
        super().__init__(life.world.disk, LifeFaults(life))
        self._life = life

    failed = False
    """Its rows can be looked at whatever happened to it."""

    async def claim(self, owner: str) -> Claim:
        claim = await super().claim(owner)
        self._life.world.guard(self._life.world.claimed, self._life)
        return claim

    async def page(
        self, claim: Claim, space: Space, first: int, last: int, limit: int, max_bytes: int
    ) -> list[Record]:
        records = await super().page(claim, space, first, last, limit, max_bytes)
        self._life.world.say(f"life {self._life.number} reads a page of {len(records)}")
        return records


class LifeFaults(Faults):
    """How long the disk takes, and what goes wrong with it."""

    def __init__(self, life: Life) -> None:
        self._at = life

    async def append(self, lsn: int, batch: bytes, slice: Slice | None) -> Fate:
        world, dice = self._at.world, self._at.world.dice
        if world.told:
            world.say(f"append {lsn}: {len(batch)} bytes, {describe(slice)}")
        await asyncio.sleep(world.latency())
        fate = Fate.OK
        if dice.random() < world.trouble:
            fate = dice.choice([fate for fate in Fate if fate is not Fate.OK])
            self._at.injected = True
            world.say(f"append {lsn}: {fate.value}")
        if fate in {Fate.CRASH_BEFORE, Fate.CRASH_AFTER}:
            asyncio.get_running_loop().call_soon(self._at.die)
        return fate

    async def read(self) -> None:
        world = self._at.world
        await asyncio.sleep(world.latency())
        if world.dice.random() < world.trouble / 4:
            self._at.injected = True
            world.say("a read fails")
            raise Unknown("The disk failed (simulated).")


def describe(slice: Slice | None) -> str:
    if slice is None:
        return "no slice"
    puts = [f"{record.space.name}/{record.key!r}@{record.lsn}" for record in slice.puts]
    drops = [f"{space.name}/{key!r}" for space, key in slice.drops]
    ranges = [f"{each.space.name}/{each.first}-{each.last}" for each in slice.drop_ranges]
    return f"puts {puts}, drops {drops} {ranges}, trims to {slice.trim_to}"


class Receipt:
    """Where the answer of one call goes."""

    def __init__(self, life: Life, op: Op) -> None:
        self.life = life
        self.op = op
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def prepare(self, answer: Any) -> Any:
        life, op = self.life, self.op
        if op.decided_at is None and not isinstance(answer, ServiceUnavailable):
            op.stopped = life.stopping
            op.zombie = life.zombie
            now = life.clock.now()
            life.world.guard(life.world.checker.timed_out, op, answer, now, life.applied)
        return answer

    def deliver(self, prepared: Any) -> None:
        life = self.life
        life.world.guard(self._delivered, prepared)
        life.ops.pop(id(self.op.action), None)
        life.receipts.pop(self, None)
        if not self.future.done():
            self.future.set_result(prepared)

    def _delivered(self, prepared: Any) -> None:
        world = self.life.world
        if not self.life.alive:
            raise Violation(f"a dead daemon answers {self.op!r}")
        if world.told:
            world.say(f"{self.op.client} <- #{self.op.number} {prepared!r}")
        if not isinstance(prepared, ServiceUnavailable):
            world.checker.delivered(self.op, prepared, world.disk.events)


class Life:
    """One daemon, from its start to its end."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.alive = True
        self.recovered = False
        self.stopping = False
        self.zombie = False
        self.injected = False
        self.applied = 0
        self.began = 0
        self.ops: dict[int, Op] = {}
        self.receipts: dict[Receipt, None] = {}
        self.tasks: list[asyncio.Task[Any]] = []
        self.many = 50
        """Tasks, at which those that are done are let go of."""
        self.ended = asyncio.Event()
        self.clock = WorldClock(world.wall)
        self.wheel = Wheel(self.clock.now())
        self.queues = world.make_queues(self.wheel)
        self.store = world.make_store(self)
        self.kernel = world.make_kernel(self)
        self.alarm = WorldAlarm(self)

    # Doing

    async def start(self) -> bool:
        """Come up. False: it did not, and has ended."""
        task = self.run(asyncio.ensure_future, self.kernel.start())
        waiting = asyncio.ensure_future(self.ended.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not self.alive:
            return False
        error = task.exception()
        if error is not None:
            self.world.guard(self.explain, error)
            self.die()
            return False
        assert self.kernel.failed is not None
        self.kernel.failed.add_done_callback(lambda failed: self.world.guard(self.failed, failed.result()))
        self.began = self.clock.now()
        self.kernel._alarm = self.alarm
        self.kernel.alarm()
        return True

    def run(self, what: Callable[..., Any], *args: Any) -> Any:
        """Run something as this daemon: tasks that it makes end with it."""
        context = contextvars.copy_context()
        context.run(_life.set, self)
        return context.run(what, *args)

    def submit(self, op: Op) -> Receipt:
        receipt = Receipt(self, op)
        op.life, op.life_began = self.number, self.began
        self.ops[id(op.action)] = op
        self.receipts[receipt] = None
        self.run(self.kernel.submit, op.action, receipt)
        return receipt

    async def stop(self) -> None:
        """End in an orderly way."""
        self.stopping = True
        await asyncio.wait({self.run(asyncio.ensure_future, self.kernel.stop())})  # a crash cancels it
        if self.alive:
            closing = self.run(asyncio.ensure_future, self.store.close())
            await asyncio.wait({closing})  # likewise
            if not closing.cancelled() and closing.exception() is not None:
                self.world.guard(self.explain, closing.exception())
            self.die()

    def die(self) -> None:
        """The process is gone: what it held in memory is gone, and nothing of it runs again."""
        if not self.alive:
            return
        self.alive = False
        self.world.say(f"life {self.number} ends")
        self.store.crash()
        for task in self.tasks:
            task.cancel()
        self.alarm.stop()
        for receipt in list(self.receipts):
            if not receipt.future.done():
                receipt.future.set_result(LOST)
        self.ended.set()

    # Watching

    def has_recovered(self) -> None:
        self.recovered = True
        self.applied = self.world.disk.events
        self.audit()

    def quiet(self) -> bool:
        """Whether all that was decided is on disk, and the disk can be looked at."""
        if not self.alive or not self.recovered or self.zombie or self.store.failed:
            return False
        return self.applied == self.world.disk.events

    def audit(self, whole: bool = False) -> None:
        """Rows and the journal's tail give what the whole journal gives (I2)."""
        if not self.world.looks_inside:
            return
        shadow, disk, now = self.world.shadow, self.world.disk, self.clock.now()
        compare(self.queues, disk, (shadow.whole if whole else shadow.state)(disk.history, now))

    def decided(self, op: Op, outcome: Outcome, now: int) -> None:
        checker = self.world.checker
        op.zombie = self.zombie
        if isinstance(outcome, Decision):
            # What a receive finds expired on its way counts apart: half of that is no harm.
            events = sum(type(event) is not MessagesExpired for event in outcome.events)
            if self.world.told:
                self.world.say(f"#{op.number} decided at {now}: {outcome.answer!r}")
            checker.decided(op, outcome.answer, now, events, self.applied + len(outcome.events))
        elif isinstance(outcome, RopewayError):
            checker.decided(op, outcome, now, 0, self.applied)
        elif isinstance(outcome, Wait):
            op.asked_at = now if op.asked_at is None else op.asked_at
            checker.waits(op)

    def moved(self, op: Op | None, moves: list[MessagesMoved], count: int, now: int) -> None:
        """Messages are going to move, with these of `count` events."""
        names = {number: queue.name for number, queue in self.queues._registry.by_number.items()}
        for event in moves:
            ids = [event.ids[at : at + 16] for at in range(0, len(event.ids), 16)]
            messages = list(zip(ids, event.bodies, strict=True))
            said = Moves(names[event.number], names[event.destination], messages, event.task > 0)
            note = Op(0, "daemon", said)
            note.zombie, note.life_began = self.zombie, self.began
            self.world.checker.moved(note, now, len(moves), self.applied + count)
            if op is not None:
                op.moved = messages
                extras = event.attributes or [None] * len(event.bodies)
                size = sum(map(size_of, event.bodies, extras))
                op.moved_much = size > self.world.limits.page_bytes

    def failed(self, error: BaseException) -> None:
        self.explain(error)
        self.die()

    def explain(self, error: BaseException) -> None:
        """Only what was done to it may bring a daemon down."""
        self.world.say(f"life {self.number} failed: {error!r}")
        if isinstance(error, Violation):
            raise error
        if isinstance(error, Refused | Unknown | Unusable) and self.injected:
            return
        if isinstance(error, StoreError) and self.zombie:
            return
        raise Violation(f"life {self.number} ended without a reason: {error!r}") from error


def task_factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    """Makes each task part of the life that it was started in."""
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **options)
    life = _life.get()
    if life is not None:
        if len(life.tasks) >= life.many:
            life.tasks = [each for each in life.tasks if not each.done()]
            life.many = 2 * len(life.tasks) + 50
        life.tasks.append(task)
    return task
