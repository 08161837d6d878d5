"""What was accepted is not accepted again for five minutes, whatever happens meanwhile."""

from typing import Any

import pytest

from ropewayd.kernel.service import SliceBuilder
from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.deduplication import Accepted, Ids
from ropewayd.queues.screening import Screen
from ropewayd.queues.segments import WINDOW, former
from ropewayd.queues.settings import QueueLimits
from ropewayd.queues.slices import Remembered
from tests.house import BODY, HANDLE, House

QUEUE = "jobs.fifo"


async def make(house: House, **attributes: Any) -> None:
    await house.create(QUEUE, fifo=True, **attributes)


async def send(house: House, body: str, id_: str | None = "1", group: str = "g") -> Any:
    entry = a.SendEntry(body, group=group, deduplication_id=id_)
    (answer,) = await house.call(a.SendMessage(queue=QUEUE, entries=[entry]))
    return answer


async def bodies(house: House) -> list[Any]:
    return await house.bodies(queue=QUEUE)


async def tidy(house: House) -> None:
    """Everything that is in the journal goes to records."""
    for _ in range(10):
        await house.wait(1_500)
    assert not house.disk.journal


async def test_a_duplicate_is_answered_as_the_first_was_and_not_stored(house: House) -> None:
    await make(house)
    first = await send(house, "one")
    assert await send(house, "two") == first
    assert await send(house, "three", "2") != first
    assert await bodies(house) == ["one", "three"]


async def test_it_goes_on_after_receive_and_delete(house: House) -> None:
    await make(house)
    first = await send(house, "one")
    (message,) = await house.receive(queue=QUEUE)
    assert await send(house, "two") == first
    await house.delete(message[HANDLE], queue=QUEUE)
    assert await send(house, "two") == first
    assert await bodies(house) == []


async def test_the_window_runs_from_the_first_acceptance(house: House) -> None:
    await make(house)
    first = await send(house, "one")
    await house.wait(WINDOW - 1_000)
    assert await send(house, "two") == first
    await house.wait(999)
    assert await send(house, "two") == first
    await house.wait(1)
    assert await send(house, "three") != first
    assert await bodies(house) == ["one", "three"]


@pytest.mark.parametrize("tidied", [False, True])
async def test_a_restart_forgets_nothing(house: House, tidied: bool) -> None:
    await make(house)
    first = await send(house, "one")
    (message,) = await house.receive(queue=QUEUE)
    await house.delete(message[HANDLE], queue=QUEUE)
    if tidied:
        await tidy(house)
    await house.restart()
    assert await send(house, "two") == first
    other = await send(house, "three", "2")
    assert other != first
    await house.restart()
    assert [await send(house, "four", id_) for id_ in ("1", "2")] == [first, other]
    await house.wait(WINDOW)
    assert await send(house, "five") not in (first, other)
    assert await bodies(house) == ["three", "five"]


async def test_within_one_batch_too(house: House) -> None:
    await make(house, content_based_deduplication=True)
    entries = [a.SendEntry(body, group="g") for body in ["a", "b", "a", "", "b"]]
    one, two, again, empty, last = await house.call(a.SendMessage(queue=QUEUE, entries=entries))
    assert (again, last) == (one, two)
    assert one != two
    assert not isinstance(empty, tuple)
    assert await bodies(house) == ["a", "b"]


async def test_the_scope_says_where_an_id_is_the_same_message(house: House) -> None:
    await make(house, deduplication_scope="messageGroup")
    first = await send(house, "one", group="g")
    assert await send(house, "two", group="h") != first
    assert await send(house, "three", group="g") == first
    await house.create("other.fifo", fifo=True)
    entries = [a.SendEntry("x", group=group, deduplication_id="1") for group in "gh"]
    one, two = await house.call(a.SendMessage(queue="other.fifo", entries=entries))
    assert one == two


