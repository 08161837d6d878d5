"""What may stand in the attributes of a queue and of a message, and how a mistake is told."""

from __future__ import annotations

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

_SETTABLE = QueueAttributes.__struct_fields__
_REMOVED_BY_NOTHING = frozenset(("redrive_policy", "redrive_allow_policy"))
"""Those that are there or not: nil or an empty text takes them away. What is wrong inside them has the code
that AWS gives it."""
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
    given = {
        name: None if name in _REMOVED_BY_NOTHING and value == "" else value for name, value in given.items()
    }
    try:
        read = msgspec.convert(given, QueueAttributes)
    except msgspec.ValidationError as error:
        found = explain(error)
        nested = str(found.field).partition(".")[0] in _REMOVED_BY_NOTHING
        kind = InvalidParameterValue if nested else InvalidAttributeValue
        return kind(found.message.replace("The field", "The attribute"), f"attributes.{found.field}")
    return {name: getattr(read, name) for name in given}


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
