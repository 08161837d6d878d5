"""Delayed messages whose time is far: on disk alone until it comes near, and as good as in memory."""

from __future__ import annotations

import random
from typing import Literal

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.delays import Delays
from ropewayd.queues.queue import Queue
from ropewayd.queues.records import CHUNKS, DELAYS, MESSAGES, WAITING
from ropewayd.queues.settings import QueueLimits
from ropewayd.store.protocol import Corrupt
from tests.house import BODY, HANDLE, House, settle

FAR = 600_000


SHORT = QueueLimits(memory_bytes=1000)
"""Memory is short as soon as there are messages."""


async def started(limits: QueueLimits | None = None) -> House:
    house = House(KernelSettings(tail_bytes=6000, slice_bytes=2000, idle_spill_after=1000), limits)
    await house.start()
    await house.create(visibility_timeout=0)
    return house


async def ordered(delay: int = FAR, limits: QueueLimits = SHORT) -> House:
    """With a FIFO queue that delays."""
    house = House(KernelSettings(tail_bytes=6000, slice_bytes=2000, idle_spill_after=1000), limits)
    await house.start()
    attributes = {
        "fifo": True,
        "delay": delay,
        "content_based_deduplication": True,
        "visibility_timeout": 30_000,
    }
    await house.call(a.CreateQueue(queue="jobs.fifo", attributes=attributes))
    return house


async def put(house: House, *bodies: str, groups: int = 3) -> None:
    """Each into the group that its number says."""
    entries = [a.SendEntry(body, group=f"g{int(body) % groups}") for body in bodies]
    await house.call(a.SendMessage(queue="jobs.fifo", entries=entries))


async def taken(house: House) -> list[str]:
    """All that can be received and deleted now, in the order in which it came."""
    came: list[str] = []
    while got := await house.call(a.ReceiveMessage(queue="jobs.fifo", max_messages=10)):
        came += [message[BODY] for message in got]
        handles = [message[HANDLE] for message in got]
        await house.call(a.DeleteMessage(queue="jobs.fifo", handles=handles))
    return came


def in_order(came: list[str], groups: int = 3) -> bool:
    """Whether each group came in the order of its numbers, and all of them."""
    lines = [[int(body) for body in came if int(body) % groups == group] for group in range(groups)]
    return all(line == sorted(line) for line in lines)


async def idle(house: House) -> None:
    """Until all is spilled that can be."""
    while house.disk.journal:
        await house.wait(1000)


def only(house: House) -> Queue:
    [queue] = house.queues._registry.by_number.values()
    return queue


def delays(house: House) -> Delays:
    found = only(house).delays
    assert found is not None
    return found


def on_disk(house: House) -> tuple[int, int, int, int]:
    """How many chunks there are, and of the other records of messages."""
    records = house.disk.records
    chunks, small, rows, waiting = (
        len(records.get(each, {})) for each in (CHUNKS, DELAYS, MESSAGES, WAITING)
    )
    return chunks, small, rows, waiting


async def test_far_messages_take_no_memory_and_come_when_they_are_due() -> None:
    house = await started()
    for at in range(30):
        await house.send(*(f"{at}-{n}" for n in range(20)), delay=FAR + 100 * at)
    await idle(house)
    assert (len(only(house).messages), house.queues.memory_used) == (0, 0)
    chunks, *rest = on_disk(house)
    assert (chunks, rest) == (len(delays(house).chunks), [chunks, 0, 0])
    assert len(house.wheel) < 5
    assert await house.counts() == (0, 0, 600)
    await house.restart()
    assert await house.counts() == (0, 0, 600)
    assert await house.bodies() == []
    await house.wait(delays(house).chunks[1].said.earliest - house.clock.at)
    assert sorted(await house.bodies(20)) == sorted(f"0-{n}" for n in range(20))
    await house.wait(3000)
    assert await house.counts() == (600, 0, 0)
    await idle(house)
    chunks, small, rows, waiting = on_disk(house)
    assert (chunks, small, rows, waiting) == (0, 0, 600, 0)
    await house.restart()
    got = await house.receive(1000)
    assert {message[BODY] for message in got} == {f"{at}-{n}" for at in range(30) for n in range(20)}
    await house.delete(*(message[HANDLE] for message in got))
    await idle(house)
    assert (await house.counts(), on_disk(house)) == ((0, 0, 0), (0, 0, 0, 0))


async def test_what_comes_with_a_message_is_there_when_it_is_due() -> None:
    house = await started()
    text = a.SendEntry("text", FAR, {"kind": ("String", "paper")}, trace_header="Root=1", group="red")
    data = a.SendEntry(b"\xff", FAR)
    sent_at = house.clock.at
    ids = await house.call(a.SendMessage(queue="jobs", entries=[text, data]))
    await idle(house)
    await house.restart()
    assert not only(house).messages
    await house.wait(sent_at + FAR - house.clock.at)
    first, second = sorted(await house.receive(), key=lambda message: str(message[BODY]), reverse=True)
    assert first[:1] + first[2:] == (
        *(ids[0], "text", sent_at, 1, house.clock.at, {"kind": ["String", "paper"]}),
        {"trace_header": "Root=1", "group": "red"},
    )
    assert second[:1] + second[2:] == (ids[1], b"\xff", sent_at, 1, house.clock.at, None)


