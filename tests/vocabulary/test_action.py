"""Parameters become an action, or an error that names the field and what is allowed there."""

import contextlib
import tracemalloc
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewayd.protocols.catalogue import ACTIONS, BY_NAME
from ropewayd.queues.actions import (
    ChangeMessageVisibility,
    CreateQueue,
    DeleteMessage,
    ReceiveMessage,
    SendEntry,
    SendMessage,
)
from ropewayd.vocabulary.action import BULK, Action, convert, decode
from ropewayd.vocabulary.errors import (
    EmptyBatchRequest,
    InvalidParameterValue,
    MissingParameter,
    RopewayError,
    TooManyEntriesInBatchRequest,
)

HEAD = b"\x82\xa5queue\xa1q\xa7entries\x91"


def pack(plain: Any) -> bytes:
    packed: bytes = msgpack.packb(plain)
    return packed


def refusal(kind: type[Action], plain: Any) -> RopewayError:
    with pytest.raises(RopewayError) as raised:
        decode(kind, plain if isinstance(plain, bytes) else pack(plain))
    return raised.value


def sent(*entries: Any) -> list[SendEntry]:
    return decode(SendMessage, pack({"queue": "jobs", "entries": list(entries)})).entries


def rejected(entry: Any) -> RopewayError:
    """Why an entry between two good ones does not fit; the others are not touched by it."""
    first, second, third = sent({"body": "one"}, entry, {"body": b"three"})
    assert (first.body, third.body) == ("one", b"three")
    assert isinstance(second.body, RopewayError)
    return second.body


def test_codes_are_unique_and_the_catalogue_holds_them_all() -> None:
    kinds, pending = [], [Action]
    while pending:
        found = pending.pop().__subclasses__()
        kinds += [kind for kind in found if kind.code > 0 and kind.__module__.startswith("ropewayd.")]
        pending += found
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert {kind.code: kind for kind in kinds} == ACTIONS
    assert len(BY_NAME) == len(ACTIONS)


def test_a_code_is_fixed_for_ever() -> None:
    fixed = {
        10: "CreateQueue",
        11: "DeleteQueue",
        12: "ListQueues",
        13: "GetQueueAttributes",
        14: "SetQueueAttributes",
        15: "PurgeQueue",
        20: "SendMessage",
        21: "ReceiveMessage",
        22: "DeleteMessage",
        23: "ChangeMessageVisibility",
        30: "ListDeadLetterSourceQueues",
        31: "StartMessageMoveTask",
        32: "CancelMessageMoveTask",
        33: "ListMessageMoveTasks",
        40: "TagQueue",
        41: "UntagQueue",
        42: "ListQueueTags",
        43: "AddPermission",
        44: "RemovePermission",
        45: "PeekMessages",
    }
    assert fixed.items() <= {code: kind.__name__ for code, kind in ACTIONS.items()}.items()


@pytest.mark.parametrize(
    ("kind", "plain", "error", "field", "said"),
    [
        (ReceiveMessage, {}, MissingParameter, "queue", "required"),
        (ReceiveMessage, {"queue": 5}, InvalidParameterValue, "queue", "`str`, got `int`"),
        (ReceiveMessage, {"queue": None}, InvalidParameterValue, "queue", "`str`, got `nil`"),
        (ReceiveMessage, {"queue": "q" * 161}, InvalidParameterValue, "queue", "length <= 160"),
        (ReceiveMessage, {"queue": ""}, InvalidParameterValue, "queue", "length >= 1"),
        (ReceiveMessage, {"queue": "q", "wait": 20_001}, InvalidParameterValue, "wait", "<= 20000"),
        (ReceiveMessage, {"queue": "q", "wait": -1}, InvalidParameterValue, "wait", ">= 0"),
        (ReceiveMessage, {"queue": "q", "wait": True}, InvalidParameterValue, "wait", "got `bool`"),
        (ReceiveMessage, {"queue": "q", "wait": 1.5}, InvalidParameterValue, "wait", "got `float`"),
        (ReceiveMessage, {"queue": "q", "wait": 2**64 - 1}, InvalidParameterValue, "wait", "<= 20000"),
        (ReceiveMessage, [], InvalidParameterValue, None, "`map`, got `array`"),
        (ReceiveMessage, None, InvalidParameterValue, None, "`map`, got `nil`"),
        (ReceiveMessage, {7: 7}, InvalidParameterValue, None, "a name in it: expected `str`, got `int`"),
        (ReceiveMessage, b"\x81\xa5queue\xa2\xff\xfe", InvalidParameterValue, "queue", "UTF-8"),
        (CreateQueue, {"queue": "q", "attributes": 5}, InvalidParameterValue, "attributes", "`map`"),
        (CreateQueue, {"queue": "q", "attributes": {5: 5}}, InvalidParameterValue, "attributes", "`str`"),
        (SendMessage, {"queue": "q"}, MissingParameter, "entries", "required"),
        (SendMessage, {"queue": "q", "entries": {}}, InvalidParameterValue, "entries", "`array`"),
        (SendMessage, {"queue": "q", "entries": []}, EmptyBatchRequest, "entries", "1 to 1000"),
        (SendMessage, {"queue": "q", "entries": [1] * 1001}, TooManyEntriesInBatchRequest, "entries", "1000"),
        (SendMessage, {"queue": 5, "entries": [1]}, InvalidParameterValue, "queue", "`str`, got `int`"),
        (DeleteMessage, {"queue": "q", "handles": []}, EmptyBatchRequest, "handles", "1 to 1000"),
        (DeleteMessage, {"queue": "q", "handles": [0] * 1001}, TooManyEntriesInBatchRequest, "handles", "00"),
        (DeleteMessage, {"queue": "q", "handles": b"x"}, InvalidParameterValue, "handles", "`array`"),
    ],
)
def test_a_call_that_does_not_fit_is_told_the_field_and_what_is_allowed(
    kind: type[Action], plain: Any, error: type[RopewayError], field: str | None, said: str
) -> None:
    found = refusal(kind, plain)
    assert type(found) is error
    assert found.field == field
    assert said in found.message
    assert field is None or field in found.message


