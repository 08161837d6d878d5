"""The full run: everything that has a target, one scenario after the other, and the page that is made of it.

Each scenario leaves its JSON in a directory as soon as it is done, so that an end in between loses no more
than the one that was running; one that fails is tried once more, and the others go on. Sizes are chosen so
that all of it takes about twenty minutes on a quiet machine of two cores. The page's part below its
marker is made of the JSON, whichever run it is from; scenarios that were not measured in this run keep the
JSON of an earlier one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import page
from bench.contestants import ContestantFailed
from bench.scenario import Scenario, Settings
from bench.scenarios import SCENARIOS
from bench.shim import NoCompiler
from bench.wire import UnexpectedAnswer

FAILURES = (ContestantFailed, NoCompiler, UnexpectedAnswer, OSError, AssertionError)
"""What ends a scenario, and not the run."""
TRIES = 2

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"
MARKER = "<!-- Made by `python -m bench full` from bench/results: each run writes anew what is below. -->"


@dataclass(frozen=True)
class Part:
    """A scenario, and how large it is run."""

    scenario: str
    rounds: int = 3
    seconds: float = 2.0
    messages: int = 100_000
    sizes: tuple[int, ...] = ()

    def settings(self, directory: Path) -> Settings:
        """On the disk of that directory."""
        return Settings(
            seconds=self.seconds,
            rounds=self.rounds,
            directory=directory,
            messages=self.messages,
            sizes=self.sizes,
        )


PLAN = (
    Part("queue-cycle"),
    Part("latency"),
    Part("sizes", rounds=2),
    Part("concurrency", rounds=1, seconds=1),
    Part("http"),
    Part("fifo-groups"),
    Part("fifo-limits", seconds=1.5),
    Part("high-throughput"),
    Part("noisy-tenant"),
    Part("fan-out", rounds=2),
    Part("filters", seconds=1),
    Part("many-queues", rounds=1),
    Part("long-poll"),
    Part("bad-peers", seconds=3),
    Part("slow-disk", rounds=1),
    Part("cost-growth", sizes=(1_000, 100_000), seconds=0.5),
    Part("restart", sizes=(1_000, 100_000), seconds=1),
    Part("backlog", messages=1_000_000),
)
PEERS = Part("peers")
"""Beside it where it is asked for: it has no target, and takes minutes by itself."""

Run = Callable[[Scenario, Settings, Path], bool]
"""Runs a scenario, writes its JSON, and says whether every target holds."""


@dataclass(frozen=True)
class Ended:
    """How the full run went."""

    missed: tuple[str, ...]
    """Scenarios a target of which does not hold."""
    failed: tuple[str, ...]
    """Scenarios that gave nothing."""


def chosen(only: Sequence[str], *, peers: bool) -> list[Part]:
    """What is to run. Raises ValueError for a name that is not in the plan."""
    parts = [*PLAN, PEERS]
    known = [part.scenario for part in parts]
    if unknown := [name for name in only if name not in known]:
        raise ValueError(f"{', '.join(unknown)}: not in the full run, which has {', '.join(known)}")
    if only:
        return [part for part in parts if part.scenario in only]
    return parts if peers else list(PLAN)


def full(
    parts: Sequence[Part], results: Path, directory: Path, run: Run, say: Callable[[str], None]
) -> Ended:
    """All of these, each with its JSON in `results`."""
    results.mkdir(parents=True, exist_ok=True)
    missed, failed = [], []
    began = time.perf_counter()
    for number, part in enumerate(parts, 1):
        say(f"{part.scenario}, {number} of {len(parts)}, after {time.perf_counter() - began:.0f} s")
        held = attempted(part, results, directory, run, say)
        if held is None:
            failed.append(part.scenario)
        elif not held:
            missed.append(part.scenario)
    say(f"all in {time.perf_counter() - began:.0f} s")
    return Ended(tuple(missed), tuple(failed))


def attempted(
    part: Part, results: Path, directory: Path, run: Run, say: Callable[[str], None]
) -> bool | None:
    """Whether every target of one held; None where it failed each time."""
    target = results / f"{part.scenario}.json"
    for _ in range(TRIES):
        try:
            return run(SCENARIOS[part.scenario], part.settings(directory), target)
        except FAILURES as error:
            say(f"{part.scenario} failed: {type(error).__name__}: {error}")
    target.unlink(missing_ok=True)  # what is on the page is never of a scenario that does not run any more
    return None


def found(results: Path) -> list[dict[str, Any]]:
    """The runs whose JSON is there, in the order of the plan."""
    order = [part.scenario for part in (*PLAN, PEERS)]
    paths = sorted(
        (path for path in results.glob("*.json") if path.stem in order),
        key=lambda path: order.index(path.stem),
    )
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def write(results: Path, target: Path, pictures: Path) -> None:
    """The page below its marker, and the same with plots. Raises ValueError where there is no run, or no
    marker in the page."""
    runs = found(results)
    if not runs:
        raise ValueError(f"no run is in {results}")
    target.write_text(placed(target.read_text(encoding="utf-8"), runs), encoding="utf-8")
    pictures.write_text(page.html(runs), encoding="utf-8")


def placed(text: str, runs: Sequence[dict[str, Any]]) -> str:
    """A page with these runs below its marker."""
    head, marker, _ = text.partition(MARKER)
    if not marker:
        raise ValueError(f"the page has no line {MARKER!r}")
    return f"{head}{MARKER}\n\n{page.markdown(runs)}"


def quick(part: Part) -> Part:
    """The same, as short as it can be: to see that everything runs. Its figures say nothing."""
    return replace(
        part,
        rounds=1,
        seconds=0.3,
        messages=min(part.messages, 20_000),
        sizes=tuple(size for size in part.sizes if size <= 10_000),
    )
