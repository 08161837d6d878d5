"""Looking without receiving: everything is seen once, by any filter, wherever it is, and nothing changes."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues import peeking
from ropewayd.queues.settings import QueueLimits
from ropewayd.vocabulary.action import convert
from ropewayd.vocabulary.errors import InvalidParameterValue, QueueDoesNotExist
from tests.house import HANDLE, House

SMALL = KernelSettings(tail_bytes=600, slice_bytes=300)
SHORT = QueueLimits(page_messages=7, memory_bytes=1, min_window_bytes=1)
"""Spills nearly everything nearly at once, and keeps next to nothing in memory."""


async def look(house: House, **given: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = await house.call(a.PeekMessages(queue="jobs", after=after, **given))
        found += page["messages"]
        assert page["next"] is None or page["next"] > after
        after = page["next"]
    return found


async def bodies(house: House, **given: Any) -> list[Any]:
    return [message["body"] for message in await look(house, **given)]


async def mixed(house: House) -> None:
    """a in flight, b visible and old, c delayed, d visible and received before, e gone, f visible."""
    await house.create(visibility_timeout=600_000)
    await house.send("a", "b")
    await house.receive(1)
    await house.wait(1000)
    await house.send("c", delay=500_000, trace_header="Root=1")
    await house.send("d", attributes={"n": ("Number", "1")})
    await house.send("e")
    await house.receive(2)  # b and d
    got = await house.receive(1)
    await house.delete(got[0][HANDLE])
    await house.send("f")


async def test_a_look_shows_each_message_as_it_is(house: House) -> None:
    await mixed(house)
    before = house.queues.snapshot()
    shown = {message["body"]: message for message in await look(house)}
    assert list(shown) == ["a", "b", "c", "d", "f"]
    assert {body: message["state"] for body, message in shown.items()} == {
        "a": "in_flight",
        "b": "in_flight",
        "c": "delayed",
        "d": "in_flight",
        "f": "visible",
    }
    assert shown["a"]["receive_count"] == 1
    assert shown["a"]["visible_at"] == shown["a"]["first_received_at"] + 600_000
    assert shown["c"]["trace_header"] == "Root=1"
    assert shown["c"]["visible_at"] == shown["c"]["sent_at"] + 500_000
    assert shown["d"]["attributes"] == {"n": ("Number", "1")}
    assert shown["d"]["size"] == 1 + 1 + 6 + 1
    assert shown["f"]["visible_at"] is shown["f"]["first_received_at"] is None
    assert house.queues.snapshot() == before


@pytest.mark.parametrize("short", [False, True])
async def test_a_look_can_be_at_some_alone(*, short: bool) -> None:
    house = House(SMALL, SHORT) if short else House()
    await house.start()
    await mixed(house)
    for _ in range(10 if short else 0):
        await house.wait(2000)
    later = house.clock.at
    assert await bodies(house, states=["visible"]) == ["f"]
    assert await bodies(house, states=["in_flight", "delayed"]) == ["a", "b", "c", "d"]
    age = later - (await look(house))[0]["sent_at"]
    assert await bodies(house, min_age=age) == ["a", "b"]
    assert await bodies(house, max_age=age - 1) == ["c", "d", "f"]
    assert await bodies(house, group="nobody") == []
    assert "body" not in (await look(house, bodies=False))[0]
    assert await bodies(house, limit=2) == ["a", "b", "c", "d", "f"]


async def test_messages_of_a_group_are_seen_by_its_name(house: House) -> None:
    await house.create()
    await house.send("plain")
    await house.send("traced", trace_header="x")
    assert await bodies(house, group="a") == []
    with pytest.raises(InvalidParameterValue):
        convert(a.PeekMessages, {"queue": "jobs", "states": ["lost"]})
    assert isinstance(await house.fail(a.PeekMessages(queue="no")), QueueDoesNotExist)


async def test_what_is_past_its_retention_is_not_shown(house: House) -> None:
    await house.create(retention_period=60_000)
    await house.send("old")
    house.clock.at += 60_000  # no timer has fired yet
    assert await look(house) == []


async def test_an_answer_is_no_larger_than_it_may_be() -> None:
    house = House(limits=QueueLimits(max_answer_bytes=10_000))
    await house.start()
    await house.create()
    await house.send(*["x" * 4000] * 6)
    page = await house.call(a.PeekMessages(queue="jobs", limit=10))
    assert len(page["messages"]) == 2
    assert len(await look(house)) == 6
    assert len((await house.call(a.PeekMessages(queue="jobs", limit=10, bodies=False)))["messages"]) == 6


async def test_of_many_in_memory_a_call_looks_at_some(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peeking, "_LOOKED_AT", 10)
    await house.create(visibility_timeout=600_000)
    await house.send(*map(str, range(100)))
    gone = [message[HANDLE] for message in await house.receive(60)]
    await house.delete(*gone[:30])
    assert await bodies(house, limit=1000) == [str(n) for n in range(30, 100)]
    page = await house.call(a.PeekMessages(queue="jobs", limit=1000, states=["visible"]))
    assert page == {"messages": [], "next": 40}
    assert await bodies(house, states=["visible"], limit=3) == [str(n) for n in range(60, 100)]


async def test_what_ended_is_not_seen_though_its_row_is_still_there() -> None:
    house = House(limits=SHORT)
    await house.start()
    await house.create()
    await house.send(*map(str, range(30)))
    for _ in range(20):
        await house.wait(2000)
    got = await house.receive(3)
    await house.delete(*(message[HANDLE] for message in got))
    assert await bodies(house) == [str(n) for n in range(3, 30)]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "delay", "receive", "delete", "wait", "restart", "purge"]), st.integers(1, 9)
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=30)
@given(STEPS)
def test_a_look_sees_what_the_queue_counts_and_changes_nothing(steps: list[tuple[str, int]]) -> None:
    asyncio.run(_lived(steps))


async def _lived(steps: list[tuple[str, int]]) -> None:
    house = House(SMALL, SHORT)
    await house.start()
    await house.create(visibility_timeout=5000)
    live: set[str] = set()
    handles: list[tuple[str, bytes]] = []
    sent = 0
    for step, count in steps:
        if step in ("send", "delay"):
            new = [str(sent + n) for n in range(count)]
            sent += count
            live.update(new)
            await house.send(*new, delay=3000 if step == "delay" else 0)
        elif step == "receive":
            handles += [(message[2], message[HANDLE]) for message in await house.receive(count)]
        elif step == "delete":
            gone, handles = handles[:count], handles[count:]
            if gone:
                await house.delete(*(handle for _, handle in gone))
                live.difference_update(body for body, _ in gone)
        elif step == "wait":
            await house.wait(1000 * count)
        elif step == "purge" and count == 1:
            await house.call(a.PurgeQueue(queue="jobs"))
            live.clear()
            handles.clear()
        elif step == "restart":
            await house.restart()
        counted = await house.counts()
        before = house.queues.snapshot()
        shown = await look(house, limit=count)
        assert [message["body"] for message in shown] == sorted(live, key=int)
        states = [message["state"] for message in shown]
        assert tuple(map(states.count, ("visible", "in_flight", "delayed"))) == counted
        assert house.queues.snapshot() == before


async def test_what_is_in_flight_is_seen_until_it_wakes_however_old_it_is(house: House) -> None:
    await house.create(retention_period=60_000)
    await house.send("held", "old")
    await house.receive(1, visibility_timeout=120_000)
    await house.wait(61_000)
    assert await bodies(house) == ["held"]
    await house.wait(60_000)
    assert await bodies(house) == []


async def test_a_look_does_not_show_a_queue_what_another_of_its_name_had() -> None:
    house = House(SMALL, SHORT)
    await house.start()
    await house.create()
    await house.send(*"abc")
    await house.wait(5000)
    look = house.submit(a.PeekMessages(queue="jobs"))
    assert not look.answered  # it reads
    house.submit(a.DeleteQueue(queue="jobs"))
    house.submit(a.CreateQueue(queue="jobs"))
    assert (await look.answer)["messages"] == []
