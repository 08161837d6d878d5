"""The library against a real daemon in a process of its own."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import ropeway
from tests.daemon import Daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path) as running:
        yield running


async def test_a_message_goes_round(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        jobs = await broker.create_queue("jobs", visibility_timeout=60, delay=0)
        sent = await jobs.send("a", attributes={"n": 7, "raw": b"\0\xff", "kind": "jpg"})
        await jobs.send(b"\xff\0")
        messages = await jobs.receive(10, wait=5)
        assert [each.body for each in messages] == ["a", b"\xff\0"]
        assert messages[0].id == sent
        assert messages[0].attributes == {"n": 7, "raw": b"\0\xff", "kind": "jpg"}
        assert messages[1].attributes == {}
        found = await jobs.attributes()
        assert (found["visibility_timeout"], found["visible"], found["in_flight"]) == (60, 0, 2)
        assert found["created_at"] <= messages[0].sent_at <= messages[0].first_received_at
        await messages[0].extend(120)
        await messages[1].release()
        [again] = await jobs.receive()
        assert (again.id, again.receive_count) == (messages[1].id, 2)
        await jobs.delete_many([messages[0], again])
        found = await jobs.attributes()
        assert (found["visible"], found["in_flight"], found["delayed"]) == (0, 0, 0)


async def test_dead_letters_go_there_and_back(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        dead = await broker.create_queue("dead")
        jobs = await broker.create_queue(
            "jobs", redrive_policy={"dead_letter_target_arn": "dead", "max_receive_count": 1}
        )
        arn = (await jobs.attributes())["arn"]
        assert (await jobs.attributes())["redrive_policy"] == {
            "dead_letter_target_arn": (await dead.attributes())["arn"],
            "max_receive_count": 1,
        }
        assert await dead.dead_letter_sources() == [jobs]
        sent = await jobs.send("poison")
        [message] = await jobs.receive(wait=5)
        await message.release()
        assert await jobs.receive() == []
        [letter] = await dead.receive(wait=5)
        assert (letter.id, letter.source, letter.receive_count) == (sent, arn, 2)
        await letter.release()
        await dead.start_move(rate=100)
        [back] = await jobs.receive(wait=5)
        assert (back.body, back.source, back.receive_count) == ("poison", None, 1)
        [task] = await dead.list_moves()
        assert (task.moved, task.to_move, task.destination) == (1, 1, None)
        while (await dead.list_moves())[0].running:  # noqa: ASYNC110 - nothing tells of the end but the list
            await asyncio.sleep(0.01)
        await dead.send_many(["by hand"] * 600)
        running = await dead.start_move(jobs, rate=1)
        with pytest.raises(ropeway.UnsupportedOperation):
            await dead.start_move(jobs)
        assert 0 <= await dead.cancel_move(running) < 600
        with pytest.raises(ropeway.ResourceNotFoundException):
            await broker.queue("nobody").start_move()
        await jobs.set(redrive_policy=None)
        with pytest.raises(ropeway.InvalidParameterValue):
            await dead.start_move()


async def test_the_daemons_errors_have_their_names(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        jobs = await broker.create_queue("jobs", delay=1)
        with pytest.raises(ropeway.QueueNameExists):
            await broker.create_queue("jobs", delay=2)
        with pytest.raises(ropeway.QueueDoesNotExist):
            await broker.queue("other").send("a")
        with pytest.raises(ropeway.InvalidParameterValue):
            await broker.create_queue("not a name")
        with pytest.raises(ropeway.InvalidAttributeName):
            await jobs.set(colour="red")  # type: ignore[call-arg]
        with pytest.raises(ropeway.InvalidAttributeValue):
            await jobs.set(delay=901)
        with pytest.raises(ropeway.InvalidMessageContents):
            await jobs.send("")
        with pytest.raises(ropeway.ReceiptHandleIsInvalid):
            await jobs.delete_handles([b"guess"])


async def test_a_caller_whose_entry_is_out_of_range_harms_no_other(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        jobs = await broker.create_queue("jobs")
        sends = [jobs.send(str(index), delay=1000 if index == 5 else 0) for index in range(20)]
        results = await asyncio.gather(*sends, return_exceptions=True)
        assert [index for index, each in enumerate(results) if not isinstance(each, str)] == [5]
        refused = results[5]
        assert isinstance(refused, ropeway.InvalidParameterValue)
        assert refused.field == "delay"
        assert "entries" not in str(refused)
        assert len(await jobs.receive(100)) == 19


async def test_queues_are_listed(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        for index in range(12):
            await broker.create_queue(f"jobs-{index:02}")
        await broker.create_queue("other")
        names = [f"jobs-{index:02}" for index in range(12)]
        assert [each.name async for each in broker.list_queues("jobs-")] == names
        first, after = await broker.page_queues("jobs-", limit=5)
        assert [each.name for each in first] == names[:5]
        second, _ = await broker.page_queues("jobs-", after)
        assert [each.name for each in second] == names[5:]
        await broker.delete_queue("other")
        assert len([each async for each in broker.list_queues()]) == 12


async def test_messages_are_looked_at_and_a_queue_is_tagged(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        jobs = await broker.create_queue("jobs", tags={"team": "a"})
        await jobs.send_many(
            [*map(str, range(1500)), ropeway.Outgoing("late", delay=60, attributes={"n": 1})]
        )
        await jobs.receive(2)
        shown = [each async for each in jobs.peek(bodies=False)]
        assert len(shown) == 1501
        assert [each.state for each in shown].count("in_flight") == 2
        [late] = [each async for each in jobs.peek(states=["delayed"])]
        assert (late.body, late.attributes, late.receive_count) == ("late", {"n": 1}, 0)
        assert late.visible_at is not None
        assert (late.visible_at - late.sent_at).total_seconds() == 60
        page, following = await jobs.page_peek(after=2, limit=3, states=["visible"])
        assert [each.body for each in page] == ["2", "3", "4"]
        assert following == page[-1].sequence
        await jobs.tag({"cost": "7"})
        await jobs.untag(["team"])
        assert await jobs.tags() == {"cost": "7"}
        await jobs.add_permission("all", ["1" * 12], ["SendMessage"])
        assert "SendMessage" in (await jobs.attributes())["policy"]
        await jobs.remove_permission("all")
        assert "policy" not in await jobs.attributes()


async def test_several_queues_are_received_from(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        high, low = [await broker.create_queue(name) for name in ("high", "low")]
        await low.send("l")
        waiting = asyncio.create_task(broker.receive([high, "low"], 10, wait=20))
        [message] = await waiting
        assert (message.body, message.queue) == ("l", low)
        await message.delete()
        waiting = asyncio.create_task(broker.receive([high, low], 10, wait=20))
        await high.send("h")
        [message] = await waiting
        assert (message.body, message.queue) == ("h", high)
        await message.release()
        assert await broker.receive([low]) == []
        [message] = await broker.receive([low, high], weights=[1000, 1])
        assert message.body == "h"
        await message.release()
        # Whoever gives up gives back what comes all the same.
        waiting = asyncio.create_task(broker.receive([low], wait=20))
        await asyncio.sleep(0)
        waiting.cancel()
        await low.send("late")
        [message] = await broker.receive([low], wait=20)
        assert (message.body, message.receive_count <= 2) == ("late", True)


async def test_a_stream_of_thousands_arrives_once_and_in_order(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        jobs = await broker.create_queue("jobs")
        bodies = [f"{index} {'x' * 500}" for index in range(5000)]
        await jobs.send_many(bodies)
        found: list[object] = []
        gone: list[ropeway.Message] = []
        async with jobs.messages() as messages:
            async for message in messages:
                found.append(message.body)
                gone.append(message)
                if len(found) == len(bodies):
                    break
        assert found == bodies
        await jobs.delete_many(gone)
        assert (await jobs.attributes())["in_flight"] == 0


async def test_what_a_stream_did_not_hand_out_is_back_at_once(daemon: Daemon) -> None:
    async with ropeway.connect(daemon.url) as broker:
        jobs = await broker.create_queue("jobs")
        await jobs.send_many(str(index) for index in range(100))
        taken = 0
        async for message in jobs:
            await message.delete()
            taken += 1
            if taken == 30:
                break
    async with ropeway.connect(daemon.url) as broker:
        found = await broker.queue("jobs").attributes()
        assert (found["visible"], found["in_flight"]) == (70, 0)


async def test_a_killed_daemon_loses_no_message_of_a_worker(daemon: Daemon) -> None:
    """Killed while messages are handled: the worker carries on, and all that was sent is handled."""
    done: set[str] = set()
    everything = {str(index) for index in range(300)}
    some, all_done = asyncio.Event(), asyncio.Event()

    async def handle(message: ropeway.Message) -> None:
        done.add(message.text)
        if len(done) >= 50:
            some.set()
        if done == everything:
            all_done.set()

    async with ropeway.connect(daemon.url) as broker:
        jobs = await broker.create_queue("jobs", visibility_timeout=2)
        await jobs.send_many(everything)
        worker = ropeway.Worker(jobs, handle, concurrency=5)
        running = asyncio.create_task(worker.run())
        await some.wait()
        await asyncio.to_thread(daemon.kill)
        await asyncio.to_thread(daemon.start)
        await all_done.wait()
        worker.stop()
        await running


async def test_a_drained_daemon_loses_no_send(daemon: Daemon) -> None:
    sent: set[str] = set()
    stop = False

    async def produce(jobs: ropeway.Queue, name: int) -> None:
        number = 0
        while not stop:
            body = f"{name}-{number}"
            number += 1
            try:
                await jobs.send(body)
            except ropeway.ConnectionLost:
                continue  # it may or may not have been accepted
            sent.add(body)

    async with ropeway.connect(daemon.url) as broker:
        jobs = await broker.create_queue("jobs")
        producers = [asyncio.create_task(produce(jobs, name)) for name in range(10)]
        for _ in range(2):
            before = len(sent)
            while len(sent) < before + 100:  # noqa: ASYNC110 - producers go on by themselves
                await asyncio.sleep(0)
            await asyncio.to_thread(daemon.stop)
            await asyncio.to_thread(daemon.start)
        before = len(sent)
        while len(sent) < before + 100:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        stop = True
        await asyncio.gather(*producers)
        arrived: set[str] = set()
        while messages := await jobs.receive(1000, visibility_timeout=600):
            arrived |= {each.text for each in messages}
        assert sent <= arrived


def test_plain_code_and_a_worker_that_sigterm_stops(daemon: Daemon) -> None:
    threads = threading.enumerate()
    with ropeway.sync.connect(daemon.url) as broker:
        jobs = broker.create_queue("jobs")
        jobs.send_many(str(index) for index in range(50))
        done = []

        def handle(message: ropeway.sync.Message) -> None:
            done.append(message.body)
            if len(done) == 50:
                os.kill(os.getpid(), signal.SIGTERM)

        ropeway.sync.Worker(jobs, handle).run(signals=True)
        assert len(done) == 50
        assert jobs.attributes()["in_flight"] == 0
    assert [each for each in threading.enumerate() if each not in threads] == []