async def test_what_is_still_far_when_its_chunk_is_read_goes_back_to_the_disk() -> None:
    house = await started()
    await house.call(a.SetQueueAttributes(queue="jobs", attributes={"maximum_delay": 10_000_000}))
    dice = random.Random(1)
    began = house.clock.at
    due = {f"{n}": dice.randrange(100_000, 10_000_000) for n in range(100)}
    for body, delay in due.items():
        await house.send(body, delay=delay)
    await idle(house)
    came: dict[str, int] = {}
    while len(came) < len(due):
        await house.wait(50_000)
        while got := await house.receive(1000):
            came.update((message[BODY], house.clock.at - began) for message in got)
            await house.delete(*(message[HANDLE] for message in got))
        await idle(house)
        assert len(only(house).messages) < 40
        if dice.random() < 0.1:
            await house.restart()
    assert all(0 <= came[body] - delay <= 60_000 for body, delay in due.items())


@pytest.mark.parametrize("end", ["purge", "delete"])
@pytest.mark.parametrize("again", [False, True])
async def test_an_end_of_all_takes_the_chunks_too(end: str, again: bool) -> None:
    house = await started()
    await house.send(*["x" * 500] * 100, delay=FAR)
    await idle(house)
    await house.send(*["x" * 500] * 9, delay=FAR)
    before = on_disk(house)
    assert before[0] > 0
    await house.call(a.PurgeQueue(queue="jobs") if end == "purge" else a.DeleteQueue(queue="jobs"))
    if again:
        await house.restart()
    if end == "delete":
        await house.create()
    assert await house.counts() == (0, 0, 0)
    await house.send("new", delay=FAR)
    await idle(house)
    assert (await house.counts(), on_disk(house)) == ((0, 0, 1), (1, 1, 0, 0))
    await house.wait(FAR)
    assert await house.bodies() == ["new"]


async def test_a_purge_while_chunks_are_being_written() -> None:
    house = await started()
    await house.send(*["x" * 50] * 20, delay=FAR)
    house.faults.gate.clear()
    await house.wait(2500)
    assert delays(house).chunks
    assert len(only(house).messages) == 20
    purged = house.submit(a.PurgeQueue(queue="jobs"))
    house.faults.gate.set()
    await settle()
    assert purged.answered
    await idle(house)
    assert (await house.counts(), on_disk(house), house.queues.memory_used) == ((0, 0, 0), (0, 0, 0, 0), 0)


async def test_what_is_due_while_its_chunk_is_being_written_comes_back_from_it() -> None:
    house = await started()
    await house.send(*"abc", delay=FAR)
    house.faults.gate.clear()
    await house.wait(FAR)
    assert delays(house).chunks
    assert len(only(house).messages) == 3
    house.faults.gate.set()
    await settle()
    await house.wait(20)
    assert sorted(await house.bodies()) == ["a", "b", "c"]


async def test_past_its_retention_it_is_never_received() -> None:
    house = await started()
    await house.call(a.SetQueueAttributes(queue="jobs", attributes={"retention_period": 60_000}))
    await house.send("old", delay=FAR)
    await idle(house)
    await house.wait(FAR)
    assert (await house.bodies(), await house.counts()) == ([], (0, 0, 0))


async def test_a_chunk_that_is_missing_stops_the_daemon() -> None:
    house = await started()
    await house.send("x", delay=FAR)
    await idle(house)
    house.disk.records[CHUNKS].clear()
    await house.wait(FAR)
    assert house.kernel.failed is not None
    assert isinstance(house.kernel.failed.result(), Corrupt)


async def test_a_look_sees_them_page_by_page() -> None:
    house = await started(QueueLimits(memory_bytes=1000, page_messages=10))
    dice = random.Random(2)
    for n in range(200):
        await house.send(str(n), delay=dice.choice([0, 10_000, FAR, FAR + dice.randrange(100_000)]))
    await idle(house)
    assert delays(house).alone > 50
    each: list[list[Literal["visible", "in_flight", "delayed"]] | None] = [None, ["delayed"], ["visible"]]
    for states in each:
        seen: list[int] = []
        after: int | None = 0
        while after is not None:
            page = await house.call(a.PeekMessages(queue="jobs", after=after, limit=7, states=states))
            seen += [int(message["body"]) for message in page["messages"]]
            after = page["next"]
        assert seen == sorted(seen)
        visible, _, delayed = await house.counts()
        assert len(seen) == (
            visible + delayed if states is None else delayed if "delayed" in states else visible
        )


