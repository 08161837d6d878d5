"""fan-out: what a publish to many queues costs, beside plain sends.

One connection with 64 requests outstanding publishes messages of 1 KiB to a topic with 1, 10, 100 and 1,000
queues, raw, and to one with 100 queues in the envelope; and sends messages to a queue, one by one and in
batches of 10: each on a daemon of its own, round by round in alternating order. What counts is copies of
messages in queues a second, in ratio to messages sent one by one a second.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.contestants import Daemon, Server
from bench.figures import Check, at_least, none, ratios
from bench.scenario import Outcome, Scenario, Settings, Watch
from bench.scenarios.many_queues import asked
from bench.wire import ATTRIBUTES, CREATE, CREATE_TOPIC, PUBLISH, SEND, SUBSCRIBE

TOPIC = "news"
BODY = "x" * 1024
COPIES_A_SECOND = 10_000
"""Copies that a round makes, for each second of its window; at least a publish to all queues."""
QUEUES = (1, 10, 100, 1000)
TARGET_QUEUES, RATIO = 100, 1.5
SENDS = "sends"
BATCHES = "sends in batches of 10"
ENVELOPES = f"{TARGET_QUEUES} queues, envelope"


@dataclass(frozen=True)
class Made:
    """What one daemon did."""

    calls: float
    """Publishes, or sends, a second."""
    copies: float
    """Messages that arrived in queues a second."""
    server_us: float
    """The daemon's processor time for each copy."""
    lost: int


def named(queues: int) -> str:
    """What publishes to so many queues are called."""
    return f"{queues:,} queues" if queues != 1 else "1 queue"


@dataclass(frozen=True)
class Kind:
    """What is measured. No queues: plain sends."""

    queues: int
    batch: int = 1
    raw: bool = True


KINDS = {
    SENDS: Kind(0),
    BATCHES: Kind(0, batch=10),
    **{named(queues): Kind(queues) for queues in QUEUES},
    ENVELOPES: Kind(TARGET_QUEUES, raw=False),
}


def run(settings: Settings, watch: Watch) -> Outcome:
    """Everything, in turns. Odd rounds go backwards."""
    found: dict[str, list[Made]] = {name: [] for name in KINDS}
    for number in range(settings.rounds):
        for name in list(found) if number % 2 == 0 else list(found)[::-1]:
            each = one_round(KINDS[name], settings)
            found[name].append(each)
            watch(
                f"round {number + 1}, {name}: {each.calls:,.0f} calls/s, {each.copies:,.0f} copies/s, "
                f"{each.server_us:.1f} us each"
            )
    figures = {name: [asdict(each) for each in rounds] for name, rounds in found.items()}
    return Outcome(figures=figures, checks=checks(found), lines=lines(found))


def one_round(kind: Kind, settings: Settings) -> Made:
    """So many copies, by publishes to so many queues, or by sends where there are none."""
    queues = kind.queues
    calls = max(1, round(COPIES_A_SECOND * settings.seconds) // (max(1, queues) * kind.batch))
    entries = [{"body": BODY}] * kind.batch
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        server = Daemon().start(Path(place) / "server")
        try:
            names = [f"reader-{number}" for number in range(max(1, queues))]
            settle(server, names, kind)
            request: tuple[int, dict[str, Any]] = (SEND, {"queue": names[0], "entries": entries})
            if queues:
                request = (PUBLISH, {"topic": TOPIC, "entries": entries})
            began, worked = time.perf_counter(), server.cpu()
            for _ in asked(server, [request] * calls):
                pass
            took, worked = time.perf_counter() - began, server.cpu() - worked
            copies = calls * len(names) * kind.batch
            lost = copies - sum(
                each["visible"] for each in asked(server, ((ATTRIBUTES, {"queue": name}) for name in names))
            )
        finally:
            server.kill()
    return Made(calls / took, copies / took, worked / copies * 1e6, lost)


def settle(server: Server, names: list[str], kind: Kind) -> None:
    """Make the queues, and subscribe them."""
    for _ in asked(server, ((CREATE, {"queue": name}) for name in names)):
        pass
    if kind.queues:
        server.ask(CREATE_TOPIC, topic=TOPIC)
        attributes = {"raw_message_delivery": kind.raw}
        for _ in asked(
            server,
            ((SUBSCRIBE, {"topic": TOPIC, "endpoint": name, "attributes": attributes}) for name in names),
        ):
            pass


def ratio(found: dict[str, list[Made]], name: str) -> float:
    """Copies a second, in ratio to sends."""
    return ratios([each.copies for each in found[name]], [each.copies for each in found[SENDS]]).median


def checks(found: dict[str, list[Made]]) -> list[Check]:
    """The targets."""
    what = f"copies a second of publishes to {TARGET_QUEUES} queues, in ratio to single sends"
    return [
        at_least(what, RATIO, ratio(found, named(TARGET_QUEUES))),
        none("messages lost", sum(each.lost for rounds in found.values() for each in rounds)),
    ]


def lines(found: dict[str, list[Made]]) -> list[tuple[str, str]]:
    """Every ratio."""
    return [(f"copies/s, {name}, to sends", f"{ratio(found, name):.2f}") for name in found if name != SENDS]


def steps(settings: Settings) -> int:
    """How many."""
    return len(KINDS) * settings.rounds


SCENARIO = Scenario(
    name="fan-out",
    summary="publishes to 1, 10, 100 and 1,000 queues, in ratio to single sends",
    steps=steps,
    run=run,
)
