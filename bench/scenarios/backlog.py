"""backlog: what a long queue costs, and whom.

`--messages` of 1 KiB are sent to one queue and stay. Measured: memory at its most, what is written to disk
for each message, how soon the daemon answers again after a stop and after kill -9 under full load, and how
fast the queue is drained, in ratio to queues of 10,000 on a daemon beside it, drained in turns with it.

Then, with at most 1,000,000: what a lone send waits while a backlog is spilled, expired and purged and the
daemon does half of what it can, in ratio to the same load without that.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench.contestants import ContestantFailed, Server
from bench.figures import Check, Spread, at_least, at_most, none, ratios, under
from bench.histogram import Latency
from bench.match import play
from bench.probe import for_seconds, lone_sends
from bench.samples import thinned, watched
from bench.scenario import Outcome, Scenario, Settings, Watch
from bench.scenarios.queue_cycle import BATCHES
from bench.store import BODY, Moved, Store, astray, summed
from bench.wire import ATTRIBUTES, CREATE, PURGE, QUEUE, SET_ATTRIBUTES

LONG, RECLAIMED = "long", "reclaimed"
SHORT_MESSAGES = 10_000
SHORT_DRAINS = 3
"""Of that length, for each part of the long queue."""
RECLAIMED_MESSAGES = 1_000_000
"""At most so many are spilled, expired and purged beside the lone sends."""
QUIET_SECONDS = 3.0
"""What the lone sends are compared with lasts so many times the window, and so does what follows a purge."""
KILLS = 3
LINES = 10
"""Of progress, for each time that many messages are sent."""
RETENTION_MS = 60_000
"""The shortest that there is."""
GONE_SECONDS = 1_800.0
SHARE = 0.5
"""Of what the daemon can do, beside the lone sends."""


@dataclass(frozen=True)
class Target:
    """For a backlog of up to so many messages. Bytes, seconds."""

    messages: int
    memory: int
    restart: float


TARGETS = (Target(1_000_000, 256 << 20, 2.0), Target(10_000_000, 512 << 20, 5.0))
KILLED_RESTART = 2.0
DRAIN = 0.6
WAIT = 5.0


@dataclass(frozen=True)
class Standing:
    """A backlog while it stands."""

    filled: Moved
    stopped_restart: float
    killed_restarts: list[float]


@dataclass(frozen=True)
class Drained:
    """The parts of a long queue, and the short queues that were drained between them."""

    long: list[Moved]
    short: list[Moved]
    ratio: Spread
    astray: int
    """Messages lost or doubled; -1 where as many came as were sent, but not the same."""


@dataclass(frozen=True)
class Waits:
    """What a lone send waits, without and with what is to be reclaimed."""

    rate: float
    """Of the load beside it, full cycles a second."""
    quiet: list[Latency]
    spilled: Latency
    expired: Latency
    purged: Latency

    def ratio(self, busy: Latency) -> float:
        """The 99th percentile in ratio to that of the quiet times."""
        return busy.p99 / median(latency.p99 for latency in self.quiet)


def run(settings: Settings, watch: Watch) -> Outcome:
    """Everything, on one daemon; `rounds` is the number of parts in which the long queue is drained."""
    with ExitStack() as stack:
        place = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory))
        )
        store = Store(place / "long")
        stack.callback(store.close)
        timeline = stack.enter_context(watched(lambda: store.server, (LONG, RECLAIMED, QUEUE)))
        standing = stand(store, settings, watch)
        short = Store(place / "short")
        stack.callback(short.close)
        drained = drain(store, short, standing.filled, settings, watch)
        waits = wait(store, standing.filled.rate, settings, watch)
        memory = store.peak()
        watch(f"memory at its most: {memory / 2**20:.0f} MiB")
    figures = {
        "messages": settings.messages,
        "memory": memory,
        "standing": asdict(standing),
        "written_per_byte": {
            "filled": standing.filled.amplification(BODY),
            "drained": summed(drained.long).amplification(BODY),
            "short": summed(drained.short).amplification(BODY),
        },
        "drained": asdict(drained),
        "waits": asdict(waits),
        "timeline": [asdict(sample) for sample in thinned(timeline)],
    }
    return Outcome([], figures, checks(settings.messages, memory, standing, drained, waits))


def steps(settings: Settings) -> int:
    """How many."""
    return LINES + 2 + KILLS + settings.rounds + 8


def stand(store: Store, settings: Settings, watch: Watch) -> Standing:
    """The backlog grows, and the daemon is ended while it stands."""
    store.server.ask(CREATE, queue=LONG)
    filled = store.move("produce", LONG, settings.messages, watch=tenths(settings.messages, "sent", watch))
    watch(f"sent {filled.rate:,.0f} a second, {filled.amplification(BODY):.2f} bytes written for each")
    stopped = store.restart(store.server.stop)
    watch(f"answers {stopped:.2f} s after a stop")
    killed = []
    for _ in range(KILLS):
        with store.busy():
            time.sleep(settings.seconds)
            killed.append(store.restart(store.server.kill))
        watch(f"answers {killed[-1]:.2f} s after kill -9 under full load")
    return Standing(filled, stopped, killed)


def tenths(messages: int, done: str, watch: Watch) -> Callable[[int], None]:
    """Tells each tenth of the way once."""
    told = 0

    def tell(so_far: int) -> None:
        nonlocal told
        while told < LINES and so_far >= (told + 1) * messages // LINES:
            told += 1
            watch(f"{done} {told * messages // LINES:,} messages")

    return tell


def drain(long: Store, short: Store, filled: Moved, settings: Settings, watch: Watch) -> Drained:
    """The long queue, in parts, and short ones between them."""
    parts, between = [], []
    left = filled.messages
    for number in range(settings.rounds):
        if left <= 0:
            break  # a short queue can be taken by what is outstanding before it is counted
        short_ones = []
        for _ in range(SHORT_DRAINS):
            short.move("produce", QUEUE, SHORT_MESSAGES)
            short_ones.append(short.move("consume", QUEUE, SHORT_MESSAGES))
        parts.append(long.move("consume", LONG, left // (settings.rounds - number)))
        between.append(summed(short_ones))
        left -= parts[-1].messages
        watch(f"drained {parts[-1].rate:,.0f} a second, a short queue {between[-1].rate:,.0f}")
    ratio = ratios([part.rate for part in parts], [part.rate for part in between])
    return Drained(parts, between, ratio, astray(filled, summed(parts)))


def wait(store: Store, fill: float, settings: Settings, watch: Watch) -> Waits:
    """A lone send's wait at half of what the daemon can do, alone and while a backlog is reclaimed. `fill`:
    how many messages a second it takes that stay."""
    messages = min(settings.messages, RECLAIMED_MESSAGES)
    lasting = QUIET_SECONDS * settings.seconds
    store.server.ask(CREATE, queue=RECLAIMED)
    with tempfile.TemporaryDirectory(prefix="match-", dir=settings.directory) as place:
        rate = SHARE * play(BATCHES, store.server, Path(place), settings.seconds, settings.warm_up).rate
    watch(f"half of what it can do: {rate:,.0f} full cycles a second")
    quiet = []

    def quietly() -> None:
        with store.busy(rate):
            quiet.append(lone_sends(store.server, for_seconds(lasting)))
        watch(f"a lone send beside it: {said(quiet[-1])}")

    quietly()
    # What is sent and stays is spilled as it comes, so this load is the sends alone.
    with store.load("produce", RECLAIMED, messages=messages, rate=SHARE * fill) as (worker, _):
        worker.tell()
        spilled = lone_sends(store.server, lambda: worker.settled(0))
        worker.report()
    watch(f"while {messages:,} are spilled: {said(spilled)}")
    quietly()
    time.sleep(RETENTION_MS / 1000)  # now the newest are as old as any must be
    with store.busy(rate):
        store.server.ask(SET_ATTRIBUTES, queue=RECLAIMED, attributes={"retention_period": RETENTION_MS})
        expired = lone_sends(store.server, emptied(store.server, RECLAIMED))
    watch(f"while they expire: {said(expired)}")
    quietly()
    store.server.ask(SET_ATTRIBUTES, queue=RECLAIMED, attributes={"retention_period": 1000 * RETENTION_MS})
    store.move("produce", RECLAIMED, messages)
    watch(f"sent {messages:,} messages again")
    with store.busy(rate):
        store.server.ask(PURGE, queue=RECLAIMED)
        purged = lone_sends(store.server, for_seconds(lasting))
    watch(f"while as many are purged: {said(purged)}")
    return Waits(rate, quiet, spilled, expired, purged)


def emptied(server: Server, queue: str, every: float = 0.5) -> Callable[[], bool]:
    """Whether a queue holds nothing any more, asked now and then. Raises ContestantFailed after very long."""
    began = asked = time.perf_counter()

    def ended() -> bool:
        nonlocal asked
        now = time.perf_counter()
        if now - asked < every:
            return False
        asked = now
        if now - began > GONE_SECONDS:
            raise ContestantFailed(f"messages past their retention were there {GONE_SECONDS:.0f} s later")
        return int(server.ask(ATTRIBUTES, queue=queue)["visible"]) == 0

    return ended


def said(latency: Latency) -> str:
    """For people."""
    return f"p50 {latency.p50:.0f} us, p99 {latency.p99:.0f} us, at most {latency.highest:.0f} us"


def checks(messages: int, memory: int, standing: Standing, drained: Drained, waits: Waits) -> list[Check]:
    """The targets."""
    target = next((each for each in TARGETS if messages <= each.messages), TARGETS[-1])
    return [
        at_most("memory at its most, MiB", target.memory / 2**20, memory / 2**20),
        at_most("restart to the first answer, seconds", target.restart, standing.stopped_restart),
        at_most(
            "restart after kill -9 under full load, seconds",
            max(KILLED_RESTART, target.restart),
            max(standing.killed_restarts),
        ),
        at_least(f"drain, in ratio to that of a queue of {SHORT_MESSAGES:,}", DRAIN, drained.ratio.median),
        none("messages lost or doubled", drained.astray),
        under("p99 of a lone send while a backlog is spilled, in ratio", WAIT, waits.ratio(waits.spilled)),
        under("p99 of a lone send while one expires, in ratio", WAIT, waits.ratio(waits.expired)),
        under("p99 of a lone send while one is purged, in ratio", WAIT, waits.ratio(waits.purged)),
    ]


SCENARIO = Scenario(
    name="backlog",
    summary="a million messages (--messages): memory, restart, drain, bytes written, a lone send's wait",
    steps=steps,
    run=run,
)
