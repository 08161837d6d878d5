"""long-poll: what thousands of waiting consumers cost, and how soon one has the message that comes.

Each consumer has a connection and a queue of its own and renews its long poll of 20 s when it ends: on the
binary protocol, and on the AWS face. Measured are the daemon's memory and its share of a core over a little
more than one renewal of each; then messages are sent one at a time, each to another queue, and timed from the
send until the consumer has it: beside a handful of waiting consumers, and beside thousands.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.contestants import Daemon, HttpDaemon
from bench.crowd import Crowd
from bench.figures import Check, at_most
from bench.histogram import Histogram, Latency
from bench.idle import POLL_MS, Idle, watched
from bench.scenario import Outcome, Scenario, Settings, Watch

HANDFUL = 10
WAKES = 500
"""Messages that are timed, beside few consumers and beside many."""
FACES: tuple[Daemon, ...] = (
    Daemon(name="binary protocol"),
    HttpDaemon(name="AWS face", verifies=False),
)

SHARE = 0.05
MEMORY = 200 << 20
SLOWER = 3.0
"""A wake-up's p99 beside thousands in ratio to that beside a handful."""


@dataclass(frozen=True)
class Waiting:
    """One face of the daemon, and its crowd."""

    idle: Idle
    quiet_us: Latency
    """From a send to the consumer, beside a handful of them."""
    crowded_us: Latency


def run(settings: Settings, watch: Watch) -> Outcome:
    """One face after the other, each on a daemon of its own."""
    found: dict[str, Waiting] = {}
    for each in FACES:
        waiting = found[each.name] = one_face(each, settings)
        watch(
            f"{each.name}, {waiting.idle.polls:,} waiting: {waiting.idle.memory / 2**20:.0f} MiB, "
            f"{waiting.idle.share:.1%} of a core, {waiting.idle.renewals:,} renewals in "
            f"{waiting.idle.seconds:.0f} s; a message arrives after p50 {waiting.crowded_us.p50:,.0f} us, "
            f"p99 {waiting.crowded_us.p99:,.0f} us (beside {HANDFUL}: {waiting.quiet_us.p50:,.0f}, "
            f"{waiting.quiet_us.p99:,.0f})"
        )
    figures: dict[str, Any] = {name: asdict(waiting) for name, waiting in found.items()}
    return Outcome([], figures, [check for name in found for check in checks(name, found[name])])


def one_face(daemon: Daemon, settings: Settings, wakes: int = WAKES, poll_ms: int = POLL_MS) -> Waiting:
    """Few consumers first, then as many as the settings say."""
    with tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory) as place:
        server = daemon.start(Path(place) / "server")
        try:
            few = min(HANDFUL, settings.polls)
            with Crowd(server, few, few, poll_ms) as crowd:
                quiet = woken(crowd, few, wakes)
            with Crowd(server, settings.polls, settings.polls, poll_ms) as crowd:
                idle = watched(server, crowd, settings.polls, settings.polls, settings.idle_seconds)
                crowded = woken(crowd, settings.polls, wakes)
        except BaseException:
            server.kill()
            raise
        server.stop()
    return Waiting(idle, quiet, crowded)


def woken(crowd: Crowd, polls: int, wakes: int) -> Latency:
    """How long so many messages took, each to the next of so many queues that are spread over all."""
    step = max(1, polls // wakes)
    return Histogram.of(crowd.wake(number * step) * 1e6 for number in range(wakes)).latency()


def steps(settings: Settings) -> int:  # noqa: ARG001 - all scenarios are asked alike
    """How many."""
    return len(FACES)


def checks(name: str, waiting: Waiting) -> list[Check]:
    """The targets."""
    idle = waiting.idle
    what = f"{name}, {idle.queues:,} queues and {idle.polls:,} long polls"
    return [
        at_most(f"{what}, share of a core", SHARE, idle.share),
        at_most(f"{what}, bytes of memory", MEMORY, idle.memory),
        at_most(
            f"{name}, p99 of a wake-up in ratio to that beside {HANDFUL} consumers",
            SLOWER,
            waiting.crowded_us.p99 / waiting.quiet_us.p99,
        ),
    ]


SCENARIO = Scenario(
    name="long-poll",
    summary="10,000 waiting consumers on both protocols: memory, CPU, and how soon a message reaches one",
    steps=steps,
    run=run,
)
