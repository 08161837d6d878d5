"""The page /metrics, in Prometheus's text form.

Rule 1  What changes is read in one step of the loop, as plain numbers. They become text on a thread, so that
        no call waits for a page however long it is.
Rule 2  One page is made at a time. Whoever asks meanwhile gets the same one.
Rule 3  Queues have lines of their own up to a limit, by name; the totals count all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ropewayd.kernel.kernel import Kernel
from ropewayd.kernel.meter import Distribution
from ropewayd.queues.service import Queues, Seen
from ropewayd.store.protocol import Figures, Store

_QUEUE = ("account", "region", "queue")


class Reading(NamedTuple):
    """Everything as of one moment."""

    queues: list[Seen]
    left_out: int
    """Queues that have no line of their own."""
    memory: int
    memory_limit: int
    polls: int
    tail: int
    store: Figures
    connections: Mapping[str, int]
    vain: Mapping[object, int]
    calls: list[tuple[str, str, list[tuple[str, int]], float]]
    """(protocol, action, buckets, sum)."""
    errors: list[tuple[str, str, int]]
    commits: list[tuple[str, str, list[tuple[str, int]], float]]
    """(name, meaning, buckets, sum)."""


class MetricsPage:
    """See the module. `connections` tells for each protocol how many are open."""

    def __init__(
        self,
        kernel: Kernel,
        queues: Queues,
        store: Store,
        connections: Callable[[], Mapping[str, int]],
        most_queues: int,
    ) -> None:
        self._kernel = kernel
        self._queues = queues
        self._store = store
        self._connections = connections
        self._most = most_queues
        self._making: asyncio.Task[bytes] | None = None

    async def text(self) -> bytes:
        """The page. Raises StoreError where the store has ended."""
        if self._making is None:
            self._making = asyncio.get_running_loop().create_task(self._make())
            self._making.add_done_callback(self._made)
        return await asyncio.shield(self._making)

    def _made(self, task: asyncio.Task[bytes]) -> None:
        self._making = None
        if not task.cancelled():
            task.exception()  # seen: whoever asked was told

    async def _make(self) -> bytes:
        figures = await self._store.figures()
        return await asyncio.to_thread(render, self._read(figures))

    def _read(self, figures: Figures) -> Reading:
        kernel, meter = self._kernel, self._kernel.meter
        seen, left_out = self._queues.seen(self._most, kernel.clock.now())
        return Reading(
            queues=seen,
            left_out=left_out,
            memory=self._queues.memory_used,
            memory_limit=self._queues.memory_limit,
            polls=kernel.polls,
            tail=kernel.tail_bytes,
            store=figures,
            connections=self._connections(),
            vain=dict(meter.vain_polls),
            calls=[(protocol, action, *_told(each)) for protocol, action, each in meter.all_calls()],
            errors=[(protocol, code, count) for (protocol, code), count in sorted(meter.errors.items())],
            commits=[
                ("commit_duration_seconds", "How long commits took.", *_told(meter.commit_seconds)),
                ("commit_size_bytes", "Bytes of journal in a commit.", *_told(meter.commit_bytes)),
                ("commit_events", "Events that shared a commit.", *_told(meter.commit_events)),
            ],
        )


def _told(each: Distribution) -> tuple[list[tuple[str, int]], float]:
    return each.buckets(), each.total


class _Collected(Collector):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        yield from _of_queues(self._reading)
        yield from _of_daemon(self._reading)


def render(reading: Reading) -> bytes:
    """The page's text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(reading))
    return generate_latest(registry)


