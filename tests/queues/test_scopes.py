"""Accounts and regions: queues of one name have nothing to do with each other."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from ropewayd.queues import actions as a
from ropewayd.queues.events import QueueCreated
from ropewayd.queues.records import QueueRecord
from ropewayd.queues.settings import QueueLimits
from ropewayd.vocabulary.errors import InvalidParameterValue, QueueDoesNotExist
from tests.house import House

OWN = "arn:aws:sqs:eu-central-1:111111111111:jobs"
ELSEWHERE = "arn:aws:sqs:us-west-2:111111111111:jobs"
OTHERS = "arn:aws:sqs:eu-central-1:222222222222:jobs"
CALLED = ("jobs", ELSEWHERE, OTHERS)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    built = House(limits=QueueLimits(account="111111111111", region="eu-central-1"))
    await built.start()
    yield built
    await built.kernel.stop()


async def fill(house: House) -> None:
    for called in CALLED:
        answer = await house.call(a.CreateQueue(queue=called))
        arn = OWN if called == "jobs" else called
        assert answer == {"queue": called, "arn": arn, "created": True}
        await house.send(f"for {called}", queue=called)


@pytest.mark.parametrize("spill", [False, True])
async def test_queues_of_one_name_are_apart_and_stay_so(house: House, *, spill: bool) -> None:
    await fill(house)
    if spill:
        await house.wait(60_000)
    await house.restart()
    for called in CALLED:
        assert (await house.call(a.GetQueueAttributes(queue=called)))["arn"].startswith("arn:")
        assert await house.bodies(queue=called, visibility_timeout=0) == [f"for {called}"]
    await house.call(a.DeleteQueue(queue=OTHERS))
    assert isinstance(await house.fail(a.GetQueueAttributes(queue=OTHERS)), QueueDoesNotExist)
    assert await house.bodies() == ["for jobs"]
    await house.restart()
    assert isinstance(await house.fail(a.GetQueueAttributes(queue=OTHERS)), QueueDoesNotExist)
    assert house.queues.scopes() == [("111111111111", "eu-central-1"), ("111111111111", "us-west-2")]


async def test_the_arn_of_an_own_queue_is_as_good_as_its_name(house: House) -> None:
    assert (await house.call(a.CreateQueue(queue=OWN)))["queue"] == "jobs"
    await house.send("a", queue=OWN)
    assert await house.counts() == (1, 0, 0)
    [message] = await house.receive(queue=OWN)
    assert await house.change(message[1], 5, queue=OWN) is None
    assert await house.delete(message[1], queue=OWN) == [None]
    assert (await house.call(a.CreateQueue(queue="jobs")))["created"] is False


async def test_each_account_and_region_lists_its_own(house: House) -> None:
    await fill(house)
    await house.create("arn:aws:sqs:us-west-2:111111111111:mail")

    async def listed(**given: str) -> list[str]:
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            page = await house.call(a.ListQueues(limit=1, after=after, **given))
            found += page["queues"]
            after = page["next"]
        return found

    assert await listed() == ["jobs"]
    assert await listed(region="us-west-2") == [ELSEWHERE, ELSEWHERE.replace("jobs", "mail")]
    assert await listed(region="us-west-2", prefix="m") == [ELSEWHERE.replace("jobs", "mail")]
    assert await listed(account="222222222222") == [OTHERS]
    assert await listed(account="333333333333") == []


@pytest.mark.parametrize(
    "name",
    [
        "arn:aws:sns:us-east-1:111111111111:jobs",
        "arn:aws:sqs:us-east-1:1:jobs",
        "arn:aws:sqs:us-east-1:111111111111:a b",
        "arn:aws:sqs:us-east-1:111111111111:" + 81 * "a",
        "arn:aws:sqs:us-east-1:111111111111:jobs\n",
    ],
)
async def test_what_is_no_arn_of_a_queue_is_no_name_either(house: House, name: str) -> None:
    error = await house.fail(a.CreateQueue(queue=name))
    assert isinstance(error, InvalidParameterValue)
    assert error.field == "queue"


def test_what_was_written_before_there_were_accounts_is_still_read() -> None:
    event = msgspec.msgpack.encode([1, 7, "jobs", 5, {}])
    assert msgspec.msgpack.decode(event, type=QueueCreated) == QueueCreated(7, "jobs", 5, {}, "", "")
    record = msgspec.msgpack.encode([1, "jobs", {}, 5, 5, 1, 0, 0, 0])
    assert msgspec.msgpack.decode(record, type=QueueRecord).account == ""
