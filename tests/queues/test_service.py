"""What queues do, as their users see it: names, sending, receiving, deleting, purging."""

from typing import Any

import pytest

from ropewayd.queues import actions as a
from ropewayd.queues.settings import QueueLimits
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
    InvalidMessageContents,
    InvalidParameterValue,
    OverLimit,
    QueueDoesNotExist,
    ReceiptHandleIsInvalid,
    RopewayError,
)
from tests.house import BODY, COUNT, FIRST_AT, HANDLE, ID, SENT_AT, START, House


@pytest.mark.parametrize("name", ["a b", "a/b", "ü", "a" * 81, "jobs.fifo", "a\n"])
async def test_a_bad_name_is_refused(house: House, name: str) -> None:
    error = await house.fail(a.CreateQueue(queue=name))
    assert isinstance(error, InvalidParameterValue)
    assert error.field == "queue"


@pytest.mark.parametrize(
    "action",
    [
        a.DeleteQueue(queue="no"),
        a.GetQueueAttributes(queue="no"),
        a.SetQueueAttributes(queue="no", attributes={}),
        a.PurgeQueue(queue="no"),
        a.SendMessage(queue="no", entries=[a.SendEntry("x")]),
        a.ReceiveMessage(queue="no"),
        a.DeleteMessage(queue="no", handles=[b"x"]),
        a.ChangeMessageVisibility(queue="no", entries=[a.VisibilityEntry(b"x", 0)]),
    ],
)
async def test_a_missing_queue_is_told_by_its_name(house: House, action: Action) -> None:
    error = await house.fail(action)
    assert isinstance(error, QueueDoesNotExist)
    assert "'no'" in error.message


async def test_queues_are_listed_by_prefix_and_in_pages(house: House) -> None:
    names = [f"a{n:02}" for n in range(25)] + ["b", "aa"]
    for name in names:
        await house.create(name)
    found: list[str] = []
    after = None
    while True:
        page = await house.call(a.ListQueues(prefix="a", limit=7, after=after))
        assert len(page["queues"]) <= 7
        found += page["queues"]
        after = page["next"]
        if after is None:
            break
    assert found == sorted(name for name in names if name.startswith("a"))
    assert await house.call(a.ListQueues(prefix="zz")) == {"queues": [], "next": None}
    assert (await house.call(a.ListQueues(after="a24")))["queues"] == ["aa", "b"]
    # The end of a page at the end of the list is the end.
    assert (await house.call(a.ListQueues(limit=len(names))))["next"] is None


async def test_more_queues_than_the_limit_are_refused() -> None:
    house = House(limits=QueueLimits(max_queues=2))
    await house.start()
    await house.create("a")
    await house.create("b")
    assert isinstance(await house.fail(a.CreateQueue(queue="c")), OverLimit)
    await house.call(a.DeleteQueue(queue="a"))
    await house.create("c")


async def test_a_message_comes_as_it_was_sent(house: House) -> None:
    await house.create()
    (text,) = await house.send("grüße\x00")
    (raw,) = await house.send(b"\x00\xff")
    await house.wait(50)
    first, second = await house.receive()
    assert (first[ID], first[BODY], first[SENT_AT]) == (text, "grüße\x00", START)
    assert (second[ID], second[BODY]) == (raw, b"\x00\xff")
    assert (first[COUNT], first[FIRST_AT]) == (1, START + 50)
    assert text != raw


async def test_a_batch_s_entries_succeed_or_fail_one_by_one(house: House) -> None:
    await house.create(maximum_message_size=1024)
    bodies: list[Any] = ["ok", "", b"", "x" * 1025, "ü" * 512, "ü" * 513, 5, None, ["x"], "end"]
    answers = await house.send(*bodies)
    kinds = [type(answer) for answer in answers]
    empty, long = InvalidMessageContents, InvalidParameterValue
    assert kinds == [bytes, empty, empty, long, bytes, long, empty, empty, empty, bytes]
    assert answers[3].field == "entries[3].body"
    assert await house.bodies() == ["ok", "ü" * 512, "end"]


async def test_a_message_is_invisible_for_its_timeout_and_counts_its_receives(house: House) -> None:
    await house.create(visibility_timeout=2000)
    await house.send("x")
    (one,) = await house.receive()
    assert await house.receive() == []
    await house.wait(1999)
    assert await house.receive() == []
    await house.wait(11)
    (two,) = await house.receive()
    assert (two[ID], two[COUNT], two[FIRST_AT]) == (one[ID], 2, one[FIRST_AT])
    assert two[HANDLE] != one[HANDLE]
    assert (await house.receive(visibility_timeout=0)) == []


async def test_a_timeout_of_its_own_overrides_the_queue_s(house: House) -> None:
    await house.create(visibility_timeout=2000)
    await house.send("x")
    await house.receive(visibility_timeout=5000)
    await house.wait(4999)
    assert await house.receive() == []
    await house.wait(11)
    # Zero hands it out and leaves it visible; the count rises all the same.
    assert (await house.receive(visibility_timeout=0))[0][COUNT] == 2
    assert (await house.receive(visibility_timeout=0))[0][COUNT] == 3
    assert await house.counts() == (1, 0, 0)


