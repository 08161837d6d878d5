"""The attributes of a queue: AWS's names and units, and the actions' names and units.

AWS's values are text and its times seconds; the actions' are typed, and their times milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from ropewayd.vocabulary.errors import InvalidAttributeName, InvalidAttributeValue, InvalidParameterValue

MAX_SECONDS: Final = 10**12
"""Beyond every range, and small enough to be counted in milliseconds."""


def milliseconds(seconds: int) -> int:
    """A time as the actions count it. What is out of every range stays out of it."""
    return max(-MAX_SECONDS, min(seconds, MAX_SECONDS)) * 1000


def _number(text: str) -> int:
    if not re.fullmatch(r"\s*[+-]?\d{1,12}\s*", text, re.ASCII):
        raise ValueError
    return int(text)


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.strip().lower()]


def _policy(name: str, fields: Mapping[str, str]) -> Callable[[str], Any]:
    """Reads a policy in JSON: an object with these members, and no others."""

    def read(text: str) -> Any:
        if not text:
            return None
        try:
            found = msgspec.json.decode(text)
            if not isinstance(found, dict):
                raise ValueError
            # AWS takes a number in quotes as well.
            return {
                fields[key]: int(value) if fields[key] == COUNT else value for key, value in found.items()
            }
        except (ValueError, TypeError, KeyError, RecursionError):
            raise InvalidParameterValue(
                f"Value {text[:1000]} for parameter {name} is invalid. "
                f"Reason: It must be a JSON object of {', '.join(fields)}.",
                name,
            ) from None

    return read


def _shown(fields: Mapping[str, str]) -> Callable[[Any], str]:
    """Shows a policy in JSON, without what it does not say."""

    def show(value: Any) -> str:
        told = {aws: value[ours] for aws, ours in fields.items() if value.get(ours) is not None}
        return msgspec.json.encode(told).decode()

    return show


class Attribute(msgspec.Struct, frozen=True):
    """One attribute that can be set: the action's name, and how its value is read and shown."""

    name: str
    read: Callable[[str], Any]
    show: Callable[[Any], str]


def _seconds(name: str) -> Attribute:
    return Attribute(name, lambda text: milliseconds(_number(text)), lambda value: str(value // 1000))


def _as_is(name: str) -> Attribute:
    return Attribute(name, str, str)


def _boolean(name: str) -> Attribute:
    return Attribute(name, _truth, lambda value: "true" if value else "false")


COUNT: Final = "max_receive_count"
REDRIVE: Final = {"deadLetterTargetArn": "dead_letter_target_arn", "maxReceiveCount": COUNT}
REDRIVE_ALLOW: Final = {"redrivePermission": "redrive_permission", "sourceQueueArns": "source_queue_arns"}

SETTABLE: Final[Mapping[str, Attribute]] = {
    "DelaySeconds": _seconds("delay"),
    "MaximumMessageSize": Attribute("maximum_message_size", _number, str),
    "MessageRetentionPeriod": _seconds("retention_period"),
    "ReceiveMessageWaitTimeSeconds": _seconds("receive_wait_time"),
    "VisibilityTimeout": _seconds("visibility_timeout"),
    "RedrivePolicy": Attribute("redrive_policy", _policy("RedrivePolicy", REDRIVE), _shown(REDRIVE)),
    "RedriveAllowPolicy": Attribute(
        "redrive_allow_policy", _policy("RedriveAllowPolicy", REDRIVE_ALLOW), _shown(REDRIVE_ALLOW)
    ),
    "FifoQueue": _boolean("fifo"),
    "ContentBasedDeduplication": _boolean("content_based_deduplication"),
    "DeduplicationScope": _as_is("deduplication_scope"),
    "FifoThroughputLimit": _as_is("fifo_throughput_limit"),
    "Policy": _as_is("policy"),
    "KmsMasterKeyId": _as_is("kms_master_key_id"),
    "KmsDataKeyReusePeriodSeconds": _seconds("kms_data_key_reuse_period"),
    "SqsManagedSseEnabled": _boolean("sqs_managed_sse_enabled"),
}
"""By AWS's name."""

READ_ONLY: Final[Mapping[str, Attribute]] = {
    "ApproximateNumberOfMessages": _as_is("visible"),
    "ApproximateNumberOfMessagesNotVisible": _as_is("in_flight"),
    "ApproximateNumberOfMessagesDelayed": _as_is("delayed"),
    "CreatedTimestamp": _seconds("created_at"),
    "LastModifiedTimestamp": _seconds("modified_at"),
    "QueueArn": _as_is("arn"),
}

FIFO: Final = frozenset(
    ("FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit")
)
"""What only a FIFO queue has."""
HIDDEN: Final = {"KmsDataKeyReusePeriodSeconds": 300_000}
"""What is not shown while it has its default."""

KNOWN: Final[Mapping[str, Attribute]] = {**SETTABLE, **READ_ONLY}
AWS_NAMES: Final = {each.name: aws for aws, each in KNOWN.items()}
"""AWS's names, by the actions' names."""


def read_attributes(given: Mapping[str, str]) -> dict[str, Any]:
    """The attributes as the actions take them. Raises InvalidAttributeName or InvalidAttributeValue."""
    found = {}
    for name, text in given.items():
        attribute = SETTABLE.get(name)
        if attribute is None:
            raise unknown(name)
        try:
            found[attribute.name] = attribute.read(text)
        except (ValueError, KeyError):
            raise InvalidAttributeValue(f"Invalid value for the parameter {name}.", name) from None
    return found


def show_attributes(answer: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """The attributes that were asked for, as AWS shows them. Raises InvalidAttributeName."""
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name != "All" and name not in KNOWN:
            raise unknown(name)
    if "All" in wanted:
        wanted = list(KNOWN)
    shown = {}
    for name in wanted:
        attribute = KNOWN[name]
        value = answer.get(attribute.name)
        absent = value is None or HIDDEN.get(name) == value or (name in FIFO and not answer.get("fifo"))
        if not absent:
            shown[name] = attribute.show(value)
    return shown


def unknown(name: str) -> InvalidAttributeName:
    """The error for an attribute that no queue has."""
    return InvalidAttributeName(f"Unknown Attribute {name[:256]}.", name[:256])
