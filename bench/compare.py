"""Two runs of one scenario side by side: what changed, and whether it is more than their rounds vary.

Rates of two runs are not compared: another day, another machine. What is compared is each contestant's ratio
to the yardstick of its own run, and each target's measured figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """One figure in two runs."""

    name: str
    before: float
    after: float
    apart: bool | None
    """Whether the rounds of one run all lie above those of the other; None where there are no rounds."""

    @property
    def share(self) -> float | None:
        """By how much it changed, as a share; None where it was 0."""
        return self.after / self.before - 1 if self.before else None


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """Every ratio and every measured figure that both runs have.

    Raises ValueError where they are no runs of the same scenario, or of another format.
    """
    for name in ("format", "scenario"):
        if before.get(name) != after.get(name) or name not in before:
            raise ValueError(
                f"the two cannot be compared: {name} is {before.get(name)!r} and {after.get(name)!r}"
            )
    return [*ratio_changes(before, after), *check_changes(before, after)]


def ratio_changes(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """The ratios to the yardstick, which is each workload's first contestant."""
    old = ratios(before)
    return [
        Change(name, old[name]["median"], new["median"], apart(old[name], new))
        for name, new in ratios(after).items()
        if name in old
    ]


def ratios(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By workload and contestant."""
    return {
        f"{workload['name']}, {name}": contestant["ratio"]
        for workload in run["workloads"]
        for name, contestant in list(workload["contestants"].items())[1:]
    }


def check_changes(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """What was measured for each target."""
    old = {check["name"]: check["measured"] for check in before["checks"]}
    return [
        Change(check["name"], old[check["name"]], check["measured"], None)
        for check in after["checks"]
        if check["name"] in old
    ]


def apart(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two spreads do not overlap."""
    return bool(one["high"] < other["low"] or other["high"] < one["low"])
