"""What ends all at once leaves memory and disk in pieces, and what is due all at once is done in pieces."""

from typing import Any

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.remains import PIECE
from ropewayd.queues.settings import QueueLimits
from ropewayd.vocabulary.action import Action
from tests.house import BODY, HANDLE, House, settle
from tests.queues.test_spilling import rows, spilled, waits

PIECES = 3
MANY = PIECES * PIECE


async def crowd(receive: int = 0, **attributes: Any) -> House:
    house = House(KernelSettings(slice_bytes=64 * PIECE))
    await house.start()
    await house.create(visibility_timeout=600_000, **attributes)
    for _ in range(MANY // 1000):
        await house.send(*["x"] * 1000)
    for _ in range(receive // 1000):
        await house.receive(1000)
    return house


def held(house: House) -> int:
    return house.queues._registry.memory.used


def pieces(house: House) -> list[int]:
    """Tick until nothing is due; how much memory was held after each."""
    found = []
    while (due := house.kernel.next_deadline()) is not None and due <= house.clock.at:
        house.kernel.tick()
        found.append(held(house))
    return found


@pytest.mark.parametrize("end", [a.PurgeQueue(queue="jobs"), a.DeleteQueue(queue="jobs")])
async def test_a_large_queue_ends_at_once_and_leaves_memory_in_pieces(end: Action) -> None:
    house = await crowd(receive=2000)
    before = held(house)
    reply = house.submit(end)
    assert held(house) == pytest.approx(before * (PIECES - 1) / PIECES, rel=0.1)
    await settle()
    assert reply.answer.result() == {}
    if isinstance(end, a.PurgeQueue):
        assert await house.counts() == (0, 0, 0)
        await house.send("new")
        assert await house.bodies() == ["new"]
        await house.call(end)
    left = pieces(house)
    assert len(left) >= PIECES - 1
    assert left[-1] == 0


@pytest.mark.parametrize("end", [a.PurgeQueue(queue="jobs.fifo"), a.DeleteQueue(queue="jobs.fifo")])
async def test_the_groups_of_a_large_fifo_queue_leave_in_pieces(end: Action) -> None:
    house = House(limits=QueueLimits(fifo_calls=0))
    await house.start()
    await house.create("jobs.fifo", fifo=True)
    for first in range(0, MANY, 1000):
        names = [f"{n}" for n in range(first, first + 1000)]
        entries = [a.SendEntry("x", group=name, deduplication_id=name) for name in names]
        await house.call(a.SendMessage(queue="jobs.fifo", entries=entries))
    groups = house.queues._registry.by_number[1].groups
    assert groups is not None
    assert groups.count == MANY
    reply = house.submit(end)
    left = [groups.count]
    await settle()
    assert reply.answer.result() == {}
    while left[-1]:
        pieces(house)
        await settle()
        left.append(groups.count)
    assert left[0] >= MANY - PIECE
    assert held(house) == 0


@pytest.mark.parametrize("end", [a.PurgeQueue(queue="jobs"), a.DeleteQueue(queue="jobs")])
@pytest.mark.parametrize("slices", [1, 2, 3])
async def test_a_crash_between_the_slices_of_an_end_leaves_nothing(end: Action, slices: int) -> None:
    house = await crowd(receive=MANY)
    await spilled(house)
    assert (rows(house), waits(house)) == (MANY, MANY)
    await house.call(end)
    for _ in range(slices):  # each so small that one piece fills it
        slice = house.kernel._slice(house.kernel._committed, 0)
        assert slice is not None
        assert len(slice.drops) <= PIECE + 1
        await house.store.append(house.kernel._claim, house.kernel._committed, b"", slice)
    assert waits(house) == MANY - slices * PIECE
    assert bool(house.disk.journal) == (slices < PIECES)
    await house.restart()
    await spilled(house)
    assert (rows(house), waits(house), held(house)) == (0, 0, 0)


async def test_what_is_due_at_one_time_wakes_in_pieces() -> None:
    house = await crowd(receive=MANY)
    queue = house.queues._registry.by_number[1]
    assert queue.in_flight == MANY
    house.clock.at += 600_010
    woken = []
    while queue.in_flight:
        before = queue.in_flight
        house.kernel.tick()
        woken.append(before - queue.in_flight)
    assert max(woken) <= 2 * PIECE
    assert await house.counts() == (MANY, 0, 0)


async def test_a_receive_behind_many_expired_messages_goes_on_in_pieces() -> None:
    house = House(KernelSettings(idle_spill_after=10_000_000), QueueLimits(page_messages=100))
    await house.start()
    await house.create(retention_period=60_000)
    for _ in range(5):
        await house.send(*["old"] * 1000)
    house.clock.at += 61_000
    await house.send("new")
    queue = house.queues._registry.by_number[1]
    receive = house.submit(a.ReceiveMessage(queue="jobs"))
    assert not receive.answered
    assert queue.live > 4500
    for _ in range(200):
        await settle()
    assert [m[BODY] for m in receive.answer.result()] == ["new"]
    assert await house.counts() == (0, 1, 0)
    assert await house.delete(receive.answer.result()[0][HANDLE]) == [None]
