"""Fair queues: a tenant that has much in flight does not keep the others waiting."""

from __future__ import annotations

from typing import Any

import pytest

from ropewayd.queues import actions as a
from ropewayd.queues.fairness import Fair
from ropewayd.queues.message import VISIBLE, Message, System
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
    fair = Fair([], [])
    for n in range(5000):
        message = Message(n, b"", "", None, 0, 0, system=System(f"group {n % 7}"))
        fair.add(message)
        if n >= 10:
            [first] = fair.first(1)
            fair.take([first])
            first.state = VISIBLE + 1
    assert len(fair) == 10
    assert fair._indexed <= 64 + 2 * 10 + 1
