"""What the daemon counts of itself, for whoever watches it. No count is state: a restart begins at nothing.

Times are the machine's counter. Nothing is decided by them, so a simulation need not know them.

Counting is a part of the hot path, so a count is an addition where something happens anyway, once a call or
once a commit, and the work is done when somebody reads it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from time import monotonic

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
"""Upper bounds for how long something took. The last is the longest long poll."""
EVENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Upper bounds for how many events share a commit."""
BYTES = (256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304)
"""Upper bounds for how large a commit is."""


class Distribution:
    """How many values lie at or below each of some bounds, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """Of each value the first bound that it does not pass; the last is for what passes all."""
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, int]]:
        """Each bound as Prometheus writes it, with the number of values up to it."""
        names = [*(f"{float(bound)}" for bound in self.bounds), "+Inf"]
        found, seen = [], 0
        for name, count in zip(names, self.counts, strict=True):
            seen += count
            found.append((name, seen))
        return found


class Meter:
    """One for the daemon."""

    def __init__(self) -> None:
        self.commit_events = Distribution(EVENTS)
        self.commit_bytes = Distribution(BYTES)
        self.commit_seconds = Distribution(SECONDS)
        self.errors: Counter[tuple[str, str]] = Counter()
        """Errors that were answered, by protocol and code; each entry of a batch is one."""
        self.vain_polls: Counter[object] = Counter()
        """Long polls that ended with nothing, by what they waited for."""
        self._calls: dict[tuple[str, str], Distribution] = {}

    def commit(self, began: float, events: int, size: int) -> None:
        """A commit of so many events and bytes is done; `began` as `monotonic` told it."""
        self.commit_seconds.add(monotonic() - began)
        self.commit_events.add(events)
        self.commit_bytes.add(size)

    def calls(self, protocol: str, action: str) -> Distribution:
        """Of the seconds that calls of this action took, from their last byte to their answer."""
        found = self._calls.get((protocol, action))
        if found is None:
            found = self._calls[protocol, action] = Distribution(SECONDS)
        return found

    def all_calls(self) -> list[tuple[str, str, Distribution]]:
        """(protocol, action, seconds) for every action that was called."""
        return [(*key, each) for key, each in sorted(self._calls.items())]
