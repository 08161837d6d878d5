"""Fair queues: a tenant that has much in flight does not keep the others waiting."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.fairness import Fair
from ropewayd.queues.message import VISIBLE, Message, System
from ropewayd.queues.processing import WINDOW, Processing
from ropewayd.queues.settings import QueueLimits
from tests.house import BODY, HANDLE, House


async def send(house: House, group: str | None, count: int, start: int = 0) -> None:
    entries = [a.SendEntry(f"{group} {n}", group=group) for n in range(start, start + count)]
    await house.call(a.SendMessage(queue="jobs", entries=entries))


async def flood(house: House, **attributes: Any) -> list[Any]:
    """`loud` has 30 in flight, and much more to come; the first of those in flight."""
    await house.create("jobs", visibility_timeout=600_000, **attributes)
    await send(house, "loud", 1000)
    return await house.receive(30)


@pytest.mark.parametrize("letters", [False, True])
async def test_a_quiet_tenant_does_not_wait_behind_a_noisy_one(house: House, letters: bool) -> None:
    await house.create("dead")
    policy = {"dead_letter_target_arn": "dead", "max_receive_count": 5}
    await flood(house, **({"redrive_policy": policy} if letters else {}))
    await send(house, "quiet", 2)
    await send(house, None, 1)
    assert sorted(await house.bodies(3)) == ["None 0", "quiet 0", "quiet 1"]
    assert await house.bodies(2) == ["loud 30", "loud 31"]


async def test_a_quiet_tenant_does_not_wait_for_what_is_on_disk() -> None:
    """Nor is that read for it, page by page, until memory holds all of it."""
    house = House(
        KernelSettings(tail_bytes=20_000, slice_bytes=5000),
        QueueLimits(memory_bytes=40_000, page_messages=20, page_bytes=6000, min_window_bytes=2000),
    )
    await house.start()
    await flood(house)
    [queue] = house.queues._registry.by_number.values()
    through = queue.paged_through
    assert queue.on_disk > 500
    await send(house, "quiet", 2)
    await send(house, "loud", 20, 1000)
    assert sorted(await house.bodies(2)) == ["quiet 0", "quiet 1"]
    assert queue.paged_through == through
    seen: list[str] = []
    while got := await house.bodies(100):
        seen += got
    assert seen == [f"loud {n}" for n in range(30, 1020)]


async def test_a_batch_is_filled_with_the_noisy_ones(house: House) -> None:
    await flood(house)
    await send(house, "quiet", 1)
    assert await house.bodies(3) == ["quiet 0", "loud 30", "loud 31"]


async def test_quiet_tenants_take_turns(house: House) -> None:
    await flood(house)
    for name in ("a", "b", "c"):
        await send(house, name, 4)
    seen = [body.split()[0] for _ in range(6) for body in await house.bodies(2)]
    assert sorted(seen) == ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    assert set(seen[:4]) == {"a", "b", "c"}


async def test_with_less_in_flight_the_order_is_that_of_sending(house: House) -> None:
    flying = await flood(house)
    await send(house, "quiet", 1)
    await house.delete(flying[0][HANDLE])
    assert await house.bodies(2) == ["loud 30", "loud 31"]


@pytest.mark.parametrize(
    ("worked", "first"), [(29_000, ["slow 1", "slow 2"]), (31_000, ["quiet 0", "slow 1"])]
)
async def test_who_takes_most_of_the_consumers_time_waits_for_the_others(
    house: House, worked: int, first: list[str]
) -> None:
    """One message at a time, but each for long."""
    await house.create("jobs", visibility_timeout=600_000)
    await send(house, "slow", 40)
    [message] = await house.receive(1)
    await house.wait(worked)
    await house.delete(message[HANDLE])
    await send(house, "quiet", 1)
    assert await house.bodies(2) == first


async def test_what_took_long_is_forgotten_after_a_while(house: House) -> None:
    await house.create("jobs", visibility_timeout=600_000)
    await send(house, "slow", 40)
    [message] = await house.receive(1)
    await house.wait(50_000)
    await house.delete(message[HANDLE])
    await house.wait(120_000)
    await send(house, "quiet", 1)
    assert await house.bodies(2) == ["slow 1", "slow 2"]


async def test_what_is_in_flight_for_long_counts_before_it_is_done(house: House) -> None:
    await house.create("jobs", visibility_timeout=600_000)
    await send(house, "slow", 4)
    await house.receive(1)
    await house.receive(1)
    await house.wait(31_000)
    await send(house, "quiet", 1)
    assert await house.bodies(2) == ["quiet 0", "slow 2"]


async def test_the_time_counts_though_it_was_one_of_many_when_it_began(house: House) -> None:
    await house.create("jobs", visibility_timeout=600_000)
    for n in range(20):
        await send(house, f"quick{n}", 1)
    await send(house, "slow", 3)
    held = await house.receive(21)
    for message in held[:20]:
        await house.delete(message[HANDLE])
    await house.wait(40_000)
    await house.delete(held[20][HANDLE])
    await send(house, "quiet", 1)
    assert await house.bodies(2) == ["quiet 0", "slow 1"]


async def test_who_has_half_of_what_is_in_flight_but_little_of_the_time_is_fair(house: House) -> None:
    await house.create("jobs", visibility_timeout=600_000)
    await send(house, "slow", 100)
    await send(house, "other", 3)
    await house.wait(WINDOW - house.clock.at % WINDOW)  # all of it within one minute of the count
    held = await house.receive(100)
    await house.wait(20_000)
    for message in held:
        await house.delete(message[HANDLE])
    assert await house.bodies(1) == ["other 0"]
    await house.wait(35_000)
    await send(house, "quiet", 1)
    assert await house.bodies(2) == ["other 1", "quiet 0"]


async def test_a_tenth_of_the_time_is_fair(house: House) -> None:
    await house.create("jobs", visibility_timeout=600_000)
    for n in range(30):
        await send(house, f"t{n % 10}", 1, n // 10)
    held = await house.receive(10)
    held += await house.receive(10)
    await house.wait(55_000)
    for message in held:
        await house.delete(message[HANDLE])
    await send(house, "quiet", 1)
    assert "quiet 0" not in await house.bodies(9)


def test_processing_time_is_that_of_the_last_minute() -> None:
    """Against a list of every millisecond."""
    dice = random.Random(1)
    counted, now, flying = Processing(0), 0, 0
    history: list[int] = []
    for _ in range(300):
        change = dice.randint(-min(flying, 3), 3)
        counted.fly(change, now)
        flying += change
        passed = dice.choice([0, 1, 700, 9_000, 40_000, 150_000])
        history += [flying] * passed
        now += passed
        whole = now // WINDOW * WINDOW
        before = sum(history[max(0, whole - WINDOW) : whole])
        expected = sum(history[whole:]) + before * (WINDOW - now % WINDOW) // WINDOW
        assert counted.recent(now) == expected


def test_tenants_that_were_there_once_are_forgotten() -> None:
    fair, now = Fair([], [], 0), 0
    for n in range(5000):
        message = Message(n, b"", "", None, 0, 0, system=System(f"group {n}"))
        fair.fly((message,), now)
        now += 100
        fair.land(message, now)
    assert len(fair._flying) < 64 + 4 * 2 * WINDOW // 100
    assert len(fair._long) <= len(fair._flying)


async def test_a_tenth_of_what_is_in_flight_is_fair(house: House) -> None:
    await house.create("jobs", visibility_timeout=600_000)
    for n in range(10):
        await send(house, f"tenant{n}", 40)
    assert len(await house.receive(400)) == 400
    await send(house, "tenant0", 1, 40)
    await send(house, "other", 1)
    assert await house.bodies(2) == ["tenant0 40", "other 0"]


async def test_it_is_fair_after_a_restart_too(house: House) -> None:
    await flood(house)
    await send(house, "quiet", 1)
    await house.restart()
    assert await house.bodies(1) == ["quiet 0"]


async def test_what_comes_back_is_received_again_once(house: House) -> None:
    await flood(house)
    await send(house, "quiet", 3)
    for _ in range(3):
        found = await house.receive(3)
        assert sorted(m[BODY] for m in found) == ["quiet 0", "quiet 1", "quiet 2"]
        for message in found:
            await house.change(message[HANDLE], 0)


def test_the_index_forgets_what_has_left() -> None:
    fair = Fair([], [], 0)
    for n in range(5000):
        message = Message(n, b"", "", None, 0, 0, system=System(f"group {n % 7}"))
        fair.add(message)
        if n >= 10:
            [first] = fair.first(1)
            fair.take([first])
            first.state = VISIBLE + 1
    assert len(fair) == 10
    assert fair._indexed <= 64 + 2 * 10 + 1
