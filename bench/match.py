"""One match: one workload against one server, with the load in processes of its own.

The load runs for a warm-up, then for the window, and only the window counts: at each of its ends the counters
and every process's CPU clock are read together. Then producers stop, consumers go on until nothing is left or
nothing moves, and the ids of what was sent are held against those of what was consumed.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contestants import ContestantFailed, Server, cpu_seconds, rss_bytes
from bench.histogram import Histogram, Latency
from bench.load import DELETED, SENT, Plan, Tally
from bench.samples import Sample

WORKER_SECONDS = 30.0
"""How long a load may take to connect, and to finish what is outstanding."""

STILL_SECONDS = 2.0
"""Consumers that have deleted nothing for so long have found all there is."""

ID_BYTES = 16

LOOKS = 12
"""At the server, in a window."""


@dataclass(frozen=True)
class Crew:
    """The producers or the consumers of a workload."""

    connections: int
    outstanding: int
    """Requests that each connection keeps outstanding; a consumer's, for each commit of its cycle."""


@dataclass(frozen=True)
class Workload:
    """What is done to a server."""

    name: str
    title: str
    batch: int
    """Messages a request."""
    producers: Crew
    consumers: Crew | None
    backlog: int
    """Producers hold back while more messages than this are sent and not yet deleted."""
    body: int = 1024
    """Bytes a message."""
    groups: int = 1
    """Message groups, on a FIFO queue."""
    rate: float = 0.0
    """Messages a second that are sent, whatever is answered when; 0: as fast as answers come."""


@dataclass(frozen=True)
class Result:
    """What one match gave."""

    rate: float
    """Messages a second in the window: deleted, or sent where nobody consumes."""
    server_us: float
    """The server's processor time a message, in microseconds."""
    load_us: float
    """The load's, all its processes."""
    server_busy: float
    """The server's share of one core. More than one is possible: its journal has a thread of its own."""
    load_busy: float
    """The busiest load process's share of one core. Near one, the load is the limit, not the server."""
    sent: int
    """Over the whole match, as are the next four."""
    consumed: int
    left: int
    lost: int
    """Sent, not consumed, and not left."""
    doubled: int
    """Consumed more than once, or never sent."""
    messages_a_receive: float
    memory: int
    """Bytes that the server had resident at the end of the window."""
    latency_us: Latency | None
    """Of sends, with one outstanding in all, or at a rate."""
    timeline: tuple[Sample, ...] = ()
    """The window."""


class Worker:
    """A load process."""

    def __init__(self, plan: Plan, *, quiet: bool = False) -> None:
        """`quiet`: nobody needs to know why it stops, since its server is to be killed."""
        self.plan = plan
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load", plan.encoded()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            bufsize=0,
        )
        self._unread = b""

    def ready(self) -> None:
        """Waits until it is connected."""
        if self._line() != "ready":
            raise ContestantFailed("a load process did not connect")

    def tell(self) -> None:
        """Start, and later stop."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        if self._process.poll() is not None:
            raise ContestantFailed("a load process ended early")
        return cpu_seconds(self._process.pid)

    def settled(self, seconds: float) -> bool:
        """Waits so long at most, and says whether it has stopped: what it did is there to be read."""
        assert self._process.stdout is not None
        return bool(self._unread) or bool(select.select([self._process.stdout.fileno()], [], [], seconds)[0])

    def report(self) -> dict[str, Any]:
        """Waits until it has stopped, and gives what it did."""
        line = self._line()
        self._process.wait()
        if not line:
            raise ContestantFailed("a load process failed")
        report: dict[str, Any] = json.loads(line)
        return report

    def close(self) -> None:
        """Ends it, whatever it is doing."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        until = time.monotonic() + WORKER_SECONDS
        while b"\n" not in self._unread:
            if not select.select([output], [], [], max(0.0, until - time.monotonic()))[0]:
                raise ContestantFailed(f"a load process said nothing for {WORKER_SECONDS:.0f} s")
            data = os.read(output, 65536)
            if not data:
                return ""
            self._unread += data
        line, self._unread = self._unread.split(b"\n", 1)
        return line.decode()


@dataclass(frozen=True)
class Reading:
    """Counters and clocks of one moment."""

    at: float
    sent: int
    deleted: int
    server: float
    workers: tuple[float, ...]


def play(workload: Workload, server: Server, directory: Path, seconds: float, warm_up: float) -> Result:
    """Runs one match. Raises ContestantFailed when a process of it fails."""
    with Tally(directory / "tally", create=True) as tally:
        producers = Worker(plan(workload, workload.producers, "produce", server, directory))
        consumers = None
        if workload.consumers is not None:
            consumers = Worker(plan(workload, workload.consumers, "consume", server, directory))
        workers = [worker for worker in (producers, consumers) if worker is not None]
        try:
            for worker in workers:
                worker.ready()
            for worker in reversed(workers):
                worker.tell()
            time.sleep(warm_up)
            wait_for_a_turn(workload, tally)
            first = read(tally, server, workers)
            timeline = window(tally, server, seconds)
            last = read(tally, server, workers)
            while stalled(workload, first, last):
                time.sleep(0.01)
                last = read(tally, server, workers)
            memory = rss_bytes(server.process.pid)
            producers.tell()
            produced = producers.report()
            consumed = None
            if consumers is not None:
                wait_for_consumers(tally, produced["messages"])
                consumers.tell()
                consumed = consumers.report()
        finally:
            for worker in workers:
                worker.close()
    verified = verify(producers.plan.ids, consumers.plan.ids if consumers else None, server.left())
    return summed_up(first, last, produced, consumed, memory, verified, timeline)


