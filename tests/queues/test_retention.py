"""What is past its retention is found wherever it lies, and ends once."""

from __future__ import annotations

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.settings import QueueLimits
from tests.house import BODY, HANDLE, House, settle

SMALL = KernelSettings(tail_bytes=600, slice_bytes=300)


async def test_a_message_that_two_leases_name_ends_once(house: House) -> None:
    await house.create(retention_period=60_000)
    await house.send("x", "y", "z")
    x, *_ = await house.receive(visibility_timeout=100_000)
    await house.change(x[HANDLE], 100_000)  # a lease of its own, due in the tick of the one it has left
    await house.wait(90_000)
    await house.send("new")
    await house.wait(10_020)
    assert await house.counts() == (1, 0, 0)


async def test_the_oldest_on_disk_are_looked_at_though_memory_holds_a_newer_one() -> None:
    house = House(SMALL, QueueLimits(page_messages=7))
    await house.start()
    await house.create(retention_period=60_000)
    for n in range(30):
        await house.send(f"old {n}")
    await house.wait(5_000)
    await house.restart()
    await house.wait(45_000)
    await house.send("new")
    await house.wait(20_000)
    assert await house.counts() == (1, 0, 0)
    assert await house.bodies() == ["new"]


async def test_a_message_that_returns_is_older_than_what_the_next_look_was_set_for(house: House) -> None:
    await house.create(retention_period=60_000)
    await house.send("old")
    (old,) = await house.receive(visibility_timeout=300_000)
    await house.wait(40_000)
    await house.send("new")
    await house.wait(30_000)  # past the look at the old one, which was invisible
    await house.change(old[HANDLE], 0)
    await house.wait(200)
    assert await house.counts() == (1, 0, 0)
    assert await house.bodies() == ["new"]


async def test_a_long_poll_that_finds_only_what_is_past_its_retention_waits_on(house: House) -> None:
    await house.create(retention_period=60_000)
    await house.send("old")
    house.clock.at += 60_000  # and no timer has rung yet
    poll = house.submit(a.ReceiveMessage(queue="jobs", wait=20_000))
    await settle()
    assert not poll.answered
    assert await house.counts() == (0, 0, 0)
    await house.send("new")
    assert poll.answer.result()[0][BODY] == "new"
