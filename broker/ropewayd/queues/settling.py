"""What a receipt handle is good for: deleting, and changing the visibility. State is read, never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ropewayd.kernel.service import Decision, Outcome
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import InvalidParameterValue, ReceiptHandleIsInvalid, RopewayError

from . import actions as a
from . import events as e
from .message import IN_FLIGHT, Message, weigh
from .paging import fetch, may_be_on_disk
from .queue import Queue
from .registry import Registry, missing


class Settling:
    """Decides what is done by receipt handle."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._queues, self._find = registry.by_name, registry.find

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {a.DeleteMessage: self.delete, a.ChangeMessageVisibility: self.change_visibility}

    def delete(self, action: a.DeleteMessage, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        read, number, messages = self._registry.handles.read, queue.number, queue.messages
        fifo = queue.groups is not None  # see _expired: a call each would cost
        answer: list[RopewayError | None] = []
        found: list[int] = []
        unknown: list[int] = []
        for index, handle in enumerate(action.handles):
            place = read(handle)
            if place is None or place[0] != number:
                answer.append(self._bad_handle(f"handles[{index}]"))
                continue
            sequence = place[1]
            message = messages.get(sequence)
            if message is not None:
                if fifo and (message.state != IN_FLIGHT or message.receive_count != place[2]):
                    answer.append(self._expired_handle(f"handles[{index}]"))
                    continue
                found.append(sequence)
            elif may_be_on_disk(queue, sequence):
                unknown.append(sequence)
            answer.append(None)
        if unknown:
            return fetch(self._registry, queue, unknown)
        if len(found) > 1 and len(set(found)) < len(found):
            found = list(dict.fromkeys(found))
        if not found:
            return Decision(answer)
        return Decision(answer, (e.MessagesDeleted(number, found, weigh([messages[s] for s in found])),))

    def _expired_handle(self, field: str) -> InvalidParameterValue:
        return InvalidParameterValue(
            f"The field {field} is not valid. Reason: The receipt handle has expired.", field
        )

    def _bad_handle(self, field: str) -> ReceiptHandleIsInvalid:
        return ReceiptHandleIsInvalid(f"The field {field} is not a receipt handle of this queue.", field)

    def change_visibility(self, action: a.ChangeMessageVisibility, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        answer: list[RopewayError | None] = []
        fifo = queue.groups is not None
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
            if sequence not in queue.messages and may_be_on_disk(queue, sequence):
                unknown.append(sequence)
                continue
            message = queue.messages.get(sequence)
            over = changes.get(sequence, now + 1) <= now  # by an entry before this one
            if message is not None and fifo and (over or _expired(message, place[2])):
                answer.append(self._expired_handle(f"entries[{index}].handle"))
                continue
            problem = self._change_problem(queue, sequence, entry.visibility_timeout, place[3], now, index)
            if problem is None:
                changes[sequence] = deadline
            answer.append(problem)
        if unknown:
            return fetch(self._registry, queue, unknown)
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


def _expired(message: Message, count: int) -> bool:
    """Of a FIFO queue a handle is good while the receive that gave it holds the message, and no longer."""
    return message.state != IN_FLIGHT or message.receive_count != count
