"""The alarm rings when the wheel's next deadline has come, however busy the kernel is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ropewayd.kernel import alarm
from ropewayd.kernel.alarm import Alarm
from ropewayd.queues import actions as a
from tests.daemon import PATIENCE
from tests.house import House, Reply, StillClock, settle


class Noted(Alarm):
    """Rings never; what it was set to is the thing."""

    def set(self, deadline: int | None) -> None:
        self.asked = deadline


class Busy(Reply):
    """Sends again as soon as it is answered, so that commits never come to rest."""

    def __init__(self, house: House, rounds: int) -> None:
        super().__init__()
        self.house = house
        self.rounds = rounds

    def deliver(self, prepared: Any) -> None:
        super().deliver(prepared)
        if self.rounds:
            again = Busy(self.house, self.rounds - 1)
            self.house.kernel.submit(a.SendMessage(queue="jobs", entries=[a.SendEntry("x")]), again)


async def test_a_deadline_that_a_steady_load_adds_is_not_slept_over(house: House) -> None:
    await house.create()
    noted = house.kernel._alarm = Noted(house.clock, house.kernel.tick)
    house.kernel.alarm()
    house.kernel.submit(a.SendMessage(queue="jobs", entries=[a.SendEntry("x")]), Busy(house, 10_000))
    await settle()
    house.submit(a.SendMessage(queue="jobs", entries=[a.SendEntry("late", 50)]))
    await settle()
    assert noted.asked is not None
    assert noted.asked <= house.clock.at + 60
    assert house.kernel._commit is not None, "the load is steady"


async def test_what_came_due_while_the_machine_slept_rings_soon_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alarm, "LONGEST", 5)
    clock = StillClock()
    rung = asyncio.Event()
    waiting = Alarm(clock, rung.set)
    waiting.set(clock.at + 3_600_000)
    clock.at += 3_600_000  # the clock went on, the event loop's timers did not
    await asyncio.wait_for(rung.wait(), PATIENCE)


async def test_a_long_sleep_in_pieces_rings_at_its_end_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Passing(StillClock):
        """A millisecond more at each look."""

        def now(self) -> int:
            self.at += 1
            return self.at

    monkeypatch.setattr(alarm, "LONGEST", 1)
    clock = Passing()
    rung = asyncio.Event()
    until = clock.at + 20
    Alarm(clock, rung.set).set(until)
    await asyncio.wait_for(rung.wait(), PATIENCE)
    assert clock.at >= until
