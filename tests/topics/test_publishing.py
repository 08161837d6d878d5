"""A publish: to whom it goes, in what form, and what becomes of copies that a queue does not take."""

import json
from typing import Any

import pytest

from ropewayd.queues import actions as a
from ropewayd.queues.events import MessagesFanned
from ropewayd.topics import actions as t
from ropewayd.vocabulary.errors import (
    InvalidMessageContents,
    InvalidParameterValue,
    NotFound,
    UnsupportedOperation,
)
from ropewayd.vocabulary.names import show_message_id
from tests.house import ATTRIBUTES, BODY, START, House
from tests.topics.talk import QUEUE_ARN, messages, publish, subscribe, topic


async def test_a_publish_goes_to_every_queue_in_the_envelope(house: House) -> None:
    arn = await topic(house)
    for name in ("one", "two"):
        await house.create(name)
        await subscribe(house, name)
    await house.create("other")
    [id_] = await publish(house, "hellö", subject="greeting", attributes={"n": ("Number", "1.50")})
    for name in ("one", "two"):
        [body] = await house.bodies(queue=name)
        assert json.loads(body) == {
            "Type": "Notification",
            "MessageId": show_message_id(id_),
            "TopicArn": arn,
            "Subject": "greeting",
            "Message": "hellö",
            "Timestamp": "2023-11-14T22:13:20.000Z",
            "MessageAttributes": {"n": {"Type": "Number", "Value": "1.50"}},
        }
    assert await house.bodies(queue="other") == []
    assert START == 1_700_000_000_000


async def test_the_envelope_says_how_to_unsubscribe_where_the_daemon_has_an_address(house: House) -> None:
    house.topics.publishing.address = "http://127.0.0.1:4566"
    await topic(house)
    await house.create("one")
    await house.create("two")
    arns = [await subscribe(house, name) for name in ("one", "two")]
    await publish(house, "a", attributes={"n": ("Binary", b"\xff")})
    for name, arn in zip(("one", "two"), arns, strict=True):
        told = json.loads((await house.bodies(queue=name))[0])
        assert told["UnsubscribeURL"] == f"http://127.0.0.1:4566/?Action=Unsubscribe&SubscriptionArn={arn}"
        assert told["MessageAttributes"] == {"n": {"Type": "Binary", "Value": "/w=="}}


async def test_raw_delivery_is_the_message_with_its_attributes(house: House) -> None:
    await topic(house)
    await house.create("one")
    await subscribe(house, "one", raw_message_delivery=True)
    attributes = {"n": ("Number", "1"), "b": ("Binary", b"\x00")}
    await publish(house, "text", b"bytes", attributes=attributes, trace_header="Root=1")
    got = await house.receive(queue="one")
    assert [each[BODY] for each in got] == ["text", b"bytes"]
    assert [each[ATTRIBUTES] for each in got] == [
        {"n": ["Number", "1"], "b": ["Binary", b"\x00"]}
    ] * 2 or got[0][ATTRIBUTES] == attributes
    assert got[0][7]["trace_header"] == "Root=1"


async def test_a_publish_is_one_event_with_the_body_once(house: House) -> None:
    await topic(house)
    for n in range(100):
        await house.create(f"jobs-{n}")
        await subscribe(house, f"jobs-{n}")
    before = len(house.disk.journal)
    await publish(house, "needle")
    [lsn] = list(house.disk.journal)[before:]
    assert house.disk.journal[lsn].count(b"needle") == 1


@pytest.mark.parametrize("spill", [False, True])
async def test_what_was_published_is_there_after_a_crash(house: House, *, spill: bool) -> None:
    await topic(house, maximum_message_size=2048)
    for name in ("one", "two", "slow"):
        await house.create(name, **({"delay": 5000} if name == "slow" else {}))
    policy = {"kind": ["a", "b"]}
    await subscribe(house, "one", filter_policy=policy)
    await subscribe(house, "two", raw_message_delivery=True)
    gone = await subscribe(house, "slow")
    await publish(house, "first", attributes={"kind": ("String", "a")})
    await publish(house, "second", attributes={"kind": ("String", "c")})
    await house.call(t.Unsubscribe(subscription=gone))
    await house.call(t.TagTopic(topic="news", tags={"team": "a"}))
    before = house.topics.snapshot()
    if spill:
        await house.wait(60_000)
        assert not house.disk.journal
    await house.restart()
    assert house.topics.snapshot() == before
    assert await messages(house, "one") == ["first"]
    assert await house.bodies(queue="two") == ["first", "second"]
    await house.wait(5000)
    assert sorted(await messages(house, "slow")) == ["first", "second"]
    await publish(house, "third", attributes={"kind": ("String", "b")})
    assert await messages(house, "one") == ["third"]
    assert await house.bodies(queue="two") == ["third"]
    assert await messages(house, "slow") == []


async def test_a_copy_that_a_queue_does_not_take_is_a_dead_letter_in_the_same_commit(house: House) -> None:
    await topic(house)
    await house.create("small", maximum_message_size=1024)
    await house.create("large")
    await house.create("dead")
    letters: dict[str, Any] = {"redrive_policy": {"dead_letter_target_arn": QUEUE_ARN + "dead"}}
    small = await subscribe(house, "small", raw_message_delivery=True, **letters)
    absent = await subscribe(house, "absent", raw_message_delivery=True, **letters)
    await subscribe(house, "large", raw_message_delivery=True)
    lost = await subscribe(house, "gone", raw_message_delivery=True)
    before = len(house.disk.journal)
    await publish(house, "x" * 2000)
    assert len(house.disk.journal) == before + 1
    assert await house.bodies(queue="large") == ["x" * 2000]
    assert await house.bodies(queue="small") == []
    assert await house.bodies(queue="dead") == ["x" * 2000] * 2
    for arn, told in ((small, (0, 1, 0)), (absent, (0, 1, 0)), (lost, (0, 0, 1))):
        said = await house.call(t.GetSubscriptionAttributes(subscription=arn))
        assert (said["delivered"], said["dead_lettered"], said["failed"]) == told
    await house.create("gone")
    await publish(house, "y")
    assert await house.bodies(queue="gone") == ["y"]


