"""Many queues: what one costs that is idle, and what all of them hold together."""

from __future__ import annotations

import tracemalloc

from ropewayd.kernel.settings import KernelSettings
from tests.house import HANDLE, House
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
