"""Receiving: which messages come next, and what to say where there are none. State is read, never changed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any

from ropewayd.kernel.service import Decision, Needs, Outcome, Wait
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import OverLimit

from . import actions as a
from . import events as e
from .attempts import Attempts
from .message import Message, told
from .paging import bodies, coming, go_on, next_page
from .queue import Queue
from .ready import up_to
from .records import MAX_SEQUENCE, first_sequence_number
from .redrive import Redrive
from .registry import Registry, missing

_SHOWN = 128
"""Bytes of a message in an answer besides its body and attributes, rounded up."""


class Receiving:
    """Decides receives."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._queues, self._find = registry.by_name, registry.find
        self._limits = registry.limits
        self._redrive = Redrive(registry)
        self._look = registry.limits.fifo_look or MAX_SEQUENCE

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {a.ReceiveMessage: self.receive}

    def receive(self, action: a.ReceiveMessage, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        again = None if queue.attempts is None else self._again(queue, queue.attempts, action, now)
        if again is not None:
            return again
        limits = self._limits
        room = (limits.max_in_flight if queue.groups is None else limits.fifo_in_flight) - queue.in_flight
        if room <= 0:
            return self._full(queue, action, now)
        count = min(action.max_messages, room)
        moved: tuple[e.MessagesMoved, ...] = ()
        if queue.mixed or queue.attributes.redrive_policy is not None or queue.grouped:
            sifted = self._sift(queue, count, now)
            if isinstance(sifted, Needs):
                return sifted
            picked, expired, moved, whole = sifted
        else:
            picked, expired, whole = self._pick(queue, count, now)
        if not picked:
            if not whole:  # there are too many that are expired or dead letters for one step
                return go_on(queue, (*expired, *moved))
            if queue.has_page and (queue.groups is None or len(queue.messages) < self._look):
                return next_page(self._registry, queue, self._limits.page_messages, (*expired, *moved))
            return self._nothing(queue, action, now, (*expired, *moved))
        timeout = action.visibility_timeout
        deadline = now + (queue.attributes.visibility_timeout if timeout is None else timeout)
        make, number = self._registry.handles.make, queue.number
        numbers_from = None if queue.groups is None else first_sequence_number(number)
        attempt = action.attempt if queue.attributes.fifo else None
        apart = 0 if attempt is None or queue.attempts is None else queue.attempts.apart(attempt, now)
        made_at = apart or now
        answer = []
        sequences = []
        for m in picked:
            body = m.body
            if type(body) is int:  # a stub
                break
            count = m.receive_count + 1
            sequences.append(m.sequence)
            handle = make(number, m.sequence, count, made_at)
            shown = (m.id, handle, body, m.sent_at, count, m.first_received_at or now, m.attributes)
            answer.append(shown if m.system is None else (*shown, told(m.system, m.sequence, numbers_from)))
        if not answer:
            return self._bodies(queue, picked, action.max_messages, (*expired, *moved))
        event = e.MessagesReceived(number, now, deadline, sequences, attempt, apart)
        # What moves comes last: it may feed others, and all else has happened then.
        ahead = self._ahead(queue, picked[len(answer) :], len(answer), action.max_messages)
        return Decision(answer, (*expired, event, *moved), ahead)

    def _again(self, queue: Queue, attempts: Attempts, action: a.ReceiveMessage, now: int) -> Outcome | None:
        """If it is a receive that is asked for again: its messages, as they were given then."""
        again = None if action.attempt is None else attempts.held(action.attempt, now, queue.messages.get)
        if again is None:
            return None
        at, held = again
        if any(m.stub for m in held):
            return bodies(self._registry, queue, (m for m in held if m.stub))
        make = self._registry.handles.make
        numbers_from = None if queue.groups is None else first_sequence_number(queue.number)
        timeout = action.visibility_timeout
        deadline = now + (queue.attributes.visibility_timeout if timeout is None else timeout)
        answer = []
        for m in held:
            handle = make(queue.number, m.sequence, m.receive_count, at)
            shown = (m.id, handle, m.body, m.sent_at, m.receive_count, m.first_received_at, m.attributes)
            answer.append(shown if m.system is None else (*shown, told(m.system, m.sequence, numbers_from)))
        sequences = [m.sequence for m in held]
        event = e.VisibilityChanged(queue.number, now, sequences, [deadline] * len(held), attempt=True)
        return Decision(answer, (event,))

    def _bodies(self, queue: Queue, picked: list[Message], most: int, events: tuple[Any, ...]) -> Needs:
        """Those of these stubs. Of a FIFO queue they stand anywhere, and so do the next ones: those too."""
        if queue.groups is not None:
            needs = coming(self._registry, queue, queue.groups, picked, most, events)
            assert needs is not None
            return needs
        return bodies(self._registry, queue, (m for m in picked if m.stub), events)

    def _ahead(self, queue: Queue, left: list[Message], taken: int, most: int) -> Needs | None:
        """What the next receives will want from disk. `left` were picked, but their bodies were not there;
        `taken`: how many are handed out."""
        groups, registry = queue.groups, self._registry
        if left:
            return self._bodies(queue, left, most, ())
        if groups is not None and queue.near:
            queue.near = max(1, queue.near - taken)
            if queue.near < registry.page_messages() // 2 and not queue.fetching:
                needs = coming(registry, queue, groups, (), most, ())
                if needs is not None:
                    return needs
                if not registry.memory.short:
                    queue.near = 0
        if not queue.on_disk:
            return None
        if groups is None:
            short = queue.ready.window(queue.paged_through) < registry.page_messages()
        else:
            known = len(queue.messages)
            short = known < self._look and known - queue.in_flight - queue.delayed < registry.page_messages()
        return next_page(registry, queue, self._limits.page_messages) if short else None

    def _pick(
        self, queue: Queue, count: int, now: int
    ) -> tuple[list[Message], tuple[e.MessagesExpired, ...], bool]:
        """The next messages in order, at most as many as an answer holds, and those found to be past
        retention; and whether there was no end to the latter."""
        picked = queue.ready.first(count)
        if not picked:
            return picked, (), True
        horizon = now - queue.attributes.retention_period
        expired: tuple[e.MessagesExpired, ...] = ()
        whole = True
        if picked[0].sent_at <= horizon:
            picked, expired, whole = self._past(queue, count, horizon)
        if queue.on_disk:
            picked = up_to(queue.paged_through, picked)
        return self._fitting(picked), expired, whole

    def _fitting(self, picked: list[Message]) -> list[Message]:
        """As many as an answer holds, and at least one."""
        size, limit = 0, self._limits.max_answer_bytes
        for index, message in enumerate(picked):
            size += message.size + _SHOWN
            if size > limit and index:
                return picked[:index]
        return picked

    def _sift(
        self, queue: Queue, count: int, now: int
    ) -> tuple[list[Message], tuple[Any, ...], tuple[e.MessagesMoved, ...], bool] | Needs:
        """As `_pick`, where there may be groups or dead letters; and whether all in memory was looked at."""
        target, policy = self._redrive.target(queue), queue.attributes.redrive_policy
        most = policy.max_receive_count if policy is not None and target is not None else 0
        horizon = now - queue.attributes.retention_period
        found = self._redrive.sift(queue, count, horizon, most, fair=True)
        expired: tuple[Any, ...] = ()
        if found.expired:
            expired = (e.expired(queue.number, found.expired),)
        moved: tuple[e.MessagesMoved, ...] = ()
        if found.letters:
            assert target is not None
            if any(m.stub for m in found.letters):
                return bodies(self._registry, queue, (m for m in found.letters if m.stub))
            moved = (self._redrive.moved(queue, target, found.letters, now),)
        return self._fitting(found.picked), expired, moved, found.whole

    def _past(
        self, queue: Queue, count: int, horizon: int
    ) -> tuple[list[Message], tuple[e.MessagesExpired, ...], bool]:
        """Messages are in order of sending, so the expired ones are in front."""
        look = count + self._limits.page_messages
        seen = queue.ready.first(look)
        gone = bisect_right(seen, horizon, key=lambda m: m.sent_at)
        event = e.expired(queue.number, seen[:gone])
        return seen[gone : gone + count], (event,), gone < look

    def _full(self, queue: Queue, action: a.ReceiveMessage, now: int) -> Outcome:
        """Too many are in flight. A long poll waits until there are fewer. A short one is told, but on a FIFO
        queue gets nothing."""
        wait = queue.attributes.receive_wait_time if action.wait is None else action.wait
        if wait:
            self._registry.full.add(queue.number)
            return Wait(queue.number, now + wait, [])
        if queue.groups is not None:
            return Decision([])
        return OverLimit(
            f"{self._limits.max_in_flight} messages of this queue are in flight: the limit "
            "(queues.max_in_flight). Delete some, or wait for some to come back.",
            "queue",
        )

    def _nothing(self, queue: Queue, action: a.ReceiveMessage, now: int, events: tuple[Any, ...]) -> Outcome:
        wait = queue.attributes.receive_wait_time if action.wait is None else action.wait
        if not wait:
            self._registry.meters.of(queue.number).empty_receives += 1
            return Decision([], events)
        return Wait(queue.number, now + wait, [], events)
