"""Messages without bodies: where memory is short, what is invisible leaves its body to the disk."""

from collections.abc import Sequence
from typing import Any

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.message import OVERHEAD
from ropewayd.queues.records import MESSAGES
from ropewayd.queues.settings import QueueLimits
from ropewayd.store.protocol import Claim, Key, Record, Space
from tests.house import ATTRIBUTES, BODY, COUNT, HANDLE, Held, House
from tests.queues.test_spilling import rows, spilled, waits

SETTINGS = KernelSettings(tail_bytes=20_000, slice_bytes=5000)
LIMITS = QueueLimits(memory_bytes=40_000, page_messages=20, page_bytes=6000, min_window_bytes=2000)
MANY = 60
SLACK = 30_000
"""Two pages of messages and a tail that is not written yet."""


class Rows:
    """Counts the rows that are read by key."""

    def __init__(self, house: House) -> None:
        self.read = 0
        self._inner = house.store.read
        house.store.read = self._count  # type: ignore[method-assign]  # the store's own is inside

    async def _count(self, claim: Claim, space: Space, keys: Sequence[Key]) -> list[Record]:
        self.read += len(keys) if space == MESSAGES else 0
        return await self._inner(claim, space, keys)


async def backlog(limits: QueueLimits = LIMITS, **each: Any) -> House:
    house = House(SETTINGS, limits)
    await house.start()
    await house.create(visibility_timeout=60_000)
    for n in range(MANY):
        attributes = {"n": ("Number", f"{n}")}
        entry = a.SendEntry(f"{n:01000}", attributes=attributes, trace_header=f"Root={n}", **each)
        await house.call(a.SendMessage(queue="jobs", entries=[entry]))
    return house


def used(house: House) -> int:
    return house.queues._registry.memory.used


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_is_in_flight_leaves_its_body_to_the_disk_and_comes_back_whole(restarted: bool) -> None:
    house = await backlog()
    most = 0
    for _ in range(MANY):
        assert len(await house.receive(1)) == 1
        most = max(most, used(house))
    assert most < 40_000 + SLACK
    await spilled(house)
    assert used(house) < 20_000 + MANY * OVERHEAD
    if restarted:
        await house.restart()
    assert await house.counts() == (0, MANY, 0)
    await house.wait(60_010)
    found = []
    while got := await house.receive(7):
        found += got
        assert used(house) < 40_000 + SLACK
    assert [int(m[BODY]) for m in found] == list(range(MANY))
    assert {m[COUNT] for m in found} == {2}
    assert [m[ATTRIBUTES]["n"][1] for m in found] == [f"{n}" for n in range(MANY)]
    assert [m[7] for m in found] == [{"trace_header": f"Root={n}"} for n in range(MANY)]
    assert await house.delete(*(m[HANDLE] for m in found)) == [None] * MANY
    await spilled(house)
    assert (rows(house), waits(house), used(house)) == (0, 0, 0)


async def test_delayed_messages_need_no_memory_for_their_bodies() -> None:
    house = await backlog(
        QueueLimits(memory_bytes=10_000, page_messages=7, min_window_bytes=2000), delay=50_000
    )
    await spilled(house)
    assert used(house) < 5000 + 1300 + MANY * OVERHEAD
    await house.wait(50_000)
    await spilled(house)
    # The rows say all there is to say of them, and the small records are gone.
    assert (rows(house), waits(house)) == (MANY, 0)
    assert used(house) <= 10_000
    found: list[int] = []
    while got := await house.bodies(7):
        found += map(int, got)
    assert found == list(range(MANY))


async def test_a_start_reads_no_row_of_what_is_invisible() -> None:
    house = await backlog()
    while (await house.counts())[0]:
        await house.receive()
    await spilled(house)
    house.store.crash()
    house.faults = Held()
    house._build()
    read = Rows(house)
    await house.start()
    assert await house.counts() == (0, MANY, 0)
    assert read.read == 0


async def test_a_start_reads_no_row_of_what_ends_in_the_tail() -> None:
    house = await backlog(QueueLimits())
    await spilled(house)
    while got := await house.receive():
        await house.delete(*(m[HANDLE] for m in got))
    assert rows(house) == MANY  # the deletes are in the journal alone
    house.store.crash()
    house.faults = Held()
    house._build()
    read = Rows(house)
    await house.start()
    assert read.read == 0
    assert await house.counts() == (0, 0, 0)
    await spilled(house)
    assert (rows(house), waits(house)) == (0, 0)


async def test_what_a_handle_names_on_disk_is_read_without_its_body() -> None:
    house = await backlog()
    handles = []
    for _ in range(MANY):
        handles += [m[HANDLE] for m in await house.receive(1)]
    await house.wait(60_010)
    await spilled(house)
    before = used(house)
    for handle in handles:
        assert await house.change(handle, 500_000) is None
    assert used(house) < max(before, 20_000) + MANY * OVERHEAD + 6000
    assert await house.counts() == (0, MANY, 0)
