"""A disk that fills: what adds to it is refused in time, and what makes room goes on."""

from hypothesis import given
from hypothesis import strategies as st

from ropewayd.kernel.room import Room
from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.vocabulary.errors import ServiceUnavailable
from tests.house import HANDLE, House, settle

MIB = 1 << 20


@given(low=st.integers(0, 100), enough=st.integers(0, 200), seen=st.lists(st.integers(0, 300), max_size=30))
def test_it_is_short_from_below_the_low_mark_until_the_higher_one(
    low: int, enough: int, seen: list[int]
) -> None:
    room = Room(low, enough)
    short = False
    for free in seen:
        now_short = free < (max(low, enough) if short else low)
        assert room.see(free) == (now_short != short)
        short = now_short
        assert (room.refusal is not None) == short


def test_a_store_that_holds_too_much_is_short_until_it_holds_clearly_less() -> None:
    room = Room(0, 0, 80 * MIB)
    for used, short in ((80, False), (81, True), (75, True), (70, False), (79, False), (90, True)):
        room.see(0, used * MIB)
        assert (room.refusal is not None) == short
    assert room.refusal is not None
    assert "holds 90 MiB" in room.refusal.message
    assert not Room(0, 0).see(0, 1 << 60)


async def test_a_short_disk_refuses_sends_and_lets_messages_go() -> None:
    house = House(KernelSettings(low_space_bytes=50 * MIB, enough_space_bytes=80 * MIB))
    await house.start()
    await house.create()
    await house.send("kept", "too")
    house.disk.free = 49 * MIB
    await house.send("x" * MIB)  # the one that is seen to make it short
    await settle()
    refused = await house.fail(a.SendMessage(queue="jobs", entries=[a.SendEntry("no")]))
    assert isinstance(refused, ServiceUnavailable)
    assert "49 MiB are free" in refused.message
    assert "from 80 MiB on" in refused.message
    assert isinstance(await house.fail(a.CreateQueue(queue="other")), ServiceUnavailable)
    received = await house.receive(3)
    assert len(received) == 3
    assert await house.delete(*(m[HANDLE] for m in received[:2])) == [None, None]
    # Above the low mark is not enough; above the other it is, though nobody wrote anything meanwhile.
    house.disk.free = 79 * MIB
    await house.wait(3000)
    assert isinstance(await house.fail(a.CreateQueue(queue="other")), ServiceUnavailable)
    house.disk.free = 80 * MIB
    await house.wait(3000)
    await house.create("other")
    assert await house.counts() == (0, 1, 0)


async def test_a_start_on_a_short_disk_refuses_sends_at_once() -> None:
    house = House()
    await house.start()
    await house.create()
    await house.send("kept")
    house.disk.free = MIB
    await house.restart()
    assert isinstance(
        await house.fail(a.SendMessage(queue="jobs", entries=[a.SendEntry("no")])), ServiceUnavailable
    )
    assert await house.bodies() == ["kept"]
    house.disk.free = 1 << 30
    await house.wait(2000)
    await house.send("yes")
