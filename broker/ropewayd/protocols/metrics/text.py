"""A reading as Prometheus's text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from .reading import Reading

_QUEUE = ("account", "region", "queue")


class _Collected(Collector):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        yield from _of_queues(self._reading)
        yield from _of_subscriptions(self._reading)
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
        ("messages_bytes", "Bodies and attributes of all its messages.", [e.bytes for e in shown]),
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


def _of_subscriptions(reading: Reading) -> Iterator[Metric]:
    for name, meaning in (
        ("delivered", "Messages that its subscriber got."),
        ("filtered", "Messages that its filter policy did not want."),
        ("dead_lettered", "Messages that its subscriber did not take, and its dead-letter queue did."),
        ("failed", "Messages that neither took."),
    ):
        counter = CounterMetricFamily(
            f"ropeway_subscription_messages_{name}",
            meaning,
            labels=("account", "region", "topic", "protocol", "endpoint"),
        )
        for each in reading.subscriptions:
            labels = (each.account, each.region, each.topic, each.protocol, each.endpoint)
            counter.add_metric(labels, getattr(each.meter, name))
        yield counter


def _of_daemon(reading: Reading) -> Iterator[Metric]:
    store = reading.store
    for name, meaning, value in (
        ("queues", "Queues there are.", len(reading.queues) + reading.left_out),
        ("queues_without_lines", "Queues beyond http.metrics_queues.", reading.left_out),
        ("topics", "Topics there are.", reading.topics),
        (
            "subscriptions",
            "Subscriptions there are.",
            len(reading.subscriptions) + reading.subscriptions_left_out,
        ),
        (
            "subscriptions_without_lines",
            "Subscriptions beyond http.metrics_queues.",
            reading.subscriptions_left_out,
        ),
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
