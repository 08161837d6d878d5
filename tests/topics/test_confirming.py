"""Subscribers that are no queues: asked first, and told nothing before they say yes."""

import json
from typing import Any

import pytest

from ropewayd.queues import actions as q
from ropewayd.topics import actions as t
from ropewayd.topics.settings import TopicLimits
from ropewayd.vocabulary.errors import AccessDenied, InvalidParameterValue
from tests.house import BODY, HANDLE, House
from tests.topics.talk import publish, topic
from tests.topics.test_recovery import hidden_queue

HOUR = 3_600_000


@pytest.fixture
async def hook(house: House) -> dict[str, Any]:
    await topic(house)
    return await ask(house)


async def ask(house: House) -> dict[str, Any]:
    answer: dict[str, Any] = await house.call(
        t.Subscribe(topic="news", protocol="https", endpoint="https://example.org/hook")
    )
    return answer


async def tokens(house: House, arn: str) -> list[str]:
    """Of the questions that wait, which are taken out."""
    queue, found = hidden_queue(house, arn), []
    while more := await house.receive(10, queue):
        for message in more:
            found.append(json.loads(message[BODY])["Token"])
            await house.delete(message[HANDLE], queue=queue)
    return found


async def test_it_waits_for_its_token_and_no_other(house: House, hook: dict[str, Any]) -> None:
    assert (hook["created"], hook["pending"]) == (True, True)
    await publish(house, "too soon")
    [token] = await tokens(house, hook["subscription"])
    for wrong in ("", "x", "00", token[:-2], token[:-2] + ("00" if token[-2:] != "00" else "01")):
        answer = await house.call(t.ConfirmSubscription(token=wrong))
        assert isinstance(answer, InvalidParameterValue), wrong
    await publish(house, "too soon too")
    for _ in range(2):
        answer = await house.call(t.ConfirmSubscription(token=token, topic="another"))
        assert answer == {"subscription": hook["subscription"]}
    await publish(house, "now")
    found = await house.receive(10, hidden_queue(house, hook["subscription"]))
    assert [json.loads(message[BODY])["Message"] for message in found] == ["now"]


async def test_asking_again_asks_again_with_the_same_token(house: House, hook: dict[str, Any]) -> None:
    again = await ask(house)
    assert again == {**hook, "created": False}
    first, second = await tokens(house, hook["subscription"])
    assert first == second


async def test_after_two_days_it_must_be_made_anew(house: House, hook: dict[str, Any]) -> None:
    [token] = await tokens(house, hook["subscription"])
    await house.wait(48 * HOUR + 1)
    assert isinstance(await house.call(t.ConfirmSubscription(token=token)), InvalidParameterValue)
    again = await ask(house)
    assert again["subscription"] != hook["subscription"]
    [token] = await tokens(house, again["subscription"])
    assert await house.call(t.ConfirmSubscription(token=token)) == {"subscription": again["subscription"]}
    listed = (await house.call(t.ListSubscriptions(topic="news")))["subscriptions"]
    assert [each["subscription"] for each in listed] == [again["subscription"]]


async def test_a_guarded_one_is_not_ended_by_just_anybody(house: House, hook: dict[str, Any]) -> None:
    [token] = await tokens(house, hook["subscription"])
    await house.call(t.ConfirmSubscription(token=token, guarded=True))
    arn = hook["subscription"]
    assert isinstance(await house.call(t.UnsubscribeUnsigned(subscription=arn)), AccessDenied)
    assert await house.call(t.Unsubscribe(subscription=arn)) == {}


async def test_its_queue_is_nobodys_and_goes_with_it(house: House, hook: dict[str, Any]) -> None:
    queue = hidden_queue(house, hook["subscription"])
    assert (await house.call(q.ListQueues()))["queues"] == []
    assert house.queues.seen(10, 0) == ([], 0)
    assert house.queues.counts()[0] == 1
    await house.call(t.DeleteTopic(topic="news"))
    assert house.queues.counts()[0] == 0
    assert not isinstance(await house.call(q.GetQueueAttributes(queue=queue)), dict)


async def test_a_fifo_topic_has_none(house: House) -> None:
    await topic(house, "news.fifo", fifo=True)
    asked = t.Subscribe(topic="news.fifo", protocol="https", endpoint="https://example.org")
    assert isinstance(await house.call(asked), InvalidParameterValue)


async def confirmed(house: House) -> str:
    """A web hook that has confirmed; its ARN."""
    made = (await ask(house))["subscription"]
    [token] = await tokens(house, made)
    await house.call(t.ConfirmSubscription(token=token))
    return str(made)


async def farewell(house: House, arn: str) -> tuple[str, str]:
    """End the subscription: what it can be had again with, and the type of the message that says so."""
    await house.call(t.Unsubscribe(subscription=arn))
    [(_, made)] = [each for each in house.topics.pushes() if each[1].pending]
    [message] = await house.receive(10, made.queue)
    told = json.loads(message[BODY])
    return told["Token"], told["Type"]


async def listed(house: House) -> list[tuple[str, bool]]:
    found = (await house.call(t.ListSubscriptions(topic="news")))["subscriptions"]
    return [(each["subscription"], each["pending"]) for each in found]


async def test_one_that_ended_can_be_had_again_for_two_days(house: House) -> None:
    await topic(house)
    arn = await confirmed(house)
    token, kind = await farewell(house, arn)
    assert kind == "UnsubscribeConfirmation"
    assert await listed(house) == []
    await house.restart()
    again = await house.call(t.ConfirmSubscription(token=token))
    assert again["subscription"] != arn
    assert await house.call(t.ConfirmSubscription(token=token)) == again
    assert await listed(house) == [(again["subscription"], False)]
    token, _ = await farewell(house, again["subscription"])
    await house.wait(48 * HOUR + 1)
    assert isinstance(await house.call(t.ConfirmSubscription(token=token)), InvalidParameterValue)
    assert await listed(house) == []


async def test_one_that_was_subscribed_anew_is_not_had_twice(house: House) -> None:
    await topic(house)
    token, _ = await farewell(house, await confirmed(house))
    new = (await ask(house))["subscription"]
    assert await listed(house) == [(new, True)]
    assert await house.call(t.ConfirmSubscription(token=token)) == {"subscription": new}
    assert await listed(house) == [(new, False)]


async def test_who_never_confirmed_is_not_told_of_the_end(house: House, hook: dict[str, Any]) -> None:
    await house.call(t.Unsubscribe(subscription=hook["subscription"]))
    assert house.topics.pushes() == []


async def test_the_oldest_farewells_are_forgotten() -> None:
    house = House(topic_limits=TopicLimits(max_farewells=2))
    await house.start()
    await topic(house)
    for _ in range(3):
        await house.call(t.Unsubscribe(subscription=await confirmed(house)))
        await house.wait(1000)
    before = house.topics.snapshot()["topics"]
    [news] = before.values()
    assert len(news["farewells"]) == 2
    assert house.queues.counts()[0] == 2  # the hidden queues went with those that were forgotten
    await house.call(t.DeleteTopic(topic="news"))
    assert house.queues.counts()[0] == 0
    await house.kernel.stop()
