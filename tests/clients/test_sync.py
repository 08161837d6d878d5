"""The names for plain code: against a peer that runs in a thread of its own."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

import ropeway
from ropeway import portal
from ropeway.portal import LoopThread, call
from tests.clients.peer import PATIENCE, Peer
from tests.daemon import Daemon

SEND, RECEIVE, CHANGE = 20, 21, 23


class Place:
    """A peer in a thread."""

    def __init__(self, path: Path) -> None:
        self.thread = LoopThread("peer")
        self.peer = Peer(path)
        call(self.thread.loop, self.peer.start)

    def until(self, condition: Callable[[], bool]) -> None:
        call(self.thread.loop, lambda: self.peer.until(condition))

    def close(self) -> None:
        call(self.thread.loop, self.peer.stop)
        self.thread.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "peer.sock")
    yield place
    place.close()


@pytest.fixture
def broker(place: Place) -> Iterator[ropeway.sync.Broker]:
    before = threading.enumerate()
    with ropeway.sync.connect(place.peer.url, timeout=5) as broker:
        yield broker
    assert [each for each in threading.enumerate() if each not in before] == []


def test_a_message_goes_round(place: Place, broker: ropeway.sync.Broker) -> None:
    broker.ping()
    jobs = broker.create_queue("jobs", visibility_timeout=60)
    assert jobs.attributes()["visibility_timeout"] == 60
    jobs.set(delay=1)
    sent = jobs.send("a", delay=0, attributes={"n": 1})
    [message] = jobs.receive(5, wait=1, visibility_timeout=30)
    assert (message.id, message.text, message.attributes, message.queue) == (sent, "a", {"n": 1}, jobs)
    assert message.receive_count == 1
    assert message.first_received_at > message.sent_at
    message.extend(50)
    message.release()
    [message] = jobs.receive()
    assert message.receive_count == 2
    message.delete()
    assert message.settled
    assert jobs.receive() == []
    ids = jobs.send_many(["b", ropeway.Outgoing("c")])
    messages = jobs.receive(2)
    assert [each.id for each in messages] == ids
    jobs.release_many(messages)
    jobs.delete_many(jobs.receive(2))
    jobs.purge()
    assert place.peer.queues["jobs"].messages == []
    for name in ("jobs-1", "jobs-2", "jobs-3", "jobs-4"):
        broker.create_queue(name)
    assert [each.name for each in broker.list_queues("jobs-")] == ["jobs-1", "jobs-2", "jobs-3", "jobs-4"]
    jobs.delete()
    with pytest.raises(ropeway.QueueDoesNotExist):
        broker.delete_queue("jobs")


def test_everything_that_the_library_offers_is_offered_to_plain_code() -> None:
    for name in ("Broker", "Queue", "Message", "Worker", "Stream", "Topic", "Subscription"):
        theirs = {each for each in dir(getattr(ropeway, name)) if not each.startswith("_")}
        ours = {each for each in dir(getattr(ropeway.sync, name)) if not each.startswith("_")}
        internal = {
            "Broker": {"closed", "coalescer", "link"},
            "Queue": {"abandon", "broker", "change_soon", "give_back", "poll"},
            "Message": set(),
            "Topic": {"broker"},
            "Subscription": {"broker"},
            "Worker": {"stopping"},
            "Stream": {"aclose"},
        }[name]
        assert theirs - ours == internal


def test_a_loop_over_a_queue_gives_back_what_was_not_taken(place: Place, broker: ropeway.sync.Broker) -> None:
    jobs = broker.create_queue("jobs")
    jobs.send_many(str(index) for index in range(100))
    for taken, message in enumerate(jobs, 1):
        message.delete()
        if taken == 20:
            break
    gc.collect()
    place.until(lambda: not any(each.held for each in place.peer.queues["jobs"].messages))
    with jobs.messages() as messages:
        assert next(messages).receive_count >= 1
    assert list(messages) == []


def test_many_threads_share_a_broker(place: Place, broker: ropeway.sync.Broker) -> None:
    jobs = broker.create_queue("jobs")
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda index: jobs.send(str(index)), range(200)))
    assert len(set(ids)) == 200
    assert {each.body for each in place.peer.queues["jobs"].messages} == {str(n) for n in range(200)}


class InterruptedLoop:
    """A loop whose caller is interrupted right after it has handed over its first call."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls = 0

    def call_soon_threadsafe(self, *given: Any) -> None:
        self._loop.call_soon_threadsafe(*given)
        self._calls += 1
        if self._calls == 1:
            raise KeyboardInterrupt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


def test_an_interrupt_while_a_call_is_handed_over_gives_it_up_too() -> None:
    thread = LoopThread("interrupted")

    async def alone() -> None:
        """Wait until nothing runs beside this and the thread's own task."""
        async with asyncio.timeout(PATIENCE):
            while len(asyncio.all_tasks()) > 2:  # noqa: ASYNC110 - a task has no event for its end
                await asyncio.sleep(0.001)

    loop = cast(asyncio.AbstractEventLoop, InterruptedLoop(thread.loop))
    visit = portal._Visit(loop, asyncio.Event().wait, None)
    with pytest.raises(KeyboardInterrupt):
        visit.wait()
    call(thread.loop, alone)
    thread.close()


