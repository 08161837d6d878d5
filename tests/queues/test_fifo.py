"""What a FIFO queue asks of its name, its attributes and its messages."""

import hashlib
from typing import Any

import pytest

from ropewayd.queues import actions as a
from ropewayd.vocabulary.errors import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidParameterValue,
    MissingParameter,
    QueueNameExists,
)
from tests.house import ID, House


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("jobs.fifo", {}),
        ("jobs.fifo", {"fifo": False}),
        ("jobs", {"fifo": True}),
        (".fifo", {"fifo": True}),
        ("jobs.FIFO", {"fifo": True}),
        ("a.b.fifo", {"fifo": True}),
        ("a" * 76 + ".fifo", {"fifo": True}),
    ],
)
async def test_a_name_ends_in_fifo_exactly_if_the_queue_is_one(
    house: House, name: str, attributes: dict[str, Any]
) -> None:
    error = await house.fail(a.CreateQueue(queue=name, attributes=attributes))
    assert isinstance(error, InvalidParameterValue)
    assert error.field == "queue"


async def test_the_longest_name_is_taken(house: House) -> None:
    await house.create("a" * 75 + ".fifo", fifo=True)


async def test_a_queue_cannot_become_fifo_or_cease_to_be_it(house: House) -> None:
    await house.create("jobs")
    await house.create("jobs.fifo", fifo=True)
    for queue, fifo in (("jobs", True), ("jobs.fifo", False)):
        error = await house.fail(a.SetQueueAttributes(queue=queue, attributes={"fifo": fifo}))
        assert isinstance(error, InvalidAttributeValue)
        assert error.message.endswith("Modifying queue type is not supported.")
    same = a.SetQueueAttributes(queue="jobs.fifo", attributes={"fifo": True})
    assert await house.call(same) == {}


@pytest.mark.parametrize(
    "attributes",
    [
        {"content_based_deduplication": True},
        {"deduplication_scope": "queue"},
        {"fifo_throughput_limit": "perQueue"},
    ],
)
async def test_what_only_a_fifo_queue_has_is_refused_elsewhere(
    house: House, attributes: dict[str, Any]
) -> None:
    assert isinstance(await house.fail(a.CreateQueue(queue="x", attributes=attributes)), InvalidAttributeName)
    await house.create("jobs")
    error = await house.fail(a.SetQueueAttributes(queue="jobs", attributes=attributes))
    assert isinstance(error, InvalidAttributeName)
    assert error.field == f"attributes.{next(iter(attributes))}"


async def test_the_limit_per_group_needs_the_scope_of_the_group(house: House) -> None:
    high = {"deduplication_scope": "messageGroup", "fifo_throughput_limit": "perMessageGroupId"}
    limit = {"fifo_throughput_limit": "perMessageGroupId"}
    error = await house.fail(a.CreateQueue(queue="a.fifo", attributes={"fifo": True} | limit))
    assert isinstance(error, InvalidAttributeValue)
    await house.create("a.fifo", fifo=True)
    assert isinstance(
        await house.fail(a.SetQueueAttributes(queue="a.fifo", attributes=limit)), InvalidAttributeValue
    )
    assert await house.call(a.SetQueueAttributes(queue="a.fifo", attributes=high)) == {}
    back = a.SetQueueAttributes(queue="a.fifo", attributes={"deduplication_scope": "queue"})
    assert isinstance(await house.fail(back), InvalidAttributeValue)


async def test_the_attributes_are_told_of_a_fifo_queue_alone(house: House) -> None:
    await house.create("jobs")
    await house.create("jobs.fifo", fifo=True)
    plain = await house.call(a.GetQueueAttributes(queue="jobs"))
    fifo = await house.call(a.GetQueueAttributes(queue="jobs.fifo"))
    assert {name: fifo[name] for name in fifo.keys() - plain.keys()} == {
        "fifo": True,
        "content_based_deduplication": False,
        "deduplication_scope": "queue",
        "fifo_throughput_limit": "perQueue",
    }


async def test_a_queue_that_is_there_differs_by_what_is_given(house: House) -> None:
    await house.create("jobs.fifo", fifo=True)
    await house.create("jobs.fifo", fifo=True, content_based_deduplication=False)
    other = a.CreateQueue(queue="jobs.fifo", attributes={"fifo": True, "content_based_deduplication": True})
    assert isinstance(await house.fail(other), QueueNameExists)


