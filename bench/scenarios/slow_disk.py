"""slow-disk: the same daemon where every sync takes 1, 10 and 100 ms longer.

A send alone waits for one sync, so its latency grows by what a sync takes. Under load a sync serves all that
came while the last one ran: throughput falls, but by less.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench import shim
from bench.contestants import Daemon
from bench.figures import Check, at_least, none
from bench.match import Crew, Workload
from bench.scenario import Comparison, Outcome, Scenario, Settings, Watch, interleaved
from bench.scenarios.queue_cycle import LONE

SLOWER_MS = (1, 10, 100)
CREW = Crew(connections=4, outstanding=64)
LOADED = Workload(
    name="loaded",
    title="full cycle, batches of 10, 256 sends outstanding",
    batch=10,
    producers=CREW,
    consumers=CREW,
    backlog=8 * CREW.connections * CREW.outstanding * 10,
)
WORKLOADS = (LOADED, LONE)


def run(settings: Settings, watch: Watch) -> Outcome:
    """The disk as it is, and slower ones, in turns. Raises NoCompiler."""
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-") as place:
        library = shim.compiled(Path(place))
        disks = [Daemon(name="this disk")]
        disks += [Daemon(name=name(ms), environ=shim.slow_syncs(library, ms)) for ms in SLOWER_MS]
        loaded, lone = interleaved(WORKLOADS, disks, settings, watch)
    return Outcome([loaded, lone], {}, checks(loaded, lone))


def name(milliseconds: int) -> str:
    """A slower disk's."""
    return f"{milliseconds} ms slower"


def steps(settings: Settings) -> int:
    """How many."""
    return settings.rounds * len(WORKLOADS) * (1 + len(SLOWER_MS))


def checks(loaded: Comparison, lone: Comparison) -> list[Check]:
    """Of each slower disk: what is left of the throughput, against what is left of a lone send's."""
    each = [
        at_least(
            f"share of the rate that is left with a disk {name(ms)}, above that of a lone send",
            lone.ratio[name(ms)].median,
            loaded.ratio[name(ms)].median,
        )
        for ms in SLOWER_MS
    ]
    return [*each, none("messages lost or doubled", loaded.astray + lone.astray)]


SCENARIO = Scenario(
    name="slow-disk",
    summary="every sync takes 1, 10, 100 ms longer: what is left of the rate, and of a lone send's",
    steps=steps,
    run=run,
)