async def test_a_new_scope_counts_for_later_sends_and_ids_keep_theirs(house: House) -> None:
    await make(house)
    whole = await send(house, "one", "1", "g")
    await house.wait(10)
    await house.call(a.SetQueueAttributes(queue=QUEUE, attributes={"deduplication_scope": "messageGroup"}))
    assert await send(house, "two", "1", "h") == whole
    narrow = await send(house, "three", "2", "g")
    assert await send(house, "four", "2", "h") != narrow
    await house.call(a.SetQueueAttributes(queue=QUEUE, attributes={"deduplication_scope": "queue"}))
    assert await send(house, "five", "2", "g") == narrow


async def test_a_scope_that_changes_in_the_moment_of_its_creation_changes(house: House) -> None:
    await make(house, deduplication_scope="messageGroup")
    first = await send(house, "one")
    attributes = {"deduplication_scope": "queue"}
    await house.call(a.SetQueueAttributes(queue=QUEUE, attributes=attributes))
    assert await send(house, "two") == first


async def test_an_explicit_id_wins_over_the_body(house: House) -> None:
    await make(house, content_based_deduplication=True)
    first = await send(house, "same", "1")
    assert await send(house, "same", "2") != first
    assert await send(house, "same", None) != first
    assert len(await bodies(house)) == 3


@pytest.mark.parametrize("tidied", [False, True])
async def test_a_purge_forgets(house: House, tidied: bool) -> None:
    await make(house)
    first = await send(house, "one")
    (message,) = await house.receive(queue=QUEUE)
    await house.delete(message[HANDLE], queue=QUEUE)
    if tidied:
        await tidy(house)
    await house.call(a.PurgeQueue(queue=QUEUE))
    assert await send(house, "two") != first
    await house.restart()
    assert await bodies(house) == ["two"]


async def test_a_queue_that_is_made_anew_knows_nothing(house: House) -> None:
    await make(house)
    first = await send(house, "one")
    await tidy(house)
    await house.call(a.DeleteQueue(queue=QUEUE))
    await make(house)
    assert await send(house, "two") != first


async def test_ids_leave_memory_where_it_is_short_and_count_all_the_same() -> None:
    house = House(KernelSettings(tail_bytes=20_000, slice_bytes=4_000), QueueLimits(memory_bytes=20_000))
    await house.start()
    await make(house)
    sent = []
    for n in range(300):
        sent.append(await send(house, f"{n}", f"{n}", f"{n % 7}"))
        for message in await house.receive(queue=QUEUE):
            await house.delete(message[HANDLE], queue=QUEUE)
        await house.wait(100)
    queue = next(iter(house.queues._registry.by_number.values()))
    assert queue.ids is not None
    await tidy(house)
    assert len(queue.ids) < 300
    assert [await send(house, "again", f"{n}", f"{n % 7}") for n in range(300)] == sent
    assert await bodies(house) == []
    await house.wait(2 * WINDOW)
    assert len(queue.ids) == 0
    assert house.queues.memory_used == 0


async def test_one_id_that_was_looked_up_before_and_others_that_were_not(house: House) -> None:
    """To look for the others forgets what the earlier look found. The two looks once took turns for ever."""
    await make(house)
    first = await send(house, "one")
    await tidy(house)
    await house.restart()
    assert await send(house, "two") == first
    entries = [a.SendEntry(id_, group="g", deduplication_id=id_) for id_ in ("1", "2", "3")]
    answers = await house.call(a.SendMessage(queue=QUEUE, entries=entries))
    assert answers[0] == first
    assert await bodies(house) == ["one", "2", "3"]


async def test_records_of_ids_that_are_over_go(house: House) -> None:
    await make(house)
    for n in range(8):
        await send(house, f"{n}", f"{n}")
        await tidy(house)
        await house.wait(WINDOW)
    queue = next(iter(house.queues._registry.by_number.values()))
    assert queue.ids is not None
    assert len(queue.ids.segments) <= 3


async def test_sends_that_wait_for_a_look_at_the_disk_keep_their_order(house: House) -> None:
    await make(house)
    await send(house, "old", "0")
    await tidy(house)
    await house.restart()
    replies = [
        house.submit(
            a.SendMessage(queue=QUEUE, entries=[a.SendEntry(f"{n}", group="g", deduplication_id=f"{n % 5}")])
        )
        for n in range(1, 20)
    ]
    for reply in replies:
        await reply.answer
    assert await bodies(house) == ["old", "1", "2", "3", "4"]


