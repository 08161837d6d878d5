"""Tags: put on, taken off, told, and kept."""

from typing import Any

import pytest

from ropewayd.queues import actions as a
from ropewayd.vocabulary.action import convert
from ropewayd.vocabulary.errors import InvalidParameterValue, QueueDoesNotExist
from tests.house import House


async def tags(house: House) -> Any:
    return await house.call(a.ListQueueTags(queue="jobs"))


@pytest.mark.parametrize("spill", [False, True])
async def test_tags_are_put_on_and_taken_off_and_stay(house: House, *, spill: bool) -> None:
    await house.call(a.CreateQueue(queue="jobs", tags={"team": "a", "empty": ""}))
    # Tags are not compared, and not changed, where the queue is there.
    assert (await house.call(a.CreateQueue(queue="jobs", tags={"team": "b"})))["created"] is False
    assert await tags(house) == {"team": "a", "empty": ""}
    assert await house.call(a.TagQueue(queue="jobs", tags={"team": "c", "cost centre": "7"})) == {}
    assert await house.call(a.UntagQueue(queue="jobs", keys=["empty", "never there"])) == {}
    if spill:
        await house.wait(60_000)
    await house.restart()
    assert await tags(house) == {"team": "c", "cost centre": "7"}
    await house.call(a.UntagQueue(queue="jobs", keys=["team", "cost centre"]))
    if spill:
        await house.wait(60_000)
    await house.restart()
    assert await tags(house) == {}


async def test_a_queue_has_up_to_fifty(house: House) -> None:
    await house.call(a.CreateQueue(queue="jobs", tags={f"k{n}": "" for n in range(49)}))
    for wrong in ({"a": "", "b": ""}, {"aws:x": ""}, {"AWS:x": ""}):
        for action in (
            a.TagQueue(queue="jobs", tags=wrong),
            a.CreateQueue(queue="new", tags={**wrong, **{f"k{n}": "" for n in range(49)}}),
        ):
            error = await house.fail(action)
            assert isinstance(error, InvalidParameterValue)
            assert error.field == "tags"
    assert await house.call(a.TagQueue(queue="jobs", tags={"k0": "x", "a": "y"})) == {}


@pytest.mark.parametrize("tag", [{"": "x"}, {"k" * 129: "x"}, {"k": "v" * 257}, {"k": 5}])
def test_a_key_and_a_value_have_their_lengths(tag: dict[str, Any]) -> None:
    convert(a.TagQueue, {"queue": "jobs", "tags": {"k" * 128: "v" * 256}})
    with pytest.raises(InvalidParameterValue):
        convert(a.TagQueue, {"queue": "jobs", "tags": tag})


async def test_a_missing_queue_has_none_to_tell(house: House) -> None:
    for action in (
        a.TagQueue(queue="no", tags={}),
        a.UntagQueue(queue="no", keys=[]),
        a.ListQueueTags(queue="no"),
        a.AddPermission(queue="no", label="a", accounts=["1" * 12], actions=["*"]),
        a.RemovePermission(queue="no", label="a"),
    ):
        assert isinstance(await house.fail(action), QueueDoesNotExist)
