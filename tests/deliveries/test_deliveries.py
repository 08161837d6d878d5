"""The delivery status log from outside: the real daemon, a web hook, the library."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

import ropeway
from tests.daemon import PATIENCE, Daemon
from tests.deliveries.web_server import Asked, Server

AT_ONCE = '{"healthyRetryPolicy": {"numRetries": 2, "numNoDelayRetries": 2}}'


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, http="127.0.0.1:0") as made:
        yield made


async def subscribe(broker: ropeway.Broker, server: Server, path: str = "/hook") -> ropeway.Topic:
    """A topic with a web hook that has confirmed."""
    tokens: asyncio.Queue[str] = asyncio.Queue()

    def answer(asked: Asked) -> web.Response:
        tokens.put_nowait(asked.body.decode())
        return web.Response(text="asked")

    server.answer = answer
    news = await broker.create_topic("news")
    await news.subscribe(f"{server.url}{path}", delivery_policy=AT_ONCE)
    async with asyncio.timeout(PATIENCE):
        text = await tokens.get()
    await broker.confirm_subscription(text.partition('"Token": "')[2].partition('"')[0])
    return news


async def until(topic: ropeway.Topic, count: int, *, failed: bool = False) -> list[ropeway.DeliveryAttempt]:
    """The first so many attempts."""
    found: list[ropeway.DeliveryAttempt] = []
    async with asyncio.timeout(PATIENCE):
        async for each in topic.deliveries(failed=failed, follow=True):
            found.append(each)
            if len(found) == count:
                break
    return found


async def wait(daemon: Daemon, count: int) -> None:
    """Until so many long polls are with the daemon."""
    async with asyncio.timeout(PATIENCE), ClientSession() as session:
        text = ""
        while f"\nropeway_long_polls {count}." not in text:
            async with session.get(f"{daemon.endpoint}/metrics") as page:
                text = await page.text()


async def test_each_attempt_is_told(daemon: Daemon, server: Server) -> None:
    """The bug that this would find: an attempt that is not recorded, or under the name of another outcome."""
    async with ropeway.connect(daemon.url) as broker:
        news = await subscribe(broker, server, "/hook?token=s3cret")
        codes = iter((500, 200))
        server.answer = lambda asked: web.Response(status=next(codes), text="line one\nline two")
        began = time.time()
        message = await news.publish("x")
        asked, first, second = await until(news, 3)
        assert (asked.kind, asked.outcome, asked.code) == ("SubscriptionConfirmation", "delivered", 200)
        assert (first.outcome, first.code, first.attempt) == ("retry", 500, 1)
        assert (second.outcome, second.code, second.attempt) == ("delivered", 200, 2)
        [subscription] = [each async for each in news.subscriptions()]
        for each in (first, second):
            assert (each.subscription, each.message_id) == (subscription.arn, message)
            assert (each.protocol, each.endpoint) == ("http", f"{server.url}/hook?****")
            assert each.answer == "line one line two"
            assert 0 <= each.duration < PATIENCE
            assert began - 1 <= each.at.timestamp() <= time.time() + 1
        assert [each async for each in news.deliveries(failed=True)] == [first]
        assert [each async for each in news.deliveries(last=1)] == [second]
        assert [each async for each in news.deliveries(last=0)] == []


async def test_what_is_given_up_is_told_with_its_end(daemon: Daemon, server: Server) -> None:
    async with ropeway.connect(daemon.url) as broker:
        news = await subscribe(broker, server)
        server.answers(404, "who?")
        await news.publish("lost")
        [first] = await until(news, 1, failed=True)
        assert (first.outcome, first.code, first.answer) == ("failed", 404, "who?")
        dead = await broker.create_queue("dead")
        [subscription] = [each async for each in news.subscriptions()]
        await subscription.set(redrive_policy={"dead_letter_target_arn": "dead"})
        server.answers(503)
        await news.publish("buried")
        ends = [(each.outcome, each.attempt) for each in await until(news, 4, failed=True)]
        assert ends == [("failed", 1), ("retry", 1), ("retry", 2), ("dead-lettered", 3)]
        assert await dead.receive(1, wait=20)


async def test_a_rate_of_nothing_leaves_the_failures(daemon: Daemon, server: Server) -> None:
    async with ropeway.connect(daemon.url) as broker:
        news = await subscribe(broker, server)
        await news.set(feedback={"HTTPSuccessFeedbackSampleRate": "0"})
        with pytest.raises(ropeway.InvalidAttributeValue, match="integer from 0 to 100"):
            await news.set(feedback={"HTTPSuccessFeedbackSampleRate": "101"})
        with pytest.raises(ropeway.InvalidAttributeValue, match="no delivery status attribute"):
            await news.set(feedback={"FaxSuccessFeedbackSampleRate": "1"})
        codes = iter((200, 500, 200, 404))
        server.answer = lambda asked: web.Response(status=next(codes))
        for body in ("arrives", "arrives later", "arrives too"):
            await news.publish(body)
        await until(news, 2, failed=True)
        server.answers(410)
        await news.publish("last")  # when this is told, so were all before it
        await until(news, 3, failed=True)
        await news.set(feedback={"HTTPSuccessFeedbackSampleRate": ""})
        server.answers(200)
        await news.publish("told")
        told = await until(news, 5)
        assert [each.code for each in told] == [200, 500, 404, 410, 200]
        assert told[0].kind == "SubscriptionConfirmation"


async def test_following_tells_what_comes(daemon: Daemon, server: Server) -> None:
    """Both who wants all and who wants failures are served by what happens after they began to wait."""
    async with ropeway.connect(daemon.url) as broker:
        news = await subscribe(broker, server)
        await until(news, 1)
        every = news.deliveries(follow=True, last=0)
        failures = [news.deliveries(follow=True, failed=True) for _ in range(2)]
        waiting = [asyncio.ensure_future(anext(each)) for each in failures]
        await wait(daemon, 3)  # the hook's own is one of them
        waiting.insert(0, asyncio.ensure_future(anext(every)))  # behind those who want failures alone
        await wait(daemon, 4)
        server.answers(200, "fine")
        began = time.monotonic()
        await news.publish("good")
        async with asyncio.timeout(PATIENCE):
            assert (await waiting[0]).answer == "fine"
            assert not any(each.done() for each in waiting[1:])
            server.answers(400, "bad")
            await news.publish("bad")
            assert [(await each).answer for each in waiting[1:]] == ["bad", "bad"]
            assert (await anext(every)).answer == "bad"
        assert time.monotonic() - began < 15, "it was told when its wait was over, and not when it happened"


async def test_who_asks_for_the_future_holds_up_nobody(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        news = await broker.create_topic("news")
        await news.subscribe("nowhere")
        late = asyncio.ensure_future(news.page_deliveries(2**60, wait=20))
        await wait(daemon, 1)
        waiting = asyncio.ensure_future(anext(news.deliveries(follow=True)))
        await wait(daemon, 2)
        began = time.monotonic()
        await news.publish("x")
        async with asyncio.timeout(PATIENCE):
            assert (await waiting).protocol == "sqs"
        assert time.monotonic() - began < 15
        assert not late.done()
        late.cancel()


async def test_a_queue_that_takes_nothing_is_told(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        news = await broker.create_topic("news")
        await broker.create_queue("there")
        await broker.create_queue("small", maximum_message_size=1024)
        await broker.create_queue("dead")
        await news.subscribe("there", raw=True)
        await news.subscribe("gone", raw=True)
        await news.subscribe("small", raw=True, dead_letters="dead")
        ids = await news.publish_many(["x" * 2000, "y"])
        told = [each async for each in news.deliveries()]
        by_queue = [(each.endpoint.rpartition(":")[2], each.outcome, each.message_id) for each in told]
        assert sorted(by_queue) == sorted(
            [("gone", "failed", ids[0]), ("gone", "failed", ids[1]), ("small", "dead-lettered", ids[0])]
        )
        assert {each.answer for each in told if "gone" in each.endpoint} == {"there is no such queue"}
        assert [each for each in told if each.code is not None or each.duration] == []


async def test_a_restart_begins_an_empty_log_that_is_followed(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url, timeout=PATIENCE) as broker:
        news = await broker.create_topic("news")
        await news.subscribe("nowhere")
        await news.publish("before")
        follow = news.deliveries(follow=True)
        before = await anext(follow)
        waiting = asyncio.ensure_future(anext(follow))
        await asyncio.to_thread(daemon.kill)
        await asyncio.to_thread(daemon.start)
        assert [each async for each in news.deliveries()] == []
        await news.publish("after")
        async with asyncio.timeout(PATIENCE):
            after = await waiting
        assert after.number > before.number
        with pytest.raises(ropeway.NotFound):
            await broker.topic("other").page_deliveries()


async def test_a_deleted_topic_leaves_its_namesake_nothing(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        news = await broker.create_topic("news")
        await news.subscribe("nowhere")
        await news.publish("x")
        assert len([each async for each in news.deliveries()]) == 1
        await news.delete()
        await broker.create_topic("news")
        assert [each async for each in news.deliveries()] == []


async def test_the_settings_bound_what_is_remembered(tmp_path: Path) -> None:
    given = ("--topics-delivery-log", "3", "--topics-delivery-log-excerpt", "5")
    with Daemon(tmp_path, *given) as daemon:
        async with ropeway.connect(daemon.url) as broker:
            news = await broker.create_topic("news")
            await news.subscribe("nowhere")
            ids = await news.publish_many([str(n) for n in range(10)])
            told = [each async for each in news.deliveries()]
            assert [each.message_id for each in told] == ids[-3:]
            assert told[0].answer == "there"


async def test_text_messages_have_the_rate_of_their_account(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        news = await broker.create_topic("news")
        phone = await news.subscribe("+4930123456")
        await broker.phones().set(delivery_status_success_sampling_rate="0")
        async with asyncio.timeout(PATIENCE):
            for count in (1, 2):  # when the second was sent, the first would have been told
                await news.publish("x")
                while (await phone.attributes())["delivered"] < count:
                    pass
            assert [each async for each in news.deliveries(last=1)] == []
            await broker.phones().set(delivery_status_success_sampling_rate="")
            message = await news.publish("told")
            while message not in [each.message_id async for each in news.deliveries()]:
                pass
