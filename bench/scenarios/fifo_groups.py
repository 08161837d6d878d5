"""fifo-groups: what message groups cost.

The full cycle of a FIFO queue with 1,000 groups at batches of 10, in ratio to a standard queue's. Then single
receives from a queue with a backlog of `--messages` in a fifth as many groups, and from one where 80,000
messages stand behind one that is in flight; each in ratio to an empty queue's, measured in turns with it.
Last, how fast a backlog is emptied that memory does not hold, beside one that it does.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bench.contestants import Daemon, FifoDaemon
from bench.figures import Check, at_least, at_most, none
from bench.growth import Cost
from bench.lone import receives
from bench.match import Crew, Workload
from bench.scenario import Comparison, Outcome, Scenario, Settings, Watch, interleaved
from bench.store import Moved, Store
from bench.wire import CREATE, RECEIVE

GROUPS = 1000
CREW = Crew(connections=4, outstanding=16)
CYCLE = Workload(
    name="cycle",
    title="full cycle, batches of 10, 1,000 groups where it is FIFO",
    batch=10,
    producers=CREW,
    consumers=CREW,
    backlog=8 * CREW.connections * CREW.outstanding * 10,
    groups=GROUPS,
)
UNLIMITED = ("--queues-limits", "none")
"""Without AWS's limits on calls a second."""
STANDARD = Daemon(*UNLIMITED, name="standard")
FIFO = FifoDaemon(*UNLIMITED, name="FIFO")

EMPTY, LONG, BLOCKED = "empty.fifo", "long.fifo", "blocked.fifo"
MESSAGES_A_GROUP = 5
BLOCKED_MESSAGES = 80_000
TURNS_A_SECOND = 100
"""Receives of each queue, for each second of the window and round."""
IN_FLIGHT_MS = 43_200_000

DRAINED = 60_000
MEMORY = {"held": 1 << 30, "on disk": 16 << 20}
"""Bytes of messages that the daemon holds: enough for all that is drained, and for a sixth of it."""

CYCLE_RATIO = 0.65
RECEIVE_RATIO = 2.0


def run(settings: Settings, watch: Watch) -> Outcome:
    """Everything."""
    (cycle,) = interleaved([CYCLE], [STANDARD, FIFO], settings, watch)
    found: dict[str, tuple[Cost, Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        store = Store(Path(place) / "store", FIFO)
        try:
            for queue in (EMPTY, LONG, BLOCKED):
                store.server.ask(CREATE, queue=queue, attributes={"fifo": True})
            blocked = min(BLOCKED_MESSAGES, settings.messages)
            block(store, blocked)
            watch(f"{blocked:,} messages stand behind one that is in flight")
            found[BLOCKED] = beside_empty(store, BLOCKED, GROUPS, settings)
            groups = max(GROUPS, settings.messages // MESSAGES_A_GROUP)
            store.move("produce", LONG, settings.messages, groups=groups)
            watch(f"{settings.messages:,} messages in {groups:,} groups wait")
            found[LONG] = beside_empty(store, LONG, groups, settings)
            memory = store.peak()
        finally:
            store.close()
        drains = {name: drain(Path(place), memory, settings, watch) for name, memory in MEMORY.items()}
    figures = {
        "drains": {name: asdict(each) for name, each in drains.items()},
        "receives": {queue: [asdict(each) for each in pair] for queue, pair in found.items()},
        "memory": memory,
    }
    undrained = sum(drained_messages(settings) - each.messages for each in drains.values())
    return Outcome([cycle], figures, checks(cycle, found, undrained), lines(cycle, drains))


def steps(settings: Settings) -> int:
    """How many."""
    return 2 * settings.rounds + 2 + len(MEMORY)


def drained_messages(settings: Settings) -> int:
    """How many are drained."""
    return min(DRAINED, settings.messages)


def drain(place: Path, memory: int, settings: Settings, watch: Watch) -> Moved:
    """A FIFO queue is filled and emptied by a daemon that holds so much in memory."""
    options = (*UNLIMITED, "--queues-memory-bytes", str(memory))
    store = Store(place / f"drain-{memory}", FifoDaemon(*options))
    try:
        messages = drained_messages(settings)
        store.move("produce", FifoDaemon.queue, messages, groups=GROUPS)
        moved = store.move("consume", FifoDaemon.queue, messages, groups=GROUPS)
    finally:
        store.close()
    watch(f"{messages:,} messages drained with {memory >> 20:,} MiB of memory: {moved.rate:,.0f} messages/s")
    return moved


def lines(cycle: Comparison, drains: dict[str, Moved]) -> list[tuple[str, str]]:
    """What has no target."""
    held, on_disk = (drains[name].rate for name in MEMORY)
    worked = [median(each.server_us for each in cycle.rounds[name]) for name in (STANDARD.name, FIFO.name)]
    return [
        (
            "processor time of a standard queue's cycle, in ratio to a FIFO one's",
            f"{worked[0] / worked[1]:.2f}",
        ),
        ("a drain of what memory does not hold, in ratio to what it holds", f"{on_disk / held:.2f}"),
    ]


def block(store: Store, messages: int) -> None:
    """All in one group, whose first are in flight for as long as this takes."""
    store.move("produce", BLOCKED, messages)
    store.server.ask(RECEIVE, queue=BLOCKED, max_messages=1, visibility_timeout=IN_FLIGHT_MS)


def beside_empty(store: Store, queue: str, groups: int, settings: Settings) -> tuple[Cost, Cost]:
    """What receives from it cost, and those from the empty queue."""
    turns = max(10, round(TURNS_A_SECOND * settings.seconds * settings.rounds / 10))
    of_queue, of_empty = receives(store.server, [queue, EMPTY], groups, turns)
    return of_queue, of_empty


def checks(cycle: Comparison, found: dict[str, tuple[Cost, Cost]], undrained: int) -> list[Check]:
    """The targets."""
    receives_from = []
    for queue, named in ((LONG, "a long queue"), (BLOCKED, "one with a blocked group")):
        full, empty = found[queue]
        what = f"a receive from {named}, in ratio to an empty one"
        receives_from += [
            at_most(f"{what}, time", RECEIVE_RATIO, full.took / empty.took),
            at_most(f"{what}, processor time", RECEIVE_RATIO, full.worked / empty.worked),
        ]
    ratio = cycle.ratio[FIFO.name].median
    return [
        at_least("full cycle of a FIFO queue, in ratio to a standard one", CYCLE_RATIO, ratio),
        *receives_from,
        none("messages lost or doubled", cycle.astray + abs(undrained)),
    ]


SCENARIO = Scenario(
    name="fifo-groups",
    summary="a FIFO queue with 1,000 groups beside a standard one; receives from long and blocked ones",
    steps=steps,
    run=run,
)
