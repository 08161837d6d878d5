"""The minute that AWS wants between two purges, and before a deleted queue's name is free."""

from ropewayd.queues import actions as a
from ropewayd.queues.settings import QueueLimits
from ropewayd.vocabulary.errors import PurgeQueueInProgress, QueueDeletedRecently
from tests.house import House

LIMITS = QueueLimits(purge_interval=60_000, recreate_interval=60_000)


async def test_a_queue_is_purged_once_a_minute_where_that_is_set() -> None:
    house = House(limits=LIMITS)
    await house.start()
    await house.create()
    await house.create("other")
    assert await house.call(a.PurgeQueue(queue="jobs")) == {}
    await house.wait(59_999)
    error = await house.fail(a.PurgeQueue(queue="jobs"))
    assert isinstance(error, PurgeQueueInProgress)
    assert error.message == "Only one PurgeQueue operation on jobs is allowed every 60 seconds."
    assert await house.call(a.PurgeQueue(queue="other")) == {}
    await house.wait(1)
    assert await house.call(a.PurgeQueue(queue="jobs")) == {}


async def test_a_deleted_queue_s_name_is_free_after_a_minute_where_that_is_set() -> None:
    house = House(limits=LIMITS)
    await house.start()
    await house.create()
    await house.call(a.DeleteQueue(queue="jobs"))
    await house.create("other")
    await house.create("arn:aws:sqs:eu-central-1:000000000000:jobs")
    error = await house.fail(a.CreateQueue(queue="jobs"))
    assert isinstance(error, QueueDeletedRecently)
    assert "60 seconds" in error.message
    await house.wait(60_000)
    await house.create()


async def test_both_are_free_at_once_by_default(house: House) -> None:
    for _ in range(3):
        await house.create()
        for _ in range(3):
            assert await house.call(a.PurgeQueue(queue="jobs")) == {}
        await house.call(a.DeleteQueue(queue="jobs"))
