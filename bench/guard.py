"""guard: did a change cost speed? The tree as it is, beside an earlier commit of it, in one run.

The earlier commit is unpacked into a directory of its own, and its daemon runs from there on the packages
that are installed here. Rounds of the two alternate, and each ratio is taken within a round. A loss is one
that no round contradicts: every round of the tree is slower than the commit's beside it, by more than `NOISE`
in the median. It is judged by the rate and, since a machine that does something else disturbs that less, by
the processor time of a message.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.contestants import Contestant, ContestantFailed, Daemon, FifoDaemon, HttpDaemon
from bench.figures import Check, Spread, none, ratios
from bench.match import Result, Workload
from bench.scenario import Comparison, Outcome, Scenario, Settings, Watch, interleaved
from bench.scenarios.fifo_groups import CYCLE, UNLIMITED
from bench.scenarios.http import SENDS
from bench.scenarios.queue_cycle import WORKLOADS

NOISE = 0.05
"""A median that is lower by no more than this share is no loss."""

ROOT = Path(__file__).parent.parent
BEFORE, NOW = "before", "now"


def scenario(revision: str) -> Scenario:
    """The comparison with a commit."""
    return Scenario(
        name="guard",
        summary=f"this tree beside {revision}",
        steps=lambda settings: settings.rounds * 2 * (len(WORKLOADS) + 2),
        run=lambda settings, watch: run(revision, settings, watch),
    )


def run(revision: str, settings: Settings, watch: Watch) -> Outcome:
    """Everything. Raises ContestantFailed when there is no such commit."""
    with tempfile.TemporaryDirectory(prefix="ropeway-guard-", dir=settings.directory) as place:
        unpack(revision, Path(place))
        comparisons = [
            comparison
            for workloads, pair in matches(earlier(Path(place)))
            for comparison in interleaved(workloads, pair, settings, watch)
        ]
    worked = {each.workload.name: work(each.rounds) for each in comparisons}
    return Outcome(
        comparisons,
        {"revision": revision, "server_us": {name: asdict(ratio) for name, ratio in worked.items()}},
        checks(comparisons, worked),
    )


def matches(environ: dict[str, str]) -> list[tuple[Sequence[Workload], Sequence[Contestant]]]:
    """Who plays what against whom."""
    return [
        (WORKLOADS, [Daemon(name=BEFORE, environ=environ), Daemon(name=NOW)]),
        (
            [CYCLE],
            [FifoDaemon(*UNLIMITED, name=BEFORE, environ=environ), FifoDaemon(*UNLIMITED, name=NOW)],
        ),
        ([SENDS], [HttpDaemon(name=BEFORE, environ=environ), HttpDaemon(name=NOW)]),
    ]


def unpack(revision: str, directory: Path) -> None:
    """Puts a commit's daemon and client into a directory."""
    packed = directory / "packed.tar"
    git = ["git", "-C", str(ROOT), "archive", f"--output={packed}", revision, "broker", "client"]
    done = subprocess.run(git, capture_output=True, check=False)
    if done.returncode != 0:
        raise ContestantFailed(f"git has no daemon of {revision!r}: {done.stderr.decode().strip()}")
    shutil.unpack_archive(packed, directory, filter="data")


def earlier(directory: Path) -> dict[str, str]:
    """The environment in which what is unpacked there comes before what is installed."""
    return {"PYTHONPATH": os.pathsep.join(str(directory / part) for part in ("broker", "client"))}


def work(rounds: dict[str, list[Result]]) -> Spread:
    """The server's processor time of a message, before in ratio to now: below 1 where it has become more."""
    before, now = ([result.server_us for result in rounds[name]] for name in (BEFORE, NOW))
    return ratios(before, now)


def checks(comparisons: Sequence[Comparison], worked: dict[str, Spread]) -> list[Check]:
    """No loss in any workload."""
    found = []
    for each in comparisons:
        title = each.workload.title
        found += [
            no_loss(f"{title}: rate, in ratio to before", each.ratio[NOW]),
            no_loss(
                f"{title}: messages for the same processor time, in ratio to before",
                worked[each.workload.name],
            ),
        ]
    return [*found, none("messages lost or doubled", sum(each.astray for each in comparisons))]


def no_loss(name: str, ratio: Spread) -> Check:
    """See the module."""
    return Check(name, 1 - NOISE, ratio.median, ratio.median >= 1 - NOISE or ratio.high >= 1)
