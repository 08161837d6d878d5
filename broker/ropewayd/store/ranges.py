"""The key ranges of one paged space that are dropped, but whose rows are still there.

A set of integers, kept as disjoint ranges in order. Reading asks what to leave out; a slice adds ranges, and
a put takes its key out again. Each change says which ranges went and which came, so that the caller can write
it down.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

Range = tuple[int, int]
"""First and last, both included."""


class Change(NamedTuple):
    """The ranges that a change took away, and those that it brought."""

    gone: list[Range]
    came: list[Range]


class Ranges:
    """Disjoint ranges, none adjacent to the next."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[Range]:
        return iter(list(zip(self._firsts, self._lasts, strict=True)))

    def __len__(self) -> int:
        return len(self._firsts)

    def __contains__(self, key: int) -> bool:
        at = bisect_right(self._firsts, key) - 1
        return at >= 0 and key <= self._lasts[at]

    def add(self, first: int, last: int) -> Change:
        """Add a range; give the ranges that it swallowed, and the one that stands for them now."""
        assert 0 <= first <= last
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        gone = list(zip(self._firsts[low:high], self._lasts[low:high], strict=True))
        if gone:
            first, last = min(first, gone[0][0]), max(last, gone[-1][1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]
        return Change(gone, [(first, last)])

    def remove(self, first: int, last: int) -> Change:
        """Take keys out; give the ranges that held some of them, and what is left of those."""
        low = bisect_left(self._lasts, first)
        high = bisect_right(self._firsts, last)
        gone = list(zip(self._firsts[low:high], self._lasts[low:high], strict=True))
        left: list[Range] = []
        if gone:
            if gone[0][0] < first:
                left.append((gone[0][0], first - 1))
            if gone[-1][1] > last:
                left.append((last + 1, gone[-1][1]))
        self._firsts[low:high] = [start for start, _ in left]
        self._lasts[low:high] = [end for _, end in left]
        return Change(gone, left)

    def gaps(self, first: int, last: int) -> Iterator[Range]:
        """The parts of first..last that are not in the set, in order."""
        at = first
        index = bisect_left(self._lasts, first)
        while at <= last:
            if index == len(self._firsts) or self._firsts[index] > last:
                yield at, last
                return
            if at < self._firsts[index]:
                yield at, self._firsts[index] - 1
            at = self._lasts[index] + 1
            index += 1
