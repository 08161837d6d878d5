"""restart: how soon a daemon answers again, whatever it holds.

One queue grows to each of several lengths, up to `--messages` of 1 KiB or as `--sizes` says. At each the
daemon is stopped and started, and killed under full load and started, as many times as there are rounds:
timed until its first answer about a queue. A restart depends on the tail of the journal, and not on the
backlog. What is there afterwards is held against what was sent.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.figures import Check, Spread, at_most, none, spread
from bench.growth import sizes
from bench.samples import thinned, watched
from bench.scenario import Outcome, Scenario, Settings, Watch
from bench.scenarios.backlog import LONG, TARGETS
from bench.store import Store
from bench.wire import ATTRIBUTES, CREATE


@dataclass(frozen=True)
class Restarts:
    """Seconds, with so many messages in a queue."""

    messages: int
    missing: int
    """Messages that were sent and are not there after all this, or there and not sent."""
    stopped: Spread
    killed: Spread


def run(settings: Settings, watch: Watch) -> Outcome:
    """Each length in turn."""
    found: list[Restarts] = []
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        store = Store(Path(place) / "store")
        try:
            store.server.ask(CREATE, queue=LONG)
            with watched(lambda: store.server, (LONG,)) as timeline:
                for size in lengths(settings):
                    held = found[-1].messages if found else 0
                    store.move("produce", LONG, size - held)
                    found.append(restarts(store, size, settings))
                    watch(
                        f"{size:,} messages: answers {found[-1].stopped.median:.2f} s after a stop, "
                        f"{found[-1].killed.median:.2f} s after kill -9 under full load"
                    )
        finally:
            store.close()
    figures = {
        "restarts": [asdict(each) for each in found],
        "timeline": [asdict(sample) for sample in thinned(timeline)],
    }
    return Outcome(figures=figures, checks=checks(found), lines=lines(found))


def restarts(store: Store, size: int, settings: Settings) -> Restarts:
    """Both ways, in turns."""
    stopped, killed = [], []
    for _ in range(settings.rounds):
        stopped.append(store.restart(store.server.stop))
        with store.busy():
            time.sleep(settings.seconds)
            killed.append(store.restart(store.server.kill))
    there = int(store.server.ask(ATTRIBUTES, queue=LONG)["visible"])
    return Restarts(size, abs(size - there), spread(stopped), spread(killed))


def lengths(settings: Settings) -> list[int]:
    """Of the queue."""
    return list(settings.sizes) or sizes(settings.messages)


def steps(settings: Settings) -> int:
    """How many."""
    return len(lengths(settings))


def checks(found: list[Restarts]) -> list[Check]:
    """The targets: the slowest of each."""
    judged = []
    for each in found:
        target = next((known for known in TARGETS if each.messages <= known.messages), TARGETS[-1]).restart
        what = f"with {each.messages:,} messages, seconds"
        judged += [
            at_most(f"restart after a stop, {what}", target, each.stopped.high),
            at_most(f"restart after kill -9 under full load, {what}", target, each.killed.high),
        ]
    return [*judged, none("messages lost or doubled", sum(each.missing for each in found))]


def lines(found: list[Restarts]) -> list[tuple[str, str]]:
    """How it grows."""
    first, last = found[0], found[-1]
    return [
        (
            f"restart after a stop with {last.messages:,} messages, in ratio to {first.messages:,}",
            f"{last.stopped.median / first.stopped.median:.2f}",
        )
    ]


SCENARIO = Scenario(
    name="restart",
    summary="start to first answer with 1,000 to --messages in a queue: after a stop, after kill -9",
    steps=steps,
    run=run,
)
