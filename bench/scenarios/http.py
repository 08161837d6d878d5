"""http: the AWS face under raw keep-alive load with signatures, beside aiohttp's own empty POST handler.

SendMessage and SendMessageBatch of 10 on 32 connections with one request outstanding on each, then the drain
of what is there: ReceiveMessage of 10 and DeleteMessageBatch of 10. Bodies are text of 1 KiB. Every answer is
durable but those of the empty handler, which keeps nothing. The binary protocol with as many connections
stands beside it, and a daemon without keys, which verifies nothing. So does moto where it is installed, for
the sends alone: it looks through all that it holds for each call, so that a drain would take minutes. Nothing
of it is a target.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from bench.contestants import Contestant, Daemon, HttpDaemon, Nothing
from bench.figures import Check, Spread, at_least, at_most, none, ratios
from bench.match import Crew, Result, Workload
from bench.peers.servers import installed_by_http
from bench.scenario import Comparison, Outcome, Scenario, Settings, Watch, compared, one_match
from bench.store import NEVER, Moved, Store, astray

CREW = Crew(connections=32, outstanding=1)
SENDS = Workload("sends", "SendMessage, 32 outstanding", 1, CREW, None, NEVER)
BATCHES = Workload("batches", "SendMessageBatch of 10, 32 outstanding", 10, CREW, None, NEVER)

EMPTY = Nothing()
SIGNED = HttpDaemon(name="ropeway, signed")
UNVERIFIED = HttpDaemon(name="ropeway, without keys", verifies=False)
BINARY = Daemon(name="ropeway, binary")
DAEMONS: tuple[Daemon, ...] = (SIGNED, UNVERIFIED, BINARY)
CONTESTANTS: tuple[Contestant, ...] = (EMPTY, *DAEMONS)

DRAINED_A_SECOND = 5_000
"""Messages that a drain has for each second of the window."""
VERIFIED = 1.25
"""Processor time of a verified request to that of an unverified one."""


def run(settings: Settings, watch: Watch) -> Outcome:
    """Everything, in turns. Odd rounds go backwards."""
    contestants = (*CONTESTANTS, *installed_by_http())
    sends: dict[str, list[Result]] = {each.name: [] for each in contestants}
    batches: dict[str, list[Result]] = {each.name: [] for each in contestants if each is not EMPTY}
    drains: dict[str, list[Moved]] = {each.name: [] for each in DAEMONS}
    lost = 0
    for number in range(settings.rounds):
        for each in contestants if number % 2 == 0 else contestants[::-1]:
            sends[each.name].append(one_match(SENDS, each, settings))
            watch(f"round {number + 1}, {each.name}: {sends[each.name][-1].rate:,.0f} sends/s")
            if each is not EMPTY:
                batches[each.name].append(one_match(BATCHES, each, settings))
            if isinstance(each, Daemon):
                sent, came = filled_and_drained(each, settings)
                drains[each.name].append(came)
                lost += astray(sent, came) != 0
                watch(f"round {number + 1}, {each.name}: {came.rate:,.0f} messages/s drained")
    alone, in_batches = compared(SENDS, sends), batched(batches, sends)
    empty = [result.rate for result in sends[EMPTY.name]]
    drained = {name: ratios([moved.rate for moved in moves], empty) for name, moves in drains.items()}
    figures: dict[str, Any] = {
        "drains": {
            name: {"ratio": asdict(drained[name]), "rounds": [asdict(moved) for moved in moves]}
            for name, moves in drains.items()
        }
    }
    return Outcome([alone, in_batches], figures, checks(alone, in_batches, drained, lost))


def batched(batches: dict[str, list[Result]], sends: dict[str, list[Result]]) -> Comparison:
    """Messages a second in ratio to the requests a second of the empty handler."""
    both = compared(BATCHES, {EMPTY.name: sends[EMPTY.name], **batches})
    ratio, rate = ({name: spreads[name] for name in batches} for spreads in (both.ratio, both.rate))
    return Comparison(both.workload, batches, ratio, rate)


def steps(settings: Settings) -> int:
    """How many."""
    return settings.rounds * (len(CONTESTANTS) + len(installed_by_http()) + len(DAEMONS))


def filled_and_drained(daemon: Daemon, settings: Settings) -> tuple[Moved, Moved]:
    """What was sent, and what came when as much was taken."""
    messages = max(1000, round(DRAINED_A_SECOND * settings.seconds))
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        store = Store(Path(place) / "store", daemon, CREW)
        try:
            sent = store.move("produce", "bench", messages)
            return sent, store.move("consume", "bench", sent.messages)
        finally:
            store.close()


def checks(sends: Comparison, batches: Comparison, drained: dict[str, Spread], lost: int) -> list[Check]:
    """The targets. `lost`: drains that did not give what was sent."""

    def work(name: str) -> float:
        return median(result.server_us for result in sends.rounds[name])

    ours = {each.name for each in CONTESTANTS}
    lost += sum(
        result.lost + result.doubled
        for comparison in (sends, batches)
        for name, results in comparison.rounds.items()
        if name in ours
        for result in results
    )
    each = "messages for each request of the empty handler"
    return [
        at_least(f"SendMessage, {each}", 0.35, sends.ratio[SIGNED.name].median),
        at_least(f"SendMessageBatch of 10, {each}", 2.0, batches.ratio[SIGNED.name].median),
        at_least(f"receive 10 and delete 10, {each}", 0.8, drained[SIGNED.name].median),
        at_most(
            "a verified SendMessage, processor time in ratio to an unverified one",
            VERIFIED,
            work(SIGNED.name) / work(UNVERIFIED.name),
        ),
        none("messages lost or doubled", lost),
    ]


SCENARIO = Scenario(
    name="http",
    summary="the AWS face with signatures beside aiohttp's empty handler: sends, batches, drain",
    steps=steps,
    run=run,
)