@pytest.mark.parametrize(
    ("entry", "field", "said"),
    [
        (5, "", "`map`, got `int`"),
        ({}, ".body", "required"),
        ({"body": "x", "delay": 1_209_600_001}, ".delay", "<= 1209600000"),
        ({"body": "x", "delay": "1"}, ".delay", "`int"),
        ({"body": "x", "attributes": []}, ".attributes", "`map"),
        ({"body": "x", "attributes": {str(n): ["String", "x"] for n in range(11)}}, ".attributes", "<= 10"),
        ({"body": "x", "attributes": {1: ["String", "x"]}}, ".attributes", "a name in it"),
        ({"body": "x", "attributes": {"": ["String", "x"]}}, ".attributes", "length >= 1"),
        ({"body": "x", "attributes": {"a": ["String", "x"], "b": 5}}, ".attributes.b", "got `int`"),
        ({"body": "x", "attributes": {"a": ["String"]}}, ".attributes.a", "length 2, got 1"),
        ({"body": "x", "attributes": {"a": [1, "x"]}}, ".attributes.a[0]", "`str`, got `int`"),
    ],
)
def test_an_entry_that_does_not_fit_fails_alone(entry: Any, field: str, said: str) -> None:
    error = rejected(entry)
    assert error.field == f"entries[1]{field}"
    assert error.field in error.message
    assert said in error.message


def test_a_body_that_is_not_utf8_fails_alone() -> None:
    raw = pack({"queue": "q", "entries": [{"body": "good"}, {"body": "bad!"}]}).replace(b"bad!", b"bad\xff")
    good, bad = decode(SendMessage, raw).entries
    assert good.body == "good"
    assert isinstance(bad.body, InvalidParameterValue)
    assert bad.body.field == "entries[1].body"


def test_an_attribute_that_is_not_utf8_is_named() -> None:
    entry = {"body": "x", "attributes": {"a": ["String", "bad!"]}}
    raw = pack({"queue": "q", "entries": [entry]}).replace(b"bad!", b"bad\xff")
    error = decode(SendMessage, raw).entries[0].body
    assert isinstance(error, InvalidParameterValue)
    assert error.field == "entries[0].attributes.a"


def test_a_handle_that_is_not_utf8_leaves_the_others_alone() -> None:
    raw = pack({"queue": "q", "handles": [b"good", "bad!"]}).replace(b"bad!", b"bad\xff")
    assert decode(DeleteMessage, raw).handles == [b"good", None]


def test_what_a_newer_client_says_besides_is_ignored() -> None:
    action = decode(ReceiveMessage, pack({"queue": "q", "shiny": {"new": [1, 2]}, "max_messages": 3}))
    assert (action.queue, action.max_messages) == ("q", 3)
    assert sent({"body": "x", "shiny": 1}, 5)[0].body == "x"


