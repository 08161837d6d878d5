"""A small picture of a queue for people: in which states its messages are, and how old they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ropeway.cli.values import counted

LOOKED_AT = 5000
"""Messages whose ages are drawn, from the oldest on."""
WIDTH = 40
AGES = (
    (60, "under 1m"),
    (600, "under 10m"),
    (3600, "under 1h"),
    (21_600, "under 6h"),
    (86_400, "under 1d"),
    (None, "1d and more"),
)
"""Bounds in seconds, and what is between them."""
_STATES = (("visible", "█"), ("in_flight", "▓"), ("delayed", "░"))


def states(numbers: Mapping[str, int]) -> list[str]:
    """One bar, each state with its share, and what is what. Nothing where there are no messages."""
    total = sum(numbers[name] for name, _ in _STATES)
    if not total:
        return []
    parts = {name: round(WIDTH * numbers[name] / total) or min(1, numbers[name]) for name, _ in _STATES}
    longest = max(parts, key=lambda name: parts[name])
    parts[longest] += WIDTH - sum(parts.values())
    legend = "  ".join(
        f"{mark} {name.replace('_', ' ')} {numbers[name]:,}" for name, mark in _STATES if numbers[name]
    )
    return ["".join(mark * parts[name] for name, mark in _STATES), legend]


def ages(seconds: Sequence[float], total: int) -> list[str]:
    """A bar for each span of ages that has any. `total`: how many there are, if not all were looked at."""
    if not seconds:
        return []
    found: Counter[str] = Counter()
    for age in seconds:
        found[next(said for bound, said in AGES if bound is None or age < bound)] += 1
    most = max(found.values())
    digits = len(f"{most:,}")
    lines = [
        f"{said:<11}  {found[said]:>{digits},}  {'█' * max(1, round(WIDTH * found[said] / most))}"
        for _, said in AGES
        if found[said]
    ]
    if total > len(seconds):
        lines.append(f"of the first {counted(len(seconds), 'message')}")
    return lines
