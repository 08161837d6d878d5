"""Move tasks: what is moved, where to, how fast, through restarts, and how a task ends."""

from __future__ import annotations

from typing import Any

import pytest

from ropewayd.kernel.settings import KernelSettings
from ropewayd.queues import actions as a
from ropewayd.queues.movetask import NO_DESTINATION, NO_SOURCE
from ropewayd.queues.settings import QueueLimits
from ropewayd.vocabulary.errors import (
    InvalidParameterValue,
    QueueDoesNotExist,
    ResourceNotFoundException,
    UnsupportedOperation,
)
from tests.house import BODY, COUNT, ID, SENT_AT, START, House

ARN = "arn:aws:sqs:us-east-1:000000000000:"


async def furnish(house: House, *sources: str) -> None:
    """`dead`, and queues whose messages go there after one receive of a second."""
    await house.create("dead")
    policy = {"dead_letter_target_arn": "dead", "max_receive_count": 1}
    for name in sources or ("jobs",):
        await house.create(name, visibility_timeout=1000, redrive_policy=policy)


async def bury(house: House, count: int, queue: str = "jobs") -> list[Any]:
    """So many dead letters of this queue; their ids."""
    ids = await house.send(*(f"{queue} {n}" for n in range(count)), queue=queue)
    await house.receive(1000, queue)
    await house.wait(1500)
    assert await house.receive(1000, queue) == []
    return ids


async def start(house: House, source: str = "dead", **more: Any) -> bytes:
    answer = await house.call(a.StartMessageMoveTask(source=source, **more))
    assert isinstance(answer, dict), answer
    task: bytes = answer["task"]
    return task


async def tasks(house: House, limit: int = 10) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await house.call(a.ListMessageMoveTasks(source="dead", limit=limit)))[
        "tasks"
    ]
    return found


async def test_messages_go_back_to_where_each_came_from_as_new_messages(house: House) -> None:
    await furnish(house, "jobs", "mail")
    ids = await bury(house, 3) + await bury(house, 2, "mail")
    before = house.clock.at
    await start(house)
    await house.wait(1000)
    jobs, mail = await house.receive(10), await house.receive(10, "mail")
    assert [m[BODY] for m in jobs] == ["jobs 0", "jobs 1", "jobs 2"]
    assert [m[BODY] for m in mail] == ["mail 0", "mail 1"]
    assert not {m[ID] for m in jobs + mail} & set(ids)
    assert all(m[SENT_AT] >= before > START and m[COUNT] == 1 for m in jobs + mail)
    assert all(len(m) == ID + 7 for m in jobs + mail), "they are nobody's dead letters"
    assert await house.counts("dead") == (0, 0, 0)
    [task] = await tasks(house)
    expected = {"status": "COMPLETED", "source": ARN + "dead", "moved": 5, "to_move": 5, "started_at": before}
    assert task == expected


async def test_messages_go_where_the_task_says(house: House) -> None:
    await furnish(house)
    await house.create("hospital")
    await bury(house, 2)
    await house.send("sent here by hand", queue="dead")
    task = await start(house, destination=ARN + "hospital", max_messages_per_second=100)
    [told] = await tasks(house)
    assert told["task"] == task
    assert (told["destination"], told["max_messages_per_second"]) == (ARN + "hospital", 100)
    await house.wait(1000)
    assert await house.bodies(queue="hospital") == ["jobs 0", "jobs 1", "sent here by hand"]
    assert (await tasks(house))[0]["status"] == "COMPLETED"


