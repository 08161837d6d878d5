"""Many queues: what one costs that is idle, and what all of them hold together."""

from __future__ import annotations

import tracemalloc

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues.settings import QueueLimits
from tests.house import BODY, HANDLE, House
from tests.queues.test_spilling import spilled

IDLE = 300
IDLE_BYTES = 2048


async def test_an_idle_queue_takes_little_memory_and_no_timer() -> None:
    house = House(KernelSettings(tail_bytes=30_000))
    await house.start()
    await house.create("first")
    await spilled(house)
    names = [f"queue-{n:010}" for n in range(IDLE)]
    tracemalloc.start()
    try:
        for name in names:
            await house.create(name)
        for name in names:  # it was busy once
            await house.send(*"abcdefghij", queue=name)
            await house.delete(*(m[HANDLE] for m in await house.receive(queue=name)), queue=name)
        await spilled(house)
        await house.wait(5 * 86_400_000)  # the look at what may be past its retention finds nothing
        house.disk.records.clear()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / IDLE < IDLE_BYTES
    assert len(house.wheel) == 0


@pytest.mark.parametrize("restarted", [False, True])
async def test_the_budget_holds_for_any_number_of_queues(restarted: bool) -> None:
    budget, tail = 100_000, 6000
    limits = QueueLimits(memory_bytes=budget, page_bytes=20_000)
    house = House(KernelSettings(tail_bytes=tail, slice_bytes=3000), limits)
    await house.start()
    names = [f"q{n}" for n in range(60)]
    most = 0

    def held() -> int:
        nonlocal most
        most = max(most, house.queues._registry.memory.used)
        return most

    for name in names:
        await house.create(name, visibility_timeout=600_000)
    for n in range(20):
        for name in names:
            await house.send(f"{name} {n:0500}", queue=name)
            held()
    if restarted:
        await house.restart()
        await house.wait(1000)
    for n in range(20):
        for name in names:
            (message,) = await house.receive(1, queue=name)
            assert message[BODY] == f"{name} {n:0500}"
            await house.delete(message[HANDLE], queue=name)
            held()
    assert most < budget + 3 * tail  # of 960,000
    assert house.queues.counts() == (60, 0)