async def test_a_delay_holds_a_message_back(house: House) -> None:
    await house.create(delay=1000)
    await house.send("queue's")
    await house.send("own", delay=3000)
    await house.send("none", delay=0)
    assert await house.counts() == (1, 0, 2)
    assert await house.bodies() == ["none"]
    await house.wait(1010)
    assert await house.bodies() == ["queue's"]
    await house.call(a.SetQueueAttributes(queue="jobs", attributes={"delay": 0}))
    await house.wait(1000)
    assert await house.bodies() == []
    await house.wait(1000)
    assert await house.bodies() == ["own"]


async def test_a_long_poll_gets_a_delayed_message_when_it_is_due(house: House) -> None:
    await house.create()
    await house.send("x", delay=1000)
    poll = house.submit(a.ReceiveMessage(queue="jobs", wait=20_000))
    await house.wait(990)
    assert not poll.answered
    await house.wait(20)
    assert poll.answer.result()[0][BODY] == "x"


async def test_the_queue_s_wait_is_the_default_and_zero_overrides_it(house: House) -> None:
    await house.create(receive_wait_time=5000)
    assert house.submit(a.ReceiveMessage(queue="jobs", wait=0)).answered
    poll = house.submit(a.ReceiveMessage(queue="jobs"))
    await house.wait(4990)
    assert not poll.answered
    await house.wait(20)
    assert poll.answer.result() == []


async def test_any_genuine_handle_deletes_for_ever_and_twice_is_fine(house: House) -> None:
    await house.create(visibility_timeout=1000)
    await house.send("x", "y")
    old, other = await house.receive()
    await house.wait(1010)
    (new, _) = await house.receive()
    assert await house.delete(old[HANDLE], new[HANDLE], old[HANDLE]) == [None, None, None]
    assert await house.delete(new[HANDLE]) == [None]
    await house.wait(1010)
    assert await house.bodies() == ["y"]
    assert await house.delete(other[HANDLE]) == [None]
    assert await house.counts() == (0, 0, 0)
    await house.wait(2000)
    assert await house.receive() == []


async def test_a_handle_is_its_queue_s_own(house: House) -> None:
    await house.create()
    await house.create("other")
    await house.send("x")
    (message,) = await house.receive()
    bad, good = await house.call(a.DeleteMessage(queue="other", handles=[message[HANDLE], message[HANDLE]]))
    assert isinstance(bad, ReceiptHandleIsInvalid)
    assert isinstance(good, ReceiptHandleIsInvalid)
    assert good.field == "handles[1]"
    # Nor is it good for a queue of the same name that came later.
    await house.call(a.DeleteQueue(queue="jobs"))
    await house.create()
    await house.send("new")
    (answer,) = await house.delete(message[HANDLE])
    assert isinstance(answer, ReceiptHandleIsInvalid)
    assert await house.bodies() == ["new"]


async def test_visibility_can_be_longer_shorter_and_over(house: House) -> None:
    await house.create(visibility_timeout=1000)
    await house.send("x")
    (message,) = await house.receive()
    assert await house.change(message[HANDLE], 5000) is None
    await house.wait(4990)
    assert await house.bodies() == []
    assert await house.change(message[HANDLE], 0) is None
    (again,) = await house.receive()
    assert again[COUNT] == 2
    # The change was for that time alone: the queue's own timeout counts again.
    await house.wait(1010)
    assert await house.bodies() == ["x"]


async def test_a_message_stays_invisible_no_longer_than_twelve_hours(house: House) -> None:
    await house.create()
    await house.send("x")
    (message,) = await house.receive(visibility_timeout=43_200_000)
    await house.wait(1000)
    problem = await house.change(message[HANDLE], 43_199_001)
    assert isinstance(problem, InvalidParameterValue)
    assert problem.field == "entries[0].visibility_timeout"
    assert await house.change(message[HANDLE], 43_199_000) is None


async def test_visibility_of_what_is_gone_cannot_change(house: House) -> None:
    await house.create()
    await house.send("x")
    (message,) = await house.receive()
    await house.delete(message[HANDLE])
    assert isinstance(await house.change(message[HANDLE], 10), InvalidParameterValue)
    assert isinstance(await house.change(b"garbage", 10), ReceiptHandleIsInvalid)


async def test_an_old_handle_changes_the_visibility_of_a_visible_message(house: House) -> None:
    await house.create(visibility_timeout=1000)
    await house.send("x", "y")
    first, _ = await house.receive()
    await house.wait(1010)
    assert await house.counts() == (2, 0, 0)
    assert await house.change(first[HANDLE], 5000) is None
    assert await house.counts() == (1, 1, 0)
    assert await house.bodies(visibility_timeout=0) == ["y"]
    await house.wait(5010)
    assert await house.bodies() == ["x", "y"]


