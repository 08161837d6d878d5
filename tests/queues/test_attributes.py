"""Attributes of queues and of messages: what is refused, by which name, with which limit."""

from typing import Any

import pytest

from ropewayd.queues import actions as a
from ropewayd.vocabulary.errors import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidParameterValue,
    MissingParameter,
    QueueNameExists,
    RopewayError,
)
from tests.house import ATTRIBUTES, House

RANGES = {
    "visibility_timeout": (0, 43_200_000, 30_000),
    "delay": (0, 900_000, 0),
    "retention_period": (60_000, 1_209_600_000, 345_600_000),
    "receive_wait_time": (0, 20_000, 0),
    "maximum_message_size": (1024, 1_048_576, 1_048_576),
    "maximum_delay": (900_000, 1_209_600_000, 900_000),
    "kms_data_key_reuse_period": (60_000, 86_400_000, 300_000),
}


@pytest.mark.parametrize("name", RANGES)
async def test_each_attribute_keeps_its_range_and_its_default(house: House, name: str) -> None:
    low, high, default = RANGES[name]
    await house.create("plain")
    assert (await house.call(a.GetQueueAttributes(queue="plain")))[name] == default
    for index, value in enumerate((low, high)):
        await house.create(f"q{index}", **{name: value})
        assert (await house.call(a.GetQueueAttributes(queue=f"q{index}")))[name] == value
    for bad in (low - 1, high + 1, "60", None, 1.5, True):
        for action in (
            a.CreateQueue(queue="new", attributes={name: bad}),
            a.SetQueueAttributes(queue="plain", attributes={name: bad}),
        ):
            error = await house.fail(action)
            assert isinstance(error, InvalidAttributeValue), (bad, error)
            assert error.field == f"attributes.{name}"
    assert str(high) in (await house.fail(a.CreateQueue(queue="new", attributes={name: high + 1}))).message


async def test_an_unknown_attribute_is_told_with_what_there_is(house: House) -> None:
    for name in ("color", "arn", "visible", ""):
        error = await house.fail(a.CreateQueue(queue="new", attributes={name: 1}))
        assert isinstance(error, InvalidAttributeName)
        assert "visibility_timeout" in error.message


async def test_only_what_is_given_is_compared_with_the_queue_as_it_is_now(house: House) -> None:
    await house.create(visibility_timeout=5000, delay=0)
    await house.call(a.SetQueueAttributes(queue="jobs", attributes={"delay": 1000}))
    again = await house.call(a.CreateQueue(queue="jobs", attributes={"delay": 1000}))
    assert again["created"] is False
    error = await house.fail(a.CreateQueue(queue="jobs", attributes={"delay": 0}))
    assert isinstance(error, QueueNameExists)
    assert error.field == "attributes.delay"


GOOD: list[tuple[str, str, Any]] = [
    ("a", "String", "x"),
    ("a.b-c_D9", "String.custom", "x"),
    ("n", "Number", "-12.50e3"),
    ("n", "Number", "0"),
    ("n", "Number", "0.000"),
    ("n", "Number", "1" * 38),
    ("n", "Number", "1e126"),
    ("n", "Number", "1e-128"),
    ("n", "Number.int", "+7"),
    ("b", "Binary.png", b"\x00\xff"),
]
BAD: list[tuple[str, str, Any]] = [
    ("AWS.x", "String", "x"),
    ("amazon.x", "String", "x"),
    (".a", "String", "x"),
    ("a.", "String", "x"),
    ("a..b", "String", "x"),
    ("a b", "String", "x"),
    ("a", "Text", "x"),
    ("a", "Stringy", "x"),
    ("a", "String", b"x"),
    ("a", "String", 5),
    ("b", "Binary", "x"),
    ("n", "Number", "x"),
    ("n", "Number", "1e"),
    ("n", "Number", "1" * 39),
    ("n", "Number", "1e127"),
    ("n", "Number", "1e-129"),
    ("n", "Number", "NaN"),
    ("n", "Number", "1_000"),
    ("n", "Number", "٣"),
]


@pytest.mark.parametrize(("name", "kind", "value"), GOOD)
async def test_a_good_message_attribute_comes_back_as_it_was(
    house: House, name: str, kind: str, value: Any
) -> None:
    await house.create()
    await house.send("x", attributes={name: (kind, value)})
    assert (await house.receive())[0][ATTRIBUTES] == {name: (kind, value)}


@pytest.mark.parametrize(("name", "kind", "value"), BAD)
async def test_a_bad_message_attribute_is_named(house: House, name: str, kind: str, value: Any) -> None:
    await house.create()
    (answer,) = await house.send("x", attributes={name: (kind, value)})
    assert isinstance(answer, InvalidParameterValue)
    assert answer.field == f"entries[0].attributes.{name}"


