"""Archives of topics and replays of them, inside one daemon in virtual time."""

from typing import Any

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as q
from ropewayd.queues.settings import QueueLimits
from ropewayd.topics import actions as a
from ropewayd.topics.settings import TopicLimits
from ropewayd.vocabulary.errors import InvalidAttributeName, OverLimit, UnsupportedOperation
from tests.house import START, House

DAY = 86_400_000
FIFO = {"fifo": True, "content_based_deduplication": True}


async def made(house: House, name: str = "t.fifo", **more: Any) -> str:
    """A topic with an archive, and a subscription of the queue `q.fifo`."""
    await house.call(q.CreateQueue(queue="q.fifo", attributes={"fifo": True}))
    await house.call(a.CreateTopic(topic=name, attributes={**FIFO, "archive_days": 2, **more}))
    raw = {"raw_message_delivery": True}
    answer = await house.call(a.Subscribe(topic=name, endpoint="q.fifo", attributes=raw))
    return str(answer["subscription"])


async def publish(house: House, *bodies: str, group: str = "g", topic: str = "t.fifo") -> None:
    entries = [a.PublishEntry(body, group=group) for body in bodies]
    await house.call(a.PublishMessage(topic=topic, entries=entries))


async def taken(house: House, queue: str = "q.fifo") -> list[str]:
    """The bodies of all that is in the queue, which is empty then."""
    looked = await house.call(q.PeekMessages(queue=queue, limit=1000))
    await house.call(q.PurgeQueue(queue=queue))
    return [each["body"] for each in looked["messages"]]


async def replay(house: House, subscription: str, start: int, end: int | None = None) -> None:
    policy = {"starting_point": start} | ({} if end is None else {"ending_point": end})
    given = {"replay_policy": policy}
    await house.call(a.SetSubscriptionAttributes(subscription=subscription, attributes=given))


async def status(house: House, subscription: str) -> str | None:
    said = await house.call(a.GetSubscriptionAttributes(subscription=subscription))
    found: str | None = said.get("replay_status")
    return found


async def finished(house: House, subscription: str) -> str | None:
    """Let time pass until the replay is over."""
    for _ in range(1000):
        now = await status(house, subscription)
        if now != "In progress":
            return now
        await house.wait(100)
    raise AssertionError("the replay does not end")


async def test_a_replay_gives_what_was_published_in_its_time_and_in_order(house: House) -> None:
    subscription = await made(house)
    for n in range(5):
        await publish(house, f"{n}")
        house.clock.at += 1000
    assert await taken(house) == ["0", "1", "2", "3", "4"]
    await replay(house, subscription, START + 1000, START + 3000)
    assert await finished(house, subscription) == "Completed"
    assert await taken(house) == ["1", "2", "3"]
    # What comes after its end does not come to it, until the policy is taken away.
    await publish(house, "later")
    assert await taken(house) == []
    given = {"replay_policy": None}
    await house.call(a.SetSubscriptionAttributes(subscription=subscription, attributes=given))
    await publish(house, "now")
    assert await taken(house) == ["now"]
    assert await status(house, subscription) is None


async def test_what_is_published_meanwhile_comes_in_its_turn() -> None:
    house = House(topic_limits=TopicLimits(replay_rate=20))
    await house.start()
    subscription = await made(house)
    await publish(house, *map(str, range(10)))
    await taken(house)
    await replay(house, subscription, 0)
    await house.wait(0)
    await publish(house, "10", "11")
    assert len((await house.call(q.PeekMessages(queue="q.fifo", limit=99)))["messages"]) < 10
    assert await finished(house, subscription) == "Completed"
    await publish(house, "12")
    assert await taken(house) == [str(n) for n in range(13)]
    await house.kernel.stop()


async def test_a_replay_goes_on_after_a_crash_and_delivers_nothing_twice() -> None:
    house = House(
        topic_limits=TopicLimits(replay_rate=20),
        settings=KernelSettings(tail_bytes=20_000, slice_bytes=4_000),
        limits=QueueLimits(memory_bytes=1),
    )
    await house.start()
    subscription = await made(house)
    for n in range(60):
        await publish(house, f"{n:03}" * 100)
    await taken(house)
    await replay(house, subscription, 0)
    for _ in range(100):
        if await status(house, subscription) != "In progress":
            break
        await house.wait(100)
        before = house.topics.snapshot()
        await house.restart()
        assert house.topics.snapshot() == before
    assert await finished(house, subscription) == "Completed"
    assert await taken(house) == [f"{n:03}" * 100 for n in range(60)]
    await house.kernel.stop()