async def test_a_token_makes_a_send_that_is_repeated_one(house: House) -> None:
    await house.create()
    entries = [a.SendEntry("a", token="t1"), a.SendEntry("b"), a.SendEntry("c", token="t2")]
    sent = await house.call(a.SendMessage(queue="jobs", entries=entries))
    assert all(isinstance(each, bytes) for each in sent)
    again = await house.call(a.SendMessage(queue="jobs", entries=entries))
    assert (again[0], again[2]) == (sent[0], sent[2])
    await tidy(house)
    await house.restart()
    assert (await house.call(a.SendMessage(queue="jobs", entries=entries[:1]))) == sent[:1]
    assert sorted(m[BODY] for m in await house.receive()) == ["a", "b", "b", "c"]


async def test_a_token_stands_for_a_deduplication_id_that_is_not_given(house: House) -> None:
    await make(house)
    entry = a.SendEntry("x", group="g", token="t1")
    one = await house.call(a.SendMessage(queue=QUEUE, entries=[entry]))
    assert await house.call(a.SendMessage(queue=QUEUE, entries=[entry])) == one
    (message,) = await house.receive(queue=QUEUE)
    assert message[7]["deduplication_id"] == "t1"


def test_ids_of_one_head_are_told_apart() -> None:
    ids = Ids(1)
    one, two = b"same key" + b"1" * 8, b"same key" + b"2" * 8
    ids.remember(Remembered(1, 1, 0, b"i" * 32, one + two))
    assert [(found.sequence if (found := ids.find(each, 5, 0)) else 0) for each in (one, two)] == [1, 2]
    assert ids.find(b"same key" + b"3" * 8, 5, 0) is None


def test_ids_of_one_head_are_told_apart_on_disk() -> None:
    ids, into = Ids(1), SliceBuilder(7)
    sends = [Remembered(1, n, 0, b"i" * 16, b"same key" + bytes([n]) * 8) for n in (1, 2)]
    for send in sends:
        ids.remember(send)
    for send in sends:
        ids.spill(send, into)
    again = Ids(1)
    again.restore(ids.segments)
    again.fill([send.digests for send in sends], into.puts)
    found = [again.find(send.digests, 5, 0) for send in sends]
    assert found == [Accepted(1, b"i" * 16), Accepted(2, b"i" * 16)]


def test_ids_since_a_purge_stay_until_they_are_on_disk_themselves() -> None:
    ids, into = Ids(1), SliceBuilder(7)
    before, since = [Remembered(1, n, 0, b"i" * 16, bytes([n]) * 16) for n in (1, 2)]
    ids.remember(before)
    ids.clear(1)
    ids.remember(since)
    ids.spill(before, into)
    ids.let_go(7)
    assert ids.find(since.digests, 5, 1) is not None
    ids.spill(since, into)
    assert ids.let_go(7) > 0


async def test_new_ids_are_not_looked_for_one_by_one(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await make(house)
    await send(house, "a", "0")
    looked: list[bytes] = []
    held = Ids.held

    def counted(ids: Ids, digest: bytes, now: int, floor: int) -> Accepted | None:
        looked.append(digest)
        return held(ids, digest, now, floor)

    monkeypatch.setattr(Ids, "held", counted)
    await send(house, "b", "1")
    assert not looked
    await send(house, "b", "1")
    assert len(looked) == 1


async def test_what_memory_holds_is_not_looked_up_with_what_it_does_not(house: House) -> None:
    """Its record may not be there yet, and it may have left memory when the look is over."""
    await make(house)
    await send(house, "a", "0")
    queue = house.queues._registry.by_number[1]
    assert queue.ids is not None
    queue.ids.restore([former(house.clock.at // WINDOW)])
    entries = [a.SendEntry("x", group="g", deduplication_id=id_) for id_ in ("0", "1")]
    needs = Screen(queue, entries, house.clock.at).needs(house.queues._registry)
    assert needs is not None
    assert len(needs.ranges) == 1
