"""What lives becomes records and comes back: rows and the journal's tail give the state there was (I2)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.delays import ChunkRecord
from ropewayd.queues.message import DELAYED, OVERHEAD, size_of
from ropewayd.queues.paging import next_page
from ropewayd.queues.records import CHUNKS, MESSAGES, WAITING, queue_key, row_key
from ropewayd.queues.settings import QueueLimits
from ropewayd.store.protocol import Corrupt, Record
from ropewayd.vocabulary.errors import ServiceUnavailable
from tests.daemon import PATIENCE
from tests.house import BODY, COUNT, HANDLE, House, settle
from tests.simulation.replay import with_body

SMALL = KernelSettings(tail_bytes=600, slice_bytes=300)
"""Spills nearly everything nearly at once."""
PAGES = QueueLimits(page_messages=7)


async def spilled(house: House) -> None:
    """Let the daemon idle until nothing is left in the journal."""
    for _ in range(50):
        await house.wait(2000)
        if not house.disk.journal:
            return
    raise AssertionError("the journal is not trimmed")


def rows(house: House) -> int:
    return len(house.disk.records.get(MESSAGES, {}))


def waits(house: House) -> int:
    return len(house.disk.records.get(WAITING, {}))


async def test_an_idle_daemon_spills_and_trims_all_it_has(house: House) -> None:
    await house.create(visibility_timeout=600_000)
    await house.send(*"abcdef")
    await house.receive(2)
    await house.send("late", delay=500_000)
    before = house.queues.snapshot()
    await spilled(house)
    assert (rows(house), waits(house), len(house.disk.records[CHUNKS])) == (6, 2, 1)
    report = await house.restart()
    assert report.tail_events == 0
    assert await house.bodies() == ["c", "d", "e", "f"]
    assert await house.counts() == (0, 6, 1)
    assert before["queues"].keys() == house.queues.snapshot()["queues"].keys()


@pytest.mark.parametrize("through", ["journal", "row"])
async def test_what_a_message_brings_with_it_survives(house: House, through: str) -> None:
    await house.create(visibility_timeout=0)
    entries = [a.SendEntry("plain"), a.SendEntry("traced", trace_header="Root=1-2-3"), a.SendEntry("last")]
    await house.call(a.SendMessage(queue="jobs", entries=entries))
    if through == "row":
        await spilled(house)
    await house.restart()
    plain, traced, last = await house.receive(3)
    assert (len(plain), len(last)) == (7, 7)
    assert traced[7] == {"trace_header": "Root=1-2-3"}


async def test_a_deadline_goes_on_through_a_restart(house: House) -> None:
    await house.create(visibility_timeout=100_000)
    await house.send("x")
    await house.receive()
    await spilled(house)
    gone = house.clock.at - 1_700_000_000_000
    await house.restart()
    await house.wait(100_000 - gone - 20)
    assert await house.bodies() == []
    await house.wait(40)
    (again,) = await house.receive()
    assert (again[BODY], again[COUNT]) == ("x", 2)


async def test_a_receive_after_the_row_was_written_is_not_forgotten(house: House) -> None:
    await house.create(visibility_timeout=600_000)
    await house.send("x")
    await spilled(house)
    (first,) = await house.receive()
    await spilled(house)
    before = await everything(house)
    await house.restart()
    assert await everything(house) == before
    await house.change(first[HANDLE], 0)
    await spilled(house)
    await house.restart()
    assert (await house.receive())[0][COUNT] == 2


async def test_a_handle_is_good_after_a_restart(house: House) -> None:
    await house.create(visibility_timeout=1000)
    await house.send("x", "y")
    first, _ = await house.receive()
    await house.wait(1010)
    await spilled(house)
    await house.restart()
    # It is visible and on disk alone: the delete reads it first.
    assert await house.delete(first[HANDLE], first[HANDLE]) == [None, None]
    assert await house.delete(first[HANDLE]) == [None]
    assert await house.counts() == (1, 0, 0)
    assert await house.bodies() == ["y"]


async def test_a_whole_batch_of_handles_may_be_on_disk_alone() -> None:
    house = House(limits=PAGES)
    await house.start()
    await house.create(visibility_timeout=1000)
    await house.send(*[f"{n}" for n in range(300)])
    received = await house.receive(300)
    await house.wait(1010)
    await spilled(house)
    await house.restart()
    handles = [m[HANDLE] for m in received]
    assert await house.delete(*handles[:200]) == [None] * 200
    assert await house.counts() == (100, 0, 0)
    assert await house.delete(*handles) == [None] * 300
    assert await house.counts() == (0, 0, 0)


async def test_visibility_of_what_is_on_disk_alone_can_change(house: House) -> None:
    await house.create(visibility_timeout=1000)
    await house.send("x")
    (message,) = await house.receive()
    await house.wait(1010)
    await spilled(house)
    await house.restart()
    assert await house.change(message[HANDLE], 5000) is None
    assert await house.counts() == (0, 1, 0)
    await house.wait(5010)
    assert (await house.receive())[0][COUNT] == 2


async def test_a_purge_that_the_tail_still_holds_leaves_no_small_record() -> None:
    house = House(KernelSettings(tail_bytes=100_000, slice_bytes=30))
    await house.start()
    await house.create(visibility_timeout=600_000)
    await house.send(*"abcdefgh")
    await house.receive(8)
    await spilled(house)
    assert (rows(house), waits(house)) == (8, 8)
    await house.send("z")
    await house.call(a.PurgeQueue(queue="jobs"))
    await house.call(a.CreateQueue(queue="other"))
    # A slice that says the queue as it is now, and is too small for the purge itself.
    slice = house.kernel._slice(house.kernel._committed, 0)
    assert slice is not None
    assert not slice.drop_ranges
    assert any(record.key == queue_key(1) for record in slice.puts)
    await house.store.append(house.kernel._claim, house.kernel._committed, b"", slice)
    await house.restart()
    await spilled(house)
    assert (rows(house), waits(house)) == (0, 0)


async def test_what_was_consumed_leaves_no_row(house: House) -> None:
    await house.create()
    await house.send(*"abc")
    await spilled(house)
    assert rows(house) == 3
    received = await house.receive(2)
    await house.delete(received[0][HANDLE])
    await spilled(house)
    assert (rows(house), waits(house)) == (2, 1)
    await house.delete(received[1][HANDLE])
    await house.call(a.PurgeQueue(queue="jobs"))
    await spilled(house)
    assert (rows(house), waits(house)) == (0, 0)
    await house.send("x")
    await spilled(house)
    await house.receive()
    await spilled(house)
    await house.call(a.DeleteQueue(queue="jobs"))
    await spilled(house)
    assert (rows(house), waits(house)) == (0, 0)
    report = await house.restart()
    assert report.records == 3  # the kernel's time, the next number, the key: no queue


async def test_a_message_consumed_before_its_slice_never_touches_a_table(house: House) -> None:
    await house.create()
    for _ in range(20):
        await house.send("x")
        (message,) = await house.receive()
        await house.delete(message[HANDLE])
    await spilled(house)
    assert rows(house) == 0
    assert MESSAGES not in house.disk.records


async def test_a_backlog_is_paged_in_order_after_a_restart() -> None:
    house = House(SMALL, PAGES)
    await house.start()
    await house.create()
    bodies = [f"{n}" for n in range(100)]
    for body in bodies:
        await house.send(body)
    await spilled(house)
    await house.restart()
    assert house.queues.snapshot()["queues"][1]["messages"] == {}
    assert await house.counts() == (100, 0, 0)
    found: list[Any] = []
    while len(found) < 100:
        got = await house.bodies(10)
        assert got
        found += got
    assert found == bodies
    assert await house.bodies(10) == []
    assert await house.counts() == (0, 100, 0)


async def test_a_backlog_beyond_memory_stays_on_disk_and_comes_in_order() -> None:
    limits = QueueLimits(memory_bytes=50_000, page_messages=20, min_window_bytes=5000)
    house = House(KernelSettings(tail_bytes=20_000, slice_bytes=5000), limits)
    await house.start()
    await house.create(visibility_timeout=600_000)
    held = house.queues._registry.memory
    most = 0
    for n in range(500):
        await house.send(f"{n:0500}")
        most = max(most, held.used)
    assert most < 80_000  # the budget, and a tail's worth that the disk did not have yet
    assert await house.counts() == (500, 0, 0)
    found: list[Any] = []
    while len(found) < 500:
        got = await house.receive(7)
        found += [int(m[BODY]) for m in got]
        await house.delete(*(m[HANDLE] for m in got))
        most = max(most, held.used)
        await house.send(f"{500 + len(found)}")  # what is sent meanwhile comes after
    assert found[:500] == list(range(500))
    assert most < 80_000
    rest = [int(body) for body in await house.bodies()]
    assert rest == sorted(rest)
    await house.call(a.PurgeQueue(queue="jobs"))
    assert held.used == 0


async def test_memory_keeps_what_only_a_slice_on_its_way_says() -> None:
    """Of two slices one can be cut while the other is being written."""
    limits = QueueLimits(memory_bytes=0, min_window_bytes=0)
    house = House(KernelSettings(max_batch_bytes=300, tail_bytes=2000, slice_bytes=300), limits)
    await house.start()
    await house.create()
    queue = house.queues._registry.by_number[1]
    together = 0
    for n in range(60):
        house.faults.gate.clear()
        for _ in range(3):
            house.submit(a.SendMessage(queue="jobs", entries=[a.SendEntry("x" * 150)] * 2))
        together += sum(batch.slice is not None for batch in house.kernel._closed) > 1
        for _ in range(n % 9):
            house.faults.gate.set()
            await asyncio.sleep(0)
            house.faults.gate.clear()
            there = set(house.disk.records.get(MESSAGES, {}))
            for sequence in range(1, queue.next_sequence):
                assert sequence in queue.messages or row_key(1, sequence) in there
    assert together > 5
    house.faults.gate.set()
    await house.wait(0)
    assert await house.counts() == (360, 0, 0)
    found = 0
    while bodies := await house.bodies():
        found += len(bodies)
    assert found == 360


async def test_a_read_takes_no_room_from_what_is_not_written_yet() -> None:
    limits = QueueLimits(page_messages=7, memory_bytes=0, min_window_bytes=0)
    house = House(KernelSettings(slice_bytes=300), limits)
    await house.start()
    for name in ("jobs", "other"):
        await house.create(name, visibility_timeout=600_000)
        await house.send(*"abcdefghij", queue=name)
    await spilled(house)
    await house.restart()
    await house.receive(1)
    for body in "klmnopqrst":
        await house.send(body)
    queue = house.queues._registry.by_number[1]
    before = rows(house)
    house.faults.gate.clear()
    await house.wait(2500)  # idle: one slice after the other, all as of one lsn
    while rows(house) == before:
        house.faults.gate.set()
        await asyncio.sleep(0)
        house.faults.gate.clear()
    await settle()
    assert house.kernel._closed  # the next is on its way
    for name in ("jobs", "other"):  # both read, and the second wants the room of the first
        house.submit(a.ReceiveMessage(queue=name))
        await settle()
    there = house.disk.records[MESSAGES]
    for sequence in range(2, queue.next_sequence):
        assert sequence in queue.messages or row_key(1, sequence) in there


async def test_small_messages_count_with_what_they_take() -> None:
    limits = QueueLimits(memory_bytes=100_000, page_messages=20, min_window_bytes=5000)
    house = House(KernelSettings(tail_bytes=20_000, slice_bytes=5000), limits)
    await house.start()
    await house.create()
    for _ in range(200):
        await house.send(*"abcdefghij")
    await spilled(house)
    assert house.queues._registry.memory.used < 120_000  # of 600,000


async def test_pages_that_many_queues_have_read_stay_within_the_budget() -> None:
    limits = QueueLimits(memory_bytes=50_000, page_messages=100, min_window_bytes=400)
    house = House(KernelSettings(tail_bytes=6000, slice_bytes=3000), limits)
    await house.start()
    names = [f"q{n}" for n in range(40)]
    for name in names:
        await house.create(name, visibility_timeout=600_000)
        for n in range(10):
            await house.send(*[f"{n}"] * 10, queue=name)
    await spilled(house)
    await house.restart()
    held = house.queues._registry.memory
    await house.wait(1000)  # the oldest message of each queue is looked at, for retention
    assert held.used < 20_000
    for name in names:
        assert len(await house.receive(1, queue=name)) == 1
        assert held.used < 120_000  # the budget, two pages, and what is in flight; of 1,200,000
    for name in names:
        found: list[Any] = []
        while bodies := await house.bodies(99, queue=name):
            found += bodies
        assert found == [f"{n}" for n in range(10) for _ in range(10)][1:]


async def test_what_came_back_is_left_to_the_disk_too() -> None:
    limits = QueueLimits(memory_bytes=50_000, page_messages=20, min_window_bytes=5000)
    house = House(KernelSettings(tail_bytes=20_000, slice_bytes=5000), limits)
    await house.start()
    await house.create(visibility_timeout=1000)
    for n in range(1500):
        await house.send(f"{n:0100}")
        if n % 10 == 9:
            assert len(await house.receive(10)) == 10
    await house.wait(2000)
    await spilled(house)
    assert house.queues._registry.memory.used < 150_000  # of 600,000
    assert await house.counts() == (1500, 0, 0)
    found: list[int] = []
    while got := await house.receive(50, visibility_timeout=600_000):
        assert {m[COUNT] for m in got} == {2}
        found += [int(m[BODY]) for m in got]
    assert found == list(range(1500))


async def test_sends_wait_where_the_tail_is_at_its_limit() -> None:
    house = House(KernelSettings(tail_bytes=3000, slice_bytes=100))
    await house.start()
    await house.create()
    for _ in range(20):
        await house.send("x" * 4000)
        slowed = [house.submit(a.SendMessage(queue="jobs", entries=[a.SendEntry("y")])) for _ in range(3)]
        assert len(house.kernel._slowed) == 3
        assert house.submit(a.GetQueueAttributes(queue="jobs")).answered  # a read does not wait
        for reply in slowed:
            await asyncio.wait_for(reply.answer, PATIENCE)
        assert house.kernel._tail.size < 3000
    assert await house.counts() == (80, 0, 0)


async def test_a_send_does_not_overtake_those_that_wait() -> None:
    house = House(KernelSettings(tail_bytes=3000, slice_bytes=100))
    await house.start()
    await house.create()
    await house.send("x" * 4000)
    for n in range(100):  # some come when the tail has room again, and those that wait do not know it yet
        house.submit(a.SendMessage(queue="jobs", entries=[a.SendEntry(f"{n}")]))
        await asyncio.sleep(0)
    await house.wait(0)
    assert (await house.bodies())[1:] == [f"{n}" for n in range(100)]


async def test_a_receive_that_was_read_for_is_answered_by_a_stop() -> None:
    house = House(SMALL, PAGES)
    await house.start()
    await house.create(retention_period=60_000)
    for n in range(20):
        await house.send(f"{n}")
    await spilled(house)
    await house.restart()
    house.clock.at += 70_000  # reading finds nothing that can be given
    poll = house.submit(a.ReceiveMessage(queue="jobs", wait=20_000))
    await house.kernel.stop()
    assert poll.answer.result() == []
    assert not [task for task in house.kernel._reads if not task.done()]


async def test_a_stop_answers_sends_that_wait() -> None:
    house = House(KernelSettings(tail_bytes=1000, slice_bytes=100))
    await house.start()
    await house.create()
    await house.send("x" * 2000)
    house.faults.gate.clear()
    slowed = house.submit(a.SendMessage(queue="jobs", entries=[a.SendEntry("late")]))
    assert house.kernel._slowed
    stopping = asyncio.ensure_future(house.kernel.stop())
    await asyncio.sleep(0)
    house.faults.gate.set()
    await stopping
    assert isinstance(slowed.answer.result(), ServiceUnavailable)


async def test_an_expired_backlog_on_disk_is_reclaimed_in_pages() -> None:
    house = House(SMALL, PAGES)
    await house.start()
    await house.create(retention_period=60_000)
    for n in range(50):
        await house.send(f"{n}")
    await spilled(house)
    await house.restart()
    await house.wait(70_000)
    assert await house.counts() == (0, 0, 0)
    assert await house.bodies() == []
    await spilled(house)
    assert rows(house) == 0


async def test_a_receive_goes_through_an_expired_backlog_a_page_at_a_time() -> None:
    limits = QueueLimits(page_messages=7, memory_bytes=0, min_window_bytes=0)
    house = House(SMALL, limits)
    await house.start()
    await house.create(retention_period=60_000)
    for n in range(200):
        await house.send(f"{n}")
    await spilled(house)
    await house.restart()
    house.clock.at += 61_000
    await house.send("fresh")
    queue = house.queues._registry.by_number[1]
    most = 0
    receive = house.submit(a.ReceiveMessage(queue="jobs"))
    while not receive.answered:
        await asyncio.sleep(0)
        most = max(most, len(queue.messages))
    assert [m[BODY] for m in receive.answer.result()] == ["fresh"]
    assert most < 20
    assert await house.counts() == (0, 1, 0)


async def test_a_receive_finds_what_stands_behind_an_expired_window() -> None:
    house = House()
    await house.start()
    await house.create(retention_period=60_000)
    await house.send("old", "old")
    house.clock.at += 61_000
    await house.send(*["new"] * 10)
    queue = house.queues._registry.by_number[1]
    queue.let_go(2 * OVERHEAD + 50, 10, 0)  # the old ones are the window, and nothing is on disk yet
    assert len(queue.ready._behind or ()) == 10
    assert await house.bodies(1) == ["new"]


async def test_rows_that_are_missing_are_corruption() -> None:
    house = House(SMALL, PAGES)
    await house.start()
    await house.create()
    for n in range(20):
        await house.send(f"{n}")
    await spilled(house)
    del house.disk.records[MESSAGES][next(iter(house.disk.records[MESSAGES]))]
    await house.restart()
    for _ in range(6):
        house.submit(a.ReceiveMessage(queue="jobs", max_messages=10))
        await house.wait(0)
    assert house.kernel.failed is not None
    assert isinstance(house.kernel.failed.result(), Corrupt)
    assert "jobs" in str(house.kernel.failed.result())


async def test_a_small_record_without_its_row_is_corruption(house: House) -> None:
    await house.create()
    await house.send("x")
    await house.receive()
    await spilled(house)
    house.disk.records[MESSAGES].clear()
    await house.restart()
    house.submit(a.ReceiveMessage(queue="jobs"))
    await house.wait(30_000)
    house.submit(a.ReceiveMessage(queue="jobs"))
    await settle()
    assert house.kernel.failed is not None
    assert isinstance(house.kernel.failed.result(), Corrupt)
    assert "message 1 of queue jobs" in str(house.kernel.failed.result())


STEPS = st.lists(
    st.sampled_from(
        [
            "send",
            "send",
            "send many",
            "delayed",
            "receive",
            "receive",
            "delete",
            "delete",
            "release",
            "extend",
            "second",
            "idle",
            "purge",
            "recreate",
            "set",
            "restart",
        ]
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(
    steps=STEPS,
    tail=st.sampled_from([100, 600, 3000]),
    memory=st.sampled_from([0, 5000, 1 << 20]),
    kept=st.sampled_from([1, 200, 1 << 20]),
)
async def test_a_restart_after_any_history_changes_nothing(
    steps: list[str], tail: int, memory: int, kept: int
) -> None:
    limits = QueueLimits(page_messages=7, memory_bytes=memory, min_window_bytes=20, kept_bytes=kept)
    house = House(KernelSettings(tail_bytes=tail, slice_bytes=200), limits)
    await house.start()
    await house.create(visibility_timeout=3000)
    handles: list[bytes] = []
    for at, step in enumerate(steps):
        await _do(step, house, handles, at)
    before = await everything(house)
    await house.restart()
    assert await everything(house) == before


async def _do(step: str, house: House, handles: list[bytes], at: int) -> None:
    async def receive() -> None:
        handles.extend(m[HANDLE] for m in await house.receive(3))

    async def recreate() -> None:
        await house.call(a.DeleteQueue(queue="jobs"))
        await house.create(visibility_timeout=3000)

    taken = handles.pop(at % len(handles)) if handles and step in {"delete", "release", "extend"} else b""
    steps: dict[str, Callable[[], Awaitable[Any]]] = {
        "send": lambda: house.send(f"{at}"),
        "send many": lambda: house.send(*[f"{at}.{n}" for n in range(10)]),
        "delayed": lambda: house.send(f"{at}", delay=2500),
        "receive": receive,
        "delete": lambda: house.delete(taken),
        "release": lambda: house.change(taken, 0),
        "extend": lambda: house.change(taken, 9000),
        "second": lambda: house.wait(1000),
        "idle": lambda: house.wait(5000),
        "purge": lambda: house.call(a.PurgeQueue(queue="jobs")),
        "recreate": recreate,
        "set": lambda: house.call(a.SetQueueAttributes(queue="jobs", attributes={"delay": at % 3 * 1000})),
        "restart": house.restart,
    }
    await steps[step]()


async def everything(house: House) -> Any:
    """The whole state, with what is on disk alone read in."""
    registry = house.queues._registry
    for queue in list(registry.by_number.values()):
        while queue.on_disk:
            needs = next_page(registry, queue, 7)
            assert needs.begin is not None
            needs.begin()
            records = await house.store.page(
                house.kernel._claim, needs.space, needs.first, needs.last, needs.limit, needs.max_bytes
            )
            needs.fill(records)
    state = house.queues.snapshot()
    for number, queue in state["queues"].items():
        for sequence, message in queue["messages"].items():
            if type(message[1]) is int:
                key = row_key(number, sequence)
                row = Record(MESSAGES, key, *house.disk.records[MESSAGES][key])
                queue["messages"][sequence] = with_body(message, row, registry.rows)
        for sequence, message in put_off(house, number):
            queue["messages"].setdefault(sequence, message)
        assert queue["bytes"] == sum(size_of(m[1], m[2]) for m in queue["messages"].values())
    return state


def put_off(house: House, number: int) -> Iterator[tuple[int, Any]]:
    """The messages of a queue that are in chunks, as a snapshot has them."""
    delays = house.queues._registry.by_number[number].delays
    for chunk in delays.chunks if delays is not None else ():
        record = house.disk.records.get(CHUNKS, {}).get(row_key(number, chunk))
        if record is not None:  # otherwise memory still has them
            for m in msgspec.msgpack.decode(record[1], type=ChunkRecord).messages:
                yield (
                    m.sequence,
                    (m.id, m.body, m.attributes, m.system, m.sent_at, 0, 0, DELAYED, m.deadline),
                )