async def test_far_messages_of_a_fifo_queue_take_no_memory_where_it_is_short() -> None:
    house = await ordered()
    for at in range(0, 600, 20):
        await put(house, *map(str, range(at, at + 20)), groups=200)
        await house.wait(100)
    await idle(house)
    in_memory, groups = len(only(house).messages), only(house).groups
    assert in_memory < 60  # the first were spilled before memory was short
    assert groups is not None
    assert groups.count <= in_memory
    assert delays(house).alone == 600 - in_memory
    assert (await house.call(a.GetQueueAttributes(queue="jobs.fifo")))["delayed"] == 600
    await house.restart()
    assert await taken(house) == []
    came: list[str] = []
    for _ in range(80):
        await house.wait(10_000)
        came += await taken(house)
        await idle(house)
    assert in_order(came, groups=200)
    assert sorted(map(int, came)) == list(range(600))
    assert on_disk(house) == (0, 0, 0, 0)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("delay", [0, FAR // 2, 900_000])
async def test_a_new_delay_of_a_fifo_queue_counts_for_what_is_on_disk(delay: int, again: bool) -> None:
    house = await ordered()
    sent_at = house.clock.at
    await put(house, *map(str, range(300)))
    await idle(house)
    assert delays(house).alone > 200
    await house.call(a.SetQueueAttributes(queue="jobs.fifo", attributes={"delay": delay}))
    if again:
        await house.restart()
    if delay:
        await house.wait(sent_at + delay - 1000 - house.clock.at)
        assert await taken(house) == []
        await house.wait(1000)
    # What comes now is of the same groups: it may not be received before what is read from disk only now.
    await put(house, *map(str, range(300, 330)))
    came: list[str] = []
    for _ in range(40):
        came += await taken(house)
        await house.wait(50 if len(came) < 300 else 50_000)
    assert in_order(came)
    assert sorted(map(int, came)) == list(range(330))


async def test_a_new_delay_while_chunks_of_a_fifo_queue_are_being_written() -> None:
    for again in (False, True):
        house = await ordered()
        await put(house, *map(str, range(200)))
        house.faults.gate.clear()
        await house.wait(2500)
        assert delays(house).chunks
        changed = house.submit(a.SetQueueAttributes(queue="jobs.fifo", attributes={"delay": 20_000}))
        if not again:
            house.faults.gate.set()
            await settle()
            assert changed.answered
        else:
            await house.restart()  # what was not durable is sent with the delay of then
            await house.call(a.SetQueueAttributes(queue="jobs.fifo", attributes={"delay": 20_000}))
        await house.wait(20_000)
        await house.wait(100)
        came = await taken(house)
        assert sorted(map(int, came)) == list(range(200))
        assert in_order(came)


async def test_what_is_moved_into_a_fifo_queue_waits_behind_what_is_in_chunks() -> None:
    house = await ordered()
    await house.call(
        a.CreateQueue(
            queue="work.fifo",
            attributes={
                "fifo": True,
                "content_based_deduplication": True,
                "visibility_timeout": 1000,
                "redrive_policy": {
                    "dead_letter_target_arn": "jobs.fifo",
                    "max_receive_count": 1,
                },
            },
        )
    )
    await put(house, *map(str, range(300)))
    await idle(house)
    queue = house.queues._registry.by_name["jobs.fifo"]
    assert queue.delays is not None
    assert queue.delays.alone > 200
    await house.call(a.SendMessage(queue="work.fifo", entries=[a.SendEntry("300", group="g0")]))
    await house.call(a.ReceiveMessage(queue="work.fifo", max_messages=1))
    await house.wait(2000)
    assert await house.call(a.ReceiveMessage(queue="work.fifo", max_messages=1)) == []
    assert (await house.call(a.GetQueueAttributes(queue="jobs.fifo")))["visible"] == 1
    assert await taken(house) == []
    await house.wait(FAR)
    came = []
    for _ in range(20):
        came += await taken(house)
        await house.wait(50)
    assert in_order(came)
    assert sorted(map(int, came)) == list(range(301))


@pytest.mark.parametrize("seed", range(30))
async def test_a_fifo_queue_whose_delay_changes_gives_each_group_in_order_and_nothing_early(
    seed: int,
) -> None:
    dice = random.Random(seed)
    delay = dice.choice([5000, FAR])
    house = await ordered(delay, QueueLimits(memory_bytes=dice.choice([1000, 20_000])))
    sent: list[int] = []
    due: set[int] = set()  # those whose time was over at some moment: no later delay hides them again
    came: list[str] = []
    for _ in range(60):
        match dice.randrange(8):
            case 0 | 1 | 2:
                bodies = range(len(sent), len(sent) + dice.randrange(1, 40))
                sent += [house.clock.at] * len(bodies)
                await put(house, *map(str, bodies))
            case 3:
                delay = dice.choice([0, 2500, 60_000, FAR, 900_000])
                changed = a.SetQueueAttributes(queue="jobs.fifo", attributes={"delay": delay})
                await house.call(changed)
            case 4:
                await house.restart()
            case 5:
                await idle(house)
            case _:
                await house.wait(dice.choice([10, 3000, 50_000, 300_000]))
        due.update(n for n, at in enumerate(sent) if at + delay <= house.clock.at)
        fresh = await taken(house)
        assert due.issuperset(map(int, fresh))
        came += fresh
    for _ in range(60):
        await house.wait(30_000)
        came += await taken(house)
    assert in_order(came)
    assert sorted(map(int, came)) == list(range(len(sent)))
    await idle(house)
    assert on_disk(house) == (0, 0, 0, 0)
