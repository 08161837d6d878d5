"""The order of a call: what is answered when, and what happens when the disk says no."""

import asyncio
from typing import Any, cast

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.store.memory import Fate
from ropewayd.store.protocol import Newer, Refused, StoreError, Unknown
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import InvalidAction, OverLimit, ServiceUnavailable
from tests.house import BODY, House, settle


def send(body: str = "x") -> a.SendMessage:
    return a.SendMessage(queue="jobs", entries=[a.SendEntry(body)])


ATTRIBUTES = a.GetQueueAttributes(queue="jobs")


async def test_an_answer_waits_for_its_commit(house: House) -> None:
    await house.create()
    house.faults.gate.clear()
    reply = house.submit(send())
    await settle()
    assert reply.prepared is not None
    assert not reply.answer.done()
    house.faults.gate.set()
    await settle()
    assert reply.answered


async def test_a_read_waits_for_every_event_before_it(house: House) -> None:
    await house.create()
    house.faults.gate.clear()
    house.submit(send())
    await settle()
    # The send is on its way to disk: a count that shows it must not be seen before it is there.
    read = house.submit(ATTRIBUTES)
    await settle()
    assert read.prepared["visible"] == 1
    assert not read.answered
    second = house.submit(send())
    both = house.submit(ATTRIBUTES)
    house.faults.gate.set()
    await settle()
    assert read.answer.done()
    assert second.answer.done()
    assert both.answer.result()["visible"] == 2


async def test_a_read_with_nothing_pending_is_answered_at_once(house: House) -> None:
    await house.create()
    reply = house.submit(ATTRIBUTES)
    assert reply.answered


async def test_what_arrives_while_a_commit_runs_is_the_next_batch(house: House) -> None:
    await house.create()
    before = house.faults.asked
    house.faults.gate.clear()
    replies = [house.submit(send())]
    await settle()
    replies += [house.submit(send()) for _ in range(20)]
    await settle()
    assert house.faults.asked == before + 1
    house.faults.gate.set()
    await asyncio.gather(*(reply.answer for reply in replies))
    assert house.faults.asked == before + 2


async def test_a_waiting_receive_is_served_in_the_batch_that_feeds_it(house: House) -> None:
    await house.create()
    poll = house.submit(a.ReceiveMessage(queue="jobs", wait=20_000))
    await settle()
    assert not poll.answered
    before = house.faults.asked
    sent = house.submit(send("fed"))
    await settle()
    assert sent.answered
    assert poll.answer.result()[0][BODY] == "fed"
    assert house.faults.asked == before + 1


async def test_waiting_receives_are_served_in_the_order_they_came(house: House) -> None:
    await house.create()
    polls = [house.submit(a.ReceiveMessage(queue="jobs", wait=20_000)) for _ in range(3)]
    await house.send("first", "second")
    assert [poll.answered for poll in polls] == [True, True, False]
    assert polls[0].answer.result()[0][BODY] == "first"
    assert polls[1].answer.result()[0][BODY] == "second"


async def test_a_poll_ends_empty_when_its_time_is_up_and_not_before(house: House) -> None:
    await house.create()
    poll = house.submit(a.ReceiveMessage(queue="jobs", wait=1000))
    await house.wait(999)
    assert not poll.answered
    await house.wait(11)
    assert poll.answer.result() == []


async def test_an_abandoned_poll_takes_no_message(house: House) -> None:
    await house.create()
    poll = house.submit(a.ReceiveMessage(queue="jobs", wait=20_000))
    house.kernel.abandon(poll)
    await house.send("kept")
    assert not poll.answered
    assert await house.bodies() == ["kept"]


async def test_polls_beyond_the_limit_are_refused_by_name() -> None:
    house = House(KernelSettings(max_polls=2))
    await house.start()
    await house.create()
    for _ in range(2):
        house.submit(a.ReceiveMessage(queue="jobs", wait=20_000))
    refused = await house.fail(a.ReceiveMessage(queue="jobs", wait=20_000))
    assert isinstance(refused, OverLimit)
    assert "2 long polls" in refused.message


@pytest.mark.parametrize(
    ("fate", "error"),
    [(Fate.REFUSE, Refused), (Fate.UNKNOWN_WRITTEN, Unknown), (Fate.UNKNOWN_LOST, Unknown)],
)
async def test_a_failed_append_acknowledges_nothing_and_ends_the_kernel(
    house: House, fate: Fate, error: type[StoreError]
) -> None:
    await house.create()
    poll = house.submit(a.ReceiveMessage(queue="jobs", wait=20_000, max_messages=1))
    await house.call(a.CreateQueue(queue="other"))
    other = house.submit(a.ReceiveMessage(queue="other", wait=20_000))
    house.faults.gate.clear()
    house.faults.fates = [fate]
    held = house.submit(send())
    await settle()
    behind = house.submit(send())
    read = house.submit(ATTRIBUTES)
    house.faults.gate.set()
    await settle()
    for reply in (held, behind, read, poll, other):
        assert isinstance(reply.answer.result(), ServiceUnavailable)
    assert house.kernel.failed is not None
    assert isinstance(house.kernel.failed.result(), error)
    later = house.submit(send())
    assert isinstance(later.answer.result(), ServiceUnavailable)


