"""fifo-limits: AWS's rates for FIFO queues, held against what is accepted.

300 calls a second of each action, and so 300 messages, or 3,000 in batches of ten. Sends are offered at once,
twice and ten times that rate, single and batched, each on a queue of its own: with AWS's limits; in high
throughput to one group, whose partition has that limit; in high throughput to 1,000 groups, over whose
partitions nothing of it is refused; and without limits. What is accepted and throttled is counted once the
bucket, which holds a second's calls, has run dry.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.contestants import ContestantFailed, FifoDaemon
from bench.figures import Check, at_most
from bench.load import SENT, THROTTLED
from bench.match import Crew
from bench.scenario import Outcome, Scenario, Settings, Watch
from bench.scenarios.fifo_groups import UNLIMITED
from bench.store import Store
from bench.wire import CREATE

CALLS = 300
TIMES = (1, 2, 10)
GROUPS = 1000
CREW = Crew(connections=4, outstanding=64)
DRY_SECONDS = 2.0
"""At twice the rate the bucket runs dry after one."""
WINDOWS = 2
"""How many windows each rate is offered for: 2 % of one is a pause of the machine that is soon met."""
WITHIN = 0.02
HIGH = {"deduplication_scope": "messageGroup", "fifo_throughput_limit": "perMessageGroupId"}


@dataclass(frozen=True)
class Mode:
    """How a queue is limited."""

    name: str
    attributes: dict[str, Any]
    groups: int
    batches: tuple[int, ...]
    limited: bool
    """Whether CALLS is the limit; else nothing of what is offered is throttled."""


AWS = (
    Mode("aws", {}, GROUPS, (1, 10), limited=True),
    Mode("high throughput, one group", HIGH, 1, (1, 10), limited=True),
    # A batch is counted in each partition that it has a message for: batches of ten groups say nothing here.
    Mode("high throughput, 1,000 groups", HIGH, GROUPS, (1,), limited=False),
)
NONE = (Mode("none", {}, GROUPS, (1, 10), limited=False),)


@dataclass(frozen=True)
class Offer:
    """Messages a second."""

    mode: str
    batch: int
    times: int
    offered: float
    limit: float | None
    accepted: float
    throttled: float

    @property
    def off(self) -> float:
        """How far what was accepted lies from the limit, as a share of it. Without a limit: the share of what
        was offered that was throttled; a machine may be too slow for all of it, and is not judged here."""
        if self.limit is None:
            return self.throttled / self.offered
        return abs(self.accepted / self.limit - 1)


def run(settings: Settings, watch: Watch) -> Outcome:
    """Each mode, each kind of send, each rate."""
    offers: list[Offer] = []
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        for modes, options in ((AWS, ()), (NONE, UNLIMITED)):
            store = Store(Path(place) / modes[0].name, FifoDaemon(*options), CREW)
            try:
                for mode in modes:
                    offers += offered(store, mode, settings, watch)
            finally:
                store.close()
    return Outcome([], {"offers": [asdict(offer) for offer in offers]}, checks(offers))


def offered(store: Store, mode: Mode, settings: Settings, watch: Watch) -> list[Offer]:
    """Every rate of one mode."""
    offers = []
    for batch in mode.batches:
        for times in TIMES:
            queue = f"limits-{''.join(filter(str.isalnum, mode.name))}-{batch}-{times}.fifo"
            store.server.ask(CREATE, queue=queue, attributes={"fifo": True, **mode.attributes})
            rate = float(CALLS * batch * times)
            accepted, throttled = counted(store, queue, mode.groups, batch, rate, settings)
            limit = float(CALLS * batch) if mode.limited else None
            offers.append(Offer(mode.name, batch, times, rate, limit, accepted, throttled))
            watch(
                f"{mode.name}, {named(batch)}, {rate:,.0f} messages/s offered: "
                f"{accepted:,.0f} accepted, {throttled:,.0f} throttled"
            )
    return offers


def counted(
    store: Store,
    queue: str,
    groups: int,
    batch: int,
    rate: float,
    settings: Settings,
    dry_seconds: float = DRY_SECONDS,
) -> tuple[float, float]:
    """Messages accepted and throttled a second, from so many seconds on."""
    with store.load("produce", queue, groups=groups, batch=batch, rate=rate, throttled=True) as (load, tally):
        load.tell()
        pause(dry_seconds, load.settled)
        began, sent, refused = time.perf_counter(), tally.counts[SENT], tally.counts[THROTTLED]
        pause(WINDOWS * settings.seconds, load.settled)
        took = time.perf_counter() - began
        accepted, throttled = tally.counts[SENT] - sent, tally.counts[THROTTLED] - refused
        load.tell()
        load.report()
    return accepted / took, throttled / took


def pause(seconds: float, ended: Callable[[float], bool]) -> None:
    """For so long. Raises ContestantFailed when the load ends by itself."""
    if ended(seconds):
        raise ContestantFailed("a load process ended early")


def named(batch: int) -> str:
    """The kind of send."""
    return "single" if batch == 1 else f"batches of {batch}"


def steps(_settings: Settings) -> int:
    """How many."""
    return sum(len(mode.batches) * len(TIMES) for mode in (*AWS, *NONE))


def checks(offers: list[Offer]) -> list[Check]:
    """The targets: what is accepted is what should be, and what is not accepted is throttled."""
    return [
        at_most(
            f"{offer.mode}, {named(offer.batch)}, {offer.offered:,.0f} messages/s offered: off by",
            WITHIN,
            offer.off,
        )
        for offer in offers
    ]


SCENARIO = Scenario(
    name="fifo-limits",
    summary="AWS's 300 calls and 3,000 messages a second: what is accepted at 1x, 2x and 10x of them",
    steps=steps,
    run=run,
)
