"""Topics through crashes: state is a function of the journal, and rows with the tail give the same."""

import asyncio
import json
import random
from collections import Counter

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.records import MESSAGES
from ropewayd.queues.settings import QueueLimits
from ropewayd.store.memory import Fate
from ropewayd.topics import actions as t
from tests.house import BODY, HANDLE, House, settle
from tests.topics.talk import bodies, publish, subscribe, topic

QUEUES = [f"q{n}" for n in range(5)]
TOPICS = [f"t{n}" for n in range(3)]


class Model:
    """What there must be: topics with their subscriptions, and how often each body is in each queue."""

    def __init__(self) -> None:
        self.topics: dict[str, dict[str, str]] = {}
        self.held: dict[str, Counter[str]] = {}
        self.hooks: dict[str, tuple[str, Counter[str]]] = {}


async def hook(house: House, name: str) -> str:
    """Subscribe a web hook, which confirms; its ARN."""
    answer = await house.call(t.Subscribe(topic=name, protocol="http", endpoint="http://example.org"))
    assert answer["pending"]
    hidden = hidden_queue(house, answer["subscription"])
    [question] = await house.receive(1, hidden)
    confirmed = await house.call(t.ConfirmSubscription(token=json.loads(question[BODY])["Token"]))
    assert confirmed == {"subscription": answer["subscription"]}
    await house.delete(question[HANDLE], queue=hidden)
    return str(answer["subscription"])


async def step(  # noqa: C901  # a table of what can happen
    house: House, model: Model, dice: random.Random, number: int
) -> None:
    """Something happens, to the house and to the model."""
    name, queue = dice.choice(TOPICS), dice.choice(QUEUES)
    match dice.choice(
        [
            "create",
            "delete",
            "subscribe",
            "unsubscribe",
            "hook",
            "unhook",
            "queue",
            "drop",
            "take",
            *["publish"] * 6,
        ]
    ):
        case "create":
            await topic(house, name)
            model.topics.setdefault(name, {})
        case "delete" if dice.random() < 0.3:
            await house.call(t.DeleteTopic(topic=name))
            model.topics.pop(name, None)
            model.hooks.pop(name, None)
        case "subscribe" if name in model.topics:
            arn = await subscribe(house, queue, name, raw_message_delivery=True)
            model.topics[name][queue] = arn
        case "unsubscribe" if model.topics.get(name):
            queue, arn = model.topics[name].popitem()
            await house.call(t.Unsubscribe(subscription=arn))
        case "hook" if name in model.topics and name not in model.hooks:
            model.hooks[name] = await hook(house, name), Counter()
        case "unhook" if name in model.hooks and dice.random() < 0.3:
            await house.call(t.Unsubscribe(subscription=model.hooks.pop(name)[0]))
        case "queue":
            await house.create(queue)
            model.held.setdefault(queue, Counter())
        case "drop" if queue in model.held and dice.random() < 0.3:
            await house.call(a.DeleteQueue(queue=queue))
            del model.held[queue]
        case "take" if queue in model.held:
            for message in await house.receive(3, queue, visibility_timeout=0):
                await house.delete(message[HANDLE], queue=queue)
                model.held[queue][message[BODY]] -= 1
        case "publish" if name in model.topics:
            texts = [
                f"{number}-{place}-{'x' * dice.randrange(60)}" for place in range(dice.choice([1, 1, 3]))
            ]
            await publish(house, *texts, name=name)
            if name in model.hooks:
                model.hooks[name][1].update(texts)
            for each in model.topics[name]:
                if each in model.held:
                    model.held[each].update(texts)