def _of_queues(reading: Reading) -> Iterator[Metric]:
    shown = reading.queues
    names = [(each.account, each.region, each.name) for each in shown]
    vain = [reading.vain.get(each.number, 0) for each in shown]
    gauges: tuple[tuple[str, str, Sequence[float | None]], ...] = (
        ("messages_visible", "Messages that can be received.", [e.visible for e in shown]),
        ("messages_in_flight", "Messages that were received and not deleted.", [e.in_flight for e in shown]),
        ("messages_delayed", "Messages that can be received later.", [e.delayed for e in shown]),
        (
            "oldest_message_age_seconds",
            "Since the oldest message was sent; not told where it is on disk alone.",
            [e.oldest for e in shown],
        ),
    )
    counters = (
        ("messages_sent", "Messages taken.", [e.meter.sent for e in shown]),
        (
            "messages_received",
            "Messages handed out, each time.",
            [e.meter.received for e in shown],
        ),
        ("messages_deleted", "Messages deleted by their receipt handles.", [e.meter.deleted for e in shown]),
        ("messages_expired", "Messages that passed their retention.", [e.meter.expired for e in shown]),
        (
            "messages_dead_lettered",
            "Messages moved to the dead-letter queue.",
            [e.meter.dead_lettered for e in shown],
        ),
        (
            "empty_receives",
            "Receives that brought no message.",
            [e.meter.empty_receives + v for e, v in zip(shown, vain, strict=True)],
        ),
        ("throttled_calls", "Calls refused for the queue's rate limit.", [e.meter.throttled for e in shown]),
        (
            "billable_requests",
            "Calls as AWS bills them: one for each 64 KiB begun, and for an empty receive.",
            [e.meter.requests + e.meter.empty_receives + v for e, v in zip(shown, vain, strict=True)],
        ),
    )
    for name, meaning, values in gauges:
        gauge = GaugeMetricFamily(f"ropeway_queue_{name}", meaning, labels=_QUEUE)
        for labels, value in zip(names, values, strict=True):
            if value is not None:
                gauge.add_metric(labels, value)
        yield gauge
    for name, meaning, counts in counters:
        counter = CounterMetricFamily(f"ropeway_queue_{name}", meaning, labels=_QUEUE)
        for labels, count in zip(names, counts, strict=True):
            counter.add_metric(labels, count)
        yield counter


def _of_daemon(reading: Reading) -> Iterator[Metric]:
    store = reading.store
    for name, meaning, value in (
        ("queues", "Queues there are.", len(reading.queues) + reading.left_out),
        ("queues_without_lines", "Queues beyond http.metrics_queues.", reading.left_out),
        ("message_memory_bytes", "What messages take in memory.", reading.memory),
        ("message_memory_limit_bytes", "queues.memory_bytes.", reading.memory_limit),
        ("long_polls", "Long polls that wait.", reading.polls),
        ("journal_tail_bytes", "Journal that a restart would replay.", reading.tail),
        ("journal_rows", "Commits in the journal.", store.journal_rows),
        ("database_bytes", "Size of the database.", store.database_bytes),
        ("wal_bytes", "Size of its write-ahead log.", store.wal_bytes),
        ("disk_free_bytes", "Room on the disk, with what the store will use again.", store.free_bytes),
    ):
        yield GaugeMetricFamily(f"ropeway_{name}", meaning, value=value)
    open_ones = GaugeMetricFamily("ropeway_connections", "Open connections.", labels=["protocol"])
    for protocol, count in reading.connections.items():
        open_ones.add_metric([protocol], count)
    yield open_ones
    errors = CounterMetricFamily(
        "ropeway_errors", "Errors answered; each entry of a batch is one.", labels=["protocol", "code"]
    )
    for protocol, code, count in reading.errors:
        errors.add_metric([protocol, code], count)
    yield errors
    for name, meaning, buckets, total in reading.commits:
        commits = HistogramMetricFamily(f"ropeway_{name}", meaning)
        commits.add_metric([], buckets, sum_value=total)
        yield commits
    calls = HistogramMetricFamily(
        "ropeway_call_duration_seconds",
        "From a call's last byte to its answer; a long poll's wait counts.",
        labels=["protocol", "action"],
    )
    for protocol, action, buckets, total in reading.calls:
        if buckets[-1][1]:
            calls.add_metric([protocol, action], buckets, sum_value=total)
    yield calls
