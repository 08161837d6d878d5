"""The visible messages of a queue, in order of sequence.

Most are sent in order and leave in order: a deque. What comes back (a visibility timeout, a delay, a page
from disk) goes through a heap. A message that must leave from the middle is only hidden; should it come back
before it is reached, its old place is the right one.

Where memory is short, the deque is parted in two: the head window, and what is behind it, from whose head
messages are let go once the disk has them. Both parts stay in order, one after the other.

Looking at the first ones may rearrange how they are held. It never changes what is held.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from .message import OVERHEAD, Message

LET_GO: Final = 4000
"""Messages let go of at one time: some four milliseconds. A slice writes fewer."""

_EMPTY: Final[deque[Message]] = deque()
_NONE: Final[set[int]] = set()
"""What all queues without messages share, and nothing is ever put into: most queues are idle, and an empty
deque takes 600 bytes."""


def _sequence(message: Message) -> int:
    return message.sequence


def up_to(sequence: int, messages: list[Message]) -> list[Message]:
    """Those of these, which are in order, whose sequence is not beyond this one."""
    if messages and messages[-1].sequence > sequence:
        return [message for message in messages if message.sequence <= sequence]
    return messages


class Ready:
    """See the module. A message is in it at most once."""

    __slots__ = ("_behind", "_front", "_heap", "_hidden", "_line", "_written")

    def __init__(self, messages: Sequence[Message] = ()) -> None:
        self._line = deque(messages) if messages else _EMPTY
        self._heap: list[tuple[int, Message]] = []
        self._front: list[Message] = []
        self._hidden = _NONE
        self._behind: deque[Message] | None = None
        self._written = 0

    def __len__(self) -> int:
        held = len(self._front) + len(self._heap) + len(self._line) + len(self._behind or ())
        return held - len(self._hidden)

    @property
    def used(self) -> bool:
        """Whether anything was ever put into it; if not, it is as new."""
        return self._line is not _EMPTY or bool(self._heap or self._front or self._hidden)

    def window(self, through: int) -> int:
        """About how many have a sequence up to `through`."""
        line = self._line
        near = len(line) if line and line[0].sequence <= through else 0
        return near + len(self._heap) + len(self._front)

    def __iter__(self) -> Iterator[Message]:
        held = [*self._front, *(m for _, m in self._heap), *self._line, *(self._behind or ())]
        yield from sorted((m for m in held if m.sequence not in self._hidden), key=_sequence)

    def add(self, message: Message) -> None:
        """One whose sequence is higher than all that were ever here."""
        self.adding()(message)

    def adding(self) -> Callable[[Message], None]:
        """What adds such messages, good until anything else is done here: many are added at one time."""
        line = self._line if self._behind is None else self._behind
        if line is _EMPTY:
            line = self._line = deque()
        return line.append

    def put_back(self, message: Message) -> None:
        """One of any sequence."""
        sequence = message.sequence
        if sequence in self._hidden:
            self._hidden.remove(sequence)
        elif self._front and sequence < self._front[-1].sequence:
            insort(self._front, message, key=_sequence)
        else:
            heapq.heappush(self._heap, (sequence, message))

    def put_page(self, messages: Sequence[Message]) -> None:
        """Those of a page, in order of sequence. A drain goes through nothing else, and mostly they belong
        between the head window and what is behind it."""
        if not messages:
            return
        first, last = messages[0].sequence, messages[-1].sequence
        front, line = self._front, self._line
        free = not self._hidden and (not front or front[-1].sequence < first)
        if free and self._behind is None and line and line[0].sequence > last:
            self._line, self._behind = deque(messages), line
        elif (
            free
            and (not line or line[-1].sequence < first)
            and (not self._behind or self._behind[0].sequence > last)
        ):
            if line is _EMPTY:
                self._line = deque(messages)
            else:
                line.extend(messages)
        else:
            for message in messages:
                self.put_back(message)

    def remove(self, message: Message) -> None:
        """Take out one that is here, wherever it stands."""
        if self._line and self._line[0] is message:
            self._line.popleft()
        else:
            self._hide(message)

    def _hide(self, message: Message) -> None:
        if self._hidden is _NONE:
            self._hidden = set()
        self._hidden.add(message.sequence)

    def next(self, count: int, through: int, in_flight: int, now: int) -> list[Message]:
        """What a receive should look at. See fairness.py for who needs to know how many are in flight, and
        when it is."""
        return up_to(through, self.first(count))

    def first(self, count: int) -> list[Message]:
        """The first ones, at most `count`, without taking them."""
        line, behind = self._line, self._behind
        if not (self._heap or self._front or self._hidden):
            if behind is None or len(line) >= count:
                return list(islice(line, count))
            return [*line, *islice(behind, count - len(line))]
        if behind is not None and len(line) < count:
            self._join()
        self._bring_forward(count)
        return self._front[:count]

    def _join(self) -> None:
        """The head window is used up, or nearly: it and what is behind it are one line again."""
        assert self._behind is not None
        self._behind.extendleft(reversed(self._line))
        self._line, self._behind = self._behind, None

    def take(self, messages: list[Message]) -> None:
        """Take out what `first` gave, or any others that are here."""
        front = self._front
        if front and front[: len(messages)] == messages:
            del front[: len(messages)]
            return
        line = self._line
        for message in messages:
            if not line and self._behind is not None:
                line = self._line = self._behind
                self._behind = None
            if line and line[0] is message:
                line.popleft()
            else:
                self._hide(message)

    def let_go(self, keep_bytes: int, through: int, written: int, lsn: int) -> list[Message]:
        """Take out messages that the disk has as they are, as of `lsn`, but for about the first `keep_bytes`
        of those with a sequence up to `through`. `written`: how many rows were written since the last
        time."""
        if self._behind is not None and not keep_bytes:
            self._join()
        if self._behind is None:
            self._part(keep_bytes, through)
        gone = self._let_go_of_behind(lsn)
        if not (self._behind or self._line):
            self._behind, self._line = None, _EMPTY
        # Those that came back are held in no order. Sorting them is paid for by as many that were written.
        self._written += written
        if 8 * self._written >= len(self._heap) + len(self._front) > 0:
            self._written = 0
            gone += self._let_go_of_heap(keep_bytes, lsn)
        return gone

    def _part(self, keep_bytes: int, through: int) -> None:
        line = self._line
        for index, message in enumerate(line):
            keep_bytes -= message.size + OVERHEAD
            if keep_bytes < 0 or message.sequence > through:
                # What is behind is long: it stays where it is.
                self._line = deque(line.popleft() for _ in range(index))
                self._behind = line
                return

    def _let_go_of_behind(self, lsn: int) -> list[Message]:
        """In order, up to one that the disk does not have yet."""
        gone: list[Message] = []
        behind, hidden = self._behind or _EMPTY, self._hidden
        for _ in range(min(LET_GO, len(behind))):
            message = behind[0]
            if message.sequence in hidden:
                hidden.remove(message.sequence)
            elif message.on_disk(lsn):
                gone.append(message)
            elif message.stub:  # memory alone knows how often it was received, which keeps nothing else here
                heapq.heappush(self._heap, (message.sequence, message))
            else:
                break
            behind.popleft()
        return gone

    def _let_go_of_heap(self, keep_bytes: int, lsn: int) -> list[Message]:
        """Those in front as well: a message that comes back ahead of them stands among them."""
        places = [(message.sequence, message) for message in self._front] + self._heap
        places.sort()
        self._front, self._heap = [], []
        gone: list[Message] = []
        for place in places:
            sequence, message = place
            if sequence in self._hidden:
                self._hidden.remove(sequence)
                continue
            keep_bytes -= message.size + OVERHEAD
            if keep_bytes < 0 and message.on_disk(lsn):
                gone.append(message)
            else:
                self._heap.append(place)  # in order, and so a heap
        return gone

    def _bring_forward(self, count: int) -> None:
        front, hidden = self._front, self._hidden
        if hidden and front:
            kept = [m for m in front if m.sequence not in hidden]
            hidden.difference_update(m.sequence for m in front)
            front[:] = kept
        while len(front) < count:
            message = self._pop()
            if message is None:
                return
            if message.sequence in hidden:
                hidden.remove(message.sequence)
            else:
                front.append(message)

    def _pop(self) -> Message | None:
        """The lowest that is not in front."""
        if not self._line and self._behind is not None:
            self._join()
        heap, line = self._heap, self._line
        if heap and (not line or heap[0][0] < line[0].sequence):
            return heapq.heappop(heap)[1]
        return line.popleft() if line else None