async def test_the_filter_policy_is_asked_and_the_copy_is_marked(house: House) -> None:
    subscription = await made(house)
    kinds = ("a", "b", "a")
    entries = [
        a.PublishEntry(f"{n}", group="g", attributes={"kind": ("String", kind)})
        for n, kind in enumerate(kinds)
    ]
    await house.call(a.PublishMessage(topic="t.fifo", entries=entries))
    await taken(house)
    given = {"filter_policy": '{"kind": ["a"], "Replayed": [{"exists": false}]}'}
    await house.call(a.SetSubscriptionAttributes(subscription=subscription, attributes=given))
    await replay(house, subscription, 0)
    assert await finished(house, subscription) == "Completed"
    looked = (await house.call(q.PeekMessages(queue="q.fifo")))["messages"]
    assert [each["body"] for each in looked] == ["0", "2"]
    assert looked[0]["attributes"] == {"kind": ("String", "a"), "Replayed": ("String", "true")}
    assert looked[0]["group"] == "g"


async def test_an_archive_forgets_and_ends() -> None:
    house = House(settings=KernelSettings(tail_bytes=20_000, slice_bytes=4_000))
    await house.start()
    subscription = await made(house)
    await publish(house, "old")
    await house.wait(DAY)
    await publish(house, "new")
    await taken(house)
    await house.wait(DAY + 10_000)
    said = await house.call(a.GetTopicAttributes(topic="t.fifo"))
    assert said["archive_at"] == house.clock.at - 2 * DAY
    await replay(house, subscription, 0)
    assert await finished(house, subscription) == "Completed"
    assert await taken(house) == ["new"]
    given = {"archive_days": 365}
    await house.call(a.SetTopicAttributes(topic="t.fifo", attributes=given))
    await house.wait(300 * DAY)
    await house.restart()
    await replay(house, subscription, 0)
    assert await finished(house, subscription) == "Completed"
    assert await taken(house) == ["new"]

    refused = await house.call(a.DeleteTopic(topic="t.fifo"))
    assert isinstance(refused, UnsupportedOperation)
    await replay(house, subscription, 0)
    queues = house.queues.counts()[0]
    await house.call(a.SetTopicAttributes(topic="t.fifo", attributes={"archive_days": None}))
    assert await status(house, subscription) == "Failed"
    assert house.queues.counts()[0] == queues - 1
    await house.call(a.DeleteTopic(topic="t.fifo"))
    await house.kernel.stop()


async def test_a_standard_topic_has_an_archive_where_a_setting_says_so(house: House) -> None:
    refused = await house.call(a.CreateTopic(topic="plain", attributes={"archive_days": 1}))
    assert isinstance(refused, InvalidAttributeName)
    other = House(topic_limits=TopicLimits(archive_standard=True, max_replays=1))
    await other.start()
    await other.call(q.CreateQueue(queue="q"))
    await other.call(q.CreateQueue(queue="q2"))
    await other.call(a.CreateTopic(topic="plain", attributes={"archive_days": 1}))
    await other.call(a.PublishMessage(topic="plain", entries=[a.PublishEntry(b"\xff")]))
    given = {"raw_message_delivery": True, "replay_policy": {"starting_point": 0}}
    said = await other.call(a.Subscribe(topic="plain", endpoint="q", attributes=given))
    refused = await other.call(a.Subscribe(topic="plain", endpoint="q2", attributes=given))
    assert isinstance(refused, OverLimit)
    assert await finished(other, said["subscription"]) == "Completed"
    looked = (await other.call(q.PeekMessages(queue="q")))["messages"]
    assert [each["body"] for each in looked] == [b"\xff"]
    await other.kernel.stop()


@pytest.mark.parametrize("policy", [{"starting_point": 5, "ending_point": 5}, {"starting_point": 0}])
async def test_what_cannot_be_replayed_is_refused(house: House, policy: dict[str, int]) -> None:
    subscription = await made(house)
    if "ending_point" not in policy:
        await house.call(a.SetTopicAttributes(topic="t.fifo", attributes={"archive_days": None}))
    given = {"replay_policy": policy}
    refused = await house.call(a.SetSubscriptionAttributes(subscription=subscription, attributes=given))
    assert refused.field == "attributes.replay_policy"
    assert await status(house, subscription) is None


async def test_an_archive_and_a_replay_stay_within_the_memory_that_is_configured() -> None:
    memory = 1 << 20
    house = House(
        settings=KernelSettings(tail_bytes=1 << 20, slice_bytes=1 << 18),
        limits=QueueLimits(memory_bytes=memory),
    )
    await house.start()
    subscription = await made(house)
    most = 0
    for n in range(150):
        await publish(house, f"{n:03}" + "x" * 100_000)
        if n % 10 == 9:
            await house.wait(1000)
            await house.call(q.PurgeQueue(queue="q.fifo"))
            most = max(most, house.queues.memory_used)
    await replay(house, subscription, 0)
    while await status(house, subscription) == "In progress":
        await house.wait(100)
        most = max(most, house.queues.memory_used)
    assert (await house.call(q.GetQueueAttributes(queue="q.fifo")))["visible"] == 150
    assert most < 4 * memory
    await house.kernel.stop()


async def test_a_copy_comes_again_within_the_time_of_its_deduplication_id(house: House) -> None:
    subscription = await made(house)
    await publish(house, "a")
    await replay(house, subscription, 0)
    assert await finished(house, subscription) == "Completed"
    assert await taken(house) == ["a", "a"]
