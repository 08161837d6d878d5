"""Dead letters: which policies can be set, when a message dies, and what of it is there afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.settings import QueueLimits
from ropewayd.vocabulary.errors import InvalidParameterValue, QueueNameExists, ReceiptHandleIsInvalid
from ropewayd.vocabulary.names import show_message_id
from tests.house import ATTRIBUTES, BODY, COUNT, FIRST_AT, HANDLE, ID, SENT_AT, START, House, settle

ARN = "arn:aws:sqs:us-east-1:000000000000:"
SYSTEM = ATTRIBUTES + 1


def policy(most: int = 1, target: str = ARN + "dead") -> dict[str, Any]:
    return {"dead_letter_target_arn": target, "max_receive_count": most}


@pytest.fixture
async def letters(house: House) -> House:
    """`jobs`, whose messages die after one receive of a second, and `dead`."""
    await house.create("dead")
    await house.create("jobs", visibility_timeout=1000, redrive_policy=policy())
    return house


async def kill(house: House, receives: int = 1, queue: str = "jobs") -> None:
    """Receive all there is so often, and let it come back."""
    for _ in range(receives):
        assert await house.receive(1000, queue)
        await house.wait(1500)


# What can be set


async def test_a_policy_is_told_as_it_was_given_and_is_gone_when_taken_away(letters: House) -> None:
    told = await letters.call(a.GetQueueAttributes(queue="jobs"))
    assert told["redrive_policy"] == policy()
    assert "redrive_policy" not in await letters.call(a.GetQueueAttributes(queue="dead"))
    again = a.CreateQueue(queue="jobs", attributes={"redrive_policy": policy()})
    assert (await letters.call(again))["created"] is False
    other = await letters.fail(a.CreateQueue(queue="jobs", attributes={"redrive_policy": policy(2)}))
    assert isinstance(other, QueueNameExists)
    for nothing in ("", None):
        await letters.call(a.SetQueueAttributes(queue="jobs", attributes={"redrive_policy": policy(7)}))
        await letters.call(a.SetQueueAttributes(queue="jobs", attributes={"redrive_policy": nothing}))
        assert "redrive_policy" not in await letters.call(a.GetQueueAttributes(queue="jobs"))


async def test_a_name_will_do_for_an_arn(house: House) -> None:
    await house.create("dead", redrive_allow_policy=_allow("jobs"))
    await house.create("jobs", redrive_policy=policy(target="dead"))
    assert (await house.call(a.GetQueueAttributes(queue="jobs")))["redrive_policy"] == policy()
    told = await house.call(a.GetQueueAttributes(queue="dead"))
    assert list(told["redrive_allow_policy"]["source_queue_arns"]) == [ARN + "jobs"]


def _allow(*names: str) -> dict[str, Any]:
    return {"redrive_permission": "byQueue", "source_queue_arns": list(names)}


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"dead_letter_target_arn": ARN + "dead"},
        {"max_receive_count": 1},
        {**policy(), "max_receive_count": "many"},
        {**policy(), "max_receive_count": 0},
        {**policy(), "max_receive_count": 1001},
        {**policy(), "colour": "red"},
        policy(target=ARN + "nobody"),
        policy(target=ARN + "jobs"),
        policy(target="arn:aws:sqs:eu-west-1:000000000000:dead"),
        policy(target="arn:aws:sqs:us-east-1:111111111111:dead"),
        policy(target="arn:aws:sns:us-east-1:000000000000:dead"),
        "dead",
        7,
    ],
    ids=str,
)
async def test_what_is_no_policy_is_refused(house: House, bad: Any) -> None:
    await house.create("dead")
    await house.create("jobs")
    for action in (
        a.SetQueueAttributes(queue="jobs", attributes={"redrive_policy": bad}),
        a.CreateQueue(queue="new", attributes={"redrive_policy": bad}),
    ):
        if bad == policy(target=ARN + "jobs") and isinstance(action, a.CreateQueue):
            continue  # for another queue it is one
        error = await house.fail(action)
        assert isinstance(error, InvalidParameterValue)
        assert error.field is not None
        assert error.field.startswith("attributes.redrive_policy")
    assert "redrive_policy" not in await house.call(a.GetQueueAttributes(queue="jobs"))


async def test_dead_letters_make_no_circle(house: House) -> None:
    await house.create("c")
    await house.create("b", redrive_policy=policy(target="c"))
    await house.create("a", redrive_policy=policy(target="b"))
    error = await house.fail(
        a.SetQueueAttributes(queue="c", attributes={"redrive_policy": policy(target="a")})
    )
    assert isinstance(error, InvalidParameterValue)
    # Nor by a queue that is made anew.
    await house.call(a.DeleteQueue(queue="c"))
    error = await house.fail(a.CreateQueue(queue="c", attributes={"redrive_policy": policy(target="a")}))
    assert isinstance(error, InvalidParameterValue)


async def test_a_queue_says_who_may_name_it(house: House) -> None:
    await house.create("jobs")
    await house.create("mail")
    attempt = a.SetQueueAttributes(queue="jobs", attributes={"redrive_policy": policy()})
    for allow, fine in (
        ({"redrive_permission": "denyAll"}, False),
        (_allow(ARN + "mail"), False),
        (_allow(ARN + "mail", ARN + "jobs"), True),
        ({"redrive_permission": "allowAll"}, True),
        ({}, True),
        ("", True),
    ):
        await house.create("dead")
        await house.call(a.SetQueueAttributes(queue="dead", attributes={"redrive_allow_policy": allow}))
        answer = await house.call(attempt)
        assert answer == {} if fine else isinstance(answer, InvalidParameterValue), allow
        await house.call(a.SetQueueAttributes(queue="jobs", attributes={"redrive_policy": ""}))


@pytest.mark.parametrize(
    "bad",
    [
        {"redrive_permission": "some"},
        {"redrive_permission": "byQueue"},
        {"redrive_permission": "byQueue", "source_queue_arns": []},
        {"redrive_permission": "byQueue", "source_queue_arns": [ARN + f"q{n}" for n in range(11)]},
        {"redrive_permission": "allowAll", "source_queue_arns": [ARN + "jobs"]},
        {"redrive_permission": "denyAll", "source_queue_arns": [ARN + "jobs"]},
    ],
    ids=str,
)
async def test_what_is_no_permission_is_refused(house: House, bad: Any) -> None:
    error = await house.fail(a.CreateQueue(queue="dead", attributes={"redrive_allow_policy": bad}))
    assert isinstance(error, InvalidParameterValue)
    assert "redrive_allow_policy" in str(error.field)


# Dying


async def test_a_dead_letter_is_the_message_that_it_was(letters: House) -> None:
    entry = a.SendEntry("poison", None, {"kind": ("String", "paper")}, trace_header="Root=1")
    [sent] = await letters.call(a.SendMessage(queue="jobs", entries=[entry]))
    [first] = await letters.receive()
    await letters.wait(5000)
    assert await letters.receive() == []
    assert await letters.counts() == (0, 0, 0)
    assert await letters.counts("dead") == (1, 0, 0)
    [dead] = await letters.receive(queue="dead")
    assert dead[ID] == sent
    assert dead[BODY] == "poison"
    assert dead[SENT_AT] == START
    assert dead[COUNT] == 2
    assert dead[FIRST_AT] == first[FIRST_AT]
    assert dead[ATTRIBUTES] == {"kind": ("String", "paper")}
    assert dead[SYSTEM] == {"trace_header": "Root=1", "source": ARN + "jobs"}


async def test_only_the_receive_after_the_last_allowed_one_kills(house: House) -> None:
    await house.create("dead")
    await house.create("jobs", visibility_timeout=1000, redrive_policy=policy(3))
    await house.send("poison")
    await kill(house, 3)
    assert await house.counts("dead") == (0, 0, 0)
    assert await house.receive() == []
    assert await house.counts("dead") == (1, 0, 0)


async def test_what_lives_is_handed_out_past_what_dies(letters: House) -> None:
    await letters.send(*(f"poison {n}" for n in range(50)))
    await kill(letters)
    await letters.send(*(f"good {n}" for n in range(3)))
    assert await letters.bodies(2) == ["good 0", "good 1"]
    assert await letters.counts("dead") == (50, 0, 0)
    assert await letters.bodies(1000, "dead") == [f"poison {n}" for n in range(50)]


async def test_more_dead_letters_than_one_receive_moves(house: House) -> None:
    """A receive moves a page of them at a time, and goes on until it has something to give."""
    house = House(limits=QueueLimits(page_messages=10))
    await house.start()
    await house.create("dead")
    await house.create("jobs", visibility_timeout=1000, redrive_policy=policy())
    await house.send(*(str(n) for n in range(25)))
    await kill(house)
    await house.send("good")
    assert await house.bodies(5) == ["good"]
    assert await house.counts("dead") == (25, 0, 0)


async def test_who_waits_for_dead_letters_is_served_at_once(letters: House) -> None:
    await letters.send("poison")
    await letters.receive()
    waiting = letters.submit(a.ReceiveMessage(queue="dead", wait=20_000))
    polling = letters.submit(a.ReceiveMessage(queue="jobs", wait=20_000))
    await letters.wait(1500)
    [dead] = await waiting.answer
    assert dead[BODY] == "poison"
    assert not polling.answered  # what it found was not for it
    await letters.send("good")
    await settle()
    assert [m[BODY] for m in await polling.answer] == ["good"]


async def test_one_that_dies_again_and_again_goes_down_the_line(house: House) -> None:
    await house.create("c")
    await house.create("b", visibility_timeout=1000, redrive_policy=policy(2, "c"))
    await house.create("a", visibility_timeout=1000, redrive_policy=policy(1, "b"))
    last = house.submit(a.ReceiveMessage(queue="c", wait=20_000))
    middle = house.submit(a.ReceiveMessage(queue="b", wait=20_000))
    await house.send("poison", queue="a")
    await kill(house, queue="a")
    assert await house.receive(queue="a") == []
    [dead] = await middle.answer
    assert dead[COUNT] == 2
    await house.wait(1500)
    assert await house.receive(queue="b") == []
    assert [(m[COUNT], m[SYSTEM]["source"]) for m in await last.answer] == [(3, ARN + "b")]


async def test_where_the_dead_letter_queue_is_gone_messages_stay(letters: House) -> None:
    await letters.send("poison")
    await kill(letters)
    await letters.call(a.DeleteQueue(queue="dead"))
    [message] = await letters.receive()
    assert message[COUNT] == 2
    await letters.wait(1500)
    await letters.create("dead")
    assert await letters.receive() == []
    assert [m[COUNT] for m in await letters.receive(queue="dead")] == [3]


async def test_a_handle_does_nothing_to_a_dead_letter(letters: House) -> None:
    await letters.send("poison")
    [received] = await letters.receive()
    await letters.wait(1500)
    await letters.receive()
    assert await letters.delete(received[HANDLE]) == [None]
    assert isinstance(await letters.change(received[HANDLE], 60_000), InvalidParameterValue)
    [refused] = await letters.delete(received[HANDLE], queue="dead")
    assert isinstance(refused, ReceiptHandleIsInvalid)
    assert await letters.bodies(queue="dead") == ["poison"]


async def test_time_in_the_dead_letter_queue_counts_from_the_sending(house: House) -> None:
    await house.create("dead", retention_period=60_000)
    await house.create("jobs", visibility_timeout=1000, redrive_policy=policy())
    await house.send("younger", queue="dead")
    await house.send("poison")
    await kill(house)
    await house.wait(40_000)
    await house.send("youngest", queue="dead")
    await house.receive()
    assert await house.counts("dead") == (3, 0, 0)
    await house.wait(25_000)
    assert await house.counts("dead") == (1, 0, 0)
    assert await house.bodies(queue="dead") == ["youngest"]


async def test_one_past_its_retention_is_never_received_behind_a_younger_one(house: House) -> None:
    await house.create("dead", retention_period=60_000)
    await house.create("jobs", visibility_timeout=1000, redrive_policy=policy())
    await house.send("poison")
    await kill(house)
    await house.wait(50_000)
    await house.send("young", queue="dead")
    await house.receive()
    house.clock.at += 20_000  # and no timer has rung yet
    assert await house.bodies(queue="dead") == ["young"]


@pytest.mark.parametrize("tail_bytes", [300, 1 << 20])
async def test_dead_letters_survive_a_restart(tail_bytes: int) -> None:
    """From the journal, and from records."""
    house = House(KernelSettings(tail_bytes=tail_bytes, slice_bytes=100), QueueLimits(memory_bytes=0))
    await house.start()
    await house.create("dead")
    await house.create("jobs", visibility_timeout=1000, redrive_policy=policy())
    await house.send(*(str(n) for n in range(30)))
    await kill(house)
    if tail_bytes == 300:
        await house.wait(10_000)
    assert await house.receive() == []
    await house.restart()
    assert await house.counts("dead") == (30, 0, 0)
    assert await house.counts() == (0, 0, 0)
    if tail_bytes == 300:
        await house.wait(10_000)
        await house.restart()
    found = await house.receive(1000, "dead")
    assert [m[BODY] for m in found] == [str(n) for n in range(30)]
    assert {m[SYSTEM]["source"] for m in found} == {ARN + "jobs"}
    assert {m[COUNT] for m in found} == {2}


# FIFO


async def fifo(house: House) -> None:
    await house.create("dead.fifo", fifo=True)
    await house.create(
        "jobs.fifo",
        fifo=True,
        visibility_timeout=1000,
        redrive_policy=policy(1, ARN + "dead.fifo"),
    )


async def send_fifo(house: House, body: str, group: str, deduplication_id: str) -> bytes:
    entry = a.SendEntry(body, group=group, deduplication_id=deduplication_id)
    [[sent, _]] = await house.call(a.SendMessage(queue="jobs.fifo", entries=[entry]))
    assert isinstance(sent, bytes)
    return sent


async def test_the_dead_letter_queue_is_of_the_same_type(house: House) -> None:
    await house.create("dead")
    await fifo(house)
    for queue, target in (("dead", "dead.fifo"), ("jobs.fifo", "dead")):
        attributes = {"redrive_policy": policy(1, ARN + target)}
        error = await house.fail(a.SetQueueAttributes(queue=queue, attributes=attributes))
        assert isinstance(error, InvalidParameterValue)
        assert "FIFO" in error.message


async def test_a_fifo_letter_begins_its_time_anew_and_its_deduplication_id_is_its_message_id(
    house: House,
) -> None:
    """So two messages with one deduplication id, more than five minutes apart, both arrive."""
    await fifo(house)
    ids = []
    for n in range(2):
        ids.append(await send_fifo(house, f"poison {n}", "g", "same"))
        await house.receive(10, "jobs.fifo")
        await house.wait(301_000)
        assert await house.receive(10, "jobs.fifo") == []
    letters = await house.receive(10, "dead.fifo")
    assert [m[ID] for m in letters] == ids
    assert [m[SENT_AT] for m in letters] == [START + 301_000, START + 602_000]
    assert [m[SYSTEM]["deduplication_id"] for m in letters] == [show_message_id(id_) for id_ in ids]


async def test_a_move_task_takes_a_group_back_in_order(house: House) -> None:
    await fifo(house)
    for n in range(6):
        await send_fifo(house, f"{'ab'[n % 2]} {n}", "ab"[n % 2], str(n))
    await house.receive(10, "jobs.fifo")
    await house.wait(1500)
    assert await house.receive(10, "jobs.fifo") == []
    await house.call(a.StartMessageMoveTask(source="dead.fifo", max_messages_per_second=2))
    await house.wait(5000)
    assert await house.bodies(10, "jobs.fifo") == ["a 0", "a 2", "a 4", "b 1", "b 3", "b 5"]
