"""One history of a FIFO queue: producers and consumers that ask again after each death of the daemon, in
virtual time, and a model that knows what they may be told.

Everything follows from the seed. The daemon dies before or after a commit of which the answer is on its way;
what was asked is asked again with the same deduplication ids and attempt. The model holds: no message is
there twice, none is missing, and of each group they come in order, one receive at a time. In half of the
histories a message that was received too often is a dead letter: those leave in order too.
"""

from __future__ import annotations

import random
from typing import Any

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.settings import QueueLimits
from ropewayd.store.memory import Fate
from ropewayd.vocabulary.errors import RopewayError
from tests.house import BODY, COUNT, HANDLE, ID, House, settle

QUEUE = "line.fifo"
DEAD = "dead.fifo"
MOST = 2
"""How often a message can be received, where there are dead letters."""
STEPS = 120
TIMEOUT = 20_000
REMEMBERED = 299_000


class Ordered:
    """See the module. `live` runs it, and raises AssertionError."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.house = House(
            KernelSettings(tail_bytes=dice.choice([4_000, 60_000]), slice_bytes=dice.choice([500, 5_000])),
            QueueLimits(
                memory_bytes=dice.choice([0, 5_000, 1 << 20]),
                min_window_bytes=400,
                page_messages=dice.choice([2, 7, 100]),
                fifo_calls=0,
            ),
        )
        self.scope = dice.choice(["queue", "messageGroup"])
        self.groups = [f"g{n}" for n in range(dice.choice([1, 3, 8]))]
        self.count = dict.fromkeys(self.groups, 0)
        self.accepted: dict[str, tuple[bytes, str, int]] = {}
        """By body: id, sequence number, when it was accepted at the latest."""
        self.waiting: dict[str, list[str]] = {group: [] for group in self.groups}
        """Bodies that are not deleted, in order."""
        self.held: dict[str, tuple[bytes, int]] = {}
        """By body: its last handle, and until when that is good."""
        self.counts: dict[str, int] = {}
        """How often each was received."""
        self.dying = dice.random() < 0.5
        self.letters = 0
        self.deaths = self.repeats = self.received = 0
        self.crash = True

    async def live(self) -> Ordered:
        house = self.house
        await house.start()
        given: dict[str, Any] = {"fifo": True, "visibility_timeout": TIMEOUT}
        given["deduplication_scope"] = self.scope
        await self.ask(a.CreateQueue(queue=DEAD, attributes={"fifo": True}))
        if self.dying:
            given["redrive_policy"] = {"dead_letter_target_arn": DEAD, "max_receive_count": MOST}
        await self.ask(a.CreateQueue(queue=QUEUE, attributes=given))
        acts = [self.send, self.send, self.repeat, self.receive, self.receive, self.delete, self.change]
        for _ in range(STEPS):
            await self.dice.choice(acts)()
            await house.wait(self.dice.choice([0, 10, 500, 5_000, 25_000]))
        self.crash = False
        await self.delete(everything=True)
        await house.wait(3 * TIMEOUT)  # what was given and not deleted is visible again
        while (await house.counts(QUEUE)) != (0, 0, 0):
            before = self.received
            await self.receive()
            left = [body for line in self.waiting.values() for body in line if not self._dies(body)]
            assert self.received > before or not left, f"never given: {left}"
            await self.delete(everything=True)
        await self._check_letters()
        assert await house.counts(QUEUE) == (0, 0, 0)
        return self

    def _dies(self, body: str) -> bool:
        return self.dying and self.counts.get(body, 0) >= MOST

    async def _check_letters(self) -> None:
        """What was not deleted is a dead letter, as it was, and in order."""
        came: dict[str, list[str]] = {group: [] for group in self.groups}
        while messages := await self.house.receive(100, DEAD):
            for message in messages:
                body = message[BODY]
                assert message[ID] == self.accepted[body][0], f"the dead letter {body} is there twice"
                came[body.partition(".")[0]].append(body)
                self.letters += 1
            await self.house.delete(*(message[HANDLE] for message in messages), queue=DEAD)
        assert came == self.waiting, f"dead letters {came}, and not {self.waiting}"

    async def ask(self, action: Any) -> Any:
        """The answer, however often the daemon dies meanwhile."""
        dice = self.dice
        while True:
            house = self.house
            if self.crash and dice.random() < 0.15:
                house.faults.fates = [dice.choice([Fate.CRASH_BEFORE, Fate.CRASH_AFTER])]
            reply = house.submit(action)
            for _ in range(100):
                if reply.answered or house.store.crashed:
                    break
                await settle()
            house.faults.fates.clear()
            if reply.answered and not house.store.crashed:
                return reply.answer.result()
            self.deaths += 1
            await house.restart()

    # Producers

    async def send(self) -> None:
        bodies = []
        for _ in range(self.dice.choice([1, 1, 3, 20])):
            group = self.dice.choice(self.groups)
            bodies.append(f"{group}.{self.count[group]}")
            self.count[group] += 1
        await self._send(bodies)

    async def repeat(self) -> None:
        """What was sent before, and is remembered."""
        now = self.house.clock.at
        known = [body for body, (_, _, at) in self.accepted.items() if now < at + REMEMBERED - 5_000]
        if known:
            self.repeats += 1
            await self._send([self.dice.choice(known) for _ in range(3)])

    async def _send(self, bodies: list[str]) -> None:
        entries = [
            a.SendEntry(body, group=body.partition(".")[0], deduplication_id=body.replace(".", "-"))
            for body in bodies
        ]
        answer = await self.ask(a.SendMessage(queue=QUEUE, entries=entries))
        for body, given in zip(bodies, answer, strict=True):
            assert isinstance(given, tuple), given
            known = self.accepted.get(body)
            if known is not None:
                assert given == known[:2], f"{body} was accepted twice: {given} and {known}"
                continue
            group = self.waiting[body.partition(".")[0]]
            numbers = [self.accepted[each][1] for each in group]
            assert not numbers or given[1] > numbers[-1], f"{body} stands before {group[-1]}"
            self.accepted[body] = (*given, self.house.clock.at)
            group.append(body)

    # Consumers

    async def receive(self) -> None:
        attempt = f"{self.dice.random()}"
        most = self.dice.choice([1, 3, 10])
        answer = await self.ask(a.ReceiveMessage(queue=QUEUE, max_messages=most, attempt=attempt))
        now = self.house.clock.at
        came: dict[str, list[str]] = {}
        for message in answer:
            body = message[BODY]
            assert message[ID] == self.accepted[body][0], f"{body} is there twice"
            came.setdefault(body.partition(".")[0], []).append(body)
        for group, bodies in came.items():
            line = self.waiting[group]
            passed = line[: line.index(bodies[-1]) + 1]
            alive = [each for each in passed if each in bodies or not self._dies(each)]
            assert bodies == alive, f"{bodies} of {line[:5]}"
            locked = [each for each in passed if each in self.held and self.held[each][1] > now]
            assert not locked, f"{bodies} came while {locked} are in flight"
        for message in answer:
            self.held[message[BODY]] = (message[HANDLE], now + TIMEOUT)
            self.counts[message[BODY]] = message[COUNT]
            assert not self.dying or message[COUNT] <= MOST, f"{message[BODY]} is a dead letter"
            self.received += 1

    async def delete(self, everything: bool = False) -> None:
        now = self.house.clock.at
        # A handle that is just over may be good for a tick of the wheel yet.
        sure = [body for body, (_, until) in self.held.items() if not until <= now < until + 100]
        bodies = [body for body in sure if everything or self.dice.random() < 0.6]
        if not bodies:
            return
        handles = [self.held[body][0] for body in bodies]
        answer = await self.ask(a.DeleteMessage(queue=QUEUE, handles=handles))
        for body, result in zip(bodies, answer, strict=True):
            if isinstance(result, RopewayError):
                assert now >= self.held[body][1], f"a handle of {body} is refused too early"
            elif now < self.held[body][1]:
                self.waiting[body.partition(".")[0]].remove(body)
            else:  # it is a dead letter by now, of which the handle knows nothing
                assert self._dies(body), f"a handle of {body} is good for too long"
            del self.held[body]

    async def change(self) -> None:
        if not self.held:
            return
        body = self.dice.choice(list(self.held))
        handle, until = self.held[body]
        timeout = self.dice.choice([0, 3_000, 40_000])
        now, deaths = self.house.clock.at, self.deaths
        entries = [a.VisibilityEntry(handle, timeout)]
        (result,) = await self.ask(a.ChangeMessageVisibility(queue=QUEUE, entries=entries))
        if isinstance(result, RopewayError):
            # Asked again, a handle is over that the first time gave the message back.
            assert now >= until or (timeout == 0 and self.deaths > deaths), f"{body}: {result.message}"
            del self.held[body]
        elif timeout:
            self.held[body] = (handle, now + timeout)
        else:
            del self.held[body]
