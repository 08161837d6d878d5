"""Iterating over a queue: for ever, ahead of quick consumers, and without keeping what nobody takes."""

import asyncio
import gc

import pytest

import ropeway
from ropeway import stream
from tests.clients.peer import Peer, error

RECEIVE, DELETE, CHANGE = 21, 22, 23


async def released(peer: Peer, queue: str = "jobs") -> None:
    """Wait until the peer holds nothing back."""
    await peer.until(lambda: not any(each.held for each in peer.queues[queue].messages))


async def test_messages_come_in_order_and_in_growing_batches(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(str(index) for index in range(500))
    found = []
    async for message in jobs.messages(prefetch=64):
        found.append(message.body)
        if len(found) == 500:
            break
    assert found == [str(index) for index in range(500)]
    asked = [each["max_messages"] for each in peer.params(RECEIVE)]
    assert asked[0] == 1
    assert max(asked) == 64
    assert asked == sorted(asked)


async def test_a_loop_that_is_left_gives_back_what_was_not_taken(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(str(index) for index in range(100))
    taken = 0
    async for message in jobs:
        await message.delete()
        taken += 1
        if taken == 20:
            break
    await released(peer)
    assert len(peer.queues["jobs"].messages) == 80


async def test_closing_the_broker_gives_back_what_was_not_taken(peer: Peer) -> None:
    async with ropeway.connect(peer.url) as broker:
        jobs = await broker.create_queue("jobs")
        await jobs.send_many(str(index) for index in range(100))
        messages = jobs.messages()
        for _ in range(20):
            await (await anext(messages)).delete()
    assert [each.held for each in peer.queues["jobs"].messages] == [False] * 80
    with pytest.raises(ropeway.BrokerClosed):
        await anext(messages)


async def test_a_poll_that_is_out_when_the_loop_is_left_keeps_nothing(
    peer: Peer, broker: ropeway.Broker
) -> None:
    jobs = await broker.create_queue("jobs")
    async with jobs.messages() as messages:
        waiting = asyncio.ensure_future(anext(messages))
        await peer.until(lambda: RECEIVE in peer.names())
    with pytest.raises(StopAsyncIteration):
        await waiting
    await jobs.send("late")
    await peer.until(lambda: CHANGE in peer.names())
    await released(peer)


async def test_a_consumer_that_is_cancelled_loses_nothing(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    async with jobs.messages() as messages:
        waiting = asyncio.ensure_future(anext(messages))
        await peer.until(lambda: RECEIVE in peer.names())
        waiting.cancel()
        await jobs.send("a")
        assert (await anext(messages)).body == "a"


async def test_a_consumer_that_stalls_gives_back_what_it_has_not_taken(
    peer: Peer, broker: ropeway.Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HOLD", 0.2)
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(str(index) for index in range(50))
    async with jobs.messages() as messages:
        taken = [await anext(messages) for _ in range(10)]
        await jobs.delete_many(taken)
        # It stalls: no call of ours brings this about.
        await released(peer)
        rest = [await anext(messages) for _ in range(40)]
    bodies = {each.body for each in taken + rest}
    assert bodies == {str(index) for index in range(50)}


async def test_a_slow_consumer_fetches_one_at_a_time(
    peer: Peer, broker: ropeway.Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(str(index) for index in range(5))
    async with jobs.messages() as messages:
        flow = messages._flow
        now = flow.loop.time()
        monkeypatch.setattr(flow.loop, "time", lambda: now)
        for _ in range(5):
            await anext(messages)
            now += 1.5  # of a hold of two seconds
        assert [each["max_messages"] for each in peer.params(RECEIVE)] == [1] * 5


async def test_it_outlives_a_lost_connection_and_an_absent_daemon(
    peer: Peer, broker: ropeway.Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "RETRY", ropeway.Backoff(0.01, 1, 0.01, 0))
    jobs = await broker.create_queue("jobs")
    answers = [error("ServiceUnavailable"), error("OverLimit"), None, None]
    peer.script[RECEIVE] = lambda params: answers.pop(0) if answers else None
    async with jobs.messages() as messages:
        waiting = asyncio.ensure_future(anext(messages))
        await peer.until(lambda: peer.names().count(RECEIVE) == 3)
        peer.cut()
        await peer.until(lambda: peer.names().count(RECEIVE) == 4)
        await jobs.send("a")
        assert (await waiting).body == "a"
    assert peer.connections == 2


async def test_an_error_for_good_ends_it(broker: ropeway.Broker) -> None:
    with pytest.raises(ropeway.QueueDoesNotExist):
        await anext(aiter(broker.queue("nowhere")))
    with pytest.raises(ropeway.QueueDoesNotExist):
        await anext(broker.queue("nowhere").messages(visibility_timeout=5))


async def test_a_stream_that_is_dropped_is_closed(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(str(index) for index in range(100))
    messages = jobs.messages()
    for _ in range(10):
        await (await anext(messages)).delete()
    del messages
    gc.collect()
    await released(peer)
    assert broker.flows == set()