@pytest.mark.parametrize(("kind", "value"), [("String", ""), ("Number", ""), ("Binary", b"")])
async def test_an_empty_value_is_a_missing_one(house: House, kind: str, value: Any) -> None:
    await house.create()
    (answer,) = await house.send("x", attributes={"a": (kind, value)})
    assert isinstance(answer, MissingParameter)


async def test_attributes_count_in_a_message_s_size(house: House) -> None:
    await house.create(maximum_message_size=1024)
    rest = len("name") + len("String") + len("ü".encode())
    fits, over = "x" * (1024 - rest), "x" * (1025 - rest)
    good, bad = await house.call(
        a.SendMessage(
            queue="jobs",
            entries=[a.SendEntry(body, attributes={"name": ("String", "ü")}) for body in (fits, over)],
        )
    )
    assert isinstance(good, bytes)
    assert isinstance(bad, RopewayError)
    assert "1024" in bad.message
    assert "1025" in bad.message


async def told(house: House, queue: str = "jobs") -> dict[str, Any]:
    said: dict[str, Any] = await house.call(a.GetQueueAttributes(queue=queue))
    return said


async def change(house: House, **attributes: Any) -> None:
    answer = await house.call(a.SetQueueAttributes(queue="jobs", attributes=attributes))
    assert answer == {}, answer


async def test_a_queue_is_encrypted_in_one_way_at_a_time(house: House) -> None:
    await house.create()
    assert (await told(house))["sqs_managed_sse_enabled"] is True
    assert "kms_master_key_id" not in await told(house)
    await change(house, kms_master_key_id="alias/mine")
    assert (await told(house))["sqs_managed_sse_enabled"] is False
    both = {"kms_master_key_id": "alias/mine", "sqs_managed_sse_enabled": True}
    for action in (
        a.SetQueueAttributes(queue="jobs", attributes={"sqs_managed_sse_enabled": True}),
        a.SetQueueAttributes(queue="jobs", attributes=both),
        a.CreateQueue(queue="new", attributes=both),
    ):
        error = await house.fail(action)
        assert isinstance(error, InvalidAttributeName)
        assert "one type of server-side encryption" in error.message
    await change(house, kms_master_key_id="")
    said = await told(house)
    assert "kms_master_key_id" not in said
    assert said["sqs_managed_sse_enabled"] is False
    await house.restart()
    assert await told(house) == said
    await change(house, sqs_managed_sse_enabled=True)
    await house.create("other", kms_master_key_id="alias/mine")
    assert (await told(house, "other"))["sqs_managed_sse_enabled"] is False
    # What was not given is not compared.
    assert (await house.call(a.CreateQueue(queue="other", attributes={"kms_master_key_id": "alias/mine"})))[
        "created"
    ] is False


async def test_a_delay_can_be_longer_than_aws_has_it_where_the_queue_says_so(house: House) -> None:
    hour, day = 3_600_000, 86_400_000
    await house.create()
    (answer,) = await house.send("x", delay=900_001)
    assert isinstance(answer, InvalidParameterValue)
    assert answer.field == "entries[0].delay"
    assert "900000" in answer.message
    await change(house, maximum_delay=day)
    await change(house, delay=hour)
    error = await house.fail(a.SetQueueAttributes(queue="jobs", attributes={"maximum_delay": 900_000}))
    assert isinstance(error, InvalidAttributeValue)
    assert error.field == "attributes.delay"
    await house.send("a day", delay=day)
    await house.send("an hour")
    await house.wait(hour - 1)
    assert await house.bodies() == []
    await house.wait(1)
    assert await house.bodies() == ["an hour"]
    await house.restart()
    await house.wait(day - hour - 1)
    assert "a day" not in await house.bodies()
    await house.wait(1)
    assert "a day" in await house.bodies()


async def test_a_new_delay_is_for_new_messages_alone(house: House) -> None:
    await house.create(delay=5000)
    await house.send("before")
    await change(house, delay=0)
    await house.send("after")
    assert await house.bodies() == ["after"]
    await change(house, delay=60_000)
    await house.wait(5000)
    assert await house.bodies() == ["before"]


async def test_idle_queues_share_what_is_set_on_them(house: House) -> None:
    for name in ("a", "b", "c"):
        await house.create(name, delay=7000)
    await house.call(a.SetQueueAttributes(queue="c", attributes={"delay": 8000}))
    await house.call(a.SetQueueAttributes(queue="c", attributes={"delay": 7000}))
    kept = house.queues.snapshot()["queues"].values()
    assert len({id(queue["attributes"]) for queue in kept}) == 1
