"""Move tasks: a dead-letter queue's messages go back to where they came from, or to a queue that is named.

Rule 1  A task moves the messages that are there when it starts. They are new messages afterwards: a new id,
        sent when they were moved. Those in flight or delayed, when their turn comes, stay.
Rule 2  It goes in small steps, at a pace that the wheel keeps. Each step is one event a destination, and
        counts itself: so a restart goes on where the journal ends.
Rule 3  It ends when nothing is left (COMPLETED), when it is told to (CANCELLED), or with a message that has
        nowhere to go (FAILED). What was moved stays moved.

Tasks are part of the queue that they empty: its record holds the last few, and they end with it.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

import msgspec

from ropewayd.kernel.service import Decision, Outcome
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
    InvalidParameterValue,
    ResourceNotFoundException,
    RopewayError,
    UnsupportedOperation,
)
from ropewayd.vocabulary.names import FIFO_SUFFIX

from . import actions as a
from . import events as e
from .message import Message, System
from .paging import bodies, next_page
from .queue import Queue
from .records import CANCELLED, COMPLETED, FAILED, RUNNING, MoveTask
from .redrive import Redrive
from .registry import Registry
from .spilling import Own

KEPT = 10
"""Tasks of one queue that are remembered, and that one answer can list."""
STEPS = 10
"""Steps a second, where that is not more than one message each."""

NO_DESTINATION = "AWS.SimpleQueueService.NonExistentQueue"
NO_SOURCE = "CouldNotDetermineMessageSource"

_FORM = struct.Struct(">IQ")
_HASH = 16


class Pace(msgspec.Struct, gc=False, frozen=True):
    """What the wheel gives back when a queue's task is to take its next step."""

    number: int


