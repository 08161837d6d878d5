"""A daemon's inside and the reference model, side by side in virtual time, under everything that can be
asked of queues, with a crash and a restart wherever it comes.

Every duration is a multiple of the wheel's tick, so that timers fire exactly when they are due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ropewayd.kernel.kernel import Kernel
from ropewayd.kernel.settings import KernelSettings
from ropewayd.kernel.wheel import Wheel
from ropewayd.queues import actions as a
from ropewayd.queues.events import MessagesMoved
from ropewayd.queues.service import Queues
from ropewayd.queues.settings import QueueLimits
from ropewayd.store.memory import MemoryStore
from ropewayd.vocabulary.errors import (
    InvalidParameterValue,
    QueueDoesNotExist,
    ReceiptHandleIsInvalid,
    ResourceNotFoundException,
    UnsupportedOperation,
)
from tests.house import HANDLE, House
from tests.model.reference import ARN, Reference, must

T = TypeVar("T")

SECOND = 1000
GROUPS = ("red", "green", "blue")
TIMES = st.sampled_from([0, 10, 500, SECOND, 3 * SECOND, 30 * SECOND, 120 * SECOND])
WAITS = st.sampled_from([10, 490, SECOND, 5 * SECOND, 20 * SECOND, 30 * SECOND, 61 * SECOND])
DELAYS = st.sampled_from([None, None, 0, 10, SECOND, 20 * SECOND])
COUNTS = st.sampled_from([1, 1, 2, 3, 10, 1000])
PICKS = st.sampled_from(range(2_000))
"""Not integers: those would be 0 more often than not."""


class Observed(Queues):
    """Queues that tell which messages they move, as it happens."""

    def __init__(self, wheel: Wheel, limits: QueueLimits | None, entropy: Any, seen: Any) -> None:
        self._seen = seen
        super().__init__(wheel, limits, entropy)

    def _moved(self, event: MessagesMoved, lsn: int) -> Any:
        if not self._replaying:
            names = self._registry.by_number
            self._seen(event, names[event.number].name, names[event.destination].name)
        return super()._moved(event, lsn)


class ObservedHouse(House):
    """A house whose moves are told to the model."""

    model: Reference

    def _build(self) -> None:
        self.store = MemoryStore(self.disk, self.faults)
        self.wheel = Wheel(self.clock.now())
        self.queues = Observed(self.wheel, self.limits, self._entropy, self._seen)
        self.kernel = Kernel(self.store, self.clock, [self.queues], self.wheel, self.settings)

    def _seen(self, event: MessagesMoved, source: str, destination: str) -> None:
        self.model.moved(event, source, destination, self.clock.at)


class Machine(RuleBasedStateMachine):
    """See the module. Subclasses say which queues there are."""

    names: tuple[str, ...] = ("jobs", "mail", "dead")
    fifo = False
    lived = 0
    """Steps, of all lives of this kind."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.bodies = 0
        self.steps = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def call(self, action: Any) -> Any:
        return self.run(self.house.call(action))

    @property
    def now(self) -> int:
        return self.house.clock.at

    @initialize(
        whole=st.booleans(),
        tail=st.sampled_from([300, 3_000, 1 << 20]),
        page=st.sampled_from([3, 1000]),
        most=st.integers(1, 3),
        retention=st.sampled_from([60 * SECOND, 345_600 * SECOND]),
        delay=st.sampled_from([0, 0, 0, SECOND]),
    )
    def begin(self, whole: bool, tail: int, page: int, most: int, retention: int, delay: int) -> None:
        settings = KernelSettings(tail_bytes=tail, slice_bytes=max(100, tail // 6))
        limits = QueueLimits()
        if not whole:
            limits = QueueLimits(memory_bytes=0, min_window_bytes=0, page_messages=page, page_bytes=500)
        self.house = ObservedHouse(settings, limits)
        self.house.model = self.model = Reference(whole=whole)
        self.run(self.house.start())
        self.attributes: dict[str, Any] = {
            "visibility_timeout": 30 * SECOND,
            "retention_period": retention,
            "delay": delay,
        }
        if self.fifo:
            self.attributes |= {"fifo": True, "content_based_deduplication": True}
        self.policy = {"dead_letter_target_arn": ARN + self.names[-1], "max_receive_count": most}
        for name in reversed(self.names):
            self.create(name)

    def teardown(self) -> None:
        type(self).lived += self.steps
        self.runner.close()

    def create(self, name: str) -> None:
        attributes = dict(self.attributes)
        if name != self.names[-1] and self.names[-1] in self.model.queues:
            attributes["redrive_policy"] = self.policy
        answer = self.call(a.CreateQueue(queue=name, attributes=attributes))
        must(isinstance(answer, dict), f"{name} can be created: {answer!r}")
        self.model.created(name, attributes)

    def name(self, pick: int) -> str:
        return self.names[pick % len(self.names)]

    def there(self, name: str, answer: Any) -> bool:
        """Whether the queue is there; the answer agrees."""
        gone = isinstance(answer, QueueDoesNotExist)
        must(gone == (name not in self.model.queues), f"{name}: {answer!r}")
        return not gone

    # What can be asked

    def _send(self, pick: int, delays: list[int | None], group: int) -> None:
        name, entries = self.name(pick), []
        for at, delay in enumerate(delays):
            self.bodies += 1
            body = f"{self.bodies}{'x' * (self.bodies % 7 * 20)}"
            where = GROUPS[(group + at // 3) % 3] if self.fifo or pick % 2 else None
            entries.append(a.SendEntry(body, None if self.fifo else delay, group=where))
        self._sent(name, entries)

    def _sent(self, name: str, entries: list[a.SendEntry]) -> None:
        answer = self.call(a.SendMessage(queue=name, entries=entries))
        if self.there(name, answer):
            ids = [each[0] if self.fifo else each for each in answer]
            self.model.sent(name, entries, ids, self.now)
            self.latest = [(name, entry.body, entry.group) for entry in entries]

    @precondition(lambda self: self.fifo and self.latest)
    @rule(pick=PICKS)
    def send_twice(self, pick: int) -> None:
        """As a producer does whose connection was cut."""
        name, body, group = self.latest[pick % len(self.latest)]
        self._sent(name, [a.SendEntry(body, group=group)])

    _sends = rule(pick=PICKS, delays=st.lists(DELAYS, min_size=1, max_size=8), group=st.integers(0, 2))
    send, send_more, send_again = _sends(_send), _sends(_send), _sends(_send)

    def _receive(self, pick: int, count: int, timeout: int | None) -> None:
        name = self.name(pick)
        answer = self.call(
            a.ReceiveMessage(queue=name, max_messages=count, visibility_timeout=timeout, wait=0)
        )
        if self.there(name, answer):
            lasts = self.attributes["visibility_timeout"] if timeout is None else timeout
            self.model.received(name, count, lasts, answer, self.now)
            self.known += [(name, each[HANDLE]) for each in answer]

    _receives = rule(pick=PICKS, count=COUNTS, timeout=st.none() | TIMES)
    receive, receive_more, receive_again = _receives(_receive), _receives(_receive), _receives(_receive)
    receive_still, receive_on = _receives(_receive), _receives(_receive)

    known: list[tuple[str, bytes]]
    latest: list[tuple[str, str, str | None]]

    @initialize()
    def know_nothing(self) -> None:
        self.known, self.latest = [], []

    def handle(self, pick: int) -> tuple[str, bytes]:
        """Of the queue that it is of, mostly, and a late one, mostly."""
        name, handle = self.known[-1 - min(pick % 97, pick % 11, len(self.known) - 1)]
        return (self.name(pick) if pick % 50 == 0 else name), handle

    @precondition(lambda self: self.known)
    @rule(pick=PICKS)
    def delete(self, pick: int) -> None:
        name, handle = self.handle(pick)
        answer = self.call(a.DeleteMessage(queue=name, handles=[handle]))
        if self.there(name, answer):
            can, message = self.model.settles(name, handle, self.now)
            self._check(can, answer[0], gone=None)
            if message is not None:
                self.model.queues[name].leave(message)

    @precondition(lambda self: self.known)
    @rule(pick=PICKS, timeout=TIMES)
    def change(self, pick: int, timeout: int) -> None:
        name, handle = self.handle(pick)
        answer = self.call(
            a.ChangeMessageVisibility(queue=name, entries=[a.VisibilityEntry(handle, timeout)])
        )
        if self.there(name, answer):
            can, message = self.model.settles(name, handle, self.now)
            self._check(can, answer[0], gone="does not exist")
            if message is not None and answer[0] is None:
                message.hide(self.now, timeout)
            elif message is not None:
                self.model.queues[name].leave(message)

    def _check(self, can: set[str], result: Any, gone: str | None) -> None:
        said = "done" if result is None else "gone"
        if isinstance(result, ReceiptHandleIsInvalid):
            said = "invalid"
        elif isinstance(result, InvalidParameterValue) and "has expired" in result.message:
            said = "expired"
        elif result is not None:
            must(gone is not None and gone in result.message, f"{result!r}")
        if gone is None and "gone" in can:
            can = can | {"done"}  # deleting what is not there is fine
        must(said in can, f"{result!r}, but it is {can}")

    @rule(milliseconds=WAITS)
    def wait(self, milliseconds: int) -> None:
        self.run(self.house.wait(milliseconds))

    @rule()
    def crash(self) -> None:
        self.run(self.house.restart())
        self.run(self.house.wait(0))
        self.model.whole = False  # what is on disk alone comes a page at a time

    @rule(pick=PICKS)
    def upheaval(self, pick: int) -> None:
        """Seldom, or nothing else would be seen."""
        name = self.name(pick)
        if pick % 13 == 5:
            if self.there(name, self.call(a.PurgeQueue(queue=name))):
                self.model.purged(name)
        elif pick % 13 == 7 and self.there(name, self.call(a.DeleteQueue(queue=name))):
            self.model.deleted_queue(name)

    @precondition(lambda self: len(self.model.queues) < len(self.names))
    @rule()
    def create_again(self) -> None:
        for name in reversed(self.names):
            if name not in self.model.queues:
                self.create(name)

    @rule(pick=PICKS, back=st.booleans(), rate=st.sampled_from([None, 1, 7, 500]))
    def start_move(self, pick: int, back: bool, rate: int | None) -> None:
        dead = self.names[-1]
        to = None if back else self.name(pick)
        answer = self.call(a.StartMessageMoveTask(source=dead, destination=to, max_messages_per_second=rate))
        queue = self.model.queues.get(dead)
        sources = any(self.model.target(each) is queue for each in self.model.queues.values())
        if queue is None:
            must(isinstance(answer, ResourceNotFoundException), f"{dead} is not there: {answer!r}")
        elif not sources or to == dead:
            must(isinstance(answer, InvalidParameterValue), f"this is no move: {answer!r}")
        elif to is not None and to not in self.model.queues:
            must(isinstance(answer, ResourceNotFoundException), f"{to} is not there: {answer!r}")
        elif isinstance(answer, UnsupportedOperation):
            must(queue.task is not None, f"no task is running: {answer!r}")
        else:
            must(isinstance(answer, dict), f"the task can start: {answer!r}")
            queue.task, queue.moved = to or "", 0

    # What must be

    @invariant()
    def what_is_told_agrees(self) -> None:
        self.steps += 1
        for name, queue in self.model.queues.items():
            self.model.counted(name, self.call(a.GetQueueAttributes(queue=name)), self.now)
            if queue.task is not None:
                [task] = self.call(a.ListMessageMoveTasks(source=name))["tasks"]
                must(task["moved"] == queue.moved, f"{queue.moved} were moved: {task}")


class Standard(Machine):
    """Standard queues with a dead-letter queue."""


class Fifo(Machine):
    """FIFO queues with a FIFO dead-letter queue."""

    names = ("jobs.fifo", "mail.fifo", "dead.fifo")
    fifo = True


KINDS: tuple[type[Machine], ...] = (Standard, Fifo)
LIFE = 50
"""Steps of one life, at most."""


def live(kind: type[Machine], steps: int) -> int:
    """Live about so many steps, each followed by a look at all counts; gives how many they were."""
    before = kind.lived
    while kind.lived - before < steps:
        lives = max(1, (steps - kind.lived + before) // LIFE)
        run_state_machine_as_test(kind, settings=settings(max_examples=lives, stateful_step_count=LIFE))
    return kind.lived - before
