"""What is counted of a queue: each call once, whatever a restart replays."""

import pytest

from ropewayd.queues import actions as a
from ropewayd.queues.meter import Meter
from tests.house import HANDLE, House


@pytest.mark.parametrize(
    ("entries", "size", "requests"),
    [(1, 10, 1), (1, 64 << 10, 1), (1, (64 << 10) + 1, 2), (10, 0, 1), (11, 0, 2), (1000, 1 << 20, 100)],
)
def test_a_call_is_billed_as_aws_does(entries: int, size: int, requests: int) -> None:
    meter = Meter()
    meter.bill(entries, size)
    assert meter.requests == requests


async def test_messages_and_calls_are_counted_once(house: House) -> None:
    await house.create(visibility_timeout=0)
    await house.send("a" * 70_000, "b")
    received = await house.receive(2)
    await house.call(a.DeleteMessage(queue="jobs", handles=[received[0][HANDLE]]))
    [number] = house.queues.snapshot()["queues"]
    seen = house.queues.meters.seen(number)
    assert (seen.sent, seen.received, seen.deleted, seen.requests) == (2, 2, 1, 5)
    await house.restart()
    assert house.queues.meters.seen(number) == Meter()


async def test_what_expires_is_no_deletion(house: House) -> None:
    await house.create(retention_period=60_000)
    await house.send("a", "b")
    [number] = house.queues.snapshot()["queues"]
    await house.wait(70_000)
    seen = house.queues.meters.seen(number)
    assert (seen.expired, seen.deleted) == (2, 0)
    await house.call(a.DeleteQueue(queue="jobs"))
    assert house.queues.meters.seen(number) == Meter()
