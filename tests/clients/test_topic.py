"""Topics of the library: against the real daemon, and against a peer for what goes wrong."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import ropeway
from tests.clients.peer import serving
from tests.daemon import Daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon")) as running:
        yield running


async def test_what_is_published_reaches_the_queues_that_want_it(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        news = await broker.create_topic("news", tags={"team": "a"}, display_name="News")
        everyone, sports, dead = [await broker.create_queue(name) for name in ("everyone", "sports", "dead")]
        await news.subscribe(everyone)
        picky = await news.subscribe("sports", filter={"kind": ["sport"]}, raw=True, dead_letters=dead)
        assert await news.subscribe("sports") == picky
        await news.publish("rain", subject="Weather", attributes={"kind": "weather"})
        ids = await news.publish_many(
            ropeway.Publication(f"goal {n}", attributes={"kind": "sport"}) for n in range(3)
        )
        assert len(set(ids)) == 3
        told = [json.loads(each.text) for each in await everyone.receive(10)]
        assert [each["Message"] for each in told] == ["rain", "goal 0", "goal 1", "goal 2"]
        assert (told[0]["Subject"], told[1]["MessageId"]) == ("Weather", ids[0])
        assert [each.body for each in await sports.receive(10)] == ["goal 0", "goal 1", "goal 2"]
        said = await picky.attributes()
        assert (said["delivered"], said["filtered"], said["raw_message_delivery"]) == (3, 1, True)
        await picky.set(filter_policy=None)
        await sports.delete()
        await news.publish(b"\xff")
        assert [each.body for each in await dead.receive(10)] == [b"\xff"]
        assert (await news.attributes())["display_name"] == "News"
        assert [each.name async for each in broker.list_topics("ne")] == ["news"]
        assert picky in [each async for each in news.subscriptions()]
        assert picky in [each async for each in broker.list_subscriptions()]
        await picky.unsubscribe()
        assert picky not in [each async for each in news.subscriptions()]
        await news.delete()
        with pytest.raises(ropeway.NotFound):
            await news.publish("nobody")


async def test_a_fifo_topic_tells_sequence_numbers(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        orders = await broker.create_topic("orders.fifo", fifo=True, content_based_deduplication=True)
        shop = await broker.create_queue("shop.fifo", fifo=True)
        await orders.subscribe(shop, raw=True)
        first = await orders.publish("a", group="g")
        assert await orders.publish("a", group="g") == first
        second = await orders.publish("b", group="g")
        assert first.sequence_number is not None
        assert second.sequence_number is not None
        assert first.sequence_number < second.sequence_number
        assert [(each.body, each.group) for each in await shop.receive(10)] == [("a", "g"), ("b", "g")]


async def test_each_message_that_was_refused_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path / "peer.sock") as peer, ropeway.connect(peer.url) as broker:
        with pytest.raises(ropeway.BatchError) as raised:
            await broker.topic("news").publish_many(["a", "", "b"])
        assert list(raised.value.errors) == [1]
        with pytest.raises(ropeway.InvalidMessageContents):
            await broker.topic("news").publish("")
        peer.deaf.add(75)
        publishing = asyncio.create_task(broker.topic("news").publish("a"))
        await peer.until(lambda: len(peer.params(75)) == 3)
        peer.cut()
        with pytest.raises(ropeway.ConnectionLost):
            await publishing


async def test_many_messages_travel_in_few_requests(tmp_path: Path) -> None:
    async with serving(tmp_path / "peer.sock") as peer, ropeway.connect(peer.url) as broker:
        assert len(await broker.topic("news").publish_many(str(n) for n in range(2500))) == 2500
        assert [len(each["entries"]) for each in peer.params(75)] == [1000, 1000, 500]


def test_plain_code_has_the_same(daemon: Daemon) -> None:
    with ropeway.sync.connect(daemon.url) as broker:
        news = broker.create_topic("plain")
        jobs = broker.create_queue("plain-jobs")
        one = news.subscribe(jobs, raw=True)
        news.publish("a")
        news.publish_many(["b", "c"])
        assert [each.body for each in jobs.receive(10)] == ["a", "b", "c"]
        assert list(news.subscriptions()) == [one]
        assert one in list(broker.list_subscriptions())
        assert broker.subscription(one.arn) == one
        assert one.attributes()["delivered"] == 3
        one.set(raw_message_delivery=False)
        news.set(display_name="P")
        news.tag({"a": "b"})
        assert news.tags() == {"a": "b"}
        news.untag(["a"])
        news.add_permission("all", ["1" * 12], ["Publish"])
        news.remove_permission("all")
        assert news.attributes()["display_name"] == "P"
        assert "plain" in [each.name for each in broker.list_topics()]
        one.unsubscribe()
        news.delete()