def test_ctrl_c_cancels_a_receive_and_what_comes_later_is_given_back(
    place: Place, broker: ropeway.sync.Broker
) -> None:
    jobs = broker.create_queue("jobs")

    def interrupt() -> None:
        place.until(lambda: RECEIVE in place.peer.names())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        jobs.receive(wait=20)
    thread.join()
    jobs.send("late")
    place.until(lambda: any(action == CHANGE for action, _ in place.peer.answered))
    assert [each.body for each in jobs.receive()] == ["late"]


@pytest.mark.parametrize("turns", range(5))
def test_a_result_that_comes_with_the_interruption_is_not_lost(turns: int) -> None:
    """The caller gives up so many turns after the call could end: before, while and after it does."""
    thread = LoopThread("test")
    unwanted: list[str] = []

    async def scene() -> bool:
        ready = asyncio.Event()

        async def give() -> str:
            await ready.wait()
            return "message"

        visit = portal._Visit(asyncio.get_running_loop(), give, unwanted.append)
        visit._start()
        await asyncio.sleep(0)
        ready.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        visit._give_up()
        assert visit._task is not None
        await asyncio.wait([visit._task])
        await asyncio.sleep(0)
        return visit._task.cancelled()

    cancelled = call(thread.loop, scene)
    thread.close()
    assert unwanted == ([] if cancelled else ["message"])


def test_a_call_from_the_loop_itself_is_refused(broker: ropeway.sync.Broker) -> None:
    jobs = broker.queue("jobs")

    async def inside() -> None:
        jobs.receive()

    with pytest.raises(RuntimeError, match="wait for itself"):
        call(jobs.loop, inside)


def test_a_closed_broker_says_so(place: Place) -> None:
    broker = ropeway.sync.connect(place.peer.url)
    with pytest.raises(ropeway.BrokerClosed):
        broker.ping()
    with broker:
        jobs = broker.queue("jobs")
    with pytest.raises(ropeway.BrokerClosed):
        broker.ping()
    with pytest.raises(ropeway.BrokerClosed):
        jobs.receive()
    broker.close()


def test_closing_ends_the_calls_of_other_threads(place: Place) -> None:
    with ThreadPoolExecutor(1) as pool:
        with ropeway.sync.connect(place.peer.url) as broker:
            jobs = broker.create_queue("jobs")
            waiting = pool.submit(jobs.receive, wait=20)
            place.until(lambda: RECEIVE in place.peer.names())
        with pytest.raises(ropeway.BrokerClosed):
            waiting.result()


def test_no_daemon_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.enumerate()
    with pytest.raises(ropeway.ConnectionFailed), ropeway.sync.connect(f"unix:{tmp_path}/none"):
        pass
    assert threading.enumerate() == before


def test_a_worker_runs_plain_handlers_until_it_is_stopped(place: Place, broker: ropeway.sync.Broker) -> None:
    jobs = broker.create_queue("jobs")
    jobs.send_many(str(index) for index in range(20))
    seen = []

    def handle(message: ropeway.sync.Message) -> None:
        seen.append(message.body)
        if len(seen) == 20:
            worker.stop()

    worker = ropeway.sync.Worker(jobs, handle, concurrency=4)
    worker.run()
    assert set(seen) == {str(index) for index in range(20)}
    assert place.peer.queues["jobs"].messages == []


def test_a_signal_stops_a_worker(
    place: Place, broker: ropeway.sync.Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ropeway")
    before = signal.getsignal(signal.SIGTERM)
    jobs = broker.create_queue("jobs")
    jobs.send("a")
    seen = []

    def handle(message: ropeway.sync.Message) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        seen.append(message.body)

    ropeway.sync.Worker(jobs, handle).run(signals=True)
    assert seen == ["a"]
    assert place.peer.queues["jobs"].messages == []
    assert signal.getsignal(signal.SIGTERM) == before
    assert "SIGTERM: finishing what is being handled" in caplog.messages


def test_looks_tags_and_several_queues_in_plain_code(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, ropeway.sync.connect(daemon.url) as broker:
        high, low = broker.create_queue("high", tags={"a": "b"}), broker.create_queue("low")
        low.send("x")
        high.send("y", delay=60)
        assert [(each.body, each.state) for each in high.peek()] == [("y", "delayed")]
        [message] = broker.receive([high, "low"], 5, weights=[1, 2], wait=1)
        assert (message.body, message.queue) == ("x", low)
        message.delete()
        high.tag({"c": "d"})
        high.untag(["a"])
        assert high.tags() == {"c": "d"}
        high.add_permission("all", ["1" * 12], ["*"])
        high.remove_permission("all")
        there = broker.create_queue("arn:aws:sqs:eu-1:111111111111:there")
        assert list(broker.list_queues(account="111111111111", region="eu-1")) == [there]
        assert list(broker.list_queues()) == [high, low]
