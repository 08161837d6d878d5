"""Calls that follow each other on a connection and want the same of the same queue become one call.

An action carries a batch and costs one decision and one event, so a peer that sends single messages in a
stream pays for them as one that sends batches. Nothing waits for it: what has arrived already is merged.

Rule 1  Only actions whose entries have nothing to do with each other are merged (Action.merges), and those of
        a FIFO queue only where its calls are not counted one by one against a limit.
Rule 2  Each call gets the answer that it would get alone: its own entries' outcomes, by its own numbers.
Rule 3  Order stays: what has been gathered is handed on before anything else is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ropewayd.kernel.batch import Reply
from ropewayd.vocabulary.action import MAX_BATCH, Action
from ropewayd.vocabulary.errors import RopewayError
from ropewayd.vocabulary.names import FIFO_SUFFIX


class Merged:
    """The reply of a call that was several. `parts`: each one's reply, and how many entries are its own."""

    __slots__ = ("_batch", "_parts")

    def __init__(self, batch: str, parts: list[tuple[Reply, int]]) -> None:
        self._batch = batch
        self._parts = parts

    def prepare(self, answer: Any) -> list[Any]:
        if isinstance(answer, RopewayError):
            return [reply.prepare(answer) for reply, _ in self._parts]
        prepared, at = [], 0
        for reply, count in self._parts:
            own = answer[at : at + count]
            for index, each in enumerate(own):
                if at and isinstance(each, RopewayError):
                    own[index] = self._renumbered(each, at + index, index)
            prepared.append(reply.prepare(own))
            at += count
        return prepared

    def _renumbered(self, error: RopewayError, there: int, here: int) -> RopewayError:
        """The error of an entry, by the number that the entry has in its own call."""
        old, new = f"{self._batch}[{there}]", f"{self._batch}[{here}]"
        return type(error)(error.message.replace(old, new), error.field and error.field.replace(old, new))

    def deliver(self, prepared: list[Any]) -> None:
        for (reply, _), each in zip(self._parts, prepared, strict=True):
            reply.deliver(each)


class Merger:
    """Of one connection; see the module. `submit` takes what is to be done, in order. `counted`: whether the
    calls of FIFO queues are."""

    __slots__ = ("_action", "_counted", "_entries", "_parts", "_submit")

    def __init__(self, submit: Callable[[Action, Reply], None], *, counted: bool) -> None:
        self._submit = submit
        self._counted = counted
        self._action: Any = None
        self._entries: list[Any] = []
        self._parts: list[tuple[Reply, int]] = []

    def add(self, action: Any, reply: Reply) -> None:
        """Take this call, now or with those that follow it."""
        if not action.merges or (self._counted and action.queue.endswith(FIFO_SUFFIX)):
            self.flush()
            self._submit(action, reply)
            return
        entries, first = getattr(action, action.batch), self._action
        if first is not None:
            if (
                type(first) is type(action)
                and first.queue == action.queue
                and len(self._entries) + len(entries) <= MAX_BATCH
            ):
                self._entries += entries
                self._parts.append((reply, len(entries)))
                return
            self.flush()
        self._action, self._entries, self._parts = action, entries, [(reply, len(entries))]

    def flush(self) -> None:
        """Hand on what was gathered."""
        action, parts = self._action, self._parts
        if action is None:
            return
        self._action = None
        self._submit(action, parts[0][0] if len(parts) == 1 else Merged(action.batch, parts))
