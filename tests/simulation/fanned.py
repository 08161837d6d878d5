"""One history of topics: publishers, queues and web hooks, while the daemon dies, in virtual time.

Everything follows from the seed. The kernel, the queues, the topics and the dispatcher are the real ones; the
store is in memory with its faults, and the web hooks stand in mortal.py. The daemon dies before or after a
commit, stops in an orderly way, and the clock is another one when it is back; what was asked is asked again.

What holds: all that was accepted reaches each subscription that wanted it and was confirmed, or its
dead-letter queue; of a group of a FIFO topic it comes once and in order; nothing comes that a filter policy
rejects, that was published after an unsubscribe was acknowledged, or before a subscription was confirmed.

The loop's unit is a second here: that is the dispatcher's.
"""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from ropewayd.deliveries.dispatcher import Dispatcher
from ropewayd.deliveries.settings import DispatchLimits
from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as q
from ropewayd.queues.settings import QueueLimits
from ropewayd.store.memory import Fate
from ropewayd.topics import actions as t
from ropewayd.vocabulary.errors import RopewayError, ServiceUnavailable
from tests.house import BODY, HANDLE, House, settle
from tests.simulation.loop import run
from tests.simulation.mortal import Hook, Network

NEWS, LINE = "news", "line.fifo"
KINDS = ("red", "blue")
QUEUES: dict[str, tuple[str, str | None]] = {
    "all": (NEWS, None),
    "red": (NEWS, "red"),
    "all.fifo": (LINE, None),
    "red.fifo": (LINE, "red"),
}
"""By queue: its topic, and the kind that its filter policy lets pass."""
GROUPS = ("g0", "g1", "g2")
STEPS = 50
TIMEOUT = 30_000
"""Milliseconds that a message which was received is invisible."""
REMEMBERED = 300_000
"""Milliseconds that a deduplication id is remembered."""
LONGEST = 5
"""Seconds that an attempt may take."""
FATES = (Fate.CRASH_BEFORE, Fate.CRASH_AFTER)


