"""cost-growth: what a send, a receive and a delete cost with 1,000, 10,000, ... of something there.

Messages that wait, in memory and on disk; messages in flight; message groups of a FIFO queue, in memory and
on disk; queues. Up to `--messages` of each. Each operation is of ten messages and alone, and what counts is
the processor time that it takes the daemon: the exponent of its growth is at most 0.1.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.contestants import Daemon, FifoDaemon
from bench.figures import Check, at_most
from bench.growth import Cost, cycle, exponent, sizes
from bench.scenario import Outcome, Scenario, Settings, Watch
from bench.store import Store
from bench.wire import CREATE, QUEUE, RECEIVE, RopewayWire, dial

BODY = 64
EXPONENT = 0.1
TURNS_A_SECOND = 50
AT_ONCE = 500
"""Requests that are outstanding while something is made."""
RECEIVED = 1_000
IN_FLIGHT_MS = 43_200_000
ROOMY = ("--queues-memory-bytes", str(2 << 30), "--queues-limits", "none")
CRAMPED = ("--queues-memory-bytes", str(1 << 20), "--queues-limits", "none")


@dataclass(frozen=True)
class Dimension:
    """Something that there can be much of."""

    name: str
    daemon: Daemon
    grow: Callable[[Store, int], None]
    """Makes so many."""
    queue: str = QUEUE
    """Where the operations are."""
    grouped: bool = False


def messages(store: Store, count: int) -> None:
    """So many that wait."""
    store.move("produce", QUEUE, count)


def in_flight(store: Store, count: int) -> None:
    """So many that have been received and not deleted."""
    store.move("produce", QUEUE, count)
    for _ in range(0, count, RECEIVED):
        store.server.ask(
            RECEIVE, queue=QUEUE, max_messages=min(RECEIVED, count), visibility_timeout=IN_FLIGHT_MS
        )


def groups(store: Store, count: int) -> None:
    """A message in each of so many."""
    store.move("produce", FifoDaemon.queue, count, groups=count)


def queues(store: Store, count: int) -> None:
    """So many, each with nothing in it."""
    with dial(store.server.port) as connection:
        wire = RopewayWire()
        wire.greet(connection)
        for first in range(0, count, AT_ONCE):
            some = range(first, min(first + AT_ONCE, count))
            connection.sendall(
                b"".join(wire.request(1, CREATE, {"queue": f"other-{number}"}) for number in some)
            )
            answered = 0
            while answered < len(some):
                answered += len(wire.answers(connection.recv(1 << 18)))


DIMENSIONS = (
    Dimension("messages in memory", Daemon(*ROOMY), messages),
    Dimension("messages on disk", Daemon(*CRAMPED), messages),
    Dimension("messages in flight", Daemon(*ROOMY, "--queues-max-in-flight", "2000000"), in_flight),
    Dimension("groups in memory", FifoDaemon(*ROOMY), groups, FifoDaemon.queue, grouped=True),
    Dimension("groups on disk", FifoDaemon(*CRAMPED), groups, FifoDaemon.queue, grouped=True),
    Dimension("queues", Daemon(*ROOMY), queues),
)

Costs = dict[str, dict[int, dict[str, Cost]]]
"""By dimension, size and operation."""


def run(settings: Settings, watch: Watch) -> Outcome:
    """Each dimension at each size, on a fresh store."""
    found: Costs = {}
    for each in DIMENSIONS:
        for size in sizes(settings.messages):
            costs = found.setdefault(each.name, {})[size] = costs_at(each, size, settings)
            said = ", ".join(f"{name} {cost.worked:.0f} us" for name, cost in costs.items())
            watch(f"{size:,} {each.name}: {said}")
    figures = {
        name: {
            str(size): {what: asdict(cost) for what, cost in costs.items()} for size, costs in by_size.items()
        }
        for name, by_size in found.items()
    }
    return Outcome(figures={"costs": figures}, checks=checks(found))


def costs_at(each: Dimension, size: int, settings: Settings) -> dict[str, Cost]:
    """Of each operation, with so many there."""
    turns = max(20, round(TURNS_A_SECOND * settings.seconds))
    with (
        tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place,
        closing(Store(Path(place) / "store", each.daemon)) as store,
    ):
        each.grow(store, size)
        return cycle(store.server, each.queue, size if each.grouped else 1, turns, BODY)


def checks(found: Costs) -> list[Check]:
    """The targets."""
    return [
        at_most(
            f"growth of a {what} with {name}, exponent of its processor time",
            EXPONENT,
            exponent({size: costs[what].worked for size, costs in by_size.items()}),
        )
        for name, by_size in found.items()
        for what in next(iter(by_size.values()))
    ]


def steps(settings: Settings) -> int:
    """How many."""
    return len(DIMENSIONS) * len(sizes(settings.messages))


SCENARIO = Scenario(
    name="cost-growth",
    summary="what an operation costs with 1,000 to --messages of something there, and how that grows",
    steps=steps,
    run=run,
)
