"""What a queue's calls say on the wire, and what they make of the answers."""

import asyncio
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest

import ropeway
from tests.clients.peer import Peer, error

CREATE, DELETE_QUEUE, LIST, GET, SET, PURGE, SEND, RECEIVE, DELETE, CHANGE = (
    *range(10, 16),
    *range(20, 24),
)


async def test_a_message_goes_round(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs", visibility_timeout=60, delay=0.25)
    assert peer.params(CREATE) == [
        {"queue": "jobs", "attributes": {"visibility_timeout": 60000, "delay": 250}}
    ]
    sent = await jobs.send(
        "resize", delay=1.5, attributes={"kind": "jpg", "raw": b"\0", "n": 7, "share": 0.5}
    )
    [entry] = peer.params(SEND)[0]["entries"]
    assert entry == {
        "body": "resize",
        "delay": 1500,
        "attributes": {
            "kind": ["String", "jpg"],
            "raw": ["Binary", b"\0"],
            "n": ["Number", "7"],
            "share": ["Number", "0.5"],
        },
    }
    [message] = await jobs.receive(10, wait=2, visibility_timeout=9.5)
    [asked] = peer.params(RECEIVE)
    assert 1900 <= asked.pop("wait") <= 2000
    assert asked == {"queue": "jobs", "max_messages": 10, "visibility_timeout": 9500}
    assert (message.id, message.body, message.text, message.receive_count) == (sent, "resize", "resize", 1)
    assert message.sent_at == datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)
    assert message.first_received_at > message.sent_at
    assert message.attributes == {"kind": "jpg", "raw": b"\0", "n": 7, "share": Decimal("0.5")}
    await message.extend(45)
    assert peer.params(CHANGE)[0]["entries"] == [{"handle": message.handle, "visibility_timeout": 45000}]
    await message.release(delay=3)
    assert peer.params(CHANGE)[1]["entries"] == [{"handle": message.handle, "visibility_timeout": 3000}]
    await message.delete()
    assert peer.params(DELETE) == [{"queue": "jobs", "handles": [message.handle]}]
    assert peer.queues["jobs"].messages == []


async def test_a_queue_shows_and_changes_its_attributes(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.set(retention_period=3600, receive_wait_time=1.25, maximum_message_size=2048)
    assert peer.params(SET)[0]["attributes"] == {
        "retention_period": 3600000,
        "receive_wait_time": 1250,
        "maximum_message_size": 2048,
    }
    found = await jobs.attributes()
    assert found["visibility_timeout"] == 30
    assert found["receive_wait_time"] == 1.25
    assert found["maximum_message_size"] == 2048
    assert found["created_at"] == datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)
    assert found["visible"] == 0


