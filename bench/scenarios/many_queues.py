"""many-queues: the same messages spread over 10,000 queues, and all in one.

Batches of 10 are sent, received and deleted by one connection with 64 requests outstanding: to each queue in
turn, and as many to a single one, on a daemon each, round by round in alternating order. Then the daemon with
the many queues is killed, and its next start is timed until it has answered about one of them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from bench.contestants import Daemon, Server, rss_bytes
from bench.figures import Check, at_least, at_most, none, ratios
from bench.scenario import Outcome, Scenario, Settings, Watch
from bench.wire import (
    ATTRIBUTES,
    CREATE,
    DELETE,
    READ_BYTES,
    RECEIVE,
    SEND,
    RopewayWire,
    UnexpectedAnswer,
    dial,
)

QUEUES = 10_000
BATCH = 10
BODY = 1024
OUTSTANDING = 64
RATIO = 0.5
RESTART = 2.0


@dataclass(frozen=True)
class Through:
    """What one daemon did with the messages."""

    queues: int
    rate: float
    """Messages a second through all three: sent, received, deleted."""
    server_us: float
    """The daemon's processor time for each."""
    memory: int
    """Bytes that it had resident at the end."""
    lost: int
    restart: float
    """Seconds from its start after kill -9 until it has answered about a queue."""


def run(settings: Settings, watch: Watch) -> Outcome:
    """Everything, in turns. Odd rounds go backwards."""
    found: dict[int, list[Through]] = {1: [], QUEUES: []}
    for number in range(settings.rounds):
        for queues in list(found) if number % 2 == 0 else list(found)[::-1]:
            each = one_round(queues, QUEUES, settings)
            found[queues].append(each)
            watch(
                f"round {number + 1}, {queues:,} queues: {each.rate:,.0f} messages/s, "
                f"{each.server_us:.1f} us each, {each.memory / 2**20:.0f} MiB, restart {each.restart:.2f} s"
            )
    figures = {f"{queues} queues": [asdict(each) for each in rounds] for queues, rounds in found.items()}
    return Outcome(figures=figures, checks=checks(found[1], found[QUEUES]))


def one_round(queues: int, batches: int, settings: Settings) -> Through:
    """So many batches through so many queues of a fresh daemon."""
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        daemon, directory = Daemon(), Path(place) / "server"
        server = daemon.start(directory)
        try:
            names = [f"many-{number % queues}" for number in range(batches)]
            asked(server, ((CREATE, {"queue": name}) for name in names[:queues]))
            began, worked = time.perf_counter(), server.cpu()
            lost = through(server, names)
            took, worked = time.perf_counter() - began, server.cpu() - worked
            memory = rss_bytes(server.process.pid)
            server.kill()
            killed = time.perf_counter()
            server = daemon.restart(directory)
            server.ask(ATTRIBUTES, queue=names[-1])
            restart = time.perf_counter() - killed
        finally:
            server.kill()
    messages = batches * BATCH
    return Through(queues, messages / took, worked / messages * 1e6, memory, lost, restart)


def through(server: Server, names: list[str]) -> int:
    """Sends, receives and deletes a batch for each name. Returns how many did not come, or came twice."""
    entries = [{"body": bytes(BODY)}] * BATCH
    sent = [
        message_id
        for answer in asked(server, ((SEND, {"queue": name, "entries": entries}) for name in names))
        for message_id in answer
    ]
    receives = ((RECEIVE, {"queue": name, "max_messages": BATCH, "wait": 0}) for name in names)
    came = list(asked(server, receives))
    handles = (
        (DELETE, {"queue": name, "handles": [message[1] for message in messages]})
        for name, messages in zip(names, came, strict=True)
        if messages
    )
    for answer in asked(server, handles):
        if answer and any(answer):
            raise UnexpectedAnswer(f"a delete was refused: {answer}")
    ids = [message[0] for messages in came for message in messages]
    return len(set(sent).symmetric_difference(ids)) + len(ids) - len(set(ids))


def asked(server: Server, requests: Iterable[tuple[int, dict[str, Any]]]) -> list[Any]:
    """The results of requests that go out `OUTSTANDING` at a time, in their order."""
    results: dict[int, Any] = {}
    wire, coming = RopewayWire(), enumerate(requests, 1)
    with dial(server.port) as connection:
        wire.greet(connection)
        first = some(wire, coming, OUTSTANDING)
        connection.sendall(b"".join(first))
        asked_for = len(first)
        while len(results) < asked_for:
            data = connection.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError("the daemon closed the connection")
            answers = wire.answers(data)
            for slot, status, result in answers:
                if status != 0:
                    raise UnexpectedAnswer(f"the daemon refused: {result}")
                results[slot] = result
            more = some(wire, coming, len(answers))
            connection.sendall(b"".join(more))
            asked_for += len(more)
    return [results[slot] for slot in sorted(results)]


def some(
    wire: RopewayWire, coming: Iterator[tuple[int, tuple[int, dict[str, Any]]]], most: int
) -> list[bytes]:
    """The next requests, at most so many."""
    return [wire.request(slot, *request) for slot, request in islice(coming, most)]


def checks(one: list[Through], many: list[Through]) -> list[Check]:
    """The targets."""
    ratio = ratios([each.rate for each in many], [each.rate for each in one]).median
    return [
        at_least(f"the cycle over {QUEUES:,} queues, in ratio to the same in one", RATIO, ratio),
        at_most(
            f"restart after kill -9 with {QUEUES:,} queues, seconds",
            RESTART,
            median(each.restart for each in many),
        ),
        none("messages lost or doubled", sum(each.lost for each in [*one, *many])),
    ]


def steps(settings: Settings) -> int:
    """How many."""
    return 2 * settings.rounds


SCENARIO = Scenario(
    name="many-queues",
    summary="the same messages over 10,000 queues and in one; restart with as many",
    steps=steps,
    run=run,
)
