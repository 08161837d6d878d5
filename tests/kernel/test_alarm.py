"""The alarm rings when the wheel's next deadline has come, however busy the kernel is."""

from __future__ import annotations

from typing import Any

from ropewayd.kernel.alarm import Alarm
from ropewayd.queues import actions as a
from tests.house import House, Reply, settle


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
    alarm = house.kernel._alarm = Noted(house.clock, house.kernel.tick)
    house.kernel.alarm()
    house.kernel.submit(a.SendMessage(queue="jobs", entries=[a.SendEntry("x")]), Busy(house, 10_000))
    await settle()
    house.submit(a.SendMessage(queue="jobs", entries=[a.SendEntry("late", 50)]))
    await settle()
    assert alarm.asked is not None
    assert alarm.asked <= house.clock.at + 60
    assert house.kernel._commit is not None, "the load is steady"
