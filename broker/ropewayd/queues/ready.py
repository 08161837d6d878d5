"""The visible messages of a queue, in order of sequence.

Most are sent in order and leave in order: a deque. What comes back (a visibility timeout, a delay, a page
from disk) goes through a heap. A message that must leave from the middle is only hidden; should it come back
before it is reached, its old place is the right one.

Looking at the first ones may rearrange how they are held. It never changes what is held.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from .message import Message


def _sequence(message: Message) -> int:
    return message.sequence


class Ready:
    """See the module. A message is in it at most once."""

    __slots__ = ("_front", "_heap", "_hidden", "_line")

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._line = deque(messages)
        self._heap: list[tuple[int, Message]] = []
        self._front: list[Message] = []
        self._hidden: set[int] = set()

    def __len__(self) -> int:
        return len(self._line) + len(self._heap) + len(self._front) - len(self._hidden)

    def __iter__(self) -> Iterator[Message]:
        held = [*self._front, *(m for _, m in self._heap), *self._line]
        yield from sorted((m for m in held if m.sequence not in self._hidden), key=_sequence)

    def add(self, message: Message) -> None:
        """One whose sequence is higher than all that were ever here."""
        self._line.append(message)

    def put_back(self, message: Message) -> None:
        """One of any sequence."""
        sequence = message.sequence
        if sequence in self._hidden:
            self._hidden.remove(sequence)
        elif self._front and sequence < self._front[-1].sequence:
            insort(self._front, message, key=_sequence)
        else:
            heapq.heappush(self._heap, (sequence, message))

    def remove(self, message: Message) -> None:
        """Take out one that is here, wherever it stands."""
        if self._line and self._line[0] is message:
            self._line.popleft()
        else:
            self._hidden.add(message.sequence)

    def first(self, count: int) -> list[Message]:
        """The first ones, at most `count`, without taking them."""
        if not (self._heap or self._front or self._hidden):
            return list(islice(self._line, count))
        self._bring_forward(count)
        return self._front[:count]

    def take(self, messages: list[Message]) -> None:
        """Take out what `first` gave, or any others that are here."""
        front = self._front
        if front and front[: len(messages)] == messages:
            del front[: len(messages)]
            return
        line, hidden = self._line, self._hidden
        for message in messages:
            if line and line[0] is message:
                line.popleft()
            else:
                hidden.add(message.sequence)

    def _bring_forward(self, count: int) -> None:
        front, heap, line, hidden = self._front, self._heap, self._line, self._hidden
        if hidden and front:
            kept = [m for m in front if m.sequence not in hidden]
            hidden.difference_update(m.sequence for m in front)
            front[:] = kept
        while len(front) < count and (heap or line):
            if heap and (not line or heap[0][0] < line[0].sequence):
                message = heapq.heappop(heap)[1]
            else:
                message = line.popleft()
            if message.sequence in hidden:
                hidden.remove(message.sequence)
            else:
                front.append(message)
