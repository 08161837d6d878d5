"""Space on disk: what is consumed is used again, and what is only read does not grow."""

from __future__ import annotations

import os
from pathlib import Path

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from tests.house import HANDLE
from tests.inspection.stories import RealHouse

MIB = 1 << 20
HOUR = 3_600_000


async def drained(house: RealHouse) -> None:
    while found := await house.receive(100):
        await house.delete(*(each[HANDLE] for each in found))


async def tidied(house: RealHouse) -> None:
    """Time in which nobody asks for anything: the tail is spilled, and what is not needed reclaimed."""
    for _ in range(3):
        await house.wait(1000)
        await house.quiet()


async def test_the_space_of_consumed_messages_is_used_again(tmp_path: Path) -> None:
    house = RealHouse(tmp_path / "data", KernelSettings(tail_bytes=MIB // 2, idle_spill_after=1000))
    await house.start()
    await house.create("jobs")
    sizes = []
    for _ in range(4):
        for _ in range(20):
            await house.send(*(os.urandom(5_000) for _ in range(40)))
        await tidied(house)
        await drained(house)
        await tidied(house)
        sizes.append(await house.real.figures())
    await house.close()
    first, last = sizes[0], sizes[-1]
    assert first.database_bytes > 3 * MIB  # they were on disk
    assert last.used_bytes < MIB  # and are not any more
    assert last.database_bytes <= first.database_bytes * 1.25
    assert last.journal_rows < 20
    # How often a byte is written: to log and database, in the journal and as a record.
    written = last.log_bytes + last.folded_bytes
    assert last.batch_bytes > 16 * 10**6
    assert 2 < written / last.batch_bytes < 8


async def test_a_week_of_nothing_but_reads_does_not_grow(tmp_path: Path) -> None:
    settings = KernelSettings(tail_bytes=MIB // 2, idle_spill_after=1000, scrub_round=24 * HOUR)
    house = RealHouse(tmp_path / "data", settings)
    await house.start()
    await house.create("jobs")
    await house.create("empty")
    await house.send(*(os.urandom(1_000) for _ in range(100)))
    await tidied(house)
    before = await house.real.figures()
    for _ in range(24):  # so that a test may take its time: 7 hours at a step
        for _ in range(20):
            await house.call(a.GetQueueAttributes(queue="jobs"))
            await house.call(a.ListQueues())
            assert await house.receive(1, "empty") == []
            await house.call(a.ReceiveMessage(queue="jobs", max_messages=1, visibility_timeout=0))
        await house.wait(7 * HOUR)
        await tidied(house)
    after = await house.real.figures()
    await house.close()
    assert after.database_bytes <= before.database_bytes + MIB // 2
    assert after.wal_bytes <= before.wal_bytes + MIB
    assert after.journal_rows <= 20
    assert after.used_bytes <= before.used_bytes + 2 * MIB