@pytest.mark.parametrize("rate", [1, 3, 20, 500])
async def test_the_pace_is_kept(house: House, rate: int) -> None:
    await furnish(house)
    await bury(house, 1000)
    await start(house, max_messages_per_second=rate)
    for seconds in (1, 2):
        await house.wait(1000)
        moved = (await tasks(house))[0]["moved"]
        assert abs(moved - rate * seconds) <= max(1, rate // 10) + 1, (seconds, moved)


@pytest.mark.parametrize("spilled", [False, True])
async def test_a_task_goes_on_after_a_restart(spilled: bool) -> None:
    settings = KernelSettings(tail_bytes=300, slice_bytes=100) if spilled else KernelSettings()
    house = House(settings, QueueLimits(memory_bytes=0, page_messages=7))
    await house.start()
    await furnish(house)
    for _ in range(20):
        await bury(house, 7)
    task = await start(house, max_messages_per_second=50)
    for _ in range(20):
        await house.wait(300)
        await house.restart()
    await house.wait(2000)
    assert (await tasks(house))[0] | {"started_at": 0} == {
        "status": "COMPLETED",
        "source": ARN + "dead",
        "max_messages_per_second": 50,
        "moved": 140,
        "to_move": 140,
        "started_at": 0,
    }
    assert isinstance(await house.fail(a.CancelMessageMoveTask(task=task)), UnsupportedOperation)
    assert await house.counts("dead") == (0, 0, 0)
    found: list[Any] = []
    while more := await house.bodies(1000):
        found += more
    assert sorted(found) == sorted([f"jobs {n}" for n in range(7)] * 20)


async def test_it_moves_what_is_there_when_it_starts(house: House) -> None:
    """So it ends, even where what it moves dies again at once."""
    await furnish(house)
    await bury(house, 4)
    await start(house, max_messages_per_second=1)
    for _ in range(3):
        await house.receive(10)
        await house.wait(1100)
    await house.receive(10)
    await house.wait(3000)
    [task] = await tasks(house)
    assert (task["status"], task["moved"], task["to_move"]) == ("COMPLETED", 4, 4)
    assert (await house.counts("dead"))[0] > 0


async def test_what_somebody_holds_stays(house: House) -> None:
    await furnish(house)
    await bury(house, 3)
    [held] = await house.receive(1, "dead", visibility_timeout=5000)
    await start(house)
    await house.wait(1000)
    assert await house.bodies() == ["jobs 1", "jobs 2"]
    await house.wait(5000)
    assert await house.bodies(queue="dead") == [held[BODY]]


async def test_a_cancelled_task_leaves_all_where_it_is(house: House) -> None:
    await furnish(house)
    await bury(house, 50)
    task = await start(house, max_messages_per_second=10)
    await house.wait(1000)
    moved = (await house.call(a.CancelMessageMoveTask(task=task)))["moved"]
    assert 0 < moved < 50
    await house.wait(10_000)
    assert await house.counts() == (moved, 0, 0)
    assert await house.counts("dead") == (50 - moved, 0, 0)
    [told] = await tasks(house)
    assert told["status"] == "CANCELLED"
    assert "task" not in told
    await start(house)
    await house.wait(1000)
    assert await house.counts("dead") == (0, 0, 0)


async def test_a_task_fails_when_its_destination_is_gone(house: House) -> None:
    await furnish(house)
    await house.create("hospital")
    await bury(house, 50)
    await start(house, destination="hospital", max_messages_per_second=10)
    await house.wait(1000)
    await house.call(a.DeleteQueue(queue="hospital"))
    await house.wait(1000)
    [task] = await tasks(house)
    assert (task["status"], task["reason"]) == ("FAILED", NO_DESTINATION)
    assert await house.counts("dead") == (50 - task["moved"], 0, 0)


async def test_a_task_fails_at_a_message_that_came_from_nowhere(house: House) -> None:
    await furnish(house)
    await bury(house, 2)
    await house.send("sent here by hand", queue="dead")
    await bury(house, 2)
    await start(house)
    await house.wait(1000)
    [task] = await tasks(house)
    assert (task["status"], task["reason"], task["moved"]) == ("FAILED", NO_SOURCE, 2)
    assert await house.bodies(queue="dead") == ["sent here by hand", "jobs 0", "jobs 1"]


async def test_those_who_wait_are_served_by_what_is_moved(house: House) -> None:
    await furnish(house)
    await bury(house, 1)
    waiting = house.submit(a.ReceiveMessage(queue="jobs", wait=20_000))
    await start(house)
    await house.wait(500)
    assert [m[BODY] for m in await waiting.answer] == ["jobs 0"]


async def test_what_cannot_be_started(house: House) -> None:
    await furnish(house)
    await house.create("plain")
    for source, more, kind, sentence in (
        ("nobody", {}, ResourceNotFoundException, "for the SourceArn parameter doesn't exist."),
        ("jobs", {}, InvalidParameterValue, "Source queue must be configured as a Dead Letter Queue."),
        (
            "dead",
            {"destination": "nobody"},
            ResourceNotFoundException,
            "for the DestinationArn parameter doesn't exist.",
        ),
        ("dead", {"destination": "dead"}, InvalidParameterValue, "another queue"),
        ("dead", {"max_messages_per_second": 501}, InvalidParameterValue, "at most 500"),
    ):
        error = await house.fail(a.StartMessageMoveTask(source=source, **more))
        assert type(error) is kind
        assert sentence in error.message
    await bury(house, 5)
    await start(house, max_messages_per_second=1)
    error = await house.fail(a.StartMessageMoveTask(source="dead"))
    assert isinstance(error, UnsupportedOperation)
    assert error.message == (
        "There is already a task running. Only one active task is allowed for a source queue arn "
        "at a given time."
    )


async def test_a_task_cannot_be_guessed(house: House) -> None:
    await furnish(house)
    await bury(house, 5)
    task = await start(house, max_messages_per_second=1)
    for bad in (
        b"",
        "task",
        task[:-1],
        task[:-1] + bytes([task[-1] ^ 1]),
        bytes([task[0] ^ 1]) + task[1:],
        7,
    ):
        error = await house.fail(a.CancelMessageMoveTask(task=bad))
        assert isinstance(error, InvalidParameterValue)
        assert error.message == "Value for parameter TaskHandle is invalid."
    await house.call(a.DeleteQueue(queue="dead"))
    error = await house.fail(a.CancelMessageMoveTask(task=task))
    assert isinstance(error, ResourceNotFoundException)
    assert error.message == "Task does not exist."


async def test_the_last_tasks_are_listed_newest_first(house: House) -> None:
    await furnish(house)
    for n in range(1, 13):
        await bury(house, n)
        await start(house)
        await house.wait(1000)
        await house.call(a.PurgeQueue(queue="jobs"))
    assert [task["moved"] for task in await tasks(house)] == list(range(12, 2, -1))
    assert len((await house.call(a.ListMessageMoveTasks(source="dead")))["tasks"]) == 1
    await house.restart()
    assert [task["moved"] for task in await tasks(house, 2)] == [12, 11]
    assert isinstance(await house.fail(a.ListMessageMoveTasks(source="nobody")), ResourceNotFoundException)


async def test_the_sources_of_a_dead_letter_queue_are_told_in_pages(house: House) -> None:
    names = [f"q{n}" for n in range(5)]
    await furnish(house, *reversed(names))
    await house.create("other")

    async def told(**more: Any) -> tuple[list[str], str | None]:
        answer = await house.call(a.ListDeadLetterSourceQueues(queue="dead", **more))
        return answer["queues"], answer["next"]

    for _ in range(2):
        assert await told() == (names, None)
        assert await told(limit=2) == (["q0", "q1"], "q1")
        assert await told(limit=2, after="q1") == (["q2", "q3"], "q3")
        assert await told(limit=2, after="q3") == (["q4"], None)
        await house.restart()
    await house.call(a.SetQueueAttributes(queue="q1", attributes={"redrive_policy": ""}))
    await house.call(a.DeleteQueue(queue="q3"))
    assert await told() == (["q0", "q2", "q4"], None)
    error = await house.fail(a.ListDeadLetterSourceQueues(queue="nobody"))
    assert isinstance(error, QueueDoesNotExist)
