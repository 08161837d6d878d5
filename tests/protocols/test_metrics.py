"""/metrics of the real daemon, as Prometheus reads it."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import ropeway
import ropeway.sync
from tests.daemon import Daemon

Page = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def page(daemon: Daemon) -> Page:
    with urllib.request.urlopen(f"{daemon.endpoint}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: Page, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


def test_queues_calls_errors_and_the_store_are_told(tmp_path: Path) -> None:
    with Daemon(tmp_path, http="127.0.0.1:0") as daemon, ropeway.sync.connect(daemon.url) as broker:
        jobs = broker.create_queue("jobs")
        jobs.send_many(["a", "b", "c"])
        jobs.send("late", delay=100)
        first, _ = jobs.receive(2)
        first.delete()
        empty_queue = broker.create_queue("empty")
        assert empty_queue.receive(wait=0.01) == empty_queue.receive(wait=0) == []
        with pytest.raises(ropeway.QueueDoesNotExist):
            broker.queue("none").send("x")
        found = page(daemon)
        mine = {"account": "000000000000", "region": "us-east-1", "queue": "jobs"}
        assert of(found, "ropeway_queue_messages_visible", **mine) == 1
        assert of(found, "ropeway_queue_messages_in_flight", **mine) == 1
        assert of(found, "ropeway_queue_messages_delayed", **mine) == 1
        assert of(found, "ropeway_queue_messages_sent_total", **mine) == 4
        assert of(found, "ropeway_queue_messages_received_total", **mine) == 2
        assert of(found, "ropeway_queue_messages_deleted_total", **mine) == 1
        assert 0 <= of(found, "ropeway_queue_oldest_message_age_seconds", **mine) < 60
        assert of(found, "ropeway_queue_billable_requests_total", **mine) == 4
        empty = mine | {"queue": "empty"}
        assert of(found, "ropeway_queue_empty_receives_total", **empty) == 2
        assert of(found, "ropeway_queue_billable_requests_total", **empty) == 2
        assert of(found, "ropeway_errors_total", protocol="binary", code="QueueDoesNotExist") == 1
        sends = {"protocol": "binary", "action": "SendMessage"}
        assert of(found, "ropeway_call_duration_seconds_count", **sends) == 3
        assert of(found, "ropeway_commit_events_count") >= 7
        assert of(found, "ropeway_connections", protocol="binary") == 1
        assert of(found, "ropeway_wal_bytes") > 0


def test_what_became_of_messages_at_subscriptions_is_told(tmp_path: Path) -> None:
    with Daemon(tmp_path, http="127.0.0.1:0") as daemon, ropeway.sync.connect(daemon.url) as broker:
        news = broker.create_topic("news")
        for name in ("readers", "letters"):
            broker.create_queue(name)
        news.subscribe("readers", filter={"kind": ["a"]})
        news.subscribe("gone", dead_letters="letters")
        news.subscribe("lost")
        for kind in ("a", "a", "b"):
            news.publish("x", attributes={"kind": kind})
        found = page(daemon)
        for queue, told in (
            ("readers", {"delivered": 2, "filtered": 1, "dead_lettered": 0, "failed": 0}),
            ("gone", {"delivered": 0, "filtered": 0, "dead_lettered": 3, "failed": 0}),
            ("lost", {"delivered": 0, "filtered": 0, "dead_lettered": 0, "failed": 3}),
        ):
            mine = {"account": "000000000000", "region": "us-east-1", "topic": "news", "protocol": "sqs"}
            mine["endpoint"] = f"arn:aws:sqs:us-east-1:000000000000:{queue}"
            for name, count in told.items():
                assert of(found, f"ropeway_subscription_messages_{name}_total", **mine) == count
        assert (of(found, "ropeway_topics"), of(found, "ropeway_subscriptions")) == (1, 3)


def test_what_aws_clients_call_is_told_too(tmp_path: Path) -> None:
    with Daemon(tmp_path, http="127.0.0.1:0") as daemon:
        ask = urllib.request.Request(
            daemon.endpoint,
            data=b"Action=GetQueueUrl&QueueName=none&Version=2012-11-05",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(ask, timeout=30)
        found = page(daemon)
        assert of(found, "ropeway_errors_total", protocol="aws", code="QueueDoesNotExist") == 1
        asked = {"protocol": "aws", "action": "GetQueueUrl"}
        assert of(found, "ropeway_call_duration_seconds_count", **asked) == 1


def test_queues_beyond_the_limit_have_no_lines(tmp_path: Path) -> None:
    limited = Daemon(tmp_path, "--http-metrics-queues", "2", http="127.0.0.1:0")
    with limited as daemon, ropeway.sync.connect(daemon.url) as broker:
        for name in "abc":
            broker.create_queue(name)
        found = page(daemon)
        assert of(found, "ropeway_queues") == 3
        assert of(found, "ropeway_queues_without_lines") == 1
        assert sum(name == "ropeway_queue_messages_visible" for name, _ in found) == 2


def test_one_endpoint_by_two_protocols_is_two_lines_and_no_password_is_shown(tmp_path: Path) -> None:
    with Daemon(tmp_path, http="127.0.0.1:0") as daemon, ropeway.sync.connect(daemon.url) as broker:
        news = broker.create_topic("news")
        for protocol in ("email", "email-json"):
            news.subscribe("me@example.org", protocol=protocol)
        news.subscribe("http://me:s3cret@127.0.0.1:9/hook")
        lines = [dict(labels) for name, labels in page(daemon) if "messages_delivered" in name]
        assert sorted((each["protocol"], each["endpoint"]) for each in lines if "topic" in each) == [
            ("email", "me@example.org"),
            ("email-json", "me@example.org"),
            ("http", "http://me:****@127.0.0.1:9/hook"),
        ]
