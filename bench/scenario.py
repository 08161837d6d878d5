"""What a scenario is: a name, its size in steps, and a function from settings to an outcome.

`interleaved` is what most of them are made of: every workload against every contestant, round by round, so
that a disturbance meets all of them alike.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.contestants import Contestant
from bench.figures import Check, Spread, ratios, spread
from bench.match import Result, Workload, play

Watch = Callable[[str], None]
"""Told what has just been done, once a step."""


@dataclass(frozen=True)
class Settings:
    """What a user may choose."""

    seconds: float
    """The window of a match."""
    rounds: int
    directory: Path
    """Where data directories are made: the disk that is measured."""
    warm_up: float = 0.5
    messages: int = 1_000_000
    """The length of a backlog."""
    sizes: tuple[int, ...] = ()
    """How much there is of something, one after the other, where a scenario asks that; empty: as it sees
    fit."""
    only: str = ""
    """A word in the name of the one thing that is measured, where a scenario has several; empty: all."""
    polls: int = 10_000
    """Consumers that wait at one time."""
    idle_seconds: float = 21.0
    """A little more than one renewal of each idle poll."""


@dataclass(frozen=True)
class Comparison:
    """One workload: each contestant's rounds, and the rate of each in ratio to the first one's."""

    workload: Workload
    rounds: dict[str, list[Result]]
    ratio: dict[str, Spread]
    rate: dict[str, Spread]

    @property
    def noisy(self) -> bool:
        """Whether the yardstick itself was too unsteady for its ratios to be judged."""
        return next(iter(self.rate.values())).noisy

    @property
    def astray(self) -> int:
        """Messages lost or doubled, in all rounds."""
        return sum(result.lost + result.doubled for results in self.rounds.values() for result in results)


@dataclass(frozen=True)
class Outcome:
    """What a scenario gave."""

    comparisons: list[Comparison] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    """What it measured beside its workloads."""
    checks: list[Check] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)
    """What a person wants to read of the figures: a name and a value each."""


@dataclass(frozen=True)
class Scenario:
    """Something to run."""

    name: str
    summary: str
    steps: Callable[[Settings], int]
    """How often `run` calls its watch."""
    run: Callable[[Settings, Watch], Outcome]


def interleaved(
    workloads: Sequence[Workload], contestants: Sequence[Contestant], settings: Settings, watch: Watch
) -> list[Comparison]:
    """Plays all matches. The first contestant is the yardstick. Odd rounds go through them backwards."""
    played: dict[str, dict[str, list[Result]]] = {
        workload.name: {contestant.name: [] for contestant in contestants} for workload in workloads
    }
    for number in range(settings.rounds):
        order = list(contestants) if number % 2 == 0 else list(reversed(contestants))
        for workload in workloads:
            for contestant in order:
                result = one_match(workload, contestant, settings)
                played[workload.name][contestant.name].append(result)
                watch(
                    f"round {number + 1} of {settings.rounds}, {workload.name}, {contestant.name}: "
                    f"{result.rate:,.0f} messages/s"
                )
    return [compared(workload, played[workload.name]) for workload in workloads]


def one_match(workload: Workload, contestant: Contestant, settings: Settings) -> Result:
    """One match against a server that is started for it."""
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        directory = Path(place)
        server = contestant.start(directory / "server")
        try:
            result = play(workload, server, directory, settings.seconds, settings.warm_up)
        except BaseException:
            server.kill()
            raise
        server.stop()
        return result


def compared(workload: Workload, rounds: dict[str, list[Result]]) -> Comparison:
    """The rounds of one workload, summed up."""
    rates = {name: [result.rate for result in results] for name, results in rounds.items()}
    yardstick = next(iter(rates.values()))
    return Comparison(
        workload=workload,
        rounds=rounds,
        ratio={name: ratios(values, yardstick) for name, values in rates.items()},
        rate={name: spread(values) for name, values in rates.items()},
    )