def plan(workload: Workload, crew: Crew, role: str, server: Server, directory: Path) -> Plan:
    """What a load process is told."""
    return Plan(
        role=role,
        kind=server.kind,
        port=server.port,
        connections=crew.connections,
        outstanding=crew.outstanding * (server.consumer_commits if role == "consume" else 1),
        batch=workload.batch,
        body=workload.body,
        backlog=workload.backlog,
        tally=str(directory / "tally"),
        ids=str(directory / role),
        queue=server.queue,
        groups=workload.groups,
        rate=workload.rate if role == "produce" else 0.0,
    )


def wait_for_a_turn(workload: Workload, tally: Tally) -> None:
    """Until as much is deleted as producers keep outstanding, where anybody consumes.

    Until then a server that syncs each message by itself does little but take in what all producers begin
    with, and its window would say that of it alone. Others are past this before the warm-up ends.
    """
    if workload.consumers is None:
        return
    turn = workload.producers.connections * workload.producers.outstanding * workload.batch
    until = time.monotonic() + WORKER_SECONDS
    while tally.counts[DELETED] < turn and time.monotonic() < until:
        time.sleep(0.005)


def read(tally: Tally, server: Server, workers: list[Worker]) -> Reading:
    """Reads all counters and clocks at one moment."""
    return Reading(
        at=time.perf_counter(),
        sent=tally.counts[SENT],
        deleted=tally.counts[DELETED],
        server=server.cpu(),
        workers=tuple(worker.cpu() for worker in workers),
    )


def window(tally: Tally, server: Server, seconds: float) -> tuple[Sample, ...]:
    """Waits so long, and looks at the server a few times."""
    began, samples = time.perf_counter(), []
    for number in range(LOOKS + 1):
        time.sleep(max(0.0, began + number * seconds / LOOKS - time.perf_counter()))
        samples.append(Sample(time.perf_counter() - began, rss_bytes(server.process.pid), tally.backlog()))
    return tuple(samples)


def stalled(workload: Workload, first: Reading, last: Reading) -> bool:
    """Whether a window must last longer, because nothing has moved in it and something should have.

    A short window may meet a machine that does something else just then. Raises ContestantFailed when it goes
    on.
    """
    if workload.consumers is not None:
        still = last.deleted == first.deleted
    else:
        still = last.sent == first.sent and last.sent - last.deleted <= workload.backlog
    if still and last.at - first.at > WORKER_SECONDS:
        raise ContestantFailed(f"nothing moved for {WORKER_SECONDS:.0f} s")
    return still


def wait_for_consumers(tally: Tally, sent: int) -> None:
    """Until all that was sent is deleted, or nothing more is."""
    deleted, moved = -1, time.monotonic()
    while deleted < sent and time.monotonic() - moved < STILL_SECONDS:
        if tally.counts[DELETED] != deleted:
            deleted, moved = tally.counts[DELETED], time.monotonic()
        time.sleep(0.005)


@dataclass(frozen=True)
class Verified:
    """What became of every message."""

    sent: int
    consumed: int
    left: int
    lost: int
    doubled: int


def verify(sent_path: str, consumed_path: str | None, left: int) -> Verified:
    """Holds the ids sent against the ids consumed, and what is missing against what is left."""
    sent = ids(Path(sent_path))
    consumed = ids(Path(consumed_path)) if consumed_path is not None else Counter()
    repeated = sum(times - 1 for times in consumed.values()) + sum(times - 1 for times in sent.values())
    unknown = len(consumed.keys() - sent.keys())
    missing = len(sent.keys() - consumed.keys())
    return Verified(
        sent=sent.total(),
        consumed=consumed.total(),
        left=left,
        lost=max(0, missing - left),
        doubled=repeated + unknown + max(0, left - missing),
    )


def ids(path: Path) -> Counter[bytes]:
    """The ids in a load's file, and how often each is there."""
    data = path.read_bytes()
    assert len(data) % ID_BYTES == 0, "an id of another length"
    return Counter(data[at : at + ID_BYTES] for at in range(0, len(data), ID_BYTES))


def summed_up(
    first: Reading,
    last: Reading,
    produced: dict[str, Any],
    consumed: dict[str, Any] | None,
    memory: int,
    verified: Verified,
    timeline: tuple[Sample, ...],
) -> Result:
    """The figures of a match."""
    seconds = last.at - first.at
    messages = last.deleted - first.deleted if consumed is not None else last.sent - first.sent
    server = last.server - first.server
    workers = [after - before for before, after in zip(first.workers, last.workers, strict=True)]
    each = 1e6 / max(1, messages)  # producers that were held back all the time sent none
    return Result(
        rate=messages / seconds,
        server_us=server * each,
        load_us=sum(workers) * each,
        server_busy=server / seconds,
        load_busy=max(workers) / seconds,
        sent=verified.sent,
        consumed=verified.consumed,
        left=verified.left,
        lost=verified.lost,
        doubled=verified.doubled,
        messages_a_receive=consumed["messages"] / max(1, consumed["requests"]) if consumed else 0.0,
        memory=memory,
        latency_us=latency(produced["took"]),
        timeline=timeline,
    )


def latency(counts: Mapping[str, int]) -> Latency | None:
    """Of a histogram, as JSON has it."""
    return Histogram({int(index): count for index, count in counts.items()}).latency() if counts else None
