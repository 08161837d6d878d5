"""Messages that the disk says by the journal row that they were sent with: not written twice, and as they
were."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewayd.kernel.batch import Batch
from ropewayd.kernel.settings import KernelSettings
from ropewayd.kernel.wheel import Wheel
from ropewayd.queues import actions as a
from ropewayd.queues.actions import QueueAttributes
from ropewayd.queues.events import MessagesDeleted, MessagesSent
from ropewayd.queues.memory import Memory
from ropewayd.queues.message import Message, System
from ropewayd.queues.queue import Queue
from ropewayd.queues.records import MESSAGES, row_key
from ropewayd.queues.rows import Rows
from ropewayd.queues.settings import QueueLimits
from ropewayd.store.protocol import Corrupt, Record
from ropewayd.topics import actions as t
from ropewayd.vocabulary.names import Scope
from tests.house import BODY, COUNT, HANDLE, START, House
from tests.simulation.line import plain

KEPT = QueueLimits(kept_bytes=1)
SPILLING = KernelSettings(tail_bytes=600, slice_bytes=3000)

BODIES = st.one_of(st.text(min_size=1, max_size=20), st.binary(min_size=1, max_size=20))
ATTRIBUTES = st.none() | st.just({"color": ("String", "r\u00f6tlich"), "raw": ("Binary", b"\xff")})
SYSTEMS = st.none() | st.builds(
    System, group=st.none() | st.text(max_size=3), trace_header=st.none() | st.just("Root=1-2-3")
)


async def house_of(limits: QueueLimits = KEPT, settings: KernelSettings = SPILLING) -> House:
    house = House(settings, limits)
    await house.start()
    await house.create(visibility_timeout=5000)
    return house


async def spilled(house: House) -> None:
    for _ in range(50):
        await house.wait(2000)
        if house.disk.trimmed == house.disk.last:
            return
    raise AssertionError("the journal is not trimmed")


def shares(house: House) -> list[int]:
    """Of each message on disk, in order: 0 for one with a row of its own."""
    return [share for _, (_, _, share) in sorted(house.disk.records.get(MESSAGES, {}).items())]


@given(
    columns=st.lists(st.tuples(BODIES, ATTRIBUTES, SYSTEMS), min_size=1, max_size=5), before=st.integers(0, 3)
)
def test_a_message_of_a_journal_row_is_the_one_that_was_sent(
    columns: list[tuple[Any, Any, Any]], before: int
) -> None:
    bodies, attributes, systems = map(list, zip(*columns, strict=True))
    ids = bytes(range(16 * len(bodies)))
    sent = MessagesSent(7, 40, START, ids, bodies, None, attributes, systems)
    batch = Batch(3)
    for number in range(before):
        batch.add(MessagesDeleted(7, [number]))
        batch.add(MessagesSent(7, 30 + number, START, b"-" * 16, ["before"]))
    batch.add(sent)
    batch.add(MessagesSent(200, 1, START, b"o" * 16, ["another queue's"]))
    row = batch.encode(START)
    queue = Queue(7, "jobs", Scope(), QueueAttributes(), START, Wheel(START), None, Memory())
    queue.next_sequence = 40
    queue.sent(sent, 3)
    rows = Rows()
    for sequence in range(40, 40 + len(bodies)):
        found = rows.message(Record(MESSAGES, row_key(7, sequence), 9, row, 1))
        assert plain(fields(found)) == plain(fields(queue.messages[sequence]))
        assert found.stored == 9
    assert rows.message(Record(MESSAGES, row_key(200, 1), 9, row, 1)).body == "another queue's"


def fields(m: Message) -> tuple[Any, ...]:
    return m.sequence, m.id, m.body, m.attributes, m.system, m.sent_at, m.size, m.receive_count, m.row_count


@pytest.mark.parametrize(("number", "sequence"), [(1, 4), (1, 9), (2, 5)])
def test_a_journal_row_that_does_not_say_its_record_is_corruption(number: int, sequence: int) -> None:
    batch = Batch(3)
    batch.add(MessagesSent(1, 5, START, b"i" * 64, ["a", "b", "c", "d"]))
    with pytest.raises(
        Corrupt, match=f"Message {sequence} of queue number {number} is not in the journal row"
    ):
        Rows().message(Record(MESSAGES, row_key(number, sequence), 9, batch.encode(START), 1))


async def test_a_fan_out_is_kept_once_for_all_its_queues() -> None:
    house = await house_of()
    await house.call(t.CreateTopic(topic="news"))
    for name in ("mail", "log"):
        await house.create(name, visibility_timeout=5000)
        endpoint = f"arn:aws:sqs:us-east-1:000000000000:{name}"
        await house.call(t.Subscribe(topic="news", protocol="sqs", endpoint=endpoint))
    entries = [t.PublishEntry(f"{n:0100}") for n in range(10)]
    await house.call(t.PublishMessage(topic="news", entries=entries))
    await spilled(house)
    assert len(shares(house)) == 20
    assert all(shares(house))
    assert len({id(value) for _, value, _ in house.disk.records[MESSAGES].values()}) == 1
    await house.restart()
    for name in ("mail", "log"):
        told = [msgspec.json.decode(m[BODY])["Message"] for m in await house.receive(10, name)]
        assert told == [f"{n:0100}" for n in range(10)]


async def test_what_is_sent_together_is_not_written_again() -> None:
    house = await house_of()
    bodies = [f"{n:0100}" for n in range(50)]
    await house.send(*bodies)
    await spilled(house)
    assert len(shares(house)) == 50
    assert all(shares(house))
    await house.restart()
    assert [m[BODY] for m in await house.receive(100)] == bodies


async def test_what_was_received_has_a_row_that_knows_of_it() -> None:
    house = await house_of()
    await house.send(*"abcd")
    first, second = await house.receive(2)
    await house.change(first[HANDLE], 0)
    await spilled(house)
    assert [bool(share) for share in shares(house)] == [False, False, True, True]
    await house.restart()
    received = {m[BODY]: m[COUNT] for m in await house.receive(10)}
    assert received == {"a": 2, "c": 1, "d": 1}
    assert await house.delete(second[HANDLE]) == [None]


async def test_a_message_that_came_back_leaves_the_journal_row() -> None:
    house = await house_of()
    await house.send(*"abcd")
    await spilled(house)
    await house.restart()
    received = await house.receive(4)
    await house.change(received[0][HANDLE], 0)
    await house.delete(*(m[HANDLE] for m in received[1:]))
    await spilled(house)
    assert shares(house) == [0]
    assert [m[COUNT] for m in await house.receive(4)] == [2]


async def test_a_row_of_many_queues_is_kept_for_none() -> None:
    house = await house_of(QueueLimits(kept_bytes=1), KernelSettings(tail_bytes=100_000, slice_bytes=3000))
    names = [f"queue-{n}" for n in range(6)]
    for name in names:
        await house.create(name)
    house.faults.gate.clear()
    replies = [
        house.submit(a.SendMessage(queue=name, entries=[a.SendEntry("x" * 100) for _ in range(10)]))
        for name in ("jobs", *names)
    ]
    house.faults.gate.set()
    for reply in replies:
        await reply.answer
    await spilled(house)
    assert shares(house) == [0] * 70


async def test_few_bytes_are_written_again() -> None:
    house = await house_of(QueueLimits(), KernelSettings(tail_bytes=600, slice_bytes=3000))
    await house.send(*["x" * 100] * 100)
    await house.send(*["x" * 200] * 100)
    await spilled(house)
    assert [bool(share) for share in shares(house)] == [False] * 100 + [True] * 100


async def test_messages_of_a_fifo_queue_have_their_own_rows() -> None:
    house = House(SPILLING, KEPT)
    await house.start()
    await house.create("jobs.fifo", fifo=True, visibility_timeout=5000)
    entries = [a.SendEntry(f"{n}", group=f"g{n % 3}", deduplication_id=f"d{n}") for n in range(12)]
    await house.call(a.SendMessage(queue="jobs.fifo", entries=entries))
    await spilled(house)
    assert shares(house) == [0] * 12