async def test_after_a_failed_append_a_restart_has_the_last_durable_batch(house: House) -> None:
    await house.create()
    await house.send("durable")
    house.faults.fates = [Fate.UNKNOWN_LOST]
    lost = house.submit(send("lost"))
    await settle()
    assert isinstance(lost.answer.result(), ServiceUnavailable)
    await house.restart()
    assert await house.bodies() == ["durable"]


async def test_a_batch_is_closed_at_its_size_and_the_answers_keep_their_order() -> None:
    house = House(KernelSettings(max_batch_bytes=4000))
    await house.start()
    await house.create()
    house.faults.gate.clear()
    first = house.submit(send())
    await settle()
    replies = [house.submit(send("y" * 1500)) for _ in range(10)]
    before = house.faults.asked
    house.faults.gate.set()
    await settle()
    assert first.answered
    assert all(reply.answered for reply in replies)
    # Three to a row of about 4,000 bytes.
    assert house.faults.asked == before + 4
    await house.restart()
    assert len(await house.bodies()) == 11


async def test_a_batch_that_closes_while_the_tail_is_spilled_is_not_overtaken_by_a_slice() -> None:
    house = House(KernelSettings(max_batch_bytes=1000, slice_bytes=100))
    await house.start()
    await house.create()
    await house.send(*"abcdefghij")
    house.faults.gate.clear()
    await house.wait(2500)  # idle: a first slice is on its way, and more must follow
    house.submit(send("x" * 2000))
    read = house.submit(ATTRIBUTES)  # finds the batch full, and adds nothing to the next
    assert len(house.kernel._closed) == 2
    house.faults.gate.set()
    await settle()
    assert house.kernel.failed is not None
    assert not house.kernel.failed.done()
    assert read.answer.result()["visible"] == 11
    await house.restart()
    assert len(await house.bodies()) == 11


async def test_an_action_of_no_service_is_an_error(house: House) -> None:
    class Unheard(Action):
        pass

    assert isinstance(await house.fail(Unheard()), InvalidAction)


async def test_an_assertion_that_fails_ends_the_kernel(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.create()
    poll = house.submit(a.ReceiveMessage(queue="jobs", wait=20_000))

    def broken(action: Action, now: int) -> None:
        raise AssertionError("what must hold does not")

    monkeypatch.setitem(cast(dict[Any, Any], house.kernel._deciders), a.PurgeQueue, broken)
    with pytest.raises(AssertionError):
        house.submit(a.PurgeQueue(queue="jobs"))
    assert house.kernel.failed is not None
    assert isinstance(house.kernel.failed.result(), AssertionError)
    assert isinstance(poll.answer.result(), ServiceUnavailable)


async def test_a_stop_answers_the_polls_and_finishes_what_is_on_its_way(house: House) -> None:
    await house.create()
    poll = house.submit(a.ReceiveMessage(queue="jobs", wait=20_000))
    house.faults.gate.clear()
    sent = house.submit(a.SendMessage(queue="jobs", entries=[a.SendEntry("x", delay=5000)]))
    stopping = asyncio.ensure_future(house.kernel.stop())
    await settle()
    assert not stopping.done()
    house.faults.gate.set()
    await stopping
    assert poll.answer.result() == []
    assert sent.answered
    assert isinstance(house.submit(ATTRIBUTES).answer.result(), ServiceUnavailable)


async def test_time_never_falls_behind_the_journal(house: House) -> None:
    await house.create()
    await house.send("x", delay=5000)
    await house.wait(2000)
    await house.send("y")
    house.clock.at -= 3_600_000  # somebody sets the clock back while the daemon is down
    await house.restart()
    await house.wait(3010)
    assert sorted(await house.bodies()) == ["x", "y"]


async def test_time_never_falls_behind_a_trimmed_journal(house: House) -> None:
    await house.create()
    await house.send("x", delay=5000)
    await house.wait(2500)  # idle: everything is spilled, the journal is empty
    assert not house.disk.journal
    house.clock.at -= 3_600_000
    await house.restart()
    await house.wait(5010)
    assert await house.bodies() == ["x"]


async def test_a_row_of_a_newer_version_is_refused_with_its_number(house: House) -> None:
    await house.create()
    last = house.disk.last
    house.disk.journal[last] = b"\x93\x02" + house.disk.journal[last][2:]
    with pytest.raises(Newer, match=f"row {last} has form 2"):
        await house.restart()
    house.disk.journal[last] = b"\x93\x01\x00\x91\x92\xcd\x03\xe7\x01"  # an event with tag 999
    with pytest.raises(Newer, match=f"row {last}"):
        await house.restart()