async def test_a_message_has_a_group_a_deduplication_id_and_no_delay(house: House) -> None:
    await house.create("jobs.fifo", fifo=True)
    entries = [
        a.SendEntry("no group", deduplication_id="1"),
        a.SendEntry("no id", group="g"),
        a.SendEntry("delayed", group="g", deduplication_id="2", delay=1),
        a.SendEntry("good", group="g", deduplication_id="3", delay=0),
    ]
    answer = await house.call(a.SendMessage(queue="jobs.fifo", entries=entries))
    no_group, no_id, delayed, _ = answer
    assert isinstance(no_group, MissingParameter)
    assert no_group.field == "entries[0].group"
    assert isinstance(no_id, InvalidParameterValue)
    assert no_id.field == "entries[1].deduplication_id"
    assert isinstance(delayed, InvalidParameterValue)
    assert delayed.field == "entries[2].delay"
    assert await house.bodies(queue="jobs.fifo") == ["good"]


@pytest.mark.parametrize("wrong", ["a b", " ", "caf\u00e9", "tab\t", "nul\0", "\x7f", "\U0001f600"])
async def test_groups_and_ids_have_letters_digits_and_punctuation_of_ascii(house: House, wrong: str) -> None:
    await house.create("jobs.fifo", fifo=True)
    every = "".join(map(chr, range(0x21, 0x7F)))
    entries = [
        a.SendEntry("good", group=every, deduplication_id=every),
        a.SendEntry("group", group=wrong, deduplication_id="2"),
        a.SendEntry("id", group="g", deduplication_id=wrong),
        a.SendEntry("token", group="g", token=wrong),
    ]
    good, *bad = await house.call(a.SendMessage(queue="jobs.fifo", entries=entries))
    assert isinstance(good, tuple)
    assert all(isinstance(each, InvalidParameterValue) for each in bad)
    fields = ["entries[1].group", "entries[2].deduplication_id", "entries[3].token"]
    assert [each.field for each in bad] == fields
    await house.create()
    entries = [a.SendEntry("group", group=wrong), a.SendEntry("token", token=wrong), a.SendEntry("good")]
    *bad, good = await house.call(a.SendMessage(queue="jobs", entries=entries))
    assert [each.field for each in bad] == ["entries[0].group", "entries[1].token"]
    assert isinstance(good, bytes)


async def test_a_standard_queue_takes_a_group_and_no_deduplication_id(house: House) -> None:
    await house.create()
    entries = [a.SendEntry("a", group="g"), a.SendEntry("b", deduplication_id="1"), a.SendEntry("c")]
    answer = await house.call(a.SendMessage(queue="jobs", entries=entries))
    assert isinstance(answer[1], InvalidParameterValue)
    first, second = await house.receive()
    assert first[7:] == ({"group": "g"},)
    assert second[7:] == ()


async def test_consumers_are_told_what_a_message_was_sent_with_and_where_it_stands(house: House) -> None:
    await house.create("jobs.fifo", fifo=True, content_based_deduplication=True)
    entries = [
        a.SendEntry("given", group="g", deduplication_id="!~", trace_header="Root=1"),
        a.SendEntry("grüße", group="h"),
        a.SendEntry(b"\xff", group="h"),
    ]
    sent = await house.call(a.SendMessage(queue="jobs.fifo", entries=entries))
    numbers = [number for _, number in sent]
    assert numbers == sorted(set(numbers))
    assert all(len(number) == 20 and number.isdigit() for number in numbers)
    received = await house.receive(queue="jobs.fifo")
    assert [(m[ID], m[7]["sequence_number"]) for m in received] == sent
    given, text, raw = (m[7] for m in received)
    assert given["trace_header"] == "Root=1"
    assert (given["group"], given["deduplication_id"]) == ("g", "!~")
    assert text["deduplication_id"] == hashlib.sha256("grüße".encode()).hexdigest()
    assert raw["deduplication_id"] == hashlib.sha256(b"\xff").hexdigest()


async def test_sequence_numbers_go_on_rising_in_a_queue_that_is_made_anew(house: House) -> None:
    numbers = []
    for _ in range(2):
        await house.create("jobs.fifo", fifo=True)
        for n in range(3):
            entry = a.SendEntry("x", group="g", deduplication_id=f"{n}")
            [(_, number)] = await house.call(a.SendMessage(queue="jobs.fifo", entries=[entry]))
            numbers.append(number)
        await house.call(a.DeleteQueue(queue="jobs.fifo"))
    assert numbers == sorted(set(numbers))
