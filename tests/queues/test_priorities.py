"""One receive over several queues: in order, or by weight, and waiting for all of them."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.events import MessagesMoved, MessagesSent
from ropewayd.queues.settings import QueueLimits
from ropewayd.vocabulary.errors import InvalidParameterValue, OverLimit, QueueDoesNotExist
from tests.house import BODY, HANDLE, House

NAMES = ["high", "middle", "low"]
NOTHING: dict[str, Any] = {"queue": None, "messages": []}


async def built(house: House) -> House:
    await house.start()
    for name in NAMES:
        await house.create(name)
    return house


async def receive(house: House, **given: Any) -> tuple[str | None, list[Any]]:
    answer = await house.call(a.ReceiveFromQueues(queues=NAMES, **given))
    at = answer["queue"]
    return None if at is None else NAMES[at], [message[BODY] for message in answer["messages"]]


async def test_the_first_queue_that_has_any_is_received_from() -> None:
    house = await built(House())
    await house.send("l1", "l2", queue="low")
    await house.send("m", queue="middle")
    await house.send("h1", "h2", "h3", queue="high")
    assert await receive(house, max_messages=2) == ("high", ["h1", "h2"])
    assert await receive(house, max_messages=2) == ("high", ["h3"])
    assert await receive(house, max_messages=2) == ("middle", ["m"])
    await house.send("h4", queue="high")
    assert await receive(house, max_messages=2) == ("high", ["h4"])
    assert await receive(house, max_messages=2) == ("low", ["l1", "l2"])
    assert await receive(house) == (None, [])
    assert await house.counts("low") == (0, 2, 0)


async def test_a_handle_is_of_the_queue_that_the_message_is_in() -> None:
    house = await built(House())
    await house.send("x", queue="middle")
    answer = await house.call(a.ReceiveFromQueues(queues=NAMES, visibility_timeout=5000))
    assert await house.delete(answer["messages"][0][HANDLE], queue="middle") == [None]
    assert await house.counts("middle") == (0, 0, 0)


async def test_by_weight_each_comes_as_often_as_its_share() -> None:
    house = await built(House())
    for name in NAMES:
        await house.send("x", queue=name)
    drawn: Counter[str | None] = Counter()
    for _ in range(2000):
        drawn[(await receive(house, weights=[7, 2, 1], visibility_timeout=0))[0]] += 1
    # Five standard deviations of 2,000 draws, from a fixed seed.
    for name, share in zip(NAMES, (0.7, 0.2, 0.1), strict=True):
        assert abs(drawn[name] / 2000 - share) < 0.055, drawn
    await house.call(a.PurgeQueue(queue="high"))
    assert {(await receive(house, weights=[1000, 1, 1], visibility_timeout=0))[0] for _ in range(50)} == {
        "middle",
        "low",
    }
    error = await house.fail(a.ReceiveFromQueues(queues=NAMES, weights=[1, 2]))
    assert isinstance(error, InvalidParameterValue)
    assert error.field == "weights"


@pytest.mark.parametrize("name", NAMES)
async def test_a_long_poll_waits_for_all_of_them(name: str) -> None:
    house = await built(House())
    waiting = house.submit(a.ReceiveFromQueues(queues=NAMES, wait=20_000))
    late = house.submit(a.ReceiveFromQueues(queues=NAMES, wait=1000))
    alone = house.submit(a.ReceiveMessage(queue=name, wait=20_000))
    await house.wait(1000)
    assert late.answer.result() == NOTHING
    await house.send("x", queue=name)
    answer = await asyncio.wait_for(waiting.answer, 5)
    assert NAMES[answer["queue"]] == name
    assert [message[BODY] for message in answer["messages"]] == ["x"]
    assert not alone.answered
    # It waits in no line any more.
    assert house.kernel.polls == 1
    await house.send("y", queue=name)
    assert [message[BODY] for message in await asyncio.wait_for(alone.answer, 5)] == ["y"]
    assert house.kernel.polls == 0
    for other in NAMES:
        await house.send("z", queue=other)


async def test_without_a_wait_the_longest_of_the_queues_counts() -> None:
    house = await built(House())
    await house.call(a.SetQueueAttributes(queue="low", attributes={"receive_wait_time": 5000}))
    waiting = house.submit(a.ReceiveFromQueues(queues=NAMES))
    await house.wait(4999)
    assert not waiting.answered
    await house.wait(1)
    assert waiting.answer.result() == NOTHING


async def test_a_missing_queue_is_told_also_when_it_goes_while_it_is_waited_for() -> None:
    house = await built(House())
    error = await house.fail(a.ReceiveFromQueues(queues=["high", "no"]))
    assert isinstance(error, QueueDoesNotExist)
    assert error.field == "queues[1]"
    waiting = house.submit(a.ReceiveFromQueues(queues=["high", "low", "low"], wait=20_000))
    await house.wait(10)
    await house.call(a.DeleteQueue(queue="low"))
    assert isinstance(await asyncio.wait_for(waiting.answer, 5), QueueDoesNotExist)


async def test_a_queue_with_too_many_in_flight_is_passed_over() -> None:
    house = await built(House(limits=QueueLimits(max_in_flight=1)))
    for name in ("high", "low"):
        await house.send("1", "2", queue=name)
    [first] = await house.receive(queue="high")
    assert await receive(house) == ("low", ["1"])
    assert isinstance(await house.fail(a.ReceiveFromQueues(queues=["high", "low"])), OverLimit)
    waiting = house.submit(a.ReceiveFromQueues(queues=["high", "low"], wait=20_000))
    await house.wait(10)
    assert not waiting.answered
    await house.delete(first[HANDLE], queue="high")
    assert (await asyncio.wait_for(waiting.answer, 5))["queue"] == 0


async def test_what_is_on_disk_alone_is_received_too() -> None:
    house = await built(
        House(
            KernelSettings(tail_bytes=600, slice_bytes=300),
            QueueLimits(page_messages=3, memory_bytes=1, min_window_bytes=1),
        )
    )
    await house.send(*map(str, range(20)), queue="middle")
    await house.send("l", queue="low")
    for _ in range(10):
        await house.wait(2000)
    found: list[Any] = []
    while True:
        name, bodies = await receive(house, max_messages=10)
        if name is None:
            break
        found += bodies
    assert found == [*map(str, range(20)), "l"]


async def test_dead_letters_of_two_queues_in_one_receive_all_arrive() -> None:
    """Both go to one queue, whose next sequence each of them was given: the second took the first's place."""
    house = await built(House())
    await house.create("dead")
    policy = {"dead_letter_target_arn": "dead", "max_receive_count": 1}
    for name in NAMES:
        attributes = {"redrive_policy": policy, "visibility_timeout": 0}
        await house.call(a.SetQueueAttributes(queue=name, attributes=attributes))
        await house.send(f"{name} 1", f"{name} 2", queue=name)
        assert len(await house.receive(10, queue=name)) == 2
    assert await receive(house, max_messages=10) == (None, [])
    letters = sorted(f"{name} {n}" for name in NAMES for n in (1, 2))
    assert sorted(await house.bodies(10, queue="dead")) == letters
    await house.restart()
    told = await house.call(a.GetQueueAttributes(queue="dead"))
    assert told["visible"] + told["in_flight"] == 6


async def test_messages_that_would_take_the_place_of_others_stop_the_daemon() -> None:
    """Two events of one decision that have the same next sequence: as it was with those dead letters."""
    house = await built(House())
    await house.send("first", queue=NAMES[0])
    [number] = [n for n, q in house.queues._registry.by_number.items() if q.name == NAMES[0]]
    sent = house.queues.appliers()[MessagesSent]
    moved = house.queues.appliers()[MessagesMoved]
    at, some_id = house.clock.at, b"i" * 16
    for apply, event in (
        (sent, MessagesSent(number, 1, at, some_id, ["second"])),
        (moved, MessagesMoved(0, [1], number, 1, at, some_id, ["second"], [at], [1], [at])),
    ):
        with pytest.raises(AssertionError, match="as 1, 2 is next"):
            apply(event, 1_000_000)
    assert await house.bodies(10, queue=NAMES[0]) == ["first"]