class Fanned:
    """See the module. `live` runs it, and raises AssertionError."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.house = House(
            KernelSettings(tail_bytes=dice.choice([4_000, 60_000]), slice_bytes=dice.choice([500, 5_000])),
            QueueLimits(memory_bytes=dice.choice([0, 5_000, 1 << 20]), min_window_bytes=400, fifo_calls=0),
        )
        self.hooks = [Hook("all", None), Hook("red", "red"), Hook("brief", None)]
        self.network = Network(random.Random(seed + 1), self.hooks, LONGEST)
        self.dispatcher: Dispatcher | None = None
        self.wanted: dict[str, list[str]] = {queue: [] for queue in QUEUES}
        """What each queue is owed, in order."""
        self.given: dict[str, list[str]] = {queue: [] for queue in QUEUES}
        """What it gave, in order, each as often as it came."""
        self.returned: set[str] = set()
        """What may come again: it was deleted, or asked again, too late, after a leap of the clock."""
        self.published = self.deaths = self.letters = 0
        self.crash = True

    async def live(self) -> Fanned:
        await self.house.start()
        self._dispatch()
        await self._found()
        acts = [self.publish, self.publish, self.line, self.line, self.receive, self.confirm, self.subscribe]
        for step in range(STEPS):
            await self.dice.choice(acts)()
            if step == STEPS // 2:
                await self.leave(self.hooks[2])
            await self.wait(self.dice.choice([0, 1, 3, 15]))
        self.crash = self.network.faults = False
        await self.wait(150)  # all retries, and all that was under way
        for queue in QUEUES:
            await self._drain(queue)
        self._check_queues()
        for hook in self.hooks:
            await self._check_hook(hook)
        await self._close()
        await self.house.kernel.stop()
        return self

    async def _found(self) -> None:
        await self.ask(t.CreateTopic(topic=NEWS))
        await self.ask(t.CreateTopic(topic=LINE, attributes={"fifo": True}))
        for queue, (topic, kind) in QUEUES.items():
            fifo = {"fifo": True} if queue.endswith(".fifo") else {}
            await self.ask(q.CreateQueue(queue=queue, attributes=fifo))
            await self.ask(t.Subscribe(topic=topic, endpoint=queue, attributes=_attributes(kind)))
        for hook in self.hooks:
            await self.ask(q.CreateQueue(queue=hook.letters))
        await self.subscribe()

    # What must be

    def _check_queues(self) -> None:
        for queue, wanted in self.wanted.items():
            given = self.given[queue]
            lost = set(wanted) - set(given)
            assert not lost, f"{queue} lost {sorted(lost)}"
            leaked = set(given) - set(wanted)
            assert not leaked, f"{queue} got {sorted(leaked)}, which is not for it"
            if not queue.endswith(".fifo"):
                continue
            twice = {body for body in given if given.count(body) > 1} - self.returned
            assert not twice, f"{queue} gave {sorted(twice)} twice"
            for group in GROUPS:
                came = list(dict.fromkeys(body for body in given if f".{group}." in body))
                must = [body for body in wanted if f".{group}." in body]
                assert came == must, f"{queue} gave {came} of {group}, and not {must}"

    async def _check_hook(self, hook: Hook) -> None:
        letters = set(await self._letters(hook.letters))
        self.letters += len(letters)
        leaked = letters - hook.wanted
        assert not leaked, f"{hook.letters} got {sorted(leaked)}, which is not for it"
        lost = hook.owed - hook.taken - letters
        assert not lost, f"{hook.url} lost {sorted(lost)}"

    async def _letters(self, queue: str) -> list[str]:
        found: list[str] = []
        while messages := await self.ask(q.ReceiveMessage(queue=queue, max_messages=10, wait=0)):
            found += [message[BODY] for message in messages]
            await self.ask(q.DeleteMessage(queue=queue, handles=[message[HANDLE] for message in messages]))
        return found

    # The daemon

    def _dispatch(self) -> None:
        limits = DispatchLimits(longest={"http": LONGEST})
        house = self.house
        self.dispatcher = Dispatcher(house.kernel, house.topics, {"http": self.network}, limits)
        self.dispatcher.start()

    async def _close(self) -> None:
        assert self.dispatcher is not None
        await self.dispatcher.close()

    async def _restart(self) -> None:
        """It is dead, and another comes after a while, by a clock that may be another one."""
        self.deaths += 1
        self.house.store.crash()
        await self._close()
        self.house.clock.at += self.dice.choice([0, 0, 1_000, -5_000, 60_000, 3_600_000])
        await self.house.restart()
        self._dispatch()

    def _doom(self, chance: float) -> None:
        if self.crash and self.dice.random() < chance:
            self.house.faults.fates = [self.dice.choice(FATES)]

    async def wait(self, seconds: int) -> None:
        """Time passes, in which messages are delivered, and the daemon dies or stops now and then."""
        self._doom(0.2)
        for _ in range(seconds):
            await asyncio.sleep(1)
            self.house.clock.at += 1_000
            self.house.kernel.tick()
            await settle()
            if self.house.store.crashed:
                await self._restart()
        self.house.faults.fates.clear()
        if self.crash and self.dice.random() < 0.03:
            await self._close()
            await self.house.kernel.stop()
            await self._restart()
        assert not self.network.wrong, self.network.wrong

    async def ask(self, action: Any) -> Any:
        """The answer, however often the daemon dies meanwhile."""
        while True:
            self._doom(0.1)
            reply = self.house.submit(action)
            for _ in range(100):
                if reply.answered or self.house.store.crashed:
                    break
                await settle()
            self.house.faults.fates.clear()
            if reply.answered and not self.house.store.crashed:
                answer = reply.answer.result()
                if not isinstance(answer, ServiceUnavailable):
                    assert not isinstance(answer, RopewayError), f"{action}: {answer}"
                    return answer
            await self._restart()

    # What is asked

    async def publish(self) -> None:
        """To the standard topic."""
        entries = []
        for _ in range(self.dice.choice([1, 1, 5])):
            kind, body = self._next("news")
            entries.append(t.PublishEntry(body, attributes={"kind": ("String", kind)}))
            self._owe(NEWS, kind, body)
            for hook in self.hooks:
                if hook.wants(kind) and hook.confirmed and not hook.gone:
                    hook.wanted.add(body)
                    hook.owed.add(body)
        await self._publish(NEWS, entries)

    async def line(self) -> None:
        """To the FIFO topic."""
        entries = []
        for _ in range(self.dice.choice([1, 1, 5])):
            group = self.dice.choice(GROUPS)
            kind, body = self._next(group)
            attributes = {"kind": ("String", kind)}
            entries.append(t.PublishEntry(body, attributes=attributes, group=group, deduplication_id=body))
            self._owe(LINE, kind, body)
        await self._publish(LINE, entries)

    def _next(self, group: str) -> tuple[str, str]:
        kind = self.dice.choice(KINDS)
        self.published += 1
        return kind, f"{kind}.{group}.{self.published}"

    def _owe(self, topic: str, kind: str, body: str) -> None:
        for queue, (its, only) in QUEUES.items():
            if its == topic and only in (None, kind):
                self.wanted[queue].append(body)

    async def _publish(self, topic: str, entries: list[t.PublishEntry]) -> None:
        began = self.house.clock.at
        answer = await self.ask(t.PublishMessage(topic=topic, entries=entries))
        if self.house.clock.at >= began + REMEMBERED:
            self.returned.update(entry.body for entry in entries)
        refused = [each for each in answer if isinstance(each, RopewayError)]
        assert not refused, refused

    async def receive(self) -> None:
        await self._drain(self.dice.choice(list(QUEUES)))

    async def _drain(self, queue: str) -> None:
        """Receive and delete all that a queue has to give."""
        clock = self.house.clock
        while True:
            began = clock.at
            messages = await self.ask(
                q.ReceiveMessage(queue=queue, max_messages=10, wait=0, attempt=self._attempt(queue))
            )
            if not messages:
                return
            bodies = [message[BODY] for message in messages]
            self.given[queue] += bodies
            handles = [message[HANDLE] for message in messages]
            results = await self.ask(q.DeleteMessage(queue=queue, handles=handles))
            for body, result in zip(bodies, results, strict=True):
                if isinstance(result, RopewayError):
                    late = clock.at >= began + TIMEOUT
                    assert late, f"a handle of {body} is refused too early: {result}"
                    self.returned.add(body)

    def _attempt(self, queue: str) -> str | None:
        return f"{self.dice.random()}" if queue.endswith(".fifo") else None

    async def subscribe(self) -> None:
        """Every web hook that is neither confirmed nor gone, or one that was asked: it is asked again."""
        for hook in self.hooks:
            if hook.confirmed or hook.gone:
                continue
            answer = await self.ask(
                t.Subscribe(
                    topic=NEWS,
                    protocol="http",
                    endpoint=hook.url,
                    attributes={
                        **_attributes(hook.kind),
                        "redrive_policy": {"dead_letter_target_arn": hook.letters},
                    },
                )
            )
            hook.arn = answer["subscription"]

    async def confirm(self) -> None:
        """Web hooks confirm by the last token that reached them."""
        for hook in self.hooks:
            if hook.asked and not hook.confirmed and not hook.gone:
                hook.confirming = True
                await self.ask(t.ConfirmSubscription(token=hook.asked[-1]))
                hook.confirmed = True

    async def leave(self, hook: Hook) -> None:
        """It unsubscribes. What was on its way to it is nobody's, and nothing new is for it."""
        await self.ask(t.Unsubscribe(subscription=hook.arn))
        hook.gone = True
        hook.owed.clear()


def _attributes(kind: str | None) -> dict[str, Any]:
    given: dict[str, Any] = {"raw_message_delivery": True}
    if kind is not None:
        given["filter_policy"] = json.dumps({"kind": [kind]})
    return given


def fan(seed: int) -> Fanned:
    """Live one history. Raises AssertionError, which says the seed."""

    async def main() -> Fanned:
        return await Fanned(seed).live()

    try:
        lived: Fanned = run(main())
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    return lived
