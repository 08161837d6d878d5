"""What may stand in the attributes of a queue and of a message, and how a mistake is told."""

from __future__ import annotations

import functools
import re
from typing import Any

import msgspec

from ropewayd.vocabulary.errors import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidParameterValue,
    MissingParameter,
    RopewayError,
)
from ropewayd.vocabulary.fitting import explain

from .actions import QueueAttributes
from .policy import check_policy, same_policy

_SETTABLE = QueueAttributes.__struct_fields__
_NESTED = frozenset(("redrive_policy", "redrive_allow_policy"))
"""What is wrong inside them has the code that AWS gives it."""
_REMOVABLE = _NESTED | {"policy", "kms_master_key_id"}
"""Those that are there or not: nil or an empty text takes them away."""
_NAME = re.compile(r"(?!(?i:aws\.|amazon\.))(?!\.)(?!.*\.\.)[\w.-]{1,256}(?<!\.)\Z")
_KIND = re.compile(r"(String|Number|Binary)(\.[^\x00-\x1f]{1,249})?\Z")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,5})?\Z")


def read_attributes(given: dict[str, Any]) -> dict[str, Any] | RopewayError:
    """The attributes that were given, each checked, or what is wrong with the first that is."""
    for name in given:
        if name not in _SETTABLE:
            return InvalidAttributeName(
                f"A queue has no attribute {name[:80]!r} that can be set. There are: {', '.join(_SETTABLE)}.",
                f"attributes.{name[:80]}",
            )
    given = {name: None if name in _REMOVABLE and value == "" else value for name, value in given.items()}
    try:
        read = msgspec.convert(given, QueueAttributes)
    except msgspec.ValidationError as error:
        found = explain(error)
        nested = str(found.field).partition(".")[0] in _NESTED
        kind = InvalidParameterValue if nested else InvalidAttributeValue
        return kind(found.message.replace("The field", "The attribute"), f"attributes.{found.field}")
    problem = check_policy(read.policy) if read.policy is not None else None
    return problem or {name: getattr(read, name) for name in given}


def settle_attributes(given: dict[str, Any], now: QueueAttributes) -> dict[str, Any] | RopewayError:
    """What is to be set where `given` comes to a queue that has those of `now`, or why they do not go
    together."""
    if given.get("kms_master_key_id") is not None:
        given = {"sqs_managed_sse_enabled": False, **given}
    then = msgspec.structs.replace(now, **given)
    if then.kms_master_key_id is not None and then.sqs_managed_sse_enabled:
        return InvalidAttributeName(
            "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE "
            "or SQS SSE.",
            "attributes.sqs_managed_sse_enabled",
        )
    if then.delay > then.maximum_delay:
        return InvalidAttributeValue(
            f"The attribute delay is not valid: it is at most {then.maximum_delay} ms, the queue's "
            "maximum_delay.",
            "attributes.delay",
        )
    return given


def same_value(name: str, one: Any, other: Any) -> bool:
    """Whether two values of an attribute are the same."""
    return same_policy(one, other) if name == "policy" else bool(one == other)


@functools.lru_cache(maxsize=256)
def shared(attributes: QueueAttributes) -> QueueAttributes:
    """These attributes: one object for all queues that have the same."""
    return attributes


@functools.lru_cache(maxsize=256)
def stored(packed: bytes, kind: type[QueueAttributes] = QueueAttributes) -> QueueAttributes:
    """The attributes that a queue's record says, in msgpack. Most queues say the same."""
    return shared(msgspec.msgpack.decode(packed, type=kind))


def check_message_attributes(given: dict[str, Any], field: str) -> RopewayError | None:
    """The rules that types cannot state: names, kinds, and values that fit their kind (facts of SQS)."""
    for name, (kind, value) in given.items():
        at = f"{field}.{name}"
        if not _NAME.match(name):
            return InvalidParameterValue(
                f"The message attribute name {name!r} is not valid: 1 to 256 letters, digits, _, - and, "
                "inside, single dots, not beginning with AWS. or Amazon.",
                at,
            )
        kind_of = _KIND.match(kind)
        if not kind_of:
            return InvalidParameterValue(
                f"The type of the message attribute {name} is not valid: it is String, Number or Binary, "
                "and optionally a dot and a label.",
                at,
            )
        problem = _value_problem(kind_of[1], value, name, at)
        if problem is not None:
            return problem
    return None


def _value_problem(kind: str, value: Any, name: str, at: str) -> RopewayError | None:
    wanted = bytes if kind == "Binary" else str
    if type(value) is wanted and not value:
        return MissingParameter(
            f"The message attribute {name} must contain a value that is not empty.",
            at,
        )
    if type(value) is not wanted or (kind == "Number" and not _is_number(str(value))):
        return InvalidParameterValue(
            f"The value of the message attribute {name} does not fit its type: String and Number take text "
            "(a number has up to 38 digits and lies between 10^-128 and 10^126), Binary takes bytes.",
            at,
        )
    return None


def _is_number(text: str) -> bool:
    found = _NUMBER.match(text)
    if not found:
        return False
    mantissa, exponent = found[1], int((found[2] or "e0")[1:])
    whole, _, part = mantissa.partition(".")
    digits = (whole + part).lstrip("0")
    if not digits:
        return True
    # The place of the first digit that counts, as a power of ten.
    magnitude = exponent + len((whole + part).lstrip("0")) - 1 - len(part)
    return len(digits.rstrip("0")) <= 38 and -128 <= magnitude <= 126
