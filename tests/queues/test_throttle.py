"""How often a FIFO queue may be called, and that nobody else is held back."""

from typing import Any

import pytest

from ropewayd.queues import actions as a
from ropewayd.queues.settings import QueueLimits
from ropewayd.vocabulary.errors import RequestThrottled
from tests.house import House

QUEUE = "jobs.fifo"
HIGH = {"deduplication_scope": "messageGroup", "fifo_throughput_limit": "perMessageGroupId"}


async def make(limits: QueueLimits | None = None, **attributes: Any) -> House:
    house = House(limits=limits)
    await house.start()
    await house.create(QUEUE, fifo=True, content_based_deduplication=True, **attributes)
    return house


def sending(messages: int = 1, group: str = "g", queue: str = QUEUE) -> a.SendMessage:
    return a.SendMessage(queue=queue, entries=[a.SendEntry(f"{n}", group=group) for n in range(messages)])


async def accepted(house: House, actions: list[Any]) -> int:
    """How many of these calls are taken."""
    answers = [await house.call(action) for action in actions]
    refused = [each for each in answers if isinstance(each, RequestThrottled)]
    assert all(each.field == "queue" and each.retryable for each in refused)
    return len(answers) - len(refused)


async def test_three_hundred_calls_a_second_of_each_action() -> None:
    house = await make()
    assert await accepted(house, [sending()] * 320) == 300
    assert await accepted(house, [a.ReceiveMessage(queue=QUEUE)] * 320) == 300
    assert await accepted(house, [a.DeleteMessage(queue=QUEUE, handles=[b"x"])] * 320) == 300
    house.clock.at += 500
    assert await accepted(house, [sending()] * 320) == 150
    house.clock.at += 60_000
    assert await accepted(house, [sending()] * 320) == 300


async def test_a_receive_from_several_queues_counts_for_each_that_is_fifo() -> None:
    house = await make(QueueLimits(fifo_calls=4))
    await house.create()
    both = a.ReceiveFromQueues(queues=["jobs", QUEUE])
    assert await accepted(house, [both] * 3) == 3
    assert await accepted(house, [a.ReceiveMessage(queue=QUEUE)] * 3) == 1
    assert await accepted(house, [both]) == 0
    assert await accepted(house, [a.ReceiveFromQueues(queues=["jobs"])] * 9) == 9


async def test_over_a_long_time_it_is_the_rate() -> None:
    house = await make()
    taken = 0
    for _ in range(1000):
        taken += await accepted(house, [sending()] * 5)
        house.clock.at += 10
    assert taken == pytest.approx(300 + 300 * 10, abs=5)


@pytest.mark.parametrize(("messages", "calls"), [(1, 300), (10, 300), (11, 150), (100, 30), (1000, 3)])
async def test_a_batch_counts_as_a_call_for_each_ten_begun(messages: int, calls: int) -> None:
    house = await make()
    assert await accepted(house, [sending(messages)] * (calls + 2)) == calls


async def test_a_batch_that_is_more_than_a_second_s_worth_waits_for_a_full_second() -> None:
    house = await make(QueueLimits(fifo_calls=5))
    assert await accepted(house, [sending(1000)]) == 1
    assert await accepted(house, [sending()]) == 0
    house.clock.at += 20_000
    assert await accepted(house, [sending(), sending(1000)]) == 1


async def test_in_high_throughput_each_partition_has_the_limit() -> None:
    house = await make(QueueLimits(fifo_calls=10, fifo_partitions=4), **HIGH)
    assert await accepted(house, [sending(group="one")] * 20) == 10
    groups = [f"{n}" for n in range(200)]
    rest = await accepted(house, [sending(group=group) for group in groups])
    assert rest == 30  # of three partitions
    assert await accepted(house, [a.ReceiveMessage(queue=QUEUE)] * 50) == 40


async def test_each_queue_has_its_own_and_standard_queues_have_none() -> None:
    house = await make(QueueLimits(fifo_calls=3))
    await house.create("other.fifo", fifo=True, content_based_deduplication=True)
    await house.create()
    assert await accepted(house, [sending()] * 5) == 3
    assert await accepted(house, [sending(queue="other.fifo")] * 5) == 3
    assert await accepted(house, [a.SendMessage(queue="jobs", entries=[a.SendEntry("x")])] * 50) == 50


async def test_there_need_be_no_limit() -> None:
    house = await make(QueueLimits(fifo_calls=0))
    assert await accepted(house, [sending()] * 1000) == 1000


async def test_a_blocked_group_is_looked_past_as_far_as_the_limit_says() -> None:
    for look, found in ((20, []), (0, ["other"])):
        house = await make(QueueLimits(fifo_look=look, page_messages=10))
        await house.call(sending(50))
        entry = a.SendEntry("other", group="h")
        await house.call(a.SendMessage(queue=QUEUE, entries=[entry]))
        for _ in range(10):
            await house.wait(1_500)
        assert not house.disk.journal
        await house.restart()
        assert await house.bodies(1, QUEUE) == ["0"]
        assert await house.bodies(1, QUEUE) == found
