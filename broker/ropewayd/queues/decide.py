"""What each action does to queues, decided: state is read, never changed.

A function here takes an action and the time and gives an Outcome: events and an answer, a typed error, a
reason to wait, or what it needs from disk.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ropewayd.kernel.service import Decision, Needs, Outcome, Wait
from ropewayd.store.protocol import Record
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
    InvalidMessageContents,
    InvalidParameterValue,
    OverLimit,
    QueueDoesNotExist,
    QueueNameExists,
    ReceiptHandleIsInvalid,
    RopewayError,
)
from ropewayd.vocabulary.names import QUEUE_NAME, queue_arn

from . import actions as a
from . import events as e
from .attributes import check_message_attributes, read_attributes
from .message import VISIBLE, Message, size_of
from .queue import Queue
from .records import MAX_NUMBER, MAX_SEQUENCE, MESSAGES, row_key
from .registry import Registry

_FETCHED = 64
"""Messages read by key at one time, whose bodies can be a mebibyte each."""
_SHOWN = 128
"""Bytes of a message in an answer besides its body and attributes, rounded up."""


class Decider:
    """See the module. `entropy(n)` gives n unguessable bytes."""

    def __init__(self, registry: Registry, entropy: Callable[[int], bytes]) -> None:
        self._registry = registry
        self._queues = registry.by_name
        self._limits = registry.limits
        self._entropy = entropy

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {
            a.CreateQueue: self.create,
            a.DeleteQueue: self.delete_queue,
            a.ListQueues: self.list_queues,
            a.GetQueueAttributes: self.attributes,
            a.SetQueueAttributes: self.set_attributes,
            a.PurgeQueue: self.purge,
            a.SendMessage: self.send,
            a.ReceiveMessage: self.receive,
            a.DeleteMessage: self.delete,
            a.ChangeMessageVisibility: self.change_visibility,
            a.Wake: self.wake,
            a.Expire: self.expire,
            a.Found: self.found,
        }

    def _missing(self, name: str) -> QueueDoesNotExist:
        return QueueDoesNotExist(f"There is no queue {name!r}. `CreateQueue` makes one.", "queue")

    # Queues

    def create(self, action: a.CreateQueue, now: int) -> Outcome:
        name = action.queue
        if not QUEUE_NAME.match(name):
            return InvalidParameterValue(
                "A queue's name is 1 to 80 characters of A-Z a-z 0-9 _ and -.",
                "queue",
            )
        given = read_attributes(action.attributes)
        if isinstance(given, RopewayError):
            return given
        answer = {"queue": name, "arn": self._arn(name), "created": False}
        queue = self._queues.get(name)
        if queue is not None:
            for attribute, value in given.items():
                if getattr(queue.attributes, attribute) != value:
                    return QueueNameExists(
                        f"The queue {name} exists with a different value for the attribute {attribute}.",
                        f"attributes.{attribute}",
                    )
            return Decision(answer)
        if len(self._queues) >= self._limits.max_queues:
            return OverLimit(f"There are {self._limits.max_queues} queues, and that is the limit.", "queue")
        number = self._registry.next_number
        if number > MAX_NUMBER:
            return OverLimit("This store has no queue numbers left: move to a new one.", "queue")
        full = msgspec.to_builtins(msgspec.convert(given, a.QueueAttributes))
        answer["created"] = True
        return Decision(answer, (e.QueueCreated(number, name, now, full),))

    def _arn(self, name: str) -> str:
        return queue_arn(name, self._limits.account, self._limits.region)

    def delete_queue(self, action: a.DeleteQueue, now: int) -> Outcome:
        queue = self._queues.get(action.queue)
        if queue is None:
            return self._missing(action.queue)
        return Decision({}, (e.QueueDeleted(queue.number, now),))

    def list_queues(self, action: a.ListQueues, now: int) -> Outcome:
        names = self._registry.names
        at = bisect_left(names, action.prefix)
        if action.after is not None:
            at = max(at, bisect_right(names, action.after))
        found: list[str] = []
        for name in names[at : at + action.limit + 1]:
            if not name.startswith(action.prefix):
                break
            found.append(name)
        more = len(found) > action.limit
        found = found[: action.limit]
        return Decision({"queues": found, "next": found[-1] if more else None})

    def attributes(self, action: a.GetQueueAttributes, now: int) -> Outcome:
        queue = self._queues.get(action.queue)
        if queue is None:
            return self._missing(action.queue)
        answer = msgspec.to_builtins(queue.attributes)
        answer["arn"] = self._arn(queue.name)
        answer["created_at"] = queue.created_at
        answer["modified_at"] = queue.modified_at
        answer["visible"] = queue.visible
        answer["in_flight"] = queue.in_flight
        answer["delayed"] = queue.delayed
        return Decision(answer)

    def set_attributes(self, action: a.SetQueueAttributes, now: int) -> Outcome:
        queue = self._queues.get(action.queue)
        if queue is None:
            return self._missing(action.queue)
        given = read_attributes(action.attributes)
        if isinstance(given, RopewayError):
            return given
        changed = {k: v for k, v in given.items() if getattr(queue.attributes, k) != v}
        return Decision({}, (e.AttributesSet(queue.number, now, changed),) if changed else ())

    def purge(self, action: a.PurgeQueue, now: int) -> Outcome:
        queue = self._queues.get(action.queue)
        if queue is None:
            return self._missing(action.queue)
        if not queue.live:
            return Decision({})
        return Decision({}, (e.QueuePurged(queue.number, now, queue.next_sequence - 1),))

    # Sending

    def send(self, action: a.SendMessage, now: int) -> Outcome:
        queue = self._queues.get(action.queue)
        if queue is None:
            return self._missing(action.queue)
        maximum = queue.attributes.maximum_message_size
        delay = queue.attributes.delay
        bodies: list[Any] = []
        extras: list[Any] | None = None
        visible_at: list[int] | None = None
        errors: dict[int, RopewayError] | None = None
        for index, entry in enumerate(action.entries):
            body, extra = entry.body, entry.attributes
            kind = type(body)
            if extra is None and (kind is bytes or (kind is str and body.isascii())):
                problem = None if 0 < len(body) <= maximum else self._size_problem(len(body), maximum, index)
            else:
                problem = self._problem(entry, maximum, index)
            if problem is not None:
                errors = errors or {}
                errors[index] = problem
                continue
            if extra is not None:
                extras = extras if extras is not None else [None] * len(bodies)
                extras.append(extra)
            elif extras is not None:
                extras.append(None)
            own = entry.delay
            if (own if own is not None else delay) or visible_at is not None:
                visible_at = visible_at if visible_at is not None else [now] * len(bodies)
                visible_at.append(now + (own if own is not None else delay))
            bodies.append(body)
        return self._sent(queue, action, now, bodies, visible_at, extras, errors)

    def _sent(
        self,
        queue: Queue,
        action: a.SendMessage,
        now: int,
        bodies: list[Any],
        visible_at: list[int] | None,
        extras: list[Any] | None,
        errors: dict[int, RopewayError] | None,
    ) -> Outcome:
        count = len(bodies)
        if not count:
            return Decision([errors[i] for i in range(len(action.entries))] if errors else [])
        ids = self._entropy(16 * count)
        first = queue.next_sequence
        if first + count > MAX_SEQUENCE:
            return OverLimit("This queue has no sequences left: delete it and create it anew.", "queue")
        answer: list[Any] = [ids[at : at + 16] for at in range(0, 16 * count, 16)]
        if errors:
            stored = iter(answer)
            answer = [errors[i] if i in errors else next(stored) for i in range(len(action.entries))]
        return Decision(answer, (e.MessagesSent(queue.number, first, now, ids, bodies, visible_at, extras),))

    def _size_problem(self, size: int, maximum: int, index: int) -> RopewayError:
        field = f"entries[{index}].body"
        if not size:
            return InvalidMessageContents(
                f"The field {field} is empty; a body has at least one character.", field
            )
        return InvalidParameterValue(
            f"The message {field} counts {size} bytes with its attributes; this queue takes at most "
            f"{maximum}.",
            field,
        )

    def _problem(self, entry: a.SendEntry, maximum: int, index: int) -> RopewayError | None:
        body = entry.body
        if isinstance(body, RopewayError):
            return body
        field = f"entries[{index}].body"
        if type(body) is not str and type(body) is not bytes:
            return InvalidMessageContents(f"The field {field} is neither text nor bytes.", field)
        if entry.attributes:
            problem = check_message_attributes(entry.attributes, f"entries[{index}].attributes")
            if problem is not None:
                return problem
        size = size_of(body, entry.attributes)
        return None if body and size <= maximum else self._size_problem(size if body else 0, maximum, index)

    # Receiving

    def receive(self, action: a.ReceiveMessage, now: int) -> Outcome:
        queue = self._queues.get(action.queue)
        if queue is None:
            return self._missing(action.queue)
        room = self._limits.max_in_flight - queue.in_flight
        if room <= 0:
            return OverLimit(
                f"{self._limits.max_in_flight} messages of this queue are in flight: the limit.", "queue"
            )
        picked, expired = self._pick(queue, min(action.max_messages, room), now)
        if not picked:
            if queue.on_disk:
                return self._page(queue, self._limits.page_messages, expired)
            return self._nothing(queue, action, now, expired)
        timeout = action.visibility_timeout
        deadline = now + (queue.attributes.visibility_timeout if timeout is None else timeout)
        make, number = self._registry.handles.make, queue.number
        answer = []
        sequences = []
        for m in picked:
            count = m.receive_count + 1
            sequences.append(m.sequence)
            handle = make(number, m.sequence, count, now)
            answer.append((m.id, handle, m.body, m.sent_at, count, m.first_received_at or now, m.attributes))
        event = e.MessagesReceived(number, now, deadline, sequences)
        low = queue.on_disk and queue.ready.window(queue.paged_through) < self._limits.page_messages
        ahead = self._page(queue, self._limits.page_messages) if low else None
        return Decision(answer, (*expired, event), ahead)

    def _pick(
        self, queue: Queue, count: int, now: int
    ) -> tuple[list[Message], tuple[e.MessagesExpired, ...]]:
        """The next messages in order, at most as many as an answer holds, and those found to be past
        retention."""
        picked = queue.ready.first(count)
        if not picked:
            return picked, ()
        horizon = now - queue.attributes.retention_period
        expired: tuple[e.MessagesExpired, ...] = ()
        if picked[0].sent_at <= horizon:
            picked, expired = self._past(queue, count, horizon)
        if picked and queue.on_disk and picked[-1].sequence > queue.paged_through:
            picked = [m for m in picked if m.sequence <= queue.paged_through]
        size, limit = 0, self._limits.max_answer_bytes
        for index, message in enumerate(picked):
            size += message.size + _SHOWN
            if size > limit and index:
                return picked[:index], expired
        return picked, expired

    def _past(
        self, queue: Queue, count: int, horizon: int
    ) -> tuple[list[Message], tuple[e.MessagesExpired, ...]]:
        """Messages are in order of sending, so the expired ones are in front."""
        look = count
        while True:
            seen = queue.ready.first(look)
            gone = bisect_right(seen, horizon, key=lambda m: m.sent_at)
            if len(seen) - gone >= count or len(seen) < look:
                break
            look = gone + 2 * count
        event = e.MessagesExpired(queue.number, [m.sequence for m in seen[:gone]])
        return seen[gone : gone + count], (event,)

    def _nothing(
        self, queue: Queue, action: a.ReceiveMessage, now: int, expired: tuple[e.MessagesExpired, ...]
    ) -> Outcome:
        wait = queue.attributes.receive_wait_time if action.wait is None else action.wait
        if not wait:
            return Decision([], expired)
        return Wait(queue.number, now + wait, [], expired)

    def _page(self, queue: Queue, limit: int, events: tuple[Any, ...] = ()) -> Needs:
        number, first = queue.number, queue.paged_through + 1

        def fill(records: list[Record]) -> None:
            self._registry.fill(number, first, limit, records)

        return Needs(
            key=(number, "page"),
            space=MESSAGES,
            fill=fill,
            first=row_key(number, first),
            last=row_key(number, MAX_SEQUENCE),
            limit=limit,
            max_bytes=self._limits.page_bytes,
            begin=queue.begin_page,
            events=events,
        )

    # Handles

    def delete(self, action: a.DeleteMessage, now: int) -> Outcome:
        queue = self._queues.get(action.queue)
        if queue is None:
            return self._missing(action.queue)
        read, number, messages = self._registry.handles.read, queue.number, queue.messages
        answer: list[RopewayError | None] = []
        found: list[int] = []
        unknown: list[int] = []
        for index, handle in enumerate(action.handles):
            place = read(handle)
            if place is None or place[0] != number:
                answer.append(self._bad_handle(f"handles[{index}]"))
                continue
            answer.append(None)
            sequence = place[1]
            if sequence in messages:
                found.append(sequence)
            elif self._may_be_on_disk(queue, sequence):
                unknown.append(sequence)
        if unknown:
            return self._fetch(queue, unknown)
        if len(found) > 1 and len(set(found)) < len(found):
            found = list(dict.fromkeys(found))
        return Decision(answer, (e.MessagesDeleted(number, found),) if found else ())

    def _bad_handle(self, field: str) -> ReceiptHandleIsInvalid:
        return ReceiptHandleIsInvalid(f"The field {field} is not a receipt handle of this queue.", field)

    def _may_be_on_disk(self, queue: Queue, sequence: int) -> bool:
        return (
            queue.paged_through < sequence <= queue.spilled_through
            and queue.on_disk > 0
            and sequence > queue.floor
            and sequence not in queue.dead
            and sequence not in queue.absent
        )

    def _fetch(self, queue: Queue, sequences: list[int]) -> Needs:
        number = queue.number
        del sequences[_FETCHED:]  # the rest when this has been decided again
        keys = [row_key(number, sequence) for sequence in sequences]

        def fill(records: list[Record]) -> None:
            self._registry.fill_keys(number, sequences, records)

        return Needs(key=(number, *keys), space=MESSAGES, fill=fill, keys=keys)

    def change_visibility(self, action: a.ChangeMessageVisibility, now: int) -> Outcome:
        queue = self._queues.get(action.queue)
        if queue is None:
            return self._missing(action.queue)
        answer: list[RopewayError | None] = []
        changes: dict[int, int] = {}
        unknown: list[int] = []
        for index, entry in enumerate(action.entries):
            if isinstance(entry.handle, RopewayError):
                answer.append(entry.handle)
                continue
            place = self._registry.handles.read(entry.handle)
            if place is None or place[0] != queue.number:
                answer.append(self._bad_handle(f"entries[{index}].handle"))
                continue
            sequence, deadline = place[1], now + entry.visibility_timeout
            if sequence not in queue.messages and self._may_be_on_disk(queue, sequence):
                unknown.append(sequence)
                continue
            problem = self._change_problem(queue, sequence, entry.visibility_timeout, place[3], now, index)
            if problem is None:
                changes[sequence] = deadline
            answer.append(problem)
        if unknown:
            return self._fetch(queue, unknown)
        if not changes:
            return Decision(answer)
        event = e.VisibilityChanged(queue.number, now, list(changes), list(changes.values()))
        return Decision(answer, (event,))

    def _change_problem(
        self, queue: Queue, sequence: int, timeout: int, received_at: int, now: int, index: int
    ) -> RopewayError | None:
        field = f"entries[{index}]"
        if sequence not in queue.messages:
            return InvalidParameterValue(
                f"The message of {field}.handle does not exist or is not available for a change of its "
                "visibility.",
                f"{field}.handle",
            )
        if now + timeout > received_at + a.MAX_VISIBILITY:
            return InvalidParameterValue(
                f"The field {field}.visibility_timeout is not valid: a message stays invisible at most "
                f"{a.MAX_VISIBILITY} ms after its receive.",
                f"{field}.visibility_timeout",
            )
        return None

    # Time

    def wake(self, action: a.Wake, now: int) -> Outcome:
        """Whatever is due, in one event a queue; past its retention it expires instead.

        A message can be named by two leases that are due: by the one it has, and by one that it has left.
        """
        returned: dict[int, dict[int, None]] = {}
        expired: dict[int, dict[int, None]] = {}
        for number, sequences in action.due:
            queue = self._registry.by_number.get(number)
            if queue is None:
                continue
            horizon = now - queue.attributes.retention_period
            for sequence in sequences:
                message = queue.messages.get(sequence)
                if message is None or message.state == VISIBLE or message.deadline > now:
                    continue
                into = expired if message.sent_at <= horizon else returned
                into.setdefault(number, {})[sequence] = None
        events: list[Any] = [e.MessagesReturned(number, list(s)) for number, s in returned.items()]
        events += [e.MessagesExpired(number, list(s)) for number, s in expired.items()]
        return Decision(None, tuple(events))

    def expire(self, action: a.Expire, now: int) -> Outcome:
        """The oldest visible messages, a page at a time; invisible ones are asked when they wake.

        Of what is on disk alone the oldest is read, and a page only if that one is past its retention.
        """
        queue = self._registry.by_number.get(action.number)
        if queue is None or not queue.live:
            return Decision(None)
        horizon = now - queue.attributes.retention_period
        seen = queue.ready.first(self._limits.page_messages)
        if queue.on_disk and (not seen or seen[0].sequence > queue.paged_through):
            return self._page(queue, 1)
        gone = [m.sequence for m in seen[: bisect_right(seen, horizon, key=lambda m: m.sent_at)]]
        if gone and queue.on_disk and (len(seen) == 1 or seen[1].sequence > queue.paged_through):
            return self._page(queue, self._limits.page_messages)
        return Decision(None, (e.MessagesExpired(queue.number, gone),) if gone else ())

    def found(self, action: a.Found, now: int) -> Outcome:
        if self._registry.handle_key is not None:
            return Decision(None)
        return Decision(None, (e.StoreFounded(self._entropy(32)),))
