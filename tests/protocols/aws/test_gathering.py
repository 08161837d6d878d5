"""Calls that come together become one, and each is answered as if it were alone."""

import asyncio
from typing import Any

import pytest

from ropewayd.protocols.aws.gathering import MOST_BYTES, Gathering
from ropewayd.queues import actions as a
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import InvalidMessageContents, QueueDoesNotExist
from tests.house import House, Reply, settle


def send(queue: str, *bodies: str) -> a.SendMessage:
    return a.SendMessage(queue=queue, entries=[a.SendEntry(each) for each in bodies])


@pytest.fixture
async def seen(house: House) -> list[Action]:
    """What reached the kernel."""
    await house.create("one")
    await house.create("two")
    return []


def gathering(house: House, seen: list[Action]) -> Gathering:
    def submit(action: Action, reply: Any) -> None:
        seen.append(action)
        house.kernel.submit(action, reply)

    return Gathering(submit)


async def test_what_comes_together_is_one_call_for_each_queue_and_kind(
    house: House, seen: list[Action]
) -> None:
    calls, replies = gathering(house, seen), [Reply() for _ in range(5)]
    queues = ("one", "two", "one", "none", "one")
    for number, (queue, reply) in enumerate(zip(queues, replies, strict=True)):
        calls.add(send(queue, str(number) if number != 2 else ""), reply, 10)
    assert not seen
    await settle()
    assert [(action.queue, len(action.entries)) for action in seen if isinstance(action, a.SendMessage)] == [
        ("one", 3),
        ("two", 1),
        ("none", 1),
    ]
    for alone in (0, 1, 4):
        [told] = await replies[alone].answer
        assert len(told) == 16
    [wrong] = await replies[2].answer
    assert isinstance(wrong, InvalidMessageContents)
    assert wrong.field == "entries[0].body"
    assert isinstance(await replies[3].answer, QueueDoesNotExist)


async def test_others_are_not_held_up(house: House, seen: list[Action]) -> None:
    calls = gathering(house, seen)
    calls.add(send("line.fifo", "x"), Reply(), 10)
    calls.add(a.ReceiveMessage(queue="one"), Reply(), 10)
    assert len(seen) == 2


async def test_what_is_gathered_has_a_limit(house: House, seen: list[Action]) -> None:
    calls = gathering(house, seen)
    for _ in range(3):
        calls.add(send("one", "x"), Reply(), MOST_BYTES // 2 + 1)
    assert len(seen) == 2
    await asyncio.sleep(0)
    assert len(seen) == 3
