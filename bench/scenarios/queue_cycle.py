"""queue-cycle: send, receive and delete 1 KiB messages on one standard queue; and sends alone.

Beside the cycle: how soon an empty daemon answers, and what it costs while it has nothing to do.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.contestants import BareLoop, Contestant, Daemon
from bench.figures import Check, Spread, at_least, none, spread, under
from bench.idle import Idle, idle
from bench.match import Crew, Workload
from bench.scenario import Comparison, Outcome, Scenario, Settings, Watch, interleaved
from bench.store import NEVER

CREW = Crew(connections=4, outstanding=16)
REQUESTS = CREW.connections * CREW.outstanding

BATCHES = Workload(
    name="batches",
    title="full cycle, batches of 10",
    batch=10,
    producers=CREW,
    consumers=CREW,
    backlog=8 * REQUESTS * 10,
)
SINGLES = Workload(
    name="singles",
    title="full cycle, single messages",
    batch=1,
    producers=CREW,
    consumers=CREW,
    backlog=8 * REQUESTS,
)
SENDS = Workload(
    name="sends",
    title="sends alone, single messages, 64 outstanding",
    batch=1,
    producers=CREW,
    consumers=None,
    backlog=NEVER,
)
LONE = Workload(
    name="lone",
    title="one outstanding send, single messages",
    batch=1,
    producers=Crew(connections=1, outstanding=1),
    consumers=None,
    backlog=NEVER,
)
WORKLOADS = (BATCHES, SINGLES, SENDS, LONE)

STARTS = 5
IDLE_QUEUES = 1_000
IDLE_POLLS = 100


def run(settings: Settings, watch: Watch) -> Outcome:
    """Everything: the comparison, the starts, the idle daemon."""
    daemon = Daemon()
    contestants: tuple[Contestant, ...] = (BareLoop(), daemon)
    comparisons = interleaved(WORKLOADS, contestants, settings, watch)
    starts = spread([start_seconds(daemon, settings) for _ in range(STARTS)])
    watch(f"{STARTS} starts of an empty daemon: {starts.median:.3f} s")
    quiet = idle_daemon(daemon, settings)
    watch(f"idle daemon: {quiet.share:.3%} of a core")
    figures: dict[str, Any] = {"start_seconds": asdict(starts), "idle": asdict(quiet)}
    return Outcome(comparisons, figures, checks(comparisons, starts, quiet))


def steps(settings: Settings) -> int:
    """How many."""
    return settings.rounds * len(WORKLOADS) * 2 + 2


def start_seconds(contestant: Contestant, settings: Settings) -> float:
    """From process start to first answer, on an empty store."""
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        server = contestant.start(Path(place) / "server")
        server.stop()
        return server.start_seconds


def idle_daemon(contestant: Contestant, settings: Settings) -> Idle:
    """A daemon of its own, with nothing to do."""
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        server = contestant.start(Path(place) / "server")
        try:
            return idle(server, IDLE_QUEUES, IDLE_POLLS, settings.idle_seconds)
        finally:
            server.stop()


def checks(comparisons: list[Comparison], starts: Spread, quiet: Idle) -> list[Check]:
    """The targets."""
    ratio = {comparison.workload.name: comparison.ratio[Daemon.name].median for comparison in comparisons}
    return [
        at_least("full cycle at batches of 10, in ratio to the bare loop", 0.55, ratio[BATCHES.name]),
        at_least("sends alone, 64 outstanding, in ratio to the bare loop", 0.5, ratio[SENDS.name]),
        at_least("one outstanding send, rate in ratio to the bare loop's", 0.5, ratio[LONE.name]),
        none("messages lost or doubled", sum(comparison.astray for comparison in comparisons)),
        under("start-up on an empty store, seconds", 0.5, starts.median),
        under(f"idle, {IDLE_QUEUES} queues, {IDLE_POLLS} long polls, share of a core", 0.005, quiet.share),
    ]


SCENARIO = Scenario(
    name="queue-cycle",
    summary="send, receive and delete in batches of 10 and single; sends alone; start-up; idle",
    steps=steps,
    run=run,
)
