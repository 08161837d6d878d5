"""size: what a load would take on this box: processor, disk, memory, and how much more there is room for.

A short calibration on the disk that is asked about: the full cycle as fast as it goes, the same at the rate
that is wanted, and a queue that is filled and left. What is said of the load follows from those by
proportion; what was measured for it stands beside it in the JSON. The load generator shares the box with the
daemon here, so that where producers and consumers are elsewhere there is more room than is said.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.contestants import Daemon, written_bytes
from bench.figures import Check, none
from bench.match import Crew, Result, Workload, play
from bench.scenario import Outcome, Scenario, Settings, Watch
from bench.store import Store

BATCH = 10
FILL_BYTES = 64 << 20
"""What the queue holds that is filled and left: enough for what is there once for all to weigh little."""
FILL_MESSAGES = 100_000
"""At most so many."""
LARGEST = 1 << 20

UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
TIMES = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Load:
    """What is asked about."""

    rate: float
    """Messages a second through the full cycle."""
    message: int
    """Bytes a body."""
    backlog: float
    """Seconds' worth of messages that may have to wait."""


@dataclass(frozen=True)
class Calibration:
    """What was measured."""

    fastest: Result
    """The full cycle as fast as it goes."""
    paced: Result
    """At the rate that is asked about, or at what there is room for."""
    written: float
    """Bytes written to disk for a message of the paced cycle."""
    kept: float
    """Bytes on disk for a message that waits."""
    restart: float
    """Seconds to the first answer after kill -9, with that queue."""
    peak: int
    """The most memory that was resident, in bytes."""


@dataclass(frozen=True)
class Expectation:
    """What the load would take."""

    cores: float
    headroom: float
    """How many times the load could be before the daemon is at its limit here."""
    p50_us: float
    p99_us: float
    written_a_second: float
    disk: float
    """Bytes, with the whole backlog there."""
    memory: int
    restart: float


def scenario(load: Load) -> Scenario:
    """The calibration for it."""
    return Scenario(
        name="size",
        summary=f"{load.rate:,.0f} messages/s of {load.message:,} bytes",
        steps=lambda _: 3,
        run=lambda settings, watch: run(load, settings, watch),
    )


def run(load: Load, settings: Settings, watch: Watch) -> Outcome:
    """Measures, and says."""
    found = calibrated(load, settings, watch)
    expected = expectation(load, found)
    figures = {"load": asdict(load), "expected": asdict(expected), "measured": asdict(found)}
    return Outcome(figures=figures, checks=checks(found, expected), lines=lines(load, expected))


def calibrated(load: Load, settings: Settings, watch: Watch) -> Calibration:
    """The three measurements, each on a store of its own."""
    cycle = workload(load.message)
    fastest, _ = cycled(cycle, settings)
    watch(f"as fast as it goes: {fastest.rate:,.0f} messages/s")
    rate = min(load.rate, 0.7 * fastest.rate)
    paced, written = cycled(replace(cycle, rate=rate), settings)
    watch(f"at {rate:,.0f} messages/s: {paced.server_busy:.0%} of a core")
    with (
        tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place,
        closing(
            Store(Path(place) / "store", crew=cycle.producers, batch=cycle.batch, body=load.message)
        ) as store,
    ):
        messages = min(FILL_MESSAGES, FILL_BYTES // load.message)
        store.move("produce", "bench", messages)
        restart = store.restart(store.server.kill)
        peak = store.peak()
        store.server.stop()
        kept = sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file()) / messages
    watch(f"{messages:,} messages wait: {kept:,.0f} bytes each on disk")
    return Calibration(fastest, paced, written, kept, restart, peak)


def workload(message: int) -> Workload:
    """The full cycle with bodies of that size, and not more than about 16 MiB outstanding."""
    batch = max(1, min(BATCH, LARGEST // message))
    crew = Crew(connections=4, outstanding=max(1, min(16, 4 * LARGEST // (batch * message))))
    return Workload("size", "full cycle", batch, crew, crew, 32 * crew.outstanding * batch, body=message)


def cycled(cycle: Workload, settings: Settings) -> tuple[Result, float]:
    """A match, and what the daemon wrote to disk for each of its messages."""
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        server = Daemon().start(Path(place) / "server")
        try:
            before = written_bytes(server.process.pid)
            result = play(cycle, server, Path(place), settings.seconds, settings.warm_up)
            return result, (written_bytes(server.process.pid) - before) / result.sent
        finally:
            server.kill()


def expectation(load: Load, found: Calibration) -> Expectation:
    """By proportion."""
    latency = found.paced.latency_us
    assert latency is not None, "a paced match has no latency"
    return Expectation(
        cores=load.rate * found.paced.server_us / 1e6,
        headroom=found.fastest.rate / load.rate,
        p50_us=latency.p50,
        p99_us=latency.p99,
        written_a_second=load.rate * found.written,
        disk=load.rate * load.backlog * found.kept,
        memory=max(found.peak, found.fastest.memory),
        restart=found.restart,
    )


def lines(load: Load, expected: Expectation) -> list[tuple[str, str]]:
    """What a person reads."""
    enough = "enough" if expected.headroom > 1 else "NOT ENOUGH"
    return [
        ("load", f"{load.rate:,.0f} messages/s of {sized(load.message)}, sent, received and deleted"),
        ("headroom", f"{expected.headroom:.1f} times the load: {enough}"),
        ("processor", f"{expected.cores:.2f} cores for the daemon"),
        ("send", f"p50 {expected.p50_us / 1000:.1f} ms, p99 {expected.p99_us / 1000:.1f} ms"),
        ("written to disk", f"{sized(expected.written_a_second)}/s"),
        ("disk", f"{sized(expected.disk)} for a backlog of {load.rate * load.backlog:,.0f} messages"),
        ("memory", f"{sized(expected.memory)}, with the default settings"),
        ("restart", f"{expected.restart:.1f} s after kill -9"),
    ]


def checks(found: Calibration, expected: Expectation) -> list[Check]:
    """That there is room, and that the calibration lost nothing."""
    astray = sum(each.lost + each.doubled for each in (found.fastest, found.paced))
    return [
        Check("headroom, times the load", 1.0, expected.headroom, expected.headroom > 1),
        none("messages lost or doubled", astray),
    ]


def sized(count: float) -> str:
    """Bytes, as people read them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}" if unit == "B" or count >= 100 else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} TiB"


def size(text: str) -> int:
    """Of a message: `2KiB`, `512`, `1MiB`. Raises ValueError where it is none from 1 byte to 1 MiB."""
    found = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", text)
    if found is None or found[2] not in UNITS or not 1 <= int(found[1]) * UNITS[found[2]] <= LARGEST:
        raise ValueError(f"{text!r} is no size from 1B to 1MiB; such are 512, 2KiB, 1MiB")
    return int(found[1]) * UNITS[found[2]]


def duration(text: str) -> float:
    """Seconds: `30s`, `15m`, `1h`, `2d`. Raises ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text)
    if found is None:
        raise ValueError(f"{text!r} is no length of time; such are 30s, 15m, 1h, 2d")
    return float(found[1]) * TIMES[found[2]]
