"""What may stand in the attributes of a topic and of a subscription, and how a mistake is told."""

from __future__ import annotations

from typing import Any

import msgspec

from ropewayd.vocabulary.errors import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidParameterValue,
    RopewayError,
)
from ropewayd.vocabulary.fitting import explain
from ropewayd.vocabulary.names import FIFO_SUFFIX, TOPIC_NAME, Scope, read_queue_arn

from . import delivery_policy, feedback
from .actions import SubscriptionAttributes, TopicAttributes
from .filter_policy import FilterPolicy
from .policy import MAX_BYTES, is_object

_FIFO_ONLY = ("content_based_deduplication", "fifo_throughput_scope")
_REMOVABLE = frozenset(
    (
        *("policy", "delivery_policy", "kms_master_key_id", "signature_version", "data_protection_policy"),
        *("filter_policy", "redrive_policy", "archive_days", "replay_policy"),
    )
)
"""Those that are there or not: an empty text takes them away."""


def read_topic(given: dict[str, Any], now: TopicAttributes | None) -> dict[str, Any] | RopewayError:
    """The attributes that were given, each checked. `now`: those that the topic has, None where it is being
    made."""
    read = _read(given, TopicAttributes, "A topic")
    if isinstance(read, RopewayError):
        return read
    fifo = read.get("fifo", False) if now is None else now.fifo
    if now is not None and read.get("fifo", fifo) != fifo:
        return InvalidAttributeValue("Whether a topic is a FIFO topic cannot be changed.", "attributes.fifo")
    for name in _FIFO_ONLY:
        if name in read and not fifo and read[name] not in (False, "Topic"):
            return InvalidAttributeName(
                f"You can specify the attribute {name} only for a FIFO topic.", f"attributes.{name}"
            )
    for name in ("policy", "delivery_policy"):
        if read.get(name) is not None and not is_object(read[name]):
            return InvalidAttributeValue(
                f"The attribute {name} is not valid: it is a JSON object of up to {MAX_BYTES} bytes.",
                f"attributes.{name}",
            )
    if "feedback" in read:
        problem = feedback.problem(read["feedback"])
        if problem is not None:
            return InvalidAttributeValue(
                f"The attribute feedback is not valid. Reason: {problem}", "attributes.feedback"
            )
        read["feedback"] = feedback.merged({} if now is None else now.feedback, read["feedback"])
    return _protection_problem(read.get("data_protection_policy"), fifo) or read


def _protection_problem(protection: str | None, fifo: bool) -> RopewayError | None:
    if protection is None:
        return None
    said = ""
    if fifo:
        said = "a FIFO topic has none"
    elif not is_object(protection):
        said = f"it is a JSON object of up to {MAX_BYTES} bytes"
    if not said:
        return None
    return InvalidAttributeValue(
        f"The attribute data_protection_policy is not valid. Reason: {said}",
        "attributes.data_protection_policy",
    )


def read_subscription(
    given: dict[str, Any], scope: Scope, fifo: bool, now: SubscriptionAttributes
) -> dict[str, Any] | RopewayError:
    """The attributes that were given, each checked. `scope` and `fifo` are the topic's; `now`: those that the
    subscription has."""
    policy = given.get("filter_policy")
    if type(policy) is dict:
        given = {**given, "filter_policy": msgspec.json.encode(policy).decode()}
    if type(given.get("redrive_policy")) is dict and "dead_letter_target_arn" in given["redrive_policy"]:
        target = given["redrive_policy"]["dead_letter_target_arn"]
        if type(target) is str and not target.startswith("arn:"):
            given = {
                **given,
                "redrive_policy": {
                    **given["redrive_policy"],
                    "dead_letter_target_arn": scope.queue_arn(target),
                },
            }
    read = _read(given, SubscriptionAttributes, "A subscription")
    if isinstance(read, RopewayError):
        return read
    if read.get("delivery_policy") is not None:
        try:
            delivery_policy.read(read["delivery_policy"])
        except ValueError as wrong:
            return InvalidParameterValue(
                f"The attribute delivery_policy is not valid. Reason: DeliveryPolicy: {str(wrong)[:300]}",
                "attributes.delivery_policy",
            )
    letters = read.get("redrive_policy")
    if letters is not None:
        place = read_queue_arn(letters["dead_letter_target_arn"])
        if place is None or place[0] != scope:
            return InvalidParameterValue(
                "The attribute redrive_policy is not valid. Reason: RedrivePolicy: deadLetterTargetArn must "
                f"be the ARN of a queue of the topic's account and region, {scope.queue_arn('NAME')}",
                "attributes.redrive_policy",
            )
        if fifo != place[1].endswith(FIFO_SUFFIX):
            words = "FIFO queue as DLQ for a FIFO" if fifo else "standard queue as DLQ for a standard"
            return InvalidParameterValue(
                f"The attribute redrive_policy is not valid. Reason: RedrivePolicy: must use a {words} topic",
                "attributes.redrive_policy",
            )
    text = read.get("filter_policy", now.filter_policy)
    if text is not None and not {"filter_policy", "filter_policy_scope"}.isdisjoint(read):
        problem = FilterPolicy.read(text, read.get("filter_policy_scope", now.filter_policy_scope))
        if isinstance(problem, RopewayError):
            return problem
    return read


def name_problem(name: str, fifo: bool) -> RopewayError | None:
    """Whether a topic can be called so."""
    plain = name[: -len(FIFO_SUFFIX)] if fifo and name.endswith(FIFO_SUFFIX) and len(name) <= 256 else name
    if TOPIC_NAME.match(plain) and fifo == name.endswith(FIFO_SUFFIX):
        return None
    if fifo:
        return InvalidParameterValue(
            "The name of a FIFO topic is 1 to 256 characters of A-Z a-z 0-9 _ and -, and ends in .fifo.",
            "topic",
        )
    return InvalidParameterValue("A topic's name is 1 to 256 characters of A-Z a-z 0-9 _ and -.", "topic")


def _read(given: dict[str, Any], kind: type[msgspec.Struct], what: str) -> dict[str, Any] | RopewayError:
    names = kind.__struct_fields__
    for name in given:
        if name not in names:
            return InvalidAttributeName(
                f"{what} has no attribute {name[:80]!r} that can be set. There are: {', '.join(names)}.",
                f"attributes.{name[:80]}",
            )
    given = {name: None if name in _REMOVABLE and value == "" else value for name, value in given.items()}
    try:
        read = msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        found = explain(error)
        return InvalidAttributeValue(
            found.message.replace("The field", "The attribute"), f"attributes.{found.field}"
        )
    return {name: msgspec.to_builtins(getattr(read, name)) for name in given}
