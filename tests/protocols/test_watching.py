"""The dashboard and the page of the manual name metrics that there are, and all of them."""

import json
import re
from pathlib import Path
from typing import Any

from ropewayd.kernel.meter import Meter as DaemonMeter
from ropewayd.protocols.metrics.reading import Reading
from ropewayd.protocols.metrics.text import render
from ropewayd.queues.meter import Meter
from ropewayd.queues.service import Seen
from ropewayd.store.protocol import Figures
from ropewayd.topics.service import Seen as Subscription
from ropewayd.topics.topic import Meter as OfSubscription

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\bropeway_[a-z_]+")


def told() -> set[str]:
    """The names of all metrics on a page that has some of each, without what histograms append."""
    meter = DaemonMeter()
    meter.commit(0, 1, 100)
    queue = Seen(1, "0" * 12, "us-east-1", "jobs", 1, 0, 0, 3, 1.5, Meter())
    buckets, total = meter.commit_events.buckets(), 1.0
    reading = Reading(
        queues=[queue],
        left_out=0,
        topics=1,
        subscriptions=[Subscription("0" * 12, "us-east-1", "news", "sqs", "jobs", OfSubscription())],
        subscriptions_left_out=0,
        memory=1,
        memory_limit=2,
        polls=0,
        tail=1,
        store=Figures(journal_rows=1, database_bytes=1, wal_bytes=1, free_bytes=1),
        connections={"binary": 1},
        vain={},
        calls=[("binary", "SendMessage", buckets, total)],
        errors=[("binary", "OverLimit", 1)],
        commits=[
            (name, "meaning", buckets, total)
            for name in ("commit_duration_seconds", "commit_size_bytes", "commit_events")
        ],
    )
    text = render(reading).decode()
    return {
        re.sub(r"_(bucket|sum|count)$", "", line.split("{")[0].split(" ")[0])
        for line in text.splitlines()
        if line[0] != "#"
    } - created(text)


def created(text: str) -> set[str]:
    return {name for name in NAME.findall(text) if name.endswith("_created")}


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    board: dict[str, Any] = json.loads((ROOT / "conf" / "grafana.json").read_text())
    asked: set[str] = set()
    places = set()
    for panel in board["panels"]:
        places.add((panel["gridPos"]["x"], panel["gridPos"]["y"]))
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            asked |= {re.sub(r"_(bucket|sum|count)$", "", name) for name in NAME.findall(target["expr"])}
    assert len(places) == len(board["panels"]) == len({panel["id"] for panel in board["panels"]})
    assert asked <= told()
    assert {variable["name"] for variable in board["templating"]["list"]} == {"source", "queue"}


def test_the_manual_names_every_metric_and_no_other() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    assert set(NAME.findall(text)) == told()
