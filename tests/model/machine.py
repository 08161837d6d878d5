"""A daemon's inside and the reference model, side by side in virtual time, under everything that can be
asked of queues, with a crash and a restart wherever it comes.

Every duration is a multiple of the wheel's tick, so that timers fire exactly when they are due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
from hypothesis import Phase, settings
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
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
    InvalidParameterValue,
    QueueDoesNotExist,
    ReceiptHandleIsInvalid,
    RequestThrottled,
    ResourceNotFoundException,
    ServiceUnavailable,
    UnsupportedOperation,
)
from tests.house import HANDLE, House
from tests.model.rates import Buckets, Rates
from tests.model.reference import ARN, Reference, must

T = TypeVar("T")

SECOND = 1000
GROUPS = ("red", "green", "blue")
TIMES = st.sampled_from([0, 10, 500, SECOND, 3 * SECOND, 30 * SECOND, 120 * SECOND])
WAITS = st.sampled_from([10, 490, SECOND, 5 * SECOND, 20 * SECOND, 30 * SECOND, 61 * SECOND])
DELAYS = st.sampled_from([None, None, 0, 10, SECOND, 20 * SECOND])
RETENTIONS = st.sampled_from([60 * SECOND, 90 * SECOND, 345_600 * SECOND])
MODES = st.sampled_from(
    [("queue", "perQueue"), ("messageGroup", "perQueue"), ("messageGroup", "perMessageGroupId")]
)
"""Deduplication scope and throughput limit, as they go together."""
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
        self.kernel = Kernel(
            self.store, self.clock, [self.queues], self.wheel, self.settings, gates=self.queues.gates()
        )

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
        answer = self.run(self.house.call(action))
        must(not isinstance(answer, ServiceUnavailable), f"it is there, and answers {action!r}: {answer!r}")
        return answer

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
        mode=MODES,
        rates=st.sampled_from([(300, 30), (300, 30), (100, 2), (0, 30)]),
        kept=st.sampled_from([1, 300, 16 << 10]),
    )
    def begin(
        self,
        whole: bool,
        tail: int,
        page: int,
        most: int,
        retention: int,
        delay: int,
        mode: tuple[str, str],
        rates: tuple[int, int],
        kept: int,
    ) -> None:
        """`rates` are whole numbers of calls a tick, so that they are counted alike."""
        settings = KernelSettings(tail_bytes=tail, slice_bytes=max(100, tail // 6))
        self.rates = Rates(*rates)
        limits = QueueLimits(fifo_calls=rates[0], fifo_partitions=rates[1], kept_bytes=kept)
        if not whole:
            limits = msgspec.structs.replace(
                limits, memory_bytes=0, min_window_bytes=0, page_messages=page, page_bytes=500
            )
        self.house = ObservedHouse(settings, limits)
        self.house.model = self.model = Reference(whole=whole)
        self.run(self.house.start())
        self.attributes: dict[str, Any] = {
            "visibility_timeout": 30 * SECOND,
            "retention_period": retention,
            "delay": delay,
        }
        if self.fifo:
            scope, limit = mode
            self.attributes |= {
                "fifo": True,
                "content_based_deduplication": True,
                "deduplication_scope": scope,
                "fifo_throughput_limit": limit,
            }
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

    def may(self, name: str, answer: Any, *, what: str, messages: int) -> bool:
        """Whether the queue is there, and was not called too often; the answer agrees."""
        queue = self.model.queues.get(name)
        allowed = queue is None or not queue.fifo
        if queue is not None and queue.fifo:
            allowed = self.rates.allow(queue.buckets, queue.attributes, what, messages, self.now)
        return self._allowed(name, answer, allowed)

    def _allowed(self, name: str, answer: Any, allowed: bool) -> bool:
        must(isinstance(answer, RequestThrottled) == (not allowed), f"{name} may be called: {allowed}")
        return allowed and self.there(name, answer)

    def _send(self, pick: int, delays: list[int | None], group: int, known: int) -> None:
        name, entries = self.name(pick), []
        for at, delay in enumerate(delays):
            self.bodies += 1
            body = f"{self.bodies}{'x' * (self.bodies % 7 * 20)}"
            where = GROUPS[(group + at // 3) % 3] if self.fifo or pick % 2 else None
            entry = a.SendEntry(body, None if self.fifo else delay, group=where)
            if self.fifo and at == known:
                entry.deduplication_id = f"id{pick % 4}"
            elif not self.fifo and at == known:
                entry.token = body
            entries.append(entry)
        self._sent(name, entries)

    def _sent(self, name: str, entries: list[a.SendEntry]) -> None:
        answer = self.call(a.SendMessage(queue=name, entries=entries))
        queue, allowed = self.model.queues.get(name), True
        if queue is not None and queue.fifo:
            groups = [entry.group for entry in entries]
            allowed = self.rates.allow_send(queue.buckets, queue.attributes, groups, self.now)
        if self._allowed(name, answer, allowed):
            ids = [each[0] if self.fifo else each for each in answer]
            self.model.sent(name, entries, ids, self.now)
            latest = [(name, entry) for entry in entries if self.fifo or entry.token is not None]
            self.latest = latest or self.latest

    @precondition(lambda self: self.latest)
    @rule(pick=PICKS, group=st.none() | st.sampled_from(GROUPS), count=COUNTS)
    def send_twice(self, pick: int, group: str | None, count: int) -> None:
        """As a producer does whose connection was cut; or one who takes the same id for another group."""
        name, entry = self.latest[pick % len(self.latest)]
        self._sent(name, [msgspec.structs.replace(entry, group=group or entry.group)] * count)

    _sends = rule(
        pick=PICKS,
        delays=st.lists(DELAYS, min_size=1, max_size=8),
        group=st.integers(0, 2),
        known=st.integers(0, 12),
    )
    send, send_more, send_again = _sends(_send), _sends(_send), _sends(_send)

    def _receive(self, pick: int, count: int, timeout: int | None, attempt: str | None) -> None:
        name = self.name(pick)
        answer = self.call(
            a.ReceiveMessage(
                queue=name, max_messages=count, visibility_timeout=timeout, wait=0, attempt=attempt
            )
        )
        if not self.may(name, answer, what="receive", messages=count):
            return
        set_ = self.model.queues[name].attributes["visibility_timeout"]
        lasts = set_ if timeout is None else timeout
        again = self.model.repeats(name, attempt, self.now)
        if again is not None:
            self.model.repeated(again, lasts, answer, self.now)
            return
        self.model.received(name, count, lasts, answer, self.now, attempt)
        self.known += [(name, each[HANDLE]) for each in answer]

    _receives = rule(
        pick=PICKS, count=COUNTS, timeout=st.none() | TIMES, attempt=st.sampled_from([None, None, "a", "b"])
    )
    receive, receive_more, receive_again = _receives(_receive), _receives(_receive), _receives(_receive)
    receive_still, receive_on = _receives(_receive), _receives(_receive)

    known: list[tuple[str, bytes]]
    latest: list[tuple[str, a.SendEntry]]

    @initialize()
    def know_nothing(self) -> None:
        self.known, self.latest = [], []

    def handle(self, pick: int) -> tuple[str, bytes]:
        """Of the queue that it is of, mostly, and a late one, mostly."""
        name, handle = self.known[-1 - min(pick % 97, pick % 11, len(self.known) - 1)]
        return (self.name(pick) if pick % 50 == 0 else name), handle

    @precondition(lambda self: self.known)
    @rule(pick=PICKS, count=COUNTS)
    def delete(self, pick: int, count: int) -> None:
        """By so many handles, which are all the same."""
        name, handle = self.handle(pick)
        answer = self.call(a.DeleteMessage(queue=name, handles=[handle] * count))
        if self.may(name, answer, what="delete", messages=count):
            must(len({repr(each).replace(f"[{at}]", "") for at, each in enumerate(answer)}) == 1, f"{answer}")
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
        if self.may(name, answer, what="change", messages=1):
            can, message = self.model.settles(name, handle, self.now)
            self._check(can, answer[0], gone="does not exist")
            if message is not None and answer[0] is None:
                message.hide(self.now, timeout)
                message.held_by = None
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
        self.run(self._pass(milliseconds))

    async def _pass(self, milliseconds: int) -> None:
        """Until all that is due is done: much is done in pieces, and what is on disk is read first."""
        await self.house.wait(milliseconds)
        for _ in range(100):
            due = self.house.kernel.next_deadline()
            if due is None or due > self.now:
                return
            await self.house.wait(0)

    @rule()
    def crash(self) -> None:
        self.run(self.house.restart())
        self.run(self._pass(0))
        self.model.whole = False  # what is on disk alone comes a page at a time
        for queue in self.model.queues.values():
            queue.buckets = Buckets()

    @rule(pick=PICKS)
    def upheaval(self, pick: int) -> None:
        """Seldom, or nothing else would be seen."""
        name = self.name(pick)
        if pick % 13 == 5:
            if self.there(name, self.call(a.PurgeQueue(queue=name))):
                self.model.purged(name)
        elif pick % 13 == 7 and self.there(name, self.call(a.DeleteQueue(queue=name))):
            self.model.deleted_queue(name)

    @rule(pick=PICKS, delay=DELAYS, timeout=st.none() | TIMES)
    def configure(self, pick: int, delay: int | None, timeout: int | None) -> None:
        self._configure(self.name(pick), {"delay": delay, "visibility_timeout": timeout})
        self.run(self._pass(0))  # what a new delay shows of a FIFO queue, and is on disk, is read first

    @rule(pick=PICKS, mode=MODES, dead=st.sampled_from([None, None, 1, 3, 0]))
    def reconfigure(self, pick: int, mode: tuple[str, str], dead: int | None) -> None:
        name, given = self.name(pick), dict[str, Any]()
        if self.fifo:
            given = {"deduplication_scope": mode[0], "fifo_throughput_limit": mode[1]}
        if name != self.names[-1] and self.names[-1] in self.model.queues and dead is not None:
            given["redrive_policy"] = self.policy | {"max_receive_count": dead} if dead else ""
        self._configure(name, given)

    @rule(pick=PICKS, retention=RETENTIONS)
    def keep_for(self, pick: int, retention: int) -> None:
        """What is past its retention can be there until somebody looks, and with a longer one it is past it
        no more: so it is asked who is there."""
        name = self.name(pick)
        past = self.model.past(name, self.now)
        self._configure(name, {"retention_period": retention})
        if name in self.model.queues:
            self.model.expired(name, past, self.peek(name), self.now)

    def peek(self, name: str) -> set[bytes]:
        """The ids of the messages that are there."""
        found = set[bytes]()
        after: int | None = 0
        while after is not None:
            page = self.call(a.PeekMessages(queue=name, after=after, limit=1000, bodies=False))
            found |= {message["id"] for message in page["messages"]}
            after = page["next"]
        return found

    def _configure(self, name: str, attributes: dict[str, Any]) -> None:
        given = {key: value for key, value in attributes.items() if value is not None}
        answer = self.call(a.SetQueueAttributes(queue=name, attributes=given))
        if self.there(name, answer):
            must(answer == {}, f"{name} can be set to {given}: {answer!r}")
            if given.get("redrive_policy") == "":
                given["redrive_policy"] = None
            self.model.changed(name, given, self.now)

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

    def told(self, action: Action) -> Any:
        """An answer that no move has overtaken: it says what was when it was decided, and a move task can go
        on until it comes."""
        while True:
            moves = self.model.moves
            answer = self.call(action)
            if self.model.moves == moves:
                return answer

    @invariant()
    def what_is_told_agrees(self) -> None:
        self.steps += 1
        for name, queue in self.model.queues.items():
            self.model.counted(name, self.told(a.GetQueueAttributes(queue=name)), self.now)
            if queue.task is not None:
                [task] = self.told(a.ListMessageMoveTasks(source=name))["tasks"]
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
LIVES = 200
"""Of one run of hypothesis, at most: it remembers all that it tried."""


def live(kind: type[Machine], steps: int, *, shrink: bool = False) -> int:
    """Live about so many steps, each followed by a look at all counts; gives how many they were. `shrink`:
    where they do not agree, look for the shortest life that shows it, which takes minutes."""
    before = kind.lived
    phases = set(Phase) if shrink else {Phase.generate}
    while kind.lived - before < steps:
        lives = min(LIVES, max(1, (steps - kind.lived + before) // LIFE))
        run_state_machine_as_test(
            kind, settings=settings(max_examples=lives, stateful_step_count=LIFE, phases=phases)
        )
    return kind.lived - before
