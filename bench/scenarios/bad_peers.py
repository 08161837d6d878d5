"""bad-peers: what a healthy client of the AWS face notices of peers that are not.

The healthy client sends a message at a time, durably and at a pace, on one connection of a daemon with
default settings. Each kind of bad peer (badpeers.py) is let loose beside it in turn, and just before that the
client is timed alone. Its p99 beside them is at most three times its p99 alone, over all rounds of the run.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.badpeers import KINDS
from bench.contestants import ContestantFailed, HttpDaemon, Server
from bench.figures import Check, at_most
from bench.histogram import Histogram
from bench.httpwire import HttpWire
from bench.scenario import Outcome, Scenario, Settings, Watch
from bench.wire import call, dial

PACE_SECONDS = 0.004
"""From one send to the next, where answers come in time."""
BODY = b"a healthy message"
SLOWER = 3.0
DAEMON = HttpDaemon(verifies=False)


@dataclass
class Noticed:
    """What the healthy client noticed of one kind of bad peer."""

    alone_us: Histogram = field(default_factory=Histogram)
    beside_us: Histogram = field(default_factory=Histogram)
    visits: int = 0
    """How often one of them connected."""
    server_busy: list[float] = field(default_factory=list)
    """The daemon's share of a core beside them, round by round."""

    @property
    def ratio(self) -> float:
        """Of the two p99."""
        return self.beside_us.percentile(99) / self.alone_us.percentile(99)


def run(settings: Settings, watch: Watch) -> Outcome:
    """Every kind in every round, all on one daemon."""
    found = {name: Noticed() for name in KINDS}
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        server = DAEMON.start(Path(place) / "server")
        try:
            for number in range(settings.rounds):
                for name, noticed in found.items():
                    one_round(server, name, noticed, settings.seconds)
                    watch(
                        f"round {number + 1}, {name}: p99 {noticed.beside_us.percentile(99):,.0f} us, "
                        f"alone {noticed.alone_us.percentile(99):,.0f} us"
                    )
        except BaseException:
            server.kill()
            raise
        server.stop()
    figures: dict[str, Any] = {
        name: {
            "ratio": noticed.ratio,
            "alone_us": asdict(noticed.alone_us.latency()),
            "beside_us": asdict(noticed.beside_us.latency()),
            "visits": noticed.visits,
            "server_busy": noticed.server_busy,
        }
        for name, noticed in found.items()
    }
    return Outcome([], figures, checks({name: noticed.ratio for name, noticed in found.items()}))


def one_round(server: Server, name: str, noticed: Noticed, seconds: float) -> None:
    """The client alone, and then beside peers of one kind."""
    noticed.alone_us.merge(healthy(server, seconds))
    with let_loose(name, server.port) as peers:
        began, before = time.perf_counter(), server.cpu()
        noticed.beside_us.merge(healthy(server, seconds))
        noticed.server_busy.append((server.cpu() - before) / (time.perf_counter() - began))
    noticed.visits += peers.visits


def healthy(server: Server, seconds: float) -> Histogram:
    """Sends for so long. Raises UnexpectedAnswer or OSError where one fails."""
    wire, took = HttpWire(server.port), Histogram()
    with dial(server.port) as connection:
        request = wire.send(1, [BODY])
        began = due = time.perf_counter()
        while due < began + seconds:
            time.sleep(max(0.0, due - time.perf_counter()))
            sent = time.perf_counter()
            call(connection, wire, request)
            took.add((time.perf_counter() - sent) * 1e6)
            due = max(due + PACE_SECONDS, time.perf_counter())
    return took


@dataclass
class Loose:
    """A process of bad peers."""

    visits: int = 0


@contextmanager
def let_loose(name: str, port: int) -> Iterator[Loose]:
    """Bad peers of one kind, until the block is left."""
    command = [sys.executable, "-m", "bench.badpeers", name, str(port)]
    loose = Loose()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "ready\n":
                raise ContestantFailed(f"the bad peers did not come: {name}")
            yield loose
            process.stdin.close()
            loose.visits = int(process.stdout.readline())
        finally:
            process.kill()


def steps(settings: Settings) -> int:
    """How many."""
    return settings.rounds * len(KINDS)


def checks(ratios: dict[str, float]) -> list[Check]:
    """The targets."""
    what = "p99 of a healthy client in ratio to that alone"
    return [at_most(f"{name}: {what}", SLOWER, ratio) for name, ratio in ratios.items()]


SCENARIO = Scenario(
    name="bad-peers",
    summary="what a healthy client of the AWS face notices of slow, huge, deep and senseless peers",
    steps=steps,
    run=run,
)