async def same(house: House, model: Model) -> None:
    """The house is as the model says."""
    assert (await house.call(t.ListTopics()))["topics"] == sorted(model.topics)
    for name, subscriptions in model.topics.items():
        listed = (await house.call(t.ListSubscriptions(topic=name)))["subscriptions"]
        queues = {
            e["endpoint"].rpartition(":")[2]: e["subscription"] for e in listed if e["protocol"] == "sqs"
        }
        assert queues == subscriptions
        hooks = [each["subscription"] for each in listed if each["protocol"] == "http"]
        assert hooks == ([model.hooks[name][0]] if name in model.hooks else [])
    for arn, held in model.hooks.values():
        found = Counter[str]()
        while more := await house.receive(10, hidden_queue(house, arn)):
            found.update(json.loads(message[BODY])["Message"] for message in more)
        assert found == held
    for queue, held in model.held.items():
        found = Counter[str]()
        while more := await house.receive(10, queue):
            found.update(message[BODY] for message in more)
        assert found == +held, queue
        await house.wait(30_000)


def hidden_queue(house: House, arn: str) -> str:
    """Where what a web hook is to get waits."""
    found = house.topics.subscription(arn)
    assert isinstance(found, tuple)
    assert found[1].number
    return found[1].queue


@pytest.mark.parametrize("seed", [2, 3, 5, 6])
async def test_crashes_change_nothing(seed: int) -> None:
    dice = random.Random(seed)
    settings = KernelSettings(
        tail_bytes=dice.choice([1000, 4000, 1 << 20]),
        slice_bytes=dice.choice([100, 1000]),
        idle_spill_after=dice.choice([50, 1000]),
    )
    limits = QueueLimits(memory_bytes=dice.choice([1000, 1 << 20]), min_window_bytes=0)
    house, model = House(settings, limits), Model()
    await house.start()
    for number in range(150):
        await step(house, model, dice, number)
        if dice.random() < 0.2:
            await house.wait(dice.choice([60, 2000]))
        if dice.random() < 0.08:
            before = house.topics.snapshot()
            await house.restart()
            assert house.topics.snapshot() == before
    await house.restart()
    await same(house, model)
    await house.kernel.stop()


async def test_a_publish_that_is_not_durable_is_nowhere() -> None:
    house = House()
    await house.start()
    await topic(house)
    for name in QUEUES:
        await house.create(name)
        await subscribe(house, name, raw_message_delivery=True)
    await publish(house, "kept")
    house.faults.fates = [Fate.CRASH_BEFORE]
    lost = house.submit(t.PublishMessage(topic="news", entries=[t.PublishEntry("lost")]))
    await settle()
    assert not lost.answered or not isinstance(await lost.answer, list)
    await house.restart()
    for name in QUEUES:
        assert await bodies(house, name) == ["kept"]
    await house.kernel.stop()


async def test_no_number_is_used_again() -> None:
    house = House()
    await house.start()
    for _ in range(3):
        await topic(house)
        await subscribe(house, "q")
        await house.call(t.DeleteTopic(topic="news"))
        await house.wait(60_000)
        await house.restart()
    await topic(house)
    assert (await house.call(t.ListSubscriptions(topic="news")))["subscriptions"] == []
    assert list(house.topics.snapshot()["topics"]) == [4]
    await house.kernel.stop()


async def test_a_fan_out_that_was_written_in_part_leaves_nothing_behind() -> None:
    """Its event is in the tail and some of its rows on disk: what is deleted then has no row either."""
    house = House(KernelSettings(slice_bytes=1, idle_spill_after=50))
    await house.start()
    await topic(house)
    names = [f"wide-{n}" for n in range(120)]
    for name in names:
        await house.create(name)
        await subscribe(house, name, raw_message_delivery=True)
    await house.wait(60_000)
    await publish(house, "x")
    while not rows(house):
        house.clock.at += 50
        house.kernel.tick()
        await asyncio.sleep(0)
    assert 0 < len(rows(house)) < len(names)
    assert house.disk.journal
    await house.restart()
    for name in names:
        [message] = await house.receive(queue=name)
        await house.delete(message[HANDLE], queue=name)
    await house.wait(60_000)
    assert not rows(house)
    await house.kernel.stop()


def rows(house: House) -> list[object]:
    """The messages' rows on disk."""
    return list(house.disk.records.get(MESSAGES, {}))