async def test_purge_and_delete(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send(b"bytes stay bytes")
    assert peer.queues["jobs"].messages[0].body == b"bytes stay bytes"
    await jobs.purge()
    assert peer.queues["jobs"].messages == []
    await jobs.delete()
    assert peer.queues == {}
    with pytest.raises(ropeway.QueueDoesNotExist) as caught:
        await broker.delete_queue("jobs")
    assert caught.value.field == "queue"


async def test_queues_are_listed_page_by_page(peer: Peer, broker: ropeway.Broker) -> None:
    names = [f"jobs-{index}" for index in range(8)]
    for name in [*names, "other"]:
        await broker.create_queue(name)
    assert [queue.name async for queue in broker.list_queues("jobs-")] == names
    assert [each.get("after") for each in peer.params(LIST)] == [None, "jobs-2", "jobs-5"]


async def test_each_code_is_an_exception_of_its_name(peer: Peer, broker: ropeway.Broker) -> None:
    for code, kind in ropeway.errors.catalogue().items():
        if kind.retryable:
            continue
        peer.script[GET] = lambda params, code=code: error(code, "what happened", "queue")  # type: ignore[misc]
        with pytest.raises(kind, match="what happened") as caught:
            await broker.queue("jobs").attributes()
        assert (type(caught.value).__name__, caught.value.field) == (code, "queue")


async def test_a_code_of_a_newer_daemon_is_still_an_error_of_the_daemon(
    peer: Peer, broker: ropeway.Broker
) -> None:
    peer.script[GET] = lambda params: error("QueueIsHaunted")
    with pytest.raises(ropeway.DaemonError) as caught:
        await broker.queue("jobs").attributes()
    assert caught.value.code == "QueueIsHaunted"


async def test_send_many_says_which_entries_failed(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    with pytest.raises(ropeway.BatchError, match="1 of 3") as caught:
        await jobs.send_many(["one", "", ropeway.Outgoing("three", delay=1)])
    first, second, third = caught.value.results
    assert isinstance(second, ropeway.InvalidMessageContents)
    assert caught.value.errors == {1: second}
    assert [uuid.UUID(each).bytes for each in (first, third)] == [
        each.id for each in peer.queues["jobs"].messages
    ]


async def test_send_many_raises_the_one_reason_for_all(broker: ropeway.Broker) -> None:
    with pytest.raises(ropeway.QueueDoesNotExist):
        await broker.queue("nowhere").send_many(["one", "two"])


async def test_send_many_cuts_by_number_and_by_bytes(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    ids = await jobs.send_many(str(index) for index in range(2500))
    assert len(set(ids)) == 2500
    assert [each.body for each in peer.queues["jobs"].messages] == [str(index) for index in range(2500)]
    assert [len(each["entries"]) for each in peer.params(SEND)] == [1000, 1000, 500]
    await jobs.send_many([b"x" * 900_000] * 5)
    assert [len(each["entries"]) for each in peer.params(SEND)[3:]] == [2, 2, 1]
    assert await jobs.send_many([]) == []


async def test_messages_are_deleted_and_released_together(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many(["a", "b", "c", "d"])
    messages = await jobs.receive(4)
    await jobs.delete_many(messages[:2])
    await jobs.release_many(messages[2:], delay=0)
    assert len(peer.params(DELETE)) == len(peer.params(CHANGE)) == 1
    assert [each.body for each in await jobs.receive(4)] == ["c", "d"]


@pytest.mark.parametrize("body", [1, None, ["a"], {"a": 1}])
async def test_a_body_is_text_or_bytes(broker: ropeway.Broker, body: object) -> None:
    with pytest.raises(TypeError):
        await broker.queue("jobs").send(body)  # type: ignore[arg-type]


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), 1e300])
async def test_a_duration_that_is_none_never_leaves(peer: Peer, broker: ropeway.Broker, delay: float) -> None:
    with pytest.raises(ropeway.InvalidParameterValue) as caught:
        await broker.queue("jobs").send("a", delay=delay)
    assert caught.value.field == "delay"
    assert peer.names() == []


@pytest.mark.parametrize("value", [True, float("nan"), None, ("String", 5)])
async def test_an_attribute_that_cannot_be_said_is_a_type_error(
    broker: ropeway.Broker, value: object
) -> None:
    with pytest.raises(TypeError, match="attribute a "):
        await broker.queue("jobs").send("a", attributes={"a": value})  # type: ignore[dict-item]


async def test_typed_attributes_come_back_as_they_were_sent(broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    sent: ropeway.message.Attributes = {
        "width": ("Number.pixels", "640"),
        "huge": ("Number", "1" * 5000),
        "odd": ("Number", "no number"),
    }
    await jobs.send("a", attributes=sent)
    [message] = await jobs.receive()
    assert message.typed_attributes == sent
    assert message.attributes["width"] == 640
    assert message.attributes["odd"] == "no number"


async def test_a_closed_broker_says_so() -> None:
    broker = ropeway.connect("unix:/nonexistent")
    with pytest.raises(ropeway.BrokerClosed):
        await broker.ping()


async def test_a_cancelled_receive_gives_back_what_arrives(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    waiting = asyncio.create_task(jobs.receive(wait=20))
    await peer.until(lambda: RECEIVE in peer.names())
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await jobs.send("late")
    await peer.until(lambda: CHANGE in peer.names())
    assert [each.body for each in await jobs.receive()] == ["late"]


async def test_a_receive_cancelled_at_the_moment_of_its_answer_gives_it_back(
    peer: Peer, broker: ropeway.Broker
) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send("a")
    waiting = asyncio.create_task(jobs.receive())
    await peer.until(lambda: RECEIVE in peer.names())
    link = broker.link
    settled = asyncio.Event()
    answered = link.answered

    def cancel_then(*args: object) -> None:
        answered(*args)  # type: ignore[arg-type]
        waiting.cancel()
        settled.set()

    link.answered = cancel_then  # type: ignore[method-assign,assignment]
    await settled.wait()
    link.answered = answered  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await peer.until(lambda: CHANGE in peer.names())
    assert [each.body for each in await jobs.receive()] == ["a"]
