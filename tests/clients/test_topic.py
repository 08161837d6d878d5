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


async def test_a_listener_hears_what_is_published_while_it_listens(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        radio = await broker.create_topic("radio")
        await radio.publish("too early", attributes={"kind": "sport"})
        async with radio.listen(filter={"kind": ["sport"]}) as listener:
            [subscription] = [each async for each in radio.subscriptions()]
            await radio.publish("rain", attributes={"kind": "weather"})
            await radio.publish_many(
                ropeway.Publication(f"goal {n}", attributes={"kind": "sport"}) for n in range(3)
            )
            heard = [await anext(listener) for _ in range(3)]
            assert [each.body for each in heard] == ["goal 0", "goal 1", "goal 2"]
            assert heard[0].attributes == {"kind": "sport"}
            queue = broker.queue(str((await subscription.attributes())["endpoint"]))
            assert (await queue.attributes())["in_flight"] == 0
        await ended(radio, queue)
        with pytest.raises(StopAsyncIteration):
            await anext(listener)
        with pytest.raises(ropeway.NotFound):
            await anext(broker.topic("nowhere").listen())
        assert [each.name async for each in broker.list_queues("listener-")] == []


async def ended(topic: ropeway.Topic, queue: ropeway.Queue) -> None:
    """Neither the queue nor a subscription is there."""
    assert [each async for each in topic.subscriptions()] == []
    with pytest.raises(ropeway.QueueDoesNotExist):
        await queue.attributes()


async def test_a_listener_ends_with_its_loop_and_with_its_broker(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker, ropeway.connect(daemon.url) as other:
        radio = await broker.create_topic("evening.fifo", fifo=True, content_based_deduplication=True)
        arn = str((await radio.attributes())["arn"])
        kept = other.topic(arn).listen()
        await kept.open()

        async def say() -> None:
            while int((await radio.attributes())["confirmed"]) < 2:
                pass
            await radio.publish("a", group="g")

        talking = asyncio.create_task(say())
        async for message in radio.listen():
            assert (message.body, message.group) == ("a", "g")
            break
        await talking
        while int((await radio.attributes())["confirmed"]) > 1:
            pass
        await other.close()
        assert int((await radio.attributes())["confirmed"]) == 0
        assert [each.name async for each in broker.list_queues("listener-")] == []
        with pytest.raises(ropeway.BrokerClosed):
            await anext(kept)


def test_plain_code_listens_too(daemon: Daemon) -> None:
    with ropeway.sync.connect(daemon.url) as broker:
        radio = broker.create_topic("plain")
        with radio.listen(raw=False) as listener:
            radio.publish("a", subject="S")
            assert json.loads(next(listener).text)["Subject"] == "S"
        assert int(radio.attributes()["confirmed"]) == 0


async def test_the_daemon_ends_the_queue_of_a_listener_that_is_gone(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--topics-listener-timeout", "1") as running:
        async with ropeway.connect(running.url) as broker:
            radio = await broker.create_topic("radio")
            orphan = await broker.create_queue("orphan", tags={"ropeway.listener": "0"})
            mine = await broker.create_queue("mine")
            await radio.subscribe(orphan)
            kept = await radio.subscribe(mine)
            running.kill()
            running.start()
            words = "the queue of a listener that is gone was deleted"
            await asyncio.to_thread(running.wait_for, lambda: running.events(words))
            assert [each async for each in radio.subscriptions()] == [kept]
            assert [each.name async for each in broker.list_queues()] == ["mine"]


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
