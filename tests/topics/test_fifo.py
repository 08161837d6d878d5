"""FIFO topics: order, deduplication before delivery, and what its queues are told."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.topics import actions as t
from ropewayd.topics.settings import TopicLimits
from ropewayd.vocabulary.errors import InvalidParameterValue, MissingParameter, OverLimit
from tests.house import BODY, HANDLE, House
from tests.topics.talk import QUEUE_ARN, publish, subscribe, topic

NEWS = "news.fifo"
GROUP, ID = "group", "deduplication_id"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    built = House(KernelSettings(), topic_limits=TopicLimits(memory_bytes=0, max_fifo_subscriptions=3))
    await built.start()
    await topic(built, NEWS, fifo=True)
    await built.create("fifo.fifo", fifo=True)
    await built.create("plain")
    for name in ("fifo.fifo", "plain"):
        await subscribe(built, name, NEWS, raw_message_delivery=True)
    yield built
    await built.kernel.stop()


async def say(house: House, *texts: str, group: str = "g", **each: Any) -> list[Any]:
    """Publish messages of these texts, which are their deduplication ids too."""
    entries = [t.PublishEntry(text, group=group, **{ID: text, **each}) for text in texts]
    answer: list[Any] = await house.call(t.PublishMessage(topic=NEWS, entries=entries))
    return answer


async def drained(house: House, queue: str) -> list[Any]:
    """All messages of a queue, in the order in which they come."""
    found: list[Any] = []
    while more := await house.receive(10, queue):
        await house.delete(*[message[HANDLE] for message in more], queue=queue)
        found += more
    return found


async def test_order_and_ids_reach_fifo_queues_and_no_others(house: House) -> None:
    answers = await say(house, "a", "b", "c")
    numbers = [number for _, number in answers]
    assert numbers == sorted(set(numbers))
    fifo, plain = await drained(house, "fifo.fifo"), await drained(house, "plain")
    assert [each[BODY] for each in fifo] == ["a", "b", "c"]
    assert [each[BODY] for each in plain] == ["a", "b", "c"]
    assert [(each[7][GROUP], each[7][ID]) for each in fifo] == [("g", "a"), ("g", "b"), ("g", "c")]
    assert all(len(each) == 7 for each in plain)


async def test_a_message_is_accepted_once_in_five_minutes(house: House) -> None:
    first, again, other = await say(house, "a", "a", "b")
    assert again == first
    assert other != first
    await house.wait(100_000)
    assert await say(house, "a") == [first]
    await house.restart()
    [repeated, fresh] = await say(house, "a", "c")
    assert tuple(repeated) == tuple(first)
    assert fresh != repeated
    for queue in ("fifo.fifo", "plain"):
        assert [each[BODY] for each in await drained(house, queue)] == ["a", "b", "c"]
    await house.wait(310_000)
    [late] = await say(house, "a")
    assert late != first
    assert [each[BODY] for each in await drained(house, "plain")] == ["a"]


async def test_ids_that_memory_has_left_to_the_disk_are_known(house: House) -> None:
    first = await say(house, *(f"m{n}" for n in range(50)))
    await house.wait(60_000)  # memory_bytes is 0: nothing stays but what tells new ids from old ones
    assert sum(len(topic.ids or ()) for topic in house.topics._registry.by_number.values()) == 0
    assert await say(house, *(f"m{n}" for n in range(50))) == first
    assert len(await drained(house, "plain")) == 50


async def test_what_one_look_found_is_looked_up_again_with_what_another_must_find(house: House) -> None:
    first, second = await say(house, "a", "b")
    await house.wait(60_000)
    assert await say(house, "a") == [first]
    again = await say(house, "a", "b", "new")
    assert again[:2] == [first, second]
    assert [each[BODY] for each in await drained(house, "plain")] == ["a", "b", "new"]


async def test_the_scope_can_be_the_group(house: House) -> None:
    await house.call(t.SetTopicAttributes(topic=NEWS, attributes={"fifo_throughput_scope": "MessageGroup"}))
    first = await say(house, "a", group="one")
    assert await say(house, "a", group="two") != first
    assert await say(house, "a", group="one") == first
    assert len(await drained(house, "plain")) == 2


async def test_a_body_stands_for_its_id_where_the_topic_says_so(house: House) -> None:
    missing = (await publish(house, "a", name=NEWS, group="g"))[0]
    assert isinstance(missing, InvalidParameterValue)
    assert isinstance((await publish(house, "a", name=NEWS))[0], MissingParameter)
    await house.call(t.SetTopicAttributes(topic=NEWS, attributes={"content_based_deduplication": True}))
    [one] = await publish(house, "a", name=NEWS, group="g")
    assert await publish(house, "a", name=NEWS, group="g") == [one]
    assert await publish(house, "b", name=NEWS, group="g") != [one]
    assert len(await drained(house, "fifo.fifo")) == 2


async def test_dead_letters_of_it_all_arrive(house: House) -> None:
    await house.create("dead.fifo", fifo=True)
    letters = {"dead_letter_target_arn": QUEUE_ARN + "dead.fifo"}
    for queue in ("fifo.fifo", "plain"):
        listed = (await house.call(t.ListSubscriptions(topic=NEWS)))["subscriptions"]
        [arn] = [each["subscription"] for each in listed if each["endpoint"] == QUEUE_ARN + queue]
        set_ = t.SetSubscriptionAttributes(subscription=arn, attributes={"redrive_policy": letters})
        await house.call(set_)
        await house.call(a.SetQueueAttributes(queue=queue, attributes={"maximum_message_size": 1024}))
    await say(house, "x" * 2000, **{ID: "long"})
    dead = await drained(house, "dead.fifo")
    assert [each[BODY] for each in dead] == ["x" * 2000] * 2
    assert await drained(house, "plain") == []


async def test_a_long_batch_is_refused_as_a_whole_where_aws_does(house: House) -> None:
    entries = [t.PublishEntry("a", group="g", deduplication_id="1"), t.PublishEntry("b", group="g")]
    answer = await house.call(t.PublishTogether(topic=NEWS, entries=entries))
    assert isinstance(answer, InvalidParameterValue)
    big = [t.PublishEntry("x" * 200_000, group="g", deduplication_id=str(n)) for n in range(2)]
    answer = await house.call(t.PublishTogether(topic=NEWS, entries=big))
    assert isinstance(answer, InvalidParameterValue)
    assert answer.field == "entries"
    assert await drained(house, "plain") == []


async def test_groups_and_ids_have_letters_digits_and_punctuation_of_ascii(house: House) -> None:
    entries = [
        t.PublishEntry("a", group="a b", deduplication_id="1"),
        t.PublishEntry("b", group="g", deduplication_id="caf\u00e9"),
        t.PublishEntry("c", group="!~", deduplication_id="~!"),
    ]
    *bad, good = await house.call(t.PublishMessage(topic=NEWS, entries=entries))
    assert [each.field for each in bad] == ["entries[0].group", "entries[1].deduplication_id"]
    assert isinstance(good, tuple)


async def test_subscriptions_have_their_limit_and_their_kind(house: House) -> None:
    await subscribe(house, "third", NEWS)
    assert isinstance(await house.fail(t.Subscribe(topic=NEWS, endpoint="fourth")), OverLimit)
    await topic(house, "standard")
    refused = await house.fail(t.Subscribe(topic="standard", endpoint="fifo.fifo"))
    assert isinstance(refused, InvalidParameterValue)


async def test_the_envelope_tells_the_sequence_number(house: House) -> None:
    await house.create("told")
    await subscribe(house, "told", NEWS)
    [(_, number)] = await say(house, "a")
    [message] = await drained(house, "told")
    assert json.loads(message[BODY])["SequenceNumber"] == number
