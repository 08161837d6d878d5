"""The journal's tail as memory knows it: which part of it still holds what no record says.

Rule 1  What still lives when its part of the journal is to go is written as records, oldest part first.
Rule 2  A slice says the state as of its lsn, so it is cut in the same step that closes the batch of that lsn.
Rule 3  A part is trimmed in the slice that writes its last record, never before.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from .service import SliceBuilder, Touch


class Part:
    """One journal row and the touches that are left to spill."""

    __slots__ = ("lsn", "size", "touches", "weight")

    def __init__(self, lsn: int, size: int, touches: list[tuple[Any, Touch]]) -> None:
        self.lsn = lsn
        self.size = size
        self.touches = touches
        self.weight = size + sum([service.weight(touch) for service, touch in touches])


class Tail:
    """See the module. Sizes are bytes of journal rows; the weight counts beside them what memory holds until
    they are spilled."""

    def __init__(self) -> None:
        self._parts: deque[Part] = deque()
        self.size = self.weight = 0

    def __len__(self) -> int:
        return len(self._parts)

    def append(self, lsn: int, size: int, touches: list[tuple[Any, Touch]]) -> None:
        touches.reverse()  # the oldest is popped from the end
        part = Part(lsn, size, touches)
        self._parts.append(part)
        self.size += size
        self.weight += part.weight

    def spill(self, into: SliceBuilder, max_bytes: int, down_to: int) -> int:
        """Spill the oldest parts into a slice of about `max_bytes`, until the tail's weight is `down_to`.

        Gives the lsn up to which the journal can be trimmed with this slice, 0 for none. A slice can exceed
        `max_bytes` by what one event holds, unless its service spills it piece by piece.
        """
        trim_to = 0
        work = 0
        while self._parts and self.weight > down_to and into.size + work < max_bytes:
            part = self._parts[0]
            into.part, into.row_size, into.touches = part.lsn, part.size, part.touches
            while part.touches and into.size + work < max_bytes:
                service, touch = part.touches[-1]
                left = service.spill(touch, into)
                if left is None:
                    part.touches.pop()
                else:
                    part.touches[-1] = service, left
                work += 64  # looking costs too, even where nothing is written
            if part.touches:
                break
            self._parts.popleft()
            self.size -= part.size
            self.weight -= part.weight
            trim_to = part.lsn
        return trim_to
