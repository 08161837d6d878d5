"""Limits on how much may wait: sends beyond them are told so, and all else goes on."""

from typing import Any

import pytest

from ropewayd.queues import actions as a
from ropewayd.queues.backlog import Backlog
from ropewayd.queues.settings import QueueLimits
from ropewayd.vocabulary.errors import OverLimit
from tests.house import HANDLE, House
from tests.topics.talk import publish, subscribe, topic


def send(*bodies: Any, queue: str = "jobs") -> a.SendMessage:
    return a.SendMessage(queue=queue, entries=[a.SendEntry(body) for body in bodies])


async def test_a_queue_takes_no_more_than_its_limit() -> None:
    house = House(limits=QueueLimits(max_queue_messages=3))
    await house.start()
    await house.create()
    await house.create("other")
    await house.send("one", "two")
    refused = await house.fail(send("three", "four"))
    assert isinstance(refused, OverLimit)
    assert refused.retryable
    assert refused.field == "entries"
    assert "holds 2 messages, and 2 more would exceed 3, the limit (queues.max_queue_messages)" in str(
        refused
    )
    await house.send("three")
    assert isinstance(await house.fail(send("four")), OverLimit)
    await house.send("four", queue="other")
    # In flight they still count; deleted they do not.
    received = await house.receive(3)
    assert isinstance(await house.fail(send("four")), OverLimit)
    await house.delete(received[0][HANDLE])
    await house.send("four")
    assert await house.counts() == (1, 2, 0)


async def test_all_queues_together() -> None:
    house = House(limits=QueueLimits(max_messages=4))
    await house.start()
    for queue in ("jobs", "other"):
        await house.create(queue)
        await house.send("one", "two", queue=queue)
    refused = await house.fail(send("five"))
    assert isinstance(refused, OverLimit)
    assert "All queues hold 4 messages" in str(refused)
    await house.restart()
    assert isinstance(await house.fail(send("five")), OverLimit)
    await house.call(a.PurgeQueue(queue="other"))
    house.clock.at += 100  # the total is counted anew by and by
    await house.send("three", "four")
    assert isinstance(await house.fail(send("five")), OverLimit)


async def test_bytes_of_one_queue() -> None:
    house = House(limits=QueueLimits(max_queue_bytes=16))
    await house.start()
    await house.create()
    await house.create("other")
    await house.send("four", "\N{EURO SIGN}")
    refused = await house.fail(send("now", "or", "later"))
    assert isinstance(refused, OverLimit)
    assert refused.retryable
    assert (
        "holds 7 bytes of messages, and 10 more would exceed 16, the limit (queues.max_queue_bytes)"
        in str(refused)
    )
    await house.send("x", attributes={"n": ("String", "v")})  # what counts as a message's size counts here
    assert isinstance(await house.fail(send("x")), OverLimit)
    await house.send("four", "four", queue="other")
    received = await house.receive(1)
    await house.delete(received[0][HANDLE])
    await house.send("four")
    await house.restart()
    assert isinstance(await house.fail(send("x")), OverLimit)


async def test_a_fan_out_counts_and_is_held_back() -> None:
    house = House(limits=QueueLimits(max_queue_bytes=10))
    await house.start()
    await topic(house)
    await house.create()
    await subscribe(house, "jobs", raw_message_delivery=True)
    await publish(house, "123456")
    await publish(house, "12345")
    assert isinstance(await house.fail(send("12345")), OverLimit)
    await house.send("1234")
    assert await house.bodies() == ["123456", "1234"]


@pytest.mark.parametrize("limits", [{}, {"max_queue_messages": 0, "max_queue_bytes": 0, "max_messages": 0}])
def test_without_a_limit_nothing_is_looked_at(limits: dict[str, int]) -> None:
    assert Backlog.of(QueueLimits(**limits), {}) is None  # type: ignore[arg-type]  # all are numbers
