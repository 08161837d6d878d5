"""sizes: the full cycle with bodies from 64 bytes to 1 MiB, in ratio to the bare loop's."""

from __future__ import annotations

from bench.contestants import BareLoop, Daemon
from bench.figures import Check, at_least, none
from bench.match import Crew, Workload
from bench.scenario import Comparison, Outcome, Scenario, Settings, Watch, interleaved

MIB = 1 << 20
SIZES = (64, 1024, 16 * 1024, 256 * 1024, MIB)
LARGE_RATIO = 0.5


def workload(body: int) -> Workload:
    """A cycle in which not more than about 16 MiB are outstanding."""
    outstanding = max(1, min(16, 4 * MIB // (10 * body)))
    batch = max(1, min(10, MIB // body))
    crew = Crew(connections=4, outstanding=outstanding)
    return Workload(
        name=f"{body}",
        title=f"full cycle, batches of {batch}, {4 * outstanding} outstanding",
        batch=batch,
        producers=crew,
        consumers=crew,
        backlog=8 * 4 * outstanding * batch,
        body=body,
    )


WORKLOADS = tuple(map(workload, SIZES))


def run(settings: Settings, watch: Watch) -> Outcome:
    """Each size, in turns."""
    comparisons = interleaved(WORKLOADS, [BareLoop(), Daemon()], settings, watch)
    mib = {
        comparison.workload.name: {
            name: rate.median * comparison.workload.body / MIB for name, rate in comparison.rate.items()
        }
        for comparison in comparisons
    }
    return Outcome(comparisons, {"mib_a_second": mib}, checks(comparisons))


def steps(settings: Settings) -> int:
    """How many."""
    return 2 * len(WORKLOADS) * settings.rounds


def checks(comparisons: list[Comparison]) -> list[Check]:
    """The targets."""
    largest = comparisons[-1].ratio[Daemon.name].median
    return [
        at_least("full cycle of 1 MiB messages, in ratio to the bare loop", LARGE_RATIO, largest),
        none("messages lost or doubled", sum(comparison.astray for comparison in comparisons)),
    ]


SCENARIO = Scenario(
    name="sizes",
    summary="the full cycle with bodies of 64 B, 1 KiB, 16 KiB, 256 KiB and 1 MiB beside the bare loop",
    steps=steps,
    run=run,
)
