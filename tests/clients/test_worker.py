"""A worker: a call for each message, which stays hidden meanwhile, then its end; and the worker's own."""

import asyncio
import functools
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import ropeway
from ropeway import worker as working
from tests.clients.peer import Peer, error

GET, RECEIVE, DELETE, CHANGE = 13, 21, 22, 23


@asynccontextmanager
async def running(worker: ropeway.Worker) -> AsyncIterator[asyncio.Task[None]]:
    """A worker that runs until the block is left, and then stops gracefully."""
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        worker.stop()
        await asyncio.wait([task])
    await task


def released(peer: Peer) -> list[int]:
    """The visibility timeouts that were set, in milliseconds."""
    changes = [params for action, params in peer.answered if action == CHANGE]
    return [entry["visibility_timeout"] for each in changes for entry in each["entries"]]


async def test_each_message_is_handled_and_deleted(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(str(index) for index in range(200))
    seen = []

    async def handle(message: ropeway.Message) -> None:
        seen.append(message.text)

    async with running(ropeway.Worker(jobs, handle)):
        await peer.until(lambda: not peer.queues["jobs"].messages)
    assert sorted(seen, key=int) == [str(index) for index in range(200)]


async def test_no_more_handlers_run_and_no_more_messages_are_held_than_agreed(
    peer: Peer, broker: ropeway.Broker
) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(str(index) for index in range(30))
    now = most = held = 0

    async def handle(message: ropeway.Message) -> None:
        nonlocal now, most, held
        now += 1
        most = max(most, now)
        held = max(held, sum(each.held for each in peer.queues["jobs"].messages))
        await asyncio.sleep(0.001)
        now -= 1

    async with running(ropeway.Worker(jobs, handle, concurrency=4, prefetch=2)):
        await peer.until(lambda: not peer.queues["jobs"].messages)
    assert most == 4
    assert held <= 6


async def test_a_failed_message_is_released_with_back_off_by_its_receive_count(
    peer: Peer, broker: ropeway.Broker, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send("what only the consumer may read")
    counts = []

    async def handle(message: ropeway.Message) -> None:
        counts.append(message.receive_count)
        if message.receive_count < 4:
            raise ValueError("cannot do that")

    backoff = ropeway.Backoff(first=2, factor=3, longest=10, jitter=0)
    async with running(ropeway.Worker(jobs, handle, backoff=backoff)):
        for failure in range(1, 4):
            await peer.until(lambda failure=failure: len(released(peer)) == failure)  # type: ignore[misc]
            peer.queues["jobs"].messages[0].held = False  # its delay is over
            peer.queues["jobs"].news.set()
        await peer.until(lambda: not peer.queues["jobs"].messages)
    assert released(peer) == [2000, 6000, 10000]
    assert counts == [1, 2, 3, 4]
    assert "cannot do that" in caplog.text
    assert "what only the consumer" not in caplog.text


async def test_while_a_handler_runs_its_message_is_kept_hidden(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(["a", "b"])
    enough = asyncio.Event()

    async def handle(message: ropeway.Message) -> None:
        await enough.wait()

    async with running(ropeway.Worker(jobs, handle, visibility_timeout=1)):
        await peer.until(lambda: len(released(peer)) >= 6)
        enough.set()
        await peer.until(lambda: not peer.queues["jobs"].messages)
    assert set(released(peer)) == {1000}
    assert {each["visibility_timeout"] for each in peer.params(RECEIVE)} == {1000}
    # Both in one request: they came together.
    assert {len(each["entries"]) for each in peer.params(CHANGE)} == {2}


async def test_a_message_that_cannot_be_kept_is_not_asked_for_again(
    peer: Peer, broker: ropeway.Broker, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send("a")
    refused = asyncio.Event()

    def refuse(params: dict[str, object]) -> tuple[int, object]:
        refused.set()
        return 0, [["InvalidParameterValue", "it was held for 12 hours", "visibility_timeout"]]

    async def handle(message: ropeway.Message) -> None:
        await refused.wait()
        while worker._held:  # noqa: ASYNC110 - the answer is on its way
            await asyncio.sleep(0)

    peer.script[CHANGE] = refuse
    worker = ropeway.Worker(jobs, handle, visibility_timeout=1)
    async with running(worker):
        await peer.until(lambda: not peer.queues["jobs"].messages)
    assert "held for 12 hours" in caplog.text
    assert len(peer.params(CHANGE)) == 1


async def test_the_queues_visibility_timeout_counts_unless_another_is_given(
    peer: Peer, broker: ropeway.Broker
) -> None:
    jobs = await broker.create_queue("jobs", visibility_timeout=77)
    async with running(ropeway.Worker(jobs, print)):
        await peer.until(lambda: RECEIVE in peer.names())
    assert peer.params(RECEIVE)[0]["visibility_timeout"] == 77000


async def test_a_stop_finishes_what_runs_and_gives_back_the_rest(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(str(index) for index in range(10))
    started, enough = asyncio.Event(), asyncio.Event()
    done = []

    async def handle(message: ropeway.Message) -> None:
        started.set()
        await enough.wait()
        done.append(message.body)

    worker = ropeway.Worker(jobs, handle, concurrency=1, prefetch=4)
    task = asyncio.create_task(worker.run())
    await started.wait()
    await peer.until(lambda: sum(each.held for each in peer.queues["jobs"].messages) == 5)
    worker.stop()
    await peer.until(lambda: len(released(peer)) == 4)
    assert not task.done()
    enough.set()
    await task
    assert done == ["0"]
    assert [each.held for each in peer.queues["jobs"].messages] == [False] * 9


async def test_a_cancelled_worker_releases_what_its_handlers_had(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(["a", "b", "c"])
    started = asyncio.Semaphore(0)

    async def handle(message: ropeway.Message) -> None:
        started.release()
        await asyncio.Event().wait()

    task = asyncio.create_task(ropeway.Worker(jobs, handle).run())
    for _ in range(3):
        await started.acquire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await peer.until(lambda: not any(each.held for each in peer.queues["jobs"].messages))


async def test_a_handler_may_settle_its_message_itself(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(["keep", "drop"])

    async def handle(message: ropeway.Message) -> None:
        if message.body == "keep":
            await message.release(delay=60)
        else:
            await message.delete()
            raise RuntimeError("too late to matter")

    async with running(ropeway.Worker(jobs, handle)):
        await peer.until(lambda: released(peer) == [60000] and len(peer.params(DELETE)) == 1)
    assert [each.body for each in peer.queues["jobs"].messages] == ["keep"]
    assert released(peer) == [60000]


class Asynchronous:
    """An object whose call is a coroutine."""

    def __init__(self, seen: list[object]) -> None:
        self.seen = seen

    async def __call__(self, message: ropeway.Message) -> None:
        self.seen.append(type(message))


async def _with_list(seen: list[object], message: ropeway.Message) -> None:
    seen.append(type(message))


HANDLERS: dict[str, Callable[[list[object]], Callable[[ropeway.Message], object]]] = {
    "an object": Asynchronous,
    "a partial": lambda seen: functools.partial(_with_list, seen),
}


@pytest.mark.parametrize("make", HANDLERS.values(), ids=HANDLERS.keys())
async def test_what_is_asynchronous_runs_in_the_loop(
    peer: Peer,
    broker: ropeway.Broker,
    make: Callable[[list[object]], Callable[[ropeway.Message], object]],
) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send("a")
    seen: list[object] = []
    async with running(ropeway.Worker(jobs, make(seen))):
        await peer.until(lambda: not peer.queues["jobs"].messages)
    assert seen == [ropeway.Message]


async def test_a_plain_handler_runs_in_a_bounded_pool_with_a_plain_message(
    peer: Peer, broker: ropeway.Broker
) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(str(index) for index in range(20))
    threads = set()
    bodies = []

    def handle(message: ropeway.sync.Message) -> None:
        threads.add(threading.current_thread())
        message.extend(30)
        bodies.append(message.body)
        message.queue.send(b"follow-up of " + message.text.encode()) if message.text == "7" else None

    async with running(ropeway.Worker(jobs, handle, concurrency=3)):
        await peer.until(lambda: len(bodies) == 21 and not peer.queues["jobs"].messages)
    assert threading.main_thread() not in threads
    assert len(threads) <= 3
    assert not any(thread.is_alive() for thread in threads)


async def test_a_lambda_that_returns_a_coroutine_is_awaited(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send("a")
    seen: list[object] = []

    async def later(body: object) -> None:
        seen.append(body)

    handler: Callable[[ropeway.Message], Awaitable[None]] = lambda message: later(message.body)  # noqa: E731
    async with running(ropeway.Worker(jobs, handler)):
        await peer.until(lambda: not peer.queues["jobs"].messages)
    assert seen == ["a"]


async def test_it_outlives_failed_receives_but_not_the_queue(
    peer: Peer, broker: ropeway.Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "RETRY", ropeway.Backoff(0.01, 1, 0.01, 0))
    jobs = await broker.create_queue("jobs")
    answers = [error("OverLimit"), error("OverLimit"), (0, []), error("QueueDoesNotExist")]
    peer.script[RECEIVE] = lambda params: answers.pop(0)
    with pytest.raises(ropeway.QueueDoesNotExist):
        await ropeway.Worker(jobs, print).run()
    assert answers == []


async def test_a_delete_that_fails_is_told(
    peer: Peer, broker: ropeway.Broker, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send("a")
    told = asyncio.Event()

    def fail(params: dict[str, object]) -> tuple[int, object]:
        told.set()
        return error("InternalFailure", "oh dear")

    peer.script[DELETE] = fail

    async def handle(message: ropeway.Message) -> None:
        pass

    async with running(ropeway.Worker(jobs, handle)):
        await told.wait()
    assert "was not deleted: oh dear" in caplog.text


async def test_a_signal_stops_gracefully_and_a_second_one_cancels(
    peer: Peer, broker: ropeway.Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ropeway")
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(["quick", "endless"])
    started = asyncio.Semaphore(0)
    enough = asyncio.Event()

    async def handle(message: ropeway.Message) -> None:
        started.release()
        await (enough.wait() if message.body == "quick" else asyncio.Event().wait())

    worker = ropeway.Worker(jobs, handle)
    other = ropeway.Worker(await broker.create_queue("other"), handle)
    task = asyncio.create_task(ropeway.run(worker, other))
    await started.acquire()
    await started.acquire()
    os.kill(os.getpid(), signal.SIGTERM)
    while not (worker.stopping and other.stopping):  # noqa: ASYNC110 - the signal is on its way
        await asyncio.sleep(0)
    enough.set()
    await peer.until(lambda: [each.body for each in peer.queues["jobs"].messages] == ["endless"])
    assert not task.done()
    os.kill(os.getpid(), signal.SIGINT)
    await task
    await peer.until(lambda: not peer.queues["jobs"].messages[0].held)
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before
    assert "SIGTERM: finishing" in caplog.text


async def test_run_with_signals_is_the_same_for_one(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    task = asyncio.create_task(ropeway.Worker(jobs, print).run(signals=True))
    await peer.until(lambda: RECEIVE in peer.names())
    os.kill(os.getpid(), signal.SIGINT)
    await task


async def test_if_one_of_several_fails_the_others_stop(
    peer: Peer, broker: ropeway.Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "RETRY", ropeway.Backoff(0.01, 1, 0.01, 0))
    jobs = await broker.create_queue("jobs")
    await jobs.send("a")
    started, enough = asyncio.Event(), asyncio.Event()
    done = []

    async def handle(message: ropeway.Message) -> None:
        started.set()
        await enough.wait()
        done.append(message.body)

    def fail_once_the_other_works(params: dict[str, object]) -> tuple[int, object] | None:
        if params["queue"] == "jobs":
            return None
        return error("QueueDoesNotExist" if started.is_set() else "OverLimit")

    peer.script[RECEIVE] = fail_once_the_other_works
    good = ropeway.Worker(jobs, handle)
    bad = ropeway.Worker(broker.queue("nowhere"), handle, visibility_timeout=5)
    task = asyncio.create_task(ropeway.run(good, bad))
    await started.wait()
    while not good.stopping:  # noqa: ASYNC110 - the other one fails in its own time
        await asyncio.sleep(0)
    enough.set()
    with pytest.raises(ropeway.QueueDoesNotExist):
        await task
    assert done == ["a"]


async def test_a_worker_runs_once_at_a_time_and_can_run_again(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    worker = ropeway.Worker(jobs, print)
    for _ in range(2):
        async with running(worker):
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="is running"):
                await worker.run()
    worker.stop()
    await worker.run()  # stopped before it began


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"prefetch": -1}, {"visibility_timeout": 0.5}])
async def test_what_makes_no_sense_is_refused(broker: ropeway.Broker, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a worker needs"):
        ropeway.Worker(broker.queue("jobs"), print, **options)


def test_a_back_off_grows_to_its_longest_and_spreads() -> None:
    plain = ropeway.Backoff(first=1, factor=2, longest=60, jitter=0)
    assert [plain.delay(failures) for failures in (0, 1, 2, 3, 7, 5000)] == [1, 1, 2, 4, 60, 60]
    spread = {ropeway.Backoff(first=8, jitter=0.5).delay(1) for _ in range(100)}
    assert len(spread) > 90
    assert 4 <= min(spread) <= max(spread) <= 8
    with pytest.raises(ValueError, match="back-off"):
        ropeway.Backoff(first=-1)
