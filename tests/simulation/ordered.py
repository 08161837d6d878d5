"""One history of a FIFO queue: producers and consumers that ask again after each death of the daemon, in
virtual time, and a model that knows what they may be told.

Everything follows from the seed. The daemon dies before or after a commit of which the answer is on its way;
what was asked is asked again with the same deduplication ids and attempt. The model holds: no message is
there twice, none is missing, and of each group they come in order, one receive at a time. In half of the
histories a message that was received too often is a dead letter, and now and then a move task brings dead
letters back: both leave in order, and what comes back is a new message behind all that are there.

What was sent and what was moved is read from the journal, whose order decides; whether that may be is the
model's to say.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.events import MessagesMoved, MessagesSent
from ropewayd.queues.settings import QueueLimits
from ropewayd.store.memory import Fate
from ropewayd.vocabulary.errors import RopewayError
from tests.house import BODY, COUNT, HANDLE, ID, House, settle
from tests.simulation.world import WholeDisk

QUEUE = "line.fifo"
DEAD = "dead.fifo"
MOST = 2
"""How often a message can be received, where there are dead letters."""
STEPS = 120
TIMEOUT = 20_000
REMEMBERED = 299_000
_TAGS = {kind.__struct_config__.tag: kind for kind in (MessagesSent, MessagesMoved)}


class Ordered:
    """See the module. `live` runs it, and raises AssertionError."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.disk = WholeDisk()
        self.seen = 0
        """Rows of the journal."""
        self.house = House(
            KernelSettings(tail_bytes=dice.choice([4_000, 60_000]), slice_bytes=dice.choice([500, 5_000])),
            QueueLimits(
                memory_bytes=dice.choice([0, 5_000, 1 << 20]),
                min_window_bytes=400,
                page_messages=dice.choice([2, 7, 100]),
                fifo_calls=0,
            ),
            self.disk,
        )
        self.scope = dice.choice(["queue", "messageGroup"])
        self.groups = [f"g{n}" for n in range(dice.choice([1, 3, 8]))]
        self.count = dict.fromkeys(self.groups, 0)
        self.accepted: dict[str, tuple[bytes, int]] = {}
        """By body: its first id, and when it was accepted."""
        self.numbers: dict[str, str] = {}
        """By body: its first sequence number, once that was told."""
        self.ids: dict[str, bytes] = {}
        """By body: its id now."""
        self.waiting: dict[str, list[str]] = {group: [] for group in self.groups}
        """Bodies that are neither deleted nor dead letters, in order."""
        self.dead: dict[str, list[str]] = {group: [] for group in self.groups}
        """Those of dead letters."""
        self.held: dict[str, tuple[bytes, int]] = {}
        """By body: its last handle, and until when that is good."""
        self.counts: dict[str, int] = {}
        """How often each was received."""
        self.dying = dice.random() < 0.5
        self.over: list[bytes] = []
        """Handles of what became a dead letter since: they are good for nothing."""
        self.letters = self.redriven = 0
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
        acts += [self.redrive] if self.dying else []
        for _ in range(STEPS):
            await self.dice.choice(acts)()
            await self.wait(self.dice.choice([0, 10, 500, 5_000, 25_000]))
        self.crash = False
        await house.wait(120_000)  # a task is at its end
        await self.delete(everything=True)
        await house.wait(3 * TIMEOUT)  # what was given and not deleted is visible again
        while (await house.counts(QUEUE)) != (0, 0, 0):
            before, letters = self.received, self.letters
            await self.receive()
            left = [body for line in self.waiting.values() for body in line]
            moved = self.received > before or self.letters > letters
            assert moved or not left, f"never given: {left}"
            await self.delete(everything=True)
        assert not any(self.waiting.values()), f"never given: {self.waiting}"
        await self._check_letters()
        assert await house.counts(QUEUE) == (0, 0, 0)
        return self

    def _dies(self, body: str) -> bool:
        return self.dying and self.counts.get(body, 0) >= MOST

    async def _check_letters(self) -> None:
        """What became a dead letter and did not go back is there, and in order."""
        came: dict[str, list[str]] = {group: [] for group in self.groups}
        while messages := await self.house.receive(100, DEAD):
            for message in messages:
                body = message[BODY]
                assert message[ID] == self.ids[body], f"the dead letter {body} is there twice"
                came[body.partition(".")[0]].append(body)
            await self.house.delete(*(message[HANDLE] for message in messages), queue=DEAD)
        assert came == self.dead, f"dead letters {came}, and not {self.dead}"

    # What the journal says

    def look(self) -> None:
        """Take in what has become durable: messages that were sent, and those that were moved."""
        for _, batch in self.disk.history[self.seen :]:
            for event in msgspec.msgpack.decode(batch)[2]:
                kind = _TAGS.get(event[0])
                if kind is MessagesSent:
                    self._sent(msgspec.convert(event, MessagesSent))
                elif kind is MessagesMoved:
                    self._moved(msgspec.convert(event, MessagesMoved))
        self.seen = len(self.disk.history)

    def _sent(self, event: MessagesSent) -> None:
        for at, body in enumerate(event.bodies):
            id_ = event.ids[16 * at : 16 * at + 16]
            assert body not in self.accepted, f"{body} was accepted twice"
            self.accepted[body], self.ids[body] = (id_, event.at), id_
            self.waiting[body.partition(".")[0]].append(body)

    def _moved(self, event: MessagesMoved) -> None:
        for at, body in enumerate(event.bodies):
            group, id_ = body.partition(".")[0], event.ids[16 * at : 16 * at + 16]
            line, dead = self.waiting[group], self.dead[group]
            if event.task:
                assert dead[:1] == [body], f"{body} goes back before {dead[:3]}"
                assert id_ not in self.ids.values(), f"what {body} goes back as is no new message"
                dead.remove(body)
                line.append(body)
                self.ids[body], self.counts[body] = id_, 0
                self.redriven += 1
                continue
            assert self._dies(body), f"{body} is no dead letter"
            assert body in line, f"{body} dies twice"
            before = line[: line.index(body)]
            locked = [each for each in before if each in self.held and self.held[each][1] > event.at]
            assert not locked, f"{body} died while {locked} are in flight"
            passed = [each for each in before if self._dies(each)]
            assert not passed, f"{body} died before {passed}"
            assert id_ == self.ids[body], f"{body} became another message"
            line.remove(body)
            dead.append(body)
            if body in self.held:
                self.over.append(self.held.pop(body)[0])
            self.letters += 1

    # The daemon

    async def wait(self, milliseconds: int) -> None:
        """Time passes, in which the daemon does what it has to do, and dies now and then."""
        house = self.house
        if self.crash and self.dice.random() < 0.1:
            house.faults.fates = [self.dice.choice([Fate.CRASH_BEFORE, Fate.CRASH_AFTER])]
        await house.wait(milliseconds)
        house.faults.fates.clear()
        if house.store.crashed:
            self.deaths += 1
            await house.restart()
            await house.wait(0)  # what came due meanwhile is done
        self.look()

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
            self.look()
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
        known = [body for body, (_, at) in self.accepted.items() if now < at + REMEMBERED - 5_000]
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
            id_, number = given
            assert id_ == self.accepted[body][0], (
                f"{body} was accepted twice: {given} and {self.accepted[body]}"
            )
            assert number == self.numbers.setdefault(body, number), f"{body} has two numbers"
            group, place = body.split(".")
            before = self.numbers.get(f"{group}.{int(place) - 1}", "")
            assert number > before, f"{body} stands before the one before it"

    # Consumers

    async def receive(self) -> None:
        attempt = f"{self.dice.random()}"
        most = self.dice.choice([1, 3, 10])
        answer = await self.ask(a.ReceiveMessage(queue=QUEUE, max_messages=most, attempt=attempt))
        now = self.house.clock.at
        came: dict[str, list[str]] = {}
        for message in answer:
            body = message[BODY]
            assert message[ID] == self.ids[body], f"{body} is there twice"
            came.setdefault(body.partition(".")[0], []).append(body)
        for group, bodies in came.items():
            line = self.waiting[group]
            assert bodies == line[: len(bodies)], f"{bodies} of {line[:5]}"
            locked = [each for each in bodies if each in self.held and self.held[each][1] > now]
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
        answer = await self.ask(a.DeleteMessage(queue=QUEUE, handles=handles + self.over[-3:]))
        for body, result in zip(bodies, answer[: len(bodies)], strict=True):
            if isinstance(result, RopewayError):
                assert now >= self.held[body][1], f"a handle of {body} is refused too early"
            else:
                assert now < self.held[body][1], f"a handle of {body} is good for too long"
                self.waiting[body.partition(".")[0]].remove(body)
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

    # The dead-letter queue

    async def redrive(self) -> None:
        """Dead letters go back, at once or one after the other."""
        rate = self.dice.choice([None, 1, 5])
        await self.ask(a.StartMessageMoveTask(source=DEAD, max_messages_per_second=rate))
