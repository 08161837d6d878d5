"""high-throughput: a FIFO queue whose limits are those of its message groups' partitions.

What its token buckets cost: the full cycle at batches of 10 over 1,000 groups, with a limit that is never
met, in ratio to a FIFO queue without limits and beside a standard queue. And what they give: with AWS's limit
of 300 calls a second for each of 30 partitions, half as many single sends more than that are offered to
10,000 groups, and what is accepted is held against the limit.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.contestants import FifoDaemon
from bench.figures import Check, at_least, at_most, none
from bench.match import Crew
from bench.scenario import Comparison, Outcome, Scenario, Settings, Watch, interleaved
from bench.scenarios.fifo_groups import CYCLE, FIFO, STANDARD
from bench.scenarios.fifo_limits import CALLS, HIGH, WITHIN, counted
from bench.store import Store

PARTITIONS = 30
LIMIT = CALLS * PARTITIONS
OFFERED = 1.5 * LIMIT
SPREAD = 10_000
"""Groups, which are spread over the partitions by chance. With 1,000 the least of them was offered 324 calls
a second: its bucket, which holds 300, ran dry only after twelve seconds. With so many it is offered 405."""
DRY_SECONDS = 5.0
CREW = Crew(connections=4, outstanding=64)
FAR = FifoDaemon("--queues-fifo-calls", "1000000", name="high throughput", attributes=HIGH)
RATIO = 0.8
"""Of the rate without limits: what a partition's bucket may cost."""


@dataclass(frozen=True)
class Accepted:
    """Messages a second of single sends to an AWS-limited queue."""

    offered: float
    accepted: float
    throttled: float

    @property
    def off(self) -> float:
        """How far it lies from the limit, as a share of it."""
        return abs(self.accepted / LIMIT - 1)


def run(settings: Settings, watch: Watch) -> Outcome:
    """The cycles in turns, then the offer."""
    (cycle,) = interleaved([CYCLE], [FIFO, FAR, STANDARD], settings, watch)
    offer = offered(settings)
    watch(
        f"{offer.offered:,.0f} messages/s offered: {offer.accepted:,.0f} accepted, {offer.throttled:,.0f} not"
    )
    return Outcome([cycle], {"offer": asdict(offer)}, checks(cycle, offer))


def offered(settings: Settings) -> Accepted:
    """What the queue takes of it, once each bucket has run dry."""
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        store = Store(Path(place) / "store", FifoDaemon(attributes=HIGH), CREW)
        try:
            return Accepted(
                OFFERED, *counted(store, FifoDaemon.queue, SPREAD, 1, OFFERED, settings, DRY_SECONDS)
            )
        finally:
            store.close()


def steps(settings: Settings) -> int:
    """How many."""
    return 3 * settings.rounds + 1


def checks(cycle: Comparison, offer: Accepted) -> list[Check]:
    """The targets."""
    what = "full cycle of a FIFO queue in high throughput, in ratio to one without limits"
    return [
        at_least(what, RATIO, cycle.ratio[FAR.name].median),
        at_most(f"accepted in high throughput, off the limit of {LIMIT:,} a second by", WITHIN, offer.off),
        none("messages lost or doubled", cycle.astray),
    ]


SCENARIO = Scenario(
    name="high-throughput",
    summary="a FIFO queue in high throughput: what its buckets cost, and what its 30 partitions let through",
    steps=steps,
    run=run,
)
