"""A FIFO queue whose backlog is on disk reads it before it is asked for: who drains it hardly ever waits."""

from typing import Any

import pytest

from ropewayd.kernel.kernel import Kernel
from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.settings import QueueLimits
from tests.house import BODY, HANDLE, House, settle
from tests.queues.test_spilling import spilled

QUEUE = "jobs.fifo"
MANY, GROUPS, PAGE = 400, 8, 40
SETTINGS = KernelSettings(tail_bytes=20_000, slice_bytes=5000)
AMPLE = QueueLimits(page_messages=PAGE, fifo_calls=0)
SHORT = QueueLimits(page_messages=PAGE, fifo_calls=0, memory_bytes=40_000, min_window_bytes=2000)
"""Most messages are there as stubs alone."""


async def backlog(limits: QueueLimits) -> House:
    house = House(SETTINGS, limits)
    await house.start()
    await house.create(QUEUE, fifo=True)
    for first in range(0, MANY, 20):
        entries = [
            a.SendEntry(f"{n:0300}", group=f"{n % GROUPS}", deduplication_id=f"{n}")
            for n in range(first, first + 20)
        ]
        await house.call(a.SendMessage(queue=QUEUE, entries=entries))
    await spilled(house)
    return house


async def drained(house: House) -> list[int]:
    """Every message, taken out two at a time; the loop turns between the calls."""
    found: list[int] = []
    while messages := await house.receive(2, QUEUE):
        found += [int(message[BODY]) for message in messages]
        await house.delete(*(message[HANDLE] for message in messages), queue=QUEUE)
        await settle()
    return found


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("limits", [AMPLE, SHORT])
async def test_a_drain_hardly_ever_waits_for_the_disk(
    limits: QueueLimits, restarted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await backlog(limits)
    if restarted:
        await house.restart()
    waits = 0
    park = Kernel._park

    def counted(kernel: Kernel, *call: Any) -> None:
        nonlocal waits
        waits += 1
        park(kernel, *call)

    monkeypatch.setattr(Kernel, "_park", counted)
    found = await drained(house)
    assert sorted(found) == list(range(MANY))
    for group in range(GROUPS):
        line = [n for n in found if n % GROUPS == group]
        assert line == sorted(line)
    # Where memory is short, each slice takes bodies that lay ahead, and the next receive waits once. Without
    # reading ahead 10 and 25 of them wait.
    assert waits <= 5


async def test_who_needs_a_body_waits_for_those_that_are_being_read() -> None:
    house = await backlog(SHORT)
    await house.restart()
    replies = [house.submit(a.ReceiveMessage(queue=QUEUE, max_messages=2)) for _ in range(GROUPS)]
    found = [int(message[BODY]) for reply in replies for message in await reply.answer]
    assert sorted(found) == list(range(2 * GROUPS))


async def test_memory_stays_within_its_budget_while_it_reads_ahead() -> None:
    house = await backlog(SHORT)
    memory, most = house.queues._registry.memory, 0
    while messages := await house.receive(2, QUEUE):
        most = max(most, memory.used)
        await house.delete(*(message[HANDLE] for message in messages), queue=QUEUE)
    assert most < MANY * 300 + 60_000  # what all stubs take, the ids, and two pages
