"""cost-growth: what a send, a receive and a delete cost with 1,000, 10,000, ... of something there.

Messages that wait, in memory and on disk; messages in flight; message groups of a FIFO queue, in memory and
on disk; queues; subscriptions of other topics. Up to `--messages` of each, or what `--sizes` says. Each
operation is of ten messages and alone, and what counts is the processor time that it takes the daemon: the
exponent of its growth is at most 0.1. Beside many subscriptions, the operations are a publish to one queue,
and a subscription's making and end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from bench.contestants import Daemon, FifoDaemon, Server
from bench.figures import Check, at_most
from bench.growth import BATCH, Cost, Timed, cycle, exponent, sizes
from bench.scenario import Outcome, Scenario, Settings, Watch
from bench.store import Store
from bench.wire import (
    CREATE,
    CREATE_TOPIC,
    PUBLISH,
    PURGE,
    QUEUE,
    READ_BYTES,
    RECEIVE,
    SUBSCRIBE,
    UNSUBSCRIBE,
    RopewayWire,
    UnexpectedAnswer,
    dial,
)

BODY = 64
EXPONENT = 0.1
TURNS_A_SECOND = 50
AT_ONCE = 500
"""Requests that are outstanding while something is made."""
RECEIVED = 1_000
IN_FLIGHT_MS = 43_200_000
MANY = str(2_000_000)
ROOMY = ("--queues-memory-bytes", str(2 << 30), "--queues-limits", "none", "--queues-max-queues", MANY)
SUBSCRIBED = (*ROOMY, "--topics-max-subscriptions", MANY)
TOPIC, READERS = "news", "reader"
A_TOPIC = 1_000
"""Subscriptions of each of the other topics."""
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
    subscribed: bool = False
    """Whether the operations are those of a topic."""

    def costs(self, server: Server, size: int, turns: int) -> dict[str, Cost]:
        """What each operation costs where there are so many."""
        if self.subscribed:
            return topic_cycle(server, turns)
        return cycle(server, self.queue, size if self.grouped else 1, turns, BODY)


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
    ask_all(store.server, ((CREATE, {"queue": f"other-{number}"}) for number in range(count)))


def subscriptions(store: Store, count: int) -> None:
    """So many, a thousand to a topic, each of another queue of a thousand."""
    ask_all(
        store.server, ((CREATE, {"queue": f"{READERS}-{number}"}) for number in range(min(A_TOPIC, count)))
    )
    topics = [f"other-{number}" for number in range(-(-count // A_TOPIC))]
    ask_all(store.server, ((CREATE_TOPIC, {"topic": topic}) for topic in topics))
    ask_all(
        store.server,
        (
            (SUBSCRIBE, {"topic": topics[number // A_TOPIC], "endpoint": f"{READERS}-{number % A_TOPIC}"})
            for number in range(count)
        ),
    )


def topic_cycle(server: Server, turns: int) -> dict[str, Cost]:
    """What a publish of ten to a topic with one queue costs, a subscription of that topic, and its end. What
    was published is purged."""
    server.ask(CREATE_TOPIC, topic=TOPIC)
    server.ask(SUBSCRIBE, topic=TOPIC, endpoint=QUEUE)
    server.ask(CREATE, queue="second")
    with dial(server.port) as connection:
        wire = RopewayWire()
        wire.greet(connection)
        timed = Timed(server, connection, wire)
        entries = [{"body": "x" * BODY}] * BATCH
        for _ in range(turns):
            timed("publish", wire.request(1, PUBLISH, {"topic": TOPIC, "entries": entries}))
            made = timed("subscribe", wire.request(1, SUBSCRIBE, {"topic": TOPIC, "endpoint": "second"}))
            timed("unsubscribe", wire.request(1, UNSUBSCRIBE, {"subscription": made["subscription"]}))
        for queue in (QUEUE, "second"):
            server.ask(PURGE, queue=queue)
    return timed.costs()


def ask_all(server: Server, requests: Iterable[tuple[int, dict[str, Any]]]) -> None:
    """All of these, so many at once."""
    coming = iter(requests)
    with dial(server.port) as connection:
        wire = RopewayWire()
        wire.greet(connection)
        while some := list(islice(coming, AT_ONCE)):
            connection.sendall(b"".join(wire.request(1, *request) for request in some))
            answered = 0
            while answered < len(some):
                for _, status, result in wire.answers(connection.recv(READ_BYTES)):
                    if status != 0:
                        raise UnexpectedAnswer(f"the daemon refused: {result}")
                    answered += 1


DIMENSIONS = (
    Dimension("messages in memory", Daemon(*ROOMY), messages),
    Dimension("messages on disk", Daemon(*CRAMPED), messages),
    Dimension("messages in flight", Daemon(*ROOMY, "--queues-max-in-flight", MANY), in_flight),
    Dimension("groups in memory", FifoDaemon(*ROOMY), groups, FifoDaemon.queue, grouped=True),
    Dimension("groups on disk", FifoDaemon(*CRAMPED), groups, FifoDaemon.queue, grouped=True),
    Dimension("queues", Daemon(*ROOMY), queues),
    Dimension("subscriptions", Daemon(*SUBSCRIBED), subscriptions, subscribed=True),
)

Costs = dict[str, dict[int, dict[str, Cost]]]
"""By dimension, size and operation."""


def run(settings: Settings, watch: Watch) -> Outcome:
    """Each dimension at each size, on a fresh store."""
    found: Costs = {}
    for each in chosen(settings):
        for size in asked_sizes(settings):
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
        return each.costs(store.server, size, turns)


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
    return len(chosen(settings)) * len(asked_sizes(settings))


def chosen(settings: Settings) -> list[Dimension]:
    """What grows."""
    return [each for each in DIMENSIONS if settings.only in each.name]


def asked_sizes(settings: Settings) -> list[int]:
    """How large it becomes."""
    return list(settings.sizes) or sizes(settings.messages)


SCENARIO = Scenario(
    name="cost-growth",
    summary="what an operation costs with 1,000 to --messages of something there, and how that grows",
    steps=steps,
    run=run,
)
