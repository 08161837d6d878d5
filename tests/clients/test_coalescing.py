"""Calls made at the same time travel together, and do not harm one another."""

import asyncio
from typing import Any

import pytest

import ropeway
from tests.clients.peer import Answer, Peer, error, reached, set_timeout

SEND, RECEIVE, DELETE, CHANGE = 20, 21, 22, 23


async def test_concurrent_sends_are_one_request_in_order(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    ids = await asyncio.gather(*(jobs.send(str(index)) for index in range(300)))
    assert [len(each["entries"]) for each in peer.params(SEND)] == [300]
    stored = peer.queues["jobs"].messages
    assert [each.body for each in stored] == [str(index) for index in range(300)]
    assert [each.id.hex() for each in stored] == [each.replace("-", "") for each in ids]


async def test_a_request_has_at_most_a_thousand_entries_and_two_mebibytes(
    peer: Peer, broker: ropeway.Broker
) -> None:
    jobs = await broker.create_queue("jobs")
    await asyncio.gather(*(jobs.send("a") for _ in range(2100)))
    assert [len(each["entries"]) for each in peer.params(SEND)] == [1000, 1000, 100]
    await asyncio.gather(*(jobs.send("x" * 800_000) for _ in range(5)))
    assert [len(each["entries"]) for each in peer.params(SEND)[3:]] == [2, 2, 1]


async def test_each_queue_has_requests_of_its_own(peer: Peer, broker: ropeway.Broker) -> None:
    one, two = await broker.create_queue("one"), await broker.create_queue("two")
    await asyncio.gather(*(queue.send("a") for queue in [one, two] * 10))
    assert [(each["queue"], len(each["entries"])) for each in peer.params(SEND)] == [("one", 10), ("two", 10)]


async def test_deletes_and_changes_of_visibility_travel_together(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many("abcdef")
    messages = await jobs.receive(6)
    await asyncio.gather(
        *(each.delete() for each in messages[:3]), *(each.release(5) for each in messages[3:])
    )
    assert [len(each["handles"]) for each in peer.params(DELETE)] == [3]
    assert [len(each["entries"]) for each in peer.params(CHANGE)] == [3]


async def test_nothing_waits_for_company(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    sending = asyncio.create_task(jobs.send("a"))
    await asyncio.sleep(0)  # the call is made
    await asyncio.sleep(0)  # the end of that turn
    assert len(broker.link._out) == 1
    await sending


async def test_one_failed_entry_is_its_callers_alone(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    results = await asyncio.gather(
        jobs.send("a"), jobs.send(""), jobs.send_many(["b", "", "c"]), jobs.send("d"), return_exceptions=True
    )
    assert [type(each) for each in results] == [
        ropeway.MessageId,
        ropeway.InvalidMessageContents,
        ropeway.BatchError,
        ropeway.MessageId,
    ]
    assert [each.body for each in peer.queues["jobs"].messages] == ["a", "b", "c", "d"]
    # Its place in the request that they shared means nothing to it.
    for each in (results[1], results[2].errors[1]):  # type: ignore[union-attr]
        assert (str(each), each.field) == ("body is empty", "body")  # type: ignore[union-attr]
    assert len(peer.params(SEND)) == 1


async def test_a_caller_whose_entry_spoils_the_whole_request_harms_no_other(
    peer: Peer, broker: ropeway.Broker
) -> None:
    jobs = await broker.create_queue("jobs")

    def refuse_as_a_whole(params: dict[str, Any]) -> Answer | None:
        if any(each.get("delay", 0) > 900_000 for each in params["entries"]):
            return error("InvalidParameterValue", "delay is 0 to 900000", "delay")
        return None

    peer.script[SEND] = refuse_as_a_whole
    sends = [jobs.send(str(index), delay=1e6 if index == 37 else None) for index in range(100)]
    results = await asyncio.gather(*sends, return_exceptions=True)
    assert [index for index, each in enumerate(results) if not isinstance(each, str)] == [37]
    assert isinstance(results[37], ropeway.InvalidParameterValue)
    assert {each.body for each in peer.queues["jobs"].messages} == {str(n) for n in range(100)} - {"37"}
    assert len(peer.params(SEND)) < 20


async def test_a_refusal_of_the_queue_reaches_every_caller_with_an_error_of_its_own(
    peer: Peer, broker: ropeway.Broker
) -> None:
    nowhere = broker.queue("nowhere")
    results = await asyncio.gather(*(nowhere.send("a") for _ in range(10)), return_exceptions=True)
    assert {type(each) for each in results} == {ropeway.QueueDoesNotExist}
    assert len({id(each) for each in results}) == 10
    assert len(peer.params(SEND)) == 1


@pytest.mark.parametrize("written", [False, True])
async def test_one_cancelled_caller_takes_nothing_from_the_others(
    peer: Peer, broker: ropeway.Broker, written: bool
) -> None:
    jobs = await broker.create_queue("jobs")
    sends = [asyncio.create_task(jobs.send(str(index))) for index in range(10)]
    if written:
        await reached(lambda: broker.link._out)
    else:
        await asyncio.sleep(0)
    sends[4].cancel()
    results = await asyncio.gather(*sends, return_exceptions=True)
    assert [index for index, each in enumerate(results) if not isinstance(each, str)] == [4]
    expected = {str(index) for index in range(10)} - (set() if written else {"4"})
    assert {each.body for each in peer.queues["jobs"].messages} == expected
    for index, each in enumerate(results):
        if isinstance(each, str):
            [stored] = [one for one in peer.queues["jobs"].messages if one.body == str(index)]
            assert stored.id.hex() == each.replace("-", "")


async def test_a_lost_connection_loses_the_sends_and_repeats_the_deletes(
    peer: Peer, broker: ropeway.Broker
) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send_many("abc")
    messages = await jobs.receive(3)
    peer.cut_on = {SEND, DELETE}
    results = await asyncio.gather(
        *(each.delete() for each in messages), jobs.send("d"), jobs.send("e"), return_exceptions=True
    )
    assert results[:3] == [None] * 3
    assert [type(each) for each in results[3:]] == [ropeway.ConnectionLost] * 2


async def test_a_deadline_of_a_batch_is_each_callers(peer: Peer) -> None:
    peer.deaf = {SEND}
    async with ropeway.connect(peer.url) as broker:
        set_timeout(broker, 0.05)
        jobs = broker.queue("jobs")
        results = await asyncio.gather(jobs.send("a"), jobs.send("b"), return_exceptions=True)
    assert [type(each) for each in results] == [ropeway.DeadlineExceeded] * 2


async def test_a_small_batch_limit_is_kept(peer: Peer) -> None:
    peer.limits |= {"batch": 7, "frame": 3000}
    async with ropeway.connect(peer.url) as broker:
        jobs = await broker.create_queue("jobs")
        await jobs.send_many(str(index) for index in range(20))
        await asyncio.gather(*(jobs.send("a") for _ in range(20)))
        assert [len(each["entries"]) for each in peer.params(SEND)] == [7, 7, 6, 7, 7, 6]
        await jobs.send_many(["x" * 1000] * 5)
        assert [len(each["entries"]) for each in peer.params(SEND)[6:]] == [2, 2, 1]
