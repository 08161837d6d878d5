"""latency: how long a send takes, alone and at most of what can be done.

One outstanding send, in a closed loop, in ratio to the bare loop's p50. Then an open loop: sends at 70 % of
what the same connections reach without a pace, each timed from when it was due, so that a halt is seen by all
that it kept waiting (no coordinated omission).
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from bench.contestants import BareLoop, Daemon
from bench.figures import Check, at_most, none
from bench.histogram import Latency
from bench.match import Result, Workload, play
from bench.scenario import Comparison, Outcome, Scenario, Settings, Watch, interleaved
from bench.scenarios.queue_cycle import LONE, SENDS

SHARE = 0.7
LONE_RATIO = 1.5
TAIL = 10.0


@dataclass(frozen=True)
class Paced:
    """Sends at a share of what can be done."""

    capacity: float
    """Messages a second."""
    latency: Latency


def run(settings: Settings, watch: Watch) -> Outcome:
    """The lone sends in turns, then the open loop, as often."""
    daemon = Daemon()
    (lone,) = interleaved([LONE], [BareLoop(), daemon], settings, watch)
    paced, lost = [], 0
    for _ in range(settings.rounds):
        free = on_its_own(daemon, SENDS, settings)
        at_pace = on_its_own(daemon, replace(SENDS, rate=SHARE * free.rate), settings)
        assert at_pace.latency_us is not None
        paced.append(Paced(free.rate, at_pace.latency_us))
        lost += sum(result.lost + result.doubled for result in (free, at_pace))
        watch(
            f"{SHARE:.0%} of {free.rate:,.0f} sends/s: p50 {paced[-1].latency.p50:.0f} us, "
            f"p99 {paced[-1].latency.p99:.0f} us, p99.9 {paced[-1].latency.p999:.0f} us"
        )
    return Outcome([lone], {"paced": [asdict(each) for each in paced]}, checks(lone, paced, lost))


def on_its_own(daemon: Daemon, workload: Workload, settings: Settings) -> Result:
    """One match on a fresh store."""
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        server = daemon.start(Path(place) / "server")
        try:
            return play(workload, server, Path(place), settings.seconds, settings.warm_up)
        finally:
            server.kill()


def steps(settings: Settings) -> int:
    """How many."""
    return 3 * settings.rounds


def checks(lone: Comparison, paced: list[Paced], lost: int) -> list[Check]:
    """The targets."""
    yardstick, ours = (
        [result.latency_us.p50 for result in lone.rounds[name] if result.latency_us is not None]
        for name in (BareLoop.name, Daemon.name)
    )
    ratio = median(mine / theirs for mine, theirs in zip(ours, yardstick, strict=True))
    tail = median(each.latency.p999 / each.latency.p50 for each in paced)
    return [
        at_most("p50 of a lone send, in ratio to the bare loop's", LONE_RATIO, ratio),
        at_most(f"p99.9 at {SHARE:.0%} of what can be done, in ratio to its p50", TAIL, tail),
        none("messages lost or doubled", lone.astray + lost),
    ]


SCENARIO = Scenario(
    name="latency",
    summary="a lone send beside the bare loop's; p50 to p99.9 of sends at 70 % of what can be done",
    steps=steps,
    run=run,
)
