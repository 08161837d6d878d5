"""A receive that is asked for again with the same attempt gives the same again."""

from typing import Any

import pytest

from ropewayd.queues import actions as a
from tests.house import BODY, COUNT, HANDLE, House

QUEUE = "jobs.fifo"


@pytest.fixture
async def fifo(house: House) -> House:
    await house.create(QUEUE, fifo=True, content_based_deduplication=True, visibility_timeout=30_000)
    entries = [a.SendEntry(body, group=body[0]) for body in ("1a", "1b", "2a", "3a")]
    await house.call(a.SendMessage(queue=QUEUE, entries=entries))
    return house


async def receive(house: House, most: int = 2, attempt: str | None = "x", **each: Any) -> list[Any]:
    return await house.receive(most, QUEUE, attempt=attempt, **each)


async def test_the_same_attempt_gives_the_same_messages_and_handles(fifo: House) -> None:
    first = await receive(fifo)
    assert [m[BODY] for m in first] == ["1a", "1b"]
    await fifo.wait(5_000)
    assert await receive(fifo) == first
    assert [m[BODY] for m in await receive(fifo, attempt="y")] == ["2a", "3a"]
    assert await receive(fifo, attempt=None) == []
    assert await fifo.delete(*(m[HANDLE] for m in first), queue=QUEUE) == [None, None]


async def test_asking_again_hides_them_anew(fifo: House) -> None:
    await receive(fifo, 1)
    await fifo.wait(20_000)
    again = await receive(fifo, 1, visibility_timeout=60_000)
    await fifo.wait(59_000)
    assert [m[BODY] for m in await receive(fifo, 10, attempt="y")] == ["2a", "3a"]
    assert again[0][COUNT] == 1
    await fifo.wait(1_010)
    assert (await receive(fifo, 1, attempt="z"))[0][COUNT] == 2


@pytest.mark.parametrize("tidied", [False, True])
async def test_it_survives_a_restart(fifo: House, tidied: bool) -> None:
    first = await receive(fifo)
    if tidied:
        for _ in range(10):
            await fifo.wait(1_500)
        assert not fifo.disk.journal
    await fifo.restart()
    assert await receive(fifo) == first
    assert await fifo.delete(*(m[HANDLE] for m in first), queue=QUEUE) == [None, None]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("change", ["delete", "visibility", "expiry"])
async def test_a_message_that_was_changed_ends_the_attempt(fifo: House, change: str, restarted: bool) -> None:
    first = await receive(fifo)
    if change == "delete":
        await fifo.delete(first[0][HANDLE], queue=QUEUE)
    elif change == "visibility":
        await fifo.change(first[1][HANDLE], 30_000, queue=QUEUE)
    else:
        await fifo.wait(30_010)
    if restarted:
        for _ in range(10):
            await fifo.wait(1_500)
        await fifo.restart()
    bodies = [m[BODY] for m in await receive(fifo)]
    assert bodies == (["2a", "3a"] if change != "expiry" or not restarted else ["1a", "1b"])


async def test_after_five_minutes_it_is_a_new_receive(fifo: House) -> None:
    await receive(fifo, visibility_timeout=600_000)
    await fifo.wait(299_999)
    assert [m[BODY] for m in await receive(fifo, visibility_timeout=600_000)] == ["1a", "1b"]
    await fifo.wait(1)
    assert [m[BODY] for m in await receive(fifo)] == ["2a", "3a"]


async def test_an_attempt_that_gave_nothing_is_no_attempt(fifo: House) -> None:
    everything = await receive(fifo, 10, attempt=None)
    assert await receive(fifo) == []
    await fifo.delete(*(m[HANDLE] for m in everything), queue=QUEUE)
    await fifo.call(a.SendMessage(queue=QUEUE, entries=[a.SendEntry("9", group="9")]))
    assert [m[BODY] for m in await receive(fifo)] == ["9"]


async def test_a_standard_queue_has_none(house: House) -> None:
    await house.create()
    await house.send("a", "b")
    assert [m[BODY] for m in await house.receive(1, attempt="x")] == ["a"]
    assert [m[BODY] for m in await house.receive(1, attempt="x")] == ["b"]


async def test_two_receives_of_one_attempt_id_in_a_millisecond_stay_apart(fifo: House) -> None:
    await tidied(fifo)
    first = await receive(fifo, visibility_timeout=20_000)
    await fifo.change(first[0][HANDLE], 0, queue=QUEUE)
    second = await receive(fifo, 3, visibility_timeout=600_000)
    assert [m[BODY] for m in second] == ["2a", "3a", "1a"]
    await tidied(fifo)
    await fifo.restart()
    await fifo.wait(10_000)  # the second message of the first receive is visible again
    await tidied(fifo)
    await fifo.restart()
    assert await receive(fifo, visibility_timeout=600_000) == second


async def tidied(house: House) -> None:
    """All that the journal says is in records."""
    for _ in range(10):
        await house.wait(1_500)
    assert not house.disk.journal