def step(rate: int) -> tuple[int, int]:
    """(messages of one step, milliseconds to the next)."""
    count = max(1, rate // STEPS)
    return count, 1000 * count // rate


# What events do to the queue's tasks. Each gives the touch.


def started(queue: Queue, event: e.MoveStarted, lsn: int) -> Own:
    """A task begins."""
    if lsn > queue.stored:
        task = MoveTask(event.task, event.at, event.destination, event.rate, event.through, event.to_move)
        queue.tasks = [*queue.tasks, task][-KEPT:]
        queue.changed = lsn
    _next_step(queue, event.at)
    return Own(queue.number)


def moved(queue: Queue, event: e.MessagesMoved, lsn: int, registry: Registry) -> None:
    """It has taken a step. (The touch is that of the messages.)"""
    if lsn > queue.stored:
        _change(queue, event.task, lsn, len(event.sequences))
    task = queue.tasks[-1] if queue.tasks else None
    if task is not None:
        _next_step(queue, event.at + step(task.rate or registry.limits.max_move_rate)[1])


def ended(queue: Queue, event: e.MoveEnded, lsn: int) -> Own:
    """It is over."""
    if lsn > queue.stored:
        _change(queue, event.task, lsn, 0, status=event.status, reason=event.reason)
    return Own(queue.number)


def go_on(queue: Queue) -> None:
    """Recovery is over: take the next step at once, if there is one to take."""
    if queue.tasks and queue.tasks[-1].status == RUNNING:
        _next_step(queue, 0)


def _change(queue: Queue, number: int, lsn: int, count: int, **fields: Any) -> None:
    queue.tasks = [
        msgspec.structs.replace(task, moved=task.moved + count, **fields) if task.number == number else task
        for task in queue.tasks
    ]
    queue.changed = lsn


def _next_step(queue: Queue, at: int) -> None:
    """At run time: what is replayed is not done again."""
    if queue.replaying:
        return
    if queue.pace is not None:
        queue.wheel.cancel(queue.pace)
    queue.pace = queue.wheel.add(at, queue.owner, Pace(queue.number))


class Moving:
    """Decides move tasks. `entropy(n)` gives n unguessable bytes."""

    def __init__(self, registry: Registry, entropy: Callable[[int], bytes]) -> None:
        self._registry = registry
        self._limits = registry.limits
        self._redrive = Redrive(registry)
        self._entropy = entropy

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {
            a.StartMessageMoveTask: self.start,
            a.CancelMessageMoveTask: self.cancel,
            a.ListMessageMoveTasks: self.list_tasks,
            a.Move: self.move,
        }

    # What is asked for

    def start(self, action: a.StartMessageMoveTask, now: int) -> Outcome:
        queue = self._registry.find(action.source)
        if queue is None:
            return _missing("source")
        if not self._registry.sources.of(queue):
            return InvalidParameterValue("Source queue must be configured as a Dead Letter Queue.", "source")
        destination = None
        if action.destination is not None:
            target = self._registry.find(action.destination)
            if target is None:
                return _missing("destination")
            if target is queue or target.name.endswith(FIFO_SUFFIX) != queue.name.endswith(FIFO_SUFFIX):
                return InvalidParameterValue(
                    "The field destination is not valid: it is another queue of the same type.", "destination"
                )
            destination = target.arn
        rate = action.max_messages_per_second
        if rate is not None and rate > self._limits.max_move_rate:
            return InvalidParameterValue(
                "The field max_messages_per_second is not valid: it is at most "
                f"{self._limits.max_move_rate}.",
                "max_messages_per_second",
            )
        if any(task.status == RUNNING for task in queue.tasks):
            return UnsupportedOperation(
                "There is already a task running. Only one active task is allowed for a source queue arn "
                "at a given time.",
                "source",
            )
        number = queue.tasks[-1].number + 1 if queue.tasks else 1
        through = queue.next_sequence - 1
        event = e.MoveStarted(queue.number, number, now, destination, rate, through, queue.live)
        return Decision({"task": self._handle(queue, number)}, (event,))

    def cancel(self, action: a.CancelMessageMoveTask, now: int) -> Outcome:
        place = self._read(action.task)
        if place is None:
            return InvalidParameterValue("Value for parameter TaskHandle is invalid.", "task")
        queue = self._registry.by_number.get(place[0])
        task = None if queue is None else next((t for t in queue.tasks if t.number == place[1]), None)
        if queue is None or task is None:
            return ResourceNotFoundException("Task does not exist.", "task")
        if task.status != RUNNING:
            return UnsupportedOperation(
                f"The task is {task.status}: only a running one is cancelled.", "task"
            )
        event = e.MoveEnded(queue.number, task.number, now, CANCELLED)
        return Decision({"moved": task.moved}, (event,))

    def list_tasks(self, action: a.ListMessageMoveTasks, now: int) -> Outcome:
        queue = self._registry.find(action.source)
        if queue is None:
            return _missing("source")
        return Decision(
            {"tasks": [self._told(queue, task) for task in queue.tasks[: -action.limit - 1 : -1]]}
        )

    def _told(self, queue: Queue, task: MoveTask) -> dict[str, Any]:
        told = {
            "task": self._handle(queue, task.number) if task.status == RUNNING else None,
            "status": task.status,
            "source": queue.arn,
            "destination": task.destination,
            "max_messages_per_second": task.rate,
            "moved": task.moved,
            "to_move": task.to_move,
            "reason": task.reason,
            "started_at": task.started_at,
        }
        return {name: value for name, value in told.items() if value is not None}

    def _handle(self, queue: Queue, task: int) -> bytes:
        plain = _FORM.pack(queue.number, task)
        return plain + self._keyed(plain)

    def _keyed(self, plain: bytes) -> bytes:
        key = self._registry.handle_key
        assert key is not None
        return hashlib.blake2s(plain, key=key, digest_size=_HASH, person=b"movetask").digest()

    def _read(self, handle: object) -> tuple[int, int] | None:
        """(queue number, task) of a handle that this store made."""
        if type(handle) is not bytes or len(handle) != _FORM.size + _HASH:
            return None
        if not hmac.compare_digest(self._keyed(handle[: _FORM.size]), handle[_FORM.size :]):
            return None
        number, task = _FORM.unpack_from(handle)
        return number, task

    # What goes on by itself

    def move(self, action: a.Move, now: int) -> Outcome:
        """The next step of the queue's task."""
        queue = self._registry.by_number.get(action.number)
        task = queue.tasks[-1] if queue is not None and queue.tasks else None
        if queue is None or task is None or task.status != RUNNING:
            return Decision(None)
        count, _ = step(task.rate or self._limits.max_move_rate)
        horizon = now - queue.attributes.retention_period
        found = self._redrive.sift(queue, count, horizon, 0, task.through)
        events: tuple[Any, ...] = ()
        if found.expired:
            events = (e.expired(queue.number, found.expired),)
        picked = [m for m in found.picked if m.sequence <= task.through]
        if not picked:
            if not found.picked and queue.has_page and queue.paged_through < task.through:
                return next_page(self._registry, queue, self._limits.page_messages, events)
            return Decision(None, (*events, e.MoveEnded(queue.number, task.number, now, COMPLETED)))
        if picked[0].stub:
            return bodies(self._registry, queue, (m for m in picked if m.stub), events)
        picked = list(takewhile(lambda m: not m.stub, picked))
        going, reason = self._sorted(picked, task)
        if not going:
            return Decision(None, (*events, e.MoveEnded(queue.number, task.number, now, FAILED, reason)))
        moved = [self._moved(queue, self._registry.by_number[n], m, now, task) for n, m in going.items()]
        return Decision(None, (*events, *moved))

    def _sorted(self, picked: list[Message], task: MoveTask) -> tuple[dict[int, list[Message]], str]:
        """Messages by the number of the queue where they go, up to the first that has nowhere to go."""
        going: dict[int, list[Message]] = {}
        size = 0
        for message in picked:
            arn = task.destination or (message.system.source if message.system is not None else None)
            if arn is None:
                return going, NO_SOURCE
            target = self._registry.find(arn)
            if target is None:
                return going, NO_DESTINATION
            going.setdefault(target.number, []).append(message)
            size += message.size
            if size > self._limits.page_bytes:
                break
        return going, ""

    def _moved(
        self, queue: Queue, target: Queue, messages: list[Message], now: int, task: MoveTask
    ) -> e.MessagesMoved:
        count = len(messages)
        attributes = [m.attributes for m in messages]
        systems = [_system(m) for m in messages]
        return e.MessagesMoved(
            queue.number,
            [m.sequence for m in messages],
            target.number,
            target.next_sequence,
            now,
            self._entropy(16 * count),
            [m.body for m in messages],
            [now] * count,
            [0] * count,
            [0] * count,
            attributes if any(each is not None for each in attributes) else None,
            systems if any(each is not None for each in systems) else None,
            task.number,
        )


def _system(message: Message) -> System | None:
    """It is nobody's dead letter any more."""
    if message.system is None:
        return None
    system = msgspec.structs.replace(message.system, source=None)
    return None if system == System() else system


def _missing(field: str) -> RopewayError:
    name = {"source": "SourceArn", "destination": "DestinationArn"}[field]
    return ResourceNotFoundException(
        f"The resource that you specified for the {name} parameter doesn't exist.", field
    )
