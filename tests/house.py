"""The kernel with its services on the memory store, in virtual time: what most tests of meaning need."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from ropewayd.kernel.kernel import Kernel, Report
from ropewayd.kernel.settings import KernelSettings
from ropewayd.kernel.wheel import Wheel
from ropewayd.queues import actions as a
from ropewayd.queues.service import Queues
from ropewayd.queues.settings import QueueLimits
from ropewayd.store.memory import Disk, Fate, Faults, MemoryStore
from ropewayd.store.protocol import Slice
from ropewayd.texting.phones import Phones
from ropewayd.texting.service import Texting
from ropewayd.texting.settings import TextingLimits
from ropewayd.topics.service import Topics
from ropewayd.topics.settings import TopicLimits
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import RopewayError

START = 1_700_000_000_000


class StillClock:
    """Time that stands until a test moves it."""

    def __init__(self, at: int = START) -> None:
        self.at = at

    def now(self) -> int:
        return self.at

    def wall(self) -> int:
        return self.at

    def carry_from(self, last: int) -> None:
        self.at = max(self.at, last)


class Held(Faults):
    """Appends wait while `gate` is closed; `fates` says what becomes of the next ones."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = 0
        self.fates: list[Fate] = []

    async def append(self, lsn: int, batch: bytes, slice: Slice | None) -> Fate:
        self.asked += 1
        await self.gate.wait()
        return self.fates.pop(0) if self.fates else Fate.OK


class Reply:
    """One call's answer, as a future."""

    def __init__(self) -> None:
        self.prepared: Any = None
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def prepare(self, answer: Any) -> Any:
        self.prepared = answer
        return answer

    def deliver(self, prepared: Any) -> None:
        assert not self.answer.done(), "a call is answered once"
        self.answer.set_result(prepared)

    @property
    def answered(self) -> bool:
        return self.answer.done()


class House:
    """One daemon's inside. `restart` is a crash and a new start on the same disk."""

    def __init__(
        self,
        settings: KernelSettings | None = None,
        limits: QueueLimits | None = None,
        disk: Disk | None = None,
        clock: StillClock | None = None,
        topic_limits: TopicLimits | None = None,
        texting_limits: TextingLimits | None = None,
    ) -> None:
        self.texting_limits = texting_limits
        self.topic_limits = topic_limits
        self.settings = settings
        self.limits = limits
        self.disk = disk or Disk()
        self.clock = clock or StillClock()
        self.faults = Held()
        self._entropy = random.Random(4565).randbytes
        self._build()

    def _build(self) -> None:
        self.store = MemoryStore(self.disk, self.faults)
        self.wheel = Wheel(self.clock.now())
        self.queues = Queues(self.wheel, self.limits, self._entropy)
        self.topics = Topics(self.wheel, self.queues.fanning, self.topic_limits, self._entropy)
        self.phones = Phones(self.texting_limits)
        self.texting = Texting(self.queues.fanning, self.phones, self._entropy)
        self.kernel = Kernel(
            self.store,
            self.clock,
            [self.queues, self.topics, self.texting],
            self.wheel,
            self.settings,
            gates=self.queues.gates(),
        )

    async def start(self) -> Report:
        report = await self.kernel.start()
        await settle()
        return report

    async def restart(self) -> Report:
        self.store.crash()
        self.faults = Held()
        self._build()
        return await self.start()

    def submit(self, action: Action) -> Reply:
        reply = Reply()
        self.kernel.submit(action, reply)
        return reply

    async def call(self, action: Action) -> Any:
        """The answer, once it is durable."""
        return await asyncio.wait_for(self.submit(action).answer, 5)

    async def fail(self, action: Action) -> RopewayError:
        """The error that this action must get."""
        answer = await self.call(action)
        assert isinstance(answer, RopewayError), answer
        return answer

    async def wait(self, milliseconds: int) -> None:
        """Let time pass, stopping at each deadline on the way."""
        until = self.clock.at + milliseconds
        while True:
            due = self.kernel.next_deadline()
            self.clock.at = until if due is None else max(self.clock.at, min(due, until))
            self.kernel.tick()
            await settle()
            failed = self.kernel.failed
            dead = failed is not None and failed.done()  # then nothing is done, and time would never pass
            if dead or self.clock.at == until:
                return

    # The calls that nearly every test makes

    async def create(self, queue: str = "jobs", **attributes: Any) -> None:
        answer = await self.call(a.CreateQueue(queue=queue, attributes=attributes))
        assert not isinstance(answer, RopewayError), answer

    async def send(self, *bodies: Any, queue: str = "jobs", **each: Any) -> list[Any]:
        entries = [a.SendEntry(body, **each) for body in bodies]
        answer: list[Any] = await self.call(a.SendMessage(queue=queue, entries=entries))
        return answer

    async def receive(self, most: int = 10, queue: str = "jobs", **each: Any) -> list[Any]:
        answer: list[Any] = await self.call(a.ReceiveMessage(queue=queue, max_messages=most, **each))
        assert isinstance(answer, list), answer
        return answer

    async def bodies(self, most: int = 1000, queue: str = "jobs", **each: Any) -> list[Any]:
        return [message[BODY] for message in await self.receive(most, queue, **each)]

    async def delete(self, *handles: Any, queue: str = "jobs") -> list[Any]:
        answer: list[Any] = await self.call(a.DeleteMessage(queue=queue, handles=list(handles)))
        return answer

    async def change(self, handle: bytes, invisible_for: int, queue: str = "jobs") -> Any:
        entries = [a.VisibilityEntry(handle, invisible_for)]
        return (await self.call(a.ChangeMessageVisibility(queue=queue, entries=entries)))[0]

    async def counts(self, queue: str = "jobs") -> tuple[int, int, int]:
        """(visible, in flight, delayed)."""
        said = await self.call(a.GetQueueAttributes(queue=queue))
        return said["visible"], said["in_flight"], said["delayed"]


ID, HANDLE, BODY, SENT_AT, COUNT, FIRST_AT, ATTRIBUTES = range(7)
"""The places in a received message."""


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(30):
        await asyncio.sleep(0)
