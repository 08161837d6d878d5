"""Calls that were merged are answered as each of them alone."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewayd.protocols.merging import Merger
from ropewayd.queues import actions as a
from ropewayd.queues.settings import QueueLimits
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import RopewayError
from tests.house import HANDLE, House, Reply, settle

QUEUES = ("one", "two", "none", "line.fifo")
bodies = st.sampled_from(["x", "", "y" * 2000, 7, b"z"])
few = st.sampled_from(["1", "2", "3", None])
sends = st.builds(
    lambda queue, entries: a.SendMessage(queue=queue, entries=entries),
    st.sampled_from(QUEUES),
    st.lists(
        st.one_of(
            st.builds(a.SendEntry, bodies),
            st.builds(a.SendEntry, bodies, group=few, deduplication_id=few),
            st.builds(a.SendEntry, bodies, group=few, token=few),
        ),
        min_size=1,
        max_size=3,
    ),
)


def deletes(known: list[bytes]) -> st.SearchStrategy[Action]:
    chosen = st.lists(st.sampled_from([*known, b"no handle"]), min_size=1, max_size=3)
    return st.one_of(
        st.builds(
            lambda queue, each: a.DeleteMessage(queue=queue, handles=each), st.sampled_from(QUEUES), chosen
        ),
        st.builds(
            lambda queue, each, timeout: a.ChangeMessageVisibility(
                queue=queue, entries=[a.VisibilityEntry(handle, timeout) for handle in each]
            ),
            st.sampled_from(QUEUES),
            chosen,
            st.one_of(st.just(0), st.integers(0, 50_000_000)),
        ),
    )


others = st.sampled_from(
    [
        a.ReceiveMessage(queue="one", max_messages=2),
        a.PurgeQueue(queue="two"),
        a.GetQueueAttributes(queue="one"),
    ]
)


async def prepared() -> tuple[House, list[bytes]]:
    """Three queues, and handles of messages that were received."""
    house = House(limits=QueueLimits(fifo_calls=0))
    await house.start()
    for name in ("one", "two"):
        await house.create(name, maximum_message_size=1024)
    await house.create("line.fifo", fifo=True)
    await house.send(*"0123", queue="one")
    for n in "45":
        await house.send(n, queue="line.fifo", group=n, deduplication_id=n)
    received = [*await house.receive(4, "one"), *await house.receive(2, "line.fifo")]
    return house, [message[HANDLE] for message in received]


def plain(answer: Any) -> Any:
    if isinstance(answer, RopewayError):
        return type(answer), answer.message, answer.field
    return [plain(each) for each in answer] if isinstance(answer, list) else answer


@given(st.data())
async def test_each_call_has_the_answer_that_it_has_alone(data: st.DataObject) -> None:
    merged, known = await prepared()
    alone, same = await prepared()
    assert known == same
    calls = data.draw(st.lists(st.one_of(sends, deletes(known), others), max_size=12))
    apart = copy.deepcopy(calls)  # the first of those that are merged takes the entries of all
    replies, merger = [Reply() for _ in calls], Merger(merged.kernel.submit, counted=False)
    for call, reply in zip(calls, replies, strict=True):
        merger.add(call, reply)
    merger.flush()
    await settle()
    for call, reply in zip(apart, replies, strict=True):
        assert plain(await reply.answer) == plain(await alone.call(call)), call
    assert merged.queues.snapshot() == alone.queues.snapshot()


async def test_a_handle_that_one_call_gave_up_is_expired_for_the_next() -> None:
    house, known = await prepared()
    merger, replies = Merger(house.kernel.submit, counted=False), [Reply(), Reply()]
    for reply, timeout in zip(replies, (0, 1000), strict=True):
        entries = [a.VisibilityEntry(known[-1], timeout)]
        merger.add(a.ChangeMessageVisibility(queue="line.fifo", entries=entries), reply)
    merger.flush()
    assert await replies[0].answer == [None]
    [error] = await replies[1].answer
    assert "expired" in error.message
    assert await house.counts("line.fifo") == (1, 1, 0)


async def test_a_stream_of_single_sends_is_one_event() -> None:
    house, _ = await prepared()
    merger, replies = Merger(house.kernel.submit, counted=True), [Reply() for _ in range(50)]
    before = house.kernel.meter.commit_events.total
    for reply in replies:
        merger.add(a.SendMessage(queue="one", entries=[a.SendEntry("x")]), reply)
    merger.flush()
    ids = [await reply.answer for reply in replies]
    assert len({each for [each] in ids}) == 50
    assert house.kernel.meter.commit_events.total == before + 1


@pytest.mark.parametrize(("counted", "calls"), [(True, 4), (False, 2)])
async def test_calls_of_a_fifo_queue_stay_apart_where_they_are_counted(counted: bool, calls: int) -> None:
    taken: list[Action] = []
    merger = Merger(lambda action, _: taken.append(action), counted=counted)
    for name in ("jobs.fifo", "arn:aws:sqs:us-east-1:123456789012:jobs.fifo"):
        for _ in range(2):
            merger.add(a.DeleteMessage(queue=name, handles=[b"x"]), Reply())
    merger.flush()
    assert len(taken) == calls


async def test_no_call_grows_beyond_a_batch() -> None:
    taken: list[Any] = []
    merger = Merger(lambda action, _: taken.append(action), counted=True)
    for _ in range(3):
        merger.add(a.DeleteMessage(queue="jobs", handles=[b"x"] * 400), Reply())
    merger.flush()
    assert [len(each.handles) for each in taken] == [800, 400]