async def test_a_purge_takes_everything_that_was_there(house: House) -> None:
    await house.create()
    await house.send("visible", "flying")
    (flying,) = await house.receive(1)
    await house.send("delayed", delay=1000)
    await house.call(a.PurgeQueue(queue="jobs"))
    assert await house.counts() == (0, 0, 0)
    assert await house.delete(flying[HANDLE]) == [None]
    await house.send("after")
    await house.wait(60_000)
    assert await house.bodies() == ["after"]
    assert await house.counts() == (0, 1, 0)


async def test_a_deleted_queue_is_gone_at_once_and_comes_back_empty(house: House) -> None:
    await house.create()
    await house.send("old", "older")
    await house.receive(1)
    poll = house.submit(a.ReceiveMessage(queue="jobs", wait=20_000, max_messages=1))
    await house.call(a.PurgeQueue(queue="jobs"))
    waiting = house.submit(a.ReceiveMessage(queue="jobs", wait=20_000))
    await house.call(a.DeleteQueue(queue="jobs"))
    assert poll.answered
    assert isinstance(waiting.answer.result(), QueueDoesNotExist)
    await house.create()
    assert await house.counts() == (0, 0, 0)
    await house.wait(100_000)
    assert await house.bodies() == []


async def test_messages_past_their_retention_are_gone(house: House) -> None:
    await house.create(retention_period=60_000, visibility_timeout=600_000)
    await house.send("visible", "flying")
    await house.send("delayed", delay=90_000)
    await house.wait(30_000)
    await house.send("later")
    (first,) = await house.receive(1)
    assert first[BODY] == "visible"
    await house.wait(29_900)
    assert (await house.counts())[0] == 2
    await house.wait(300)
    assert (await house.counts())[0] == 1
    assert await house.bodies() == ["later"]
    await house.wait(700_000)
    assert await house.counts() == (0, 0, 0)
    assert await house.bodies() == []


async def test_a_shorter_retention_counts_for_what_is_there(house: House) -> None:
    await house.create()
    await house.send("old")
    await house.wait(100_000)
    await house.send("new")
    await house.call(a.SetQueueAttributes(queue="jobs", attributes={"retention_period": 60_000}))
    await house.wait(200)
    assert await house.counts() == (1, 0, 0)
    assert await house.bodies() == ["new"]


async def test_a_receive_never_gives_what_is_past_its_retention(house: House) -> None:
    await house.create(retention_period=60_000)
    for _ in range(50):
        await house.send("old")
    house.clock.at += 60_000  # no tick: nobody has looked yet
    await house.send("new")
    assert await house.bodies(1) == ["new"]
    assert await house.counts() == (0, 1, 0)


async def test_a_receive_is_as_large_as_an_answer_may_be() -> None:
    house = House(limits=QueueLimits(max_answer_bytes=10_000))
    await house.start()
    await house.create()
    await house.send(*["x" * 3000] * 5)
    assert [len(await house.receive()) for _ in range(3)] == [3, 2, 0]
    await house.send("y" * 50_000)
    assert len(await house.receive()) == 1  # one is always given


async def test_more_in_flight_than_the_limit_is_told() -> None:
    house = House(limits=QueueLimits(max_in_flight=3, fifo_in_flight=1))
    await house.start()
    await house.create()
    await house.send(*"abcde")
    received = await house.receive(10)
    assert len(received) == 3
    refused = await house.fail(a.ReceiveMessage(queue="jobs"))
    assert isinstance(refused, OverLimit)
    assert "3 messages of this queue are in flight: the limit (queues.max_in_flight)" in str(refused)
    await house.delete(received[0][HANDLE])
    assert await house.bodies() == ["d"]


async def test_a_long_poll_waits_until_fewer_are_in_flight() -> None:
    house = House(limits=QueueLimits(max_in_flight=2))
    await house.start()
    await house.create()
    await house.send(*"abc")
    received = await house.receive(2)
    waiting = house.submit(a.ReceiveMessage(queue="jobs", wait=20_000))
    late = house.submit(a.ReceiveMessage(queue="jobs", wait=1000))
    await house.wait(1000)
    assert late.answer.result() == []
    assert not waiting.answered
    await house.delete(received[0][HANDLE])
    assert [message[BODY] for message in await waiting.answer] == ["c"]


async def test_a_batch_of_a_thousand_goes_and_comes(house: House) -> None:
    await house.create()
    sent = await house.send(*[f"{n}" for n in range(1000)])
    assert len(set(sent)) == 1000
    received = await house.receive(1000)
    assert [m[BODY] for m in received] == [f"{n}" for n in range(1000)]
    assert [m[ID] for m in received] == sent
    assert await house.delete(*(m[HANDLE] for m in received)) == [None] * 1000
    assert not isinstance(await house.call(a.GetQueueAttributes(queue="jobs")), RopewayError)
    assert await house.counts() == (0, 0, 0)
