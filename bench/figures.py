"""What many rounds come to: medians, spreads, ratios, and the checks that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

NOISY = 0.35
"""A yardstick whose rounds lie further apart than this share of their median has been disturbed."""


@dataclass(frozen=True)
class Spread:
    """One figure over several rounds."""

    median: float
    low: float
    high: float
    rounds: tuple[float, ...]

    @property
    def noisy(self) -> bool:
        """Whether the rounds are too far apart to be judged."""
        return self.high - self.low > NOISY * self.median


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    return Spread(median(values), min(values), max(values), tuple(values))


def ratios(ours: Sequence[float], yardstick: Sequence[float]) -> Spread:
    """Round by round, one over the other: the two of a round were measured within the same seconds."""
    return spread([mine / theirs for mine, theirs in zip(ours, yardstick, strict=True)])


@dataclass(frozen=True)
class Check:
    """A target, and whether it was met."""

    name: str
    target: float
    measured: float
    holds: bool


def at_least(name: str, target: float, measured: float) -> Check:
    """A figure that should be large."""
    return Check(name, target, measured, measured >= target)


def at_most(name: str, target: float, measured: float) -> Check:
    """A figure that should not be large."""
    return Check(name, target, measured, measured <= target)


def under(name: str, target: float, measured: float) -> Check:
    """A figure that should be small."""
    return Check(name, target, measured, measured < target)


def none(name: str, measured: int) -> Check:
    """Something that should not happen at all."""
    return Check(name, 0, measured, measured == 0)
