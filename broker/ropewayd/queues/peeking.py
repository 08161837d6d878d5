"""Looking at messages without receiving them. State is read, never changed, and nothing is taken into memory.

A look is no snapshot: messages can come, go and change between two pages. What is in the queue all the time
is seen once.

A call looks at a part of the queue, in the order of sending: at most one page of the disk, the chunks of
delayed messages beside it, and as many messages in memory. What it shows of them can be nothing at all;
`next` says where to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import msgspec

from ropewayd.kernel.service import Decision, Needs, Outcome
from ropewayd.store.protocol import Record
from ropewayd.vocabulary.action import Action

from . import actions as a
from .delays import DelayedMessage, messages_of
from .message import DELAYED, GONE, IN_FLIGHT, VISIBLE, Message, size_of, told
from .queue import Queue
from .records import CHUNKS, MAX_SEQUENCE, MESSAGES, row_key, split_row_key
from .registry import Registry, missing

_STATES = {VISIBLE: "visible", IN_FLIGHT: "in_flight", DELAYED: "delayed"}
_LOOKED_AT = 20_000
"""Messages in memory that one call looks at."""
_CHUNKS = 16
"""Chunks of delayed messages that are read at one time."""
_SHOWN = 256
"""Bytes of a message in an answer besides its body and attributes, rounded up."""


class Seen(msgspec.Struct):
    """What was read for this very call, which is decided again at once, of the queue with this number.
    `before`: what memory held when the read began. `chunks`: of those that were read, the messages that are
    wanted; of more than are asked for only those up to `end` are kept."""

    action: a.PeekMessages
    number: int
    records: list[Record] | None = None
    before: list[Message] = []
    chunks: dict[int, list[Message]] = {}
    end: int = MAX_SEQUENCE

    def cut(self) -> None:
        """Leave out what the answer will not reach."""
        sequences = sorted(m.sequence for delayed in self.chunks.values() for m in delayed)
        if len(sequences) > self.action.limit:
            self.end = sequences[self.action.limit]
            for delayed in self.chunks.values():
                delayed[:] = [m for m in delayed if m.sequence <= self.end]


class Peeking:
    """Decides looks."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._queues, self._find = registry.by_name, registry.find
        self._limits = registry.limits
        self._seen: Seen | None = None

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {a.PeekMessages: self.peek}

    def peek(self, action: a.PeekMessages, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        after = max(action.after, queue.floor)
        held, end = _held(queue, after, _LOOKED_AT if self._sieved(action) else action.limit)
        seen, self._seen = self._seen, None
        if seen is None or seen.action is not action or seen.number != queue.number:
            seen = Seen(action, queue.number)  # what was read may be of a queue that had this name until now
        rows: list[Message] = []
        if seen.records is not None:
            rows = [self._registry.rows.message(record) for record in seen.records]
            full = len(rows) >= self._rows(action)
            if full or sum(record.size for record in seen.records) >= self._limits.page_bytes:
                end = min(end, rows[-1].sequence)
            if _slipped(queue, [*seen.before, *held], rows, end):
                return self._read(action, queue, after, held)
        elif after < queue.spilled_through and (queue.on_disk or any(type(m.body) is int for m in held)):
            return self._read(action, queue, after, held, seen)
        if queue.delays is not None and (action.states is None or "delayed" in action.states):
            if any(chunk not in queue.delays.chunks for chunk in seen.chunks):
                return self._read(action, queue, after, held)  # what it held may be anywhere by now
            end = min(end, seen.end)
            chunks = [n for n in queue.delays.between(after, end) if n not in seen.chunks]
            if chunks:
                # The rows are read again, and last: meanwhile one of them may end and be dropped.
                seen.records = None
                return self._read_chunks(seen, queue, after, chunks[:_CHUNKS], now)
            rows += [message for delayed in seen.chunks.values() for message in delayed]
        return self._answer(action, queue, now, _merged(queue, held, rows, end), end)

    def _read(
        self,
        action: a.PeekMessages,
        queue: Queue,
        after: int,
        held: list[Message],
        seen: Seen | None = None,
    ) -> Needs:
        def fill(records: list[Record]) -> None:
            if seen is None:
                self._seen = Seen(action, queue.number, records, held)
            else:
                self._seen = Seen(action, queue.number, records, held, seen.chunks, seen.end)

        return Needs(
            key=(queue.number, "peek", id(action)),
            space=MESSAGES,
            fill=fill,
            first=row_key(queue.number, after + 1),
            last=row_key(queue.number, MAX_SEQUENCE),
            limit=self._rows(action),
            max_bytes=self._limits.page_bytes,
        )

    def _read_chunks(self, seen: Seen, queue: Queue, after: int, chunks: list[int], now: int) -> Needs:
        assert queue.delays is not None
        delay = queue.delays.delay

        def fill(records: list[Record]) -> None:
            seen.chunks.update((chunk, []) for chunk in chunks)
            for record in records:
                delayed = (_delayed(m, delay) for m in messages_of(record) if after < m.sequence <= seen.end)
                chunk = split_row_key(int(record.key))[1]
                seen.chunks[chunk] = [m for m in delayed if _wanted(m, seen.action, now)]
            seen.cut()
            self._seen = seen

        keys = [row_key(queue.number, chunk) for chunk in chunks]
        return Needs(key=(queue.number, "peek", id(seen.action)), space=CHUNKS, fill=fill, keys=keys)

    def _rows(self, action: a.PeekMessages) -> int:
        """How many to read: more than are asked for only where some may not be wanted."""
        most = self._limits.page_messages
        return most if self._sieved(action) else min(action.limit, most)

    def _sieved(self, action: a.PeekMessages) -> bool:
        return (action.states, action.group, action.min_age or None, action.max_age) != (None,) * 4

    def _answer(
        self, action: a.PeekMessages, queue: Queue, now: int, messages: list[Message], end: int
    ) -> Outcome:
        horizon = now - queue.attributes.retention_period
        found: list[dict[str, Any]] = []
        room = self._limits.max_answer_bytes
        for message in messages:
            # What is invisible is there until it wakes, however old it is.
            over = message.state == VISIBLE and message.sent_at <= horizon
            if over or not _wanted(message, action, now):
                continue
            room -= _SHOWN + (message.size if action.bodies else 0)
            if len(found) == action.limit or (room < 0 and found):
                return Decision({"messages": found, "next": found[-1]["sequence"]})
            found.append(_shown(message, bodies=action.bodies))
        return Decision({"messages": found, "next": None if end == MAX_SEQUENCE else end})


def _delayed(m: DelayedMessage, delay: int) -> Message:
    size = size_of(m.body, m.attributes)
    message = Message(m.sequence, m.id, m.body, m.attributes, m.sent_at, size, system=m.system)
    message.state, message.deadline = DELAYED, m.deadline + delay
    return message


def _held(queue: Queue, after: int, count: int) -> tuple[list[Message], int]:
    """What is in memory behind a sequence, in order, and up to which one that is all of it: at least `count`
    of them where there are many, unless there are wide gaps."""
    messages = queue.messages
    if len(messages) <= _LOOKED_AT:
        return [messages[s] for s in sorted(s for s in messages if s > after)], MAX_SEQUENCE
    first = after + 1 if after + 1 in messages else max(after + 1, min(messages))
    end = first + _LOOKED_AT - 1
    found = list(islice((messages[s] for s in range(first, end + 1) if s in messages), count))
    if len(found) == count:
        end = found[-1].sequence
    return found, end if end < queue.next_sequence - 1 else MAX_SEQUENCE


def _slipped(queue: Queue, held: list[Message], rows: list[Message], end: int) -> bool:
    """Whether memory left one to the disk while the page was read, too late to be in it."""
    read = {message.sequence for message in rows}
    for message in held:
        sequence = message.sequence
        if sequence > end or sequence in read or sequence <= queue.floor or message.state == GONE:
            continue
        now = queue.messages.get(sequence)
        if now is None or type(now.body) is int:
            return True
    return False


def _merged(queue: Queue, held: list[Message], rows: list[Message], end: int) -> list[Message]:
    """Both in order, up to `end`. Memory knows better than a row, but for the body where it has none."""
    by_sequence = {m.sequence: m for m in rows if m.sequence > queue.floor and m.sequence not in queue.dead}
    for message in held:
        row = by_sequence.get(message.sequence)
        if type(message.body) is int and row is not None:
            row.state, row.deadline = message.state, message.deadline
            row.receive_count, row.first_received_at = message.receive_count, message.first_received_at
        elif type(message.body) is not int:
            by_sequence[message.sequence] = message
    return [by_sequence[s] for s in sorted(by_sequence) if s <= end]


def _wanted(message: Message, action: a.PeekMessages, now: int) -> bool:
    if action.states is not None and _STATES[message.state] not in action.states:
        return False
    if action.group is not None and (message.system is None or message.system.group != action.group):
        return False
    age = now - message.sent_at
    return age >= action.min_age and (action.max_age is None or age <= action.max_age)


def _shown(message: Message, *, bodies: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "sequence": message.sequence,
        "id": message.id,
        "state": _STATES[message.state],
        "sent_at": message.sent_at,
        "receive_count": message.receive_count,
        "first_received_at": message.first_received_at or None,
        "visible_at": message.deadline or None,
        "size": message.size,
        **(told(message.system) if message.system is not None else {}),
    }
    return {**shown, "body": message.body, "attributes": message.attributes} if bodies else shown
