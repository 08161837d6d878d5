"""concurrency: the full cycle of single messages with 1 to 256 requests outstanding.

In ratio to the bare loop's. With one outstanding, each message pays for a commit of its own; the more there
are, the more share one. There is no target: it is the curve between the lone send and the full cycle.
"""

from __future__ import annotations

from bench.contestants import BareLoop, Daemon
from bench.figures import none
from bench.match import Crew, Workload
from bench.scenario import Outcome, Scenario, Settings, Watch, interleaved

CREWS = (Crew(1, 1), Crew(1, 4), Crew(4, 4), Crew(4, 16), Crew(4, 64))


def workload(crew: Crew) -> Workload:
    """The cycle of so many."""
    outstanding = crew.connections * crew.outstanding
    return Workload(
        name=f"{outstanding}",
        title=f"full cycle, single messages, {outstanding} outstanding",
        batch=1,
        producers=crew,
        consumers=crew,
        backlog=max(64, 8 * outstanding),
    )


WORKLOADS = tuple(map(workload, CREWS))


def run(settings: Settings, watch: Watch) -> Outcome:
    """Each number, in turns."""
    comparisons = interleaved(WORKLOADS, [BareLoop(), Daemon()], settings, watch)
    astray = sum(comparison.astray for comparison in comparisons)
    return Outcome(comparisons, checks=[none("messages lost or doubled", astray)])


def steps(settings: Settings) -> int:
    """How many."""
    return 2 * len(WORKLOADS) * settings.rounds


SCENARIO = Scenario(
    name="concurrency",
    summary="the full cycle of single messages with 1, 4, 16, 64 and 256 requests outstanding",
    steps=steps,
    run=run,
)
