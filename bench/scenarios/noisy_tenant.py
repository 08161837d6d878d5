"""noisy-tenant: what quiet tenants of a queue wait while one of them has a long backlog.

One tenant sends thousands of messages at once; twenty others send one now and then. Workers have a hundred
messages in flight, each for 50 ms. Measured is how long a quiet tenant's message waits until it is received:
where each message has its tenant as group, so that the queue is fair, and where none has, in turns.
"""

from __future__ import annotations

import tempfile
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from bench.contestants import ContestantFailed, Daemon, Server
from bench.figures import Check, under
from bench.histogram import Histogram, Latency
from bench.scenario import Outcome, Scenario, Settings, Watch
from bench.wire import CREATE, RECEIVE, SEND, RopewayWire, call, dial

NOISY_A_SECOND = 2_000
"""The noisy tenant's backlog, for each second of the window."""
QUIET_TENANTS = 20
QUIET_SECONDS = 0.25
"""Between two messages of one of them."""
IN_FLIGHT = 100
WORK_SECONDS = 0.05
BATCH = 10
BODY = 1024
PATIENCE = 120.0
LESS = 0.5
"""Of the wait without groups."""


class Queue:
    """One queue, its senders and its workers."""

    def __init__(self, server: Server, name: str, *, groups: bool, stack: ExitStack) -> None:
        self._connection = stack.enter_context(dial(server.port))
        self._wire = RopewayWire(name)
        self._wire.greet(self._connection)
        self._name = name
        self._ask(CREATE)
        self._groups = groups
        self._working: deque[tuple[float, Any]] = deque()
        self._sent_at: dict[bytes, float] = {}
        self.waits = Histogram()

    def _ask(self, action: int, **parameters: Any) -> Any:
        request = self._wire.request(1, action, {"queue": self._name, **parameters})
        return call(self._connection, self._wire, request)

    def send(self, tenant: str, count: int, *, timed: bool) -> None:
        """Some messages of one tenant."""
        entry: dict[str, Any] = {"body": bytes(BODY)}
        if self._groups:
            entry["group"] = tenant
        for id_ in self._ask(SEND, entries=[entry] * count):
            if timed:
                self._sent_at[id_] = time.perf_counter()

    def work(self) -> None:
        """Ends what has been worked on for long enough, and begins as much as there is room for."""
        now, ended = time.perf_counter(), []
        while self._working and self._working[0][0] <= now:
            ended.append(self._working.popleft()[1])
        if ended:
            call(self._connection, self._wire, self._wire.delete(1, ended))
        if len(self._working) + BATCH <= IN_FLIGHT:
            found = self._ask(RECEIVE, max_messages=BATCH, wait=0)
            now = time.perf_counter()
            for id_, handle in zip(*self._wire.ids_and_handles(found), strict=True):
                self._working.append((now + WORK_SECONDS, handle))
                sent_at = self._sent_at.pop(id_, None)
                if sent_at is not None:
                    self.waits.add((now - sent_at) * 1e6)

    @property
    def waiting(self) -> int:
        """Messages of quiet tenants that have not been received."""
        return len(self._sent_at)


def run(settings: Settings, watch: Watch) -> Outcome:
    """With groups and without, in turns."""
    waits: dict[bool, list[Latency]] = {True: [], False: []}
    for number in range(settings.rounds):
        for groups in (True, False) if number % 2 == 0 else (False, True):
            latency = one_round(settings, groups=groups)
            waits[groups].append(latency)
            watch(
                f"{'fair' if groups else 'without groups'}: a quiet tenant waits "
                f"p50 {latency.p50 / 1000:,.0f} ms, p99 {latency.p99 / 1000:,.0f} ms"
            )
    figures = {name: [asdict(each) for each in waits[name == "fair"]] for name in ("fair", "without groups")}
    return Outcome([], figures, checks(waits[True], waits[False]))


def one_round(settings: Settings, *, groups: bool) -> Latency:
    """How long quiet tenants' messages waited; those too that are received after the window."""
    with ExitStack() as stack:
        place = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="ropeway-bench-", dir=settings.directory)
        )
        server = Daemon().start(Path(place) / "server")
        stack.callback(server.kill)
        queue = Queue(server, "tenants", groups=groups, stack=stack)
        backlog = max(100, round(NOISY_A_SECOND * settings.seconds / 100) * 100)
        for _ in range(backlog // 100):
            queue.send("noisy", 100, timed=False)
        began = due = time.perf_counter()
        turn = 0
        while time.perf_counter() - began < settings.seconds:
            if time.perf_counter() >= due:
                queue.send(f"quiet-{turn % QUIET_TENANTS}", 1, timed=True)
                turn, due = turn + 1, due + QUIET_SECONDS / QUIET_TENANTS
            queue.work()
        patience = time.perf_counter() + PATIENCE
        while queue.waiting:
            queue.work()
            if time.perf_counter() > patience:
                raise ContestantFailed(f"quiet tenants' messages were not received in {PATIENCE:.0f} s")
        return queue.waits.latency()


def steps(settings: Settings) -> int:
    """How many."""
    return 2 * settings.rounds


def checks(fair: list[Latency], without: list[Latency]) -> list[Check]:
    """The targets."""
    p50, p99 = (
        [getattr(mine, name) / getattr(theirs, name) for mine, theirs in zip(fair, without, strict=True)]
        for name in ("p50", "p99")
    )
    return [
        under("p50 of a quiet tenant's wait, in ratio to that without groups", LESS, median(p50)),
        under("p99 of a quiet tenant's wait, in ratio to that without groups", LESS, median(p99)),
    ]


SCENARIO = Scenario(
    name="noisy-tenant",
    summary="what quiet tenants wait beside a noisy one's backlog, on a fair queue and without groups",
    steps=steps,
    run=run,
)