async def test_too_many_attributes_for_a_queue_are_a_dead_letter_of_it_alone(house: House) -> None:
    await topic(house)
    for name in ("raw", "whole", "dead"):
        await house.create(name)
    await subscribe(house, "whole")
    raw = await subscribe(house, "raw", raw_message_delivery=True)
    attributes = {f"a{n}": ("String", "x") for n in range(11)}
    await publish(house, "a", attributes=attributes)
    assert await messages(house, "whole") == ["a"]
    assert await house.bodies(queue="raw") == []
    assert (await house.call(t.GetSubscriptionAttributes(subscription=raw)))["failed"] == 1


async def test_a_long_poll_is_served_by_a_publish(house: House) -> None:
    await topic(house)
    for name in ("one", "two"):
        await house.create(name)
        await subscribe(house, name, raw_message_delivery=True)
    waiting = [house.submit(a.ReceiveMessage(queue=name, wait=20_000)) for name in ("one", "two")]
    await publish(house, "a")
    for each in waiting:
        assert each.answered
        assert [message[BODY] for message in await each.answer] == ["a"]


async def test_each_message_of_a_publish_is_judged_by_itself(house: House) -> None:
    await topic(house, maximum_message_size=1024)
    await house.create("one")
    await subscribe(house, "one", raw_message_delivery=True)
    entries: list[Any] = [
        t.PublishEntry("good"),
        t.PublishEntry(""),
        t.PublishEntry("x" * 1025),
        t.PublishEntry('{"default": "plain", "http": "h"}', structure="json"),
        t.PublishEntry('{"default": "plain", "sqs": "queue"}', structure="json"),
        t.PublishEntry('{"sqs": "queue"}', structure="json"),
        t.PublishEntry('{"default": "a", "default": "b"}', structure="json"),
        t.PublishEntry("a", deduplication_id="d"),
        t.PublishEntry("a", attributes={"n": ("Number", "x")}),
        t.PublishEntry("last"),
    ]
    answer = await house.call(t.PublishMessage(topic="news", entries=entries))
    kinds = [InvalidMessageContents, InvalidParameterValue]
    assert [type(each) for each in answer[1:3]] == kinds
    assert [type(each) for each in answer[5:9]] == [InvalidParameterValue] * 4
    assert await house.bodies(queue="one") == ["good", "plain", "queue", "last"]
    assert isinstance(await house.fail(t.PublishMessage(topic="no", entries=entries)), NotFound)


async def test_half_a_surrogate_pair_in_a_structured_body_is_refused(house: House) -> None:
    """JSON can name one, and no encoding has it: it must not come as far as the envelope or the journal."""
    await topic(house)
    for name, raw in (("raw", True), ("envelope", False)):
        await house.create(name)
        await subscribe(house, name, raw_message_delivery=raw)
    entries = [
        t.PublishEntry('{"default": "a \\ud800 b"}', structure="json"),
        t.PublishEntry('{"default": "a", "sqs": "\\udfff"}', structure="json"),
        t.PublishEntry('{"default": "\\ud83d\\ude00"}', structure="json"),
    ]
    answer = await house.call(t.PublishMessage(topic="news", entries=entries))
    assert [type(each) for each in answer[:2]] == [InvalidParameterValue] * 2
    assert await house.bodies(queue="raw") == ["😀"]
    assert len(await house.bodies(queue="envelope")) == 1


async def test_a_queue_gets_those_of_a_publish_that_it_wants(house: House) -> None:
    await topic(house)
    for name in ("odd", "all", "none"):
        await house.create(name)
    await subscribe(house, "odd", filter_policy={"n": [1, 3]}, filter_policy_scope="MessageBody")
    await subscribe(house, "all", raw_message_delivery=True)
    none = await subscribe(house, "none", filter_policy={"n": [{"exists": False}]}, raw_message_delivery=True)
    bodies = [json.dumps({"n": n}) for n in range(4)]
    await house.call(
        t.PublishMessage(
            topic="news",
            entries=[t.PublishEntry(body, attributes={"n": ("Number", "7")}) for body in bodies],
        )
    )
    assert [json.loads(each)["n"] for each in await messages(house, "odd")] == [1, 3]
    assert await house.bodies(queue="all") == bodies
    assert await house.bodies(queue="none") == []
    said = await house.call(t.GetSubscriptionAttributes(subscription=none))
    assert (said["filtered"], said["delivered"]) == (4, 0)


def test_a_fan_out_says_what_each_queue_gets() -> None:
    event = MessagesFanned.__struct_fields__
    assert event[:5] == ("at", "numbers", "firsts", "ids", "contents")


async def test_a_queue_of_another_account_is_for_who_owns_that_to_subscribe(house: House) -> None:
    await topic(house)
    theirs = QUEUE_ARN.replace("000000000000", "111122223333")
    refused = await house.call(t.Subscribe(topic="news", endpoint=theirs + "theirs"))
    assert isinstance(refused, UnsupportedOperation)
