"""How long each of many things took, in the layout of an HdrHistogram.

Microseconds up to 127 are counted one by one, and above in buckets of which each power of two has 64: so a
value is known to 1.6 % of itself, whatever its size, and two histograms are added bucket by bucket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_BITS = 6
_HALF = 1 << _BITS

CURVE = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99)
"""The percents of a distribution that is drawn; of those, the ones above which at least one value lies."""


@dataclass(frozen=True)
class Latency:
    """Microseconds below which so many percent lie."""

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    highest: float
    distribution: tuple[tuple[float, float], ...] = ()
    """Percents, and the microseconds that they do not exceed: the curve that these few points are of."""


class Histogram:
    """See the module."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: Counter[int] = Counter(counts)

    @classmethod
    def of(cls, values: Iterable[float]) -> Histogram:
        """Of these values."""
        made = cls()
        for value in values:
            made.add(value)
        return made

    def add(self, value: float) -> None:
        """Counts one."""
        self.counts[bucket(max(0, round(value)))] += 1

    def merge(self, other: Histogram) -> None:
        """Counts all that another one has."""
        self.counts.update(other.counts)

    def percentile(self, percent: float) -> float:
        """The least value that at least so many percent do not exceed: the middle of its bucket."""
        left = percent / 100 * self.counts.total()
        for index in sorted(self.counts):
            left -= self.counts[index]
            if left <= 1e-9:
                return middle(index)
        raise ValueError("nothing was counted")

    def latency(self) -> Latency:
        """In short. Raises ValueError where nothing was counted."""
        p50, p90, p99, p999, highest = (self.percentile(percent) for percent in (50, 90, 99, 99.9, 100))
        total = self.counts.total()
        known = [percent for percent in CURVE if (100 - percent) / 100 * total >= 1 - 1e-6]
        distribution = tuple((percent, self.percentile(percent)) for percent in known)
        return Latency(total, p50, p90, p99, p999, highest, distribution)


def bucket(value: int) -> int:
    """The number of a value's bucket."""
    shift = max(0, value.bit_length() - _BITS - 1)
    return (shift << _BITS) + (value >> shift)


def middle(index: int) -> float:
    """The value in the middle of a bucket."""
    shift = max(0, (index >> _BITS) - 1)
    first = index - (shift << _BITS) << shift
    return first + ((1 << shift) - 1) / 2