@pytest.mark.parametrize("body", ["text", b"bytes", "", b"", "ä" * 40, "x" * BULK, b"\x80" * BULK])
def test_a_body_is_the_same_by_the_quick_way_and_by_the_slow_one(body: Any) -> None:
    entry = {"body": body, "delay": 5, "attributes": {"a": ["Binary", b"\0"], "b": ["Number", "7"]}}
    quick = sent(entry)[0]
    slow = sent(entry, "no entry")[0]
    assert (quick.body, quick.delay, quick.attributes) == (slow.body, slow.delay, slow.attributes)
    assert slow.body == body
    assert slow.attributes == {"a": ("Binary", b"\0"), "b": ("Number", "7")}


def test_a_change_of_visibility_says_the_time() -> None:
    entries = [{"handle": b"x", "visibility_timeout": 7}, {"handle": b"x"}]
    first, second = decode(ChangeMessageVisibility, pack({"queue": "q", "entries": entries})).entries
    assert (first.handle, first.visibility_timeout) == (b"x", 7)
    assert isinstance(second.handle, MissingParameter)


@pytest.mark.parametrize(
    ("kind", "before", "bomb"),
    [
        (SendMessage, HEAD + b"\x81\xa4body", b"\x80"),
        (SendMessage, HEAD + b"\x82\xa4body\xa1x\xaaattributes\x81\xa1a\x92\xa6String", b"\x80"),
        (SendMessage, b"\x82\xa5queue\xa1q\xa7entries", b"\x80"),
        (SendMessage, b"\x82\xa7entries\x91\x81\xa4body\xa1x\xa5queue", b"\x80"),
        (SendMessage, b"\x83\xa7entries\x91\x05\xa5queue\xa1q\xa5shiny", b"\x80"),
        (DeleteMessage, b"\x82\xa5queue\xa1q\xa7handles", b"\xc0"),
        (CreateQueue, b"\x82\xa5queue\xa1q\xaaattributes\x81\xa5delay", b"\x80"),
        (CreateQueue, b"\x82\xa5queue\xa1q\xaaattributes", b"\x80"),
        (ReceiveMessage, b"\x81\xa5queue", b"\x80"),
    ],
)  # fmt: skip
def test_a_frame_full_of_empty_maps_costs_little_more_than_its_bytes(
    kind: type[Action], before: bytes, bomb: bytes
) -> None:
    count = 4 << 20
    raw = before + b"\xdd" + count.to_bytes(4, "big") + bomb * count
    tracemalloc.start()
    try:
        with contextlib.suppress(RopewayError):
            decode(kind, raw)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(raw)
    finally:
        tracemalloc.stop()


def test_nesting_is_bounded() -> None:
    error = rejected_raw(b"\x91" * 100_000 + b"\xc0")
    assert isinstance(error, InvalidParameterValue)


def rejected_raw(body: bytes) -> RopewayError:
    return refusal(SendMessage, HEAD + b"\x81\xa4body" + body)


def test_plain_objects_are_told_the_same() -> None:
    with pytest.raises(InvalidParameterValue) as raised:
        convert(ReceiveMessage, {"queue": "q", "wait": -1})
    assert raised.value.field == "wait"
    entries = convert(SendMessage, {"queue": "q", "entries": [{"body": "x"}, {"delay": 1}]}).entries
    assert entries[0].body == "x"
    assert isinstance(entries[1].body, MissingParameter)


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.sampled_from(sorted(ACTIONS)), st.data())
def test_whatever_stands_in_the_fields_gives_an_action_or_a_named_error(
    code: int, data: st.DataObject
) -> None:
    kind = ACTIONS[code]
    names = [field.name for field in msgspec.structs.fields(kind)]
    plain: dict[str, Any] = {"queue": "q"} if "queue" in names else {}
    plain |= data.draw(st.dictionaries(st.sampled_from([*names, "other"]), values))
    if kind.batch and data.draw(st.booleans()):
        fields = ["body", "handle", "delay", "attributes", "visibility_timeout"]
        plain[kind.batch] = data.draw(
            st.lists(values | st.dictionaries(st.sampled_from(fields), values), max_size=4)
        )
    action = outcome(kind, pack(plain))
    if isinstance(action, RopewayError):
        assert action.field is not None
        assert action.field.partition(".")[0].partition("[")[0] in names
    elif kind.batch:
        assert len(getattr(action, kind.batch)) == len(plain[kind.batch])


def outcome(kind: type[Action], raw: bytes) -> Action | RopewayError:
    try:
        return decode(kind, raw)
    except RopewayError as error:
        return error


@given(st.sampled_from(sorted(ACTIONS)), st.binary(max_size=200))
def test_whatever_bytes_come_the_only_errors_are_ours(code: int, raw: bytes) -> None:
    assert isinstance(outcome(ACTIONS[code], raw), Action | RopewayError)
