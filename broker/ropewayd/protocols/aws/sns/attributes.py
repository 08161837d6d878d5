"""The attributes of topics and subscriptions: AWS's names and texts, and the actions' names and types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ropewayd.topics.feedback import NAMES as FEEDBACK
from ropewayd.topics.notification import shown_time
from ropewayd.topics.policy import default_policy
from ropewayd.vocabulary.errors import InvalidParameterValue


def _truth(name: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if text.lower() not in ("true", "false"):
            raise InvalidParameterValue(
                f"It is not valid. Reason: {name}: Invalid value [{text[:80]}]. Must be true or false.",
                "attributes",
            )
        return text.lower() == "true"

    return read


def _number(text: str) -> Any:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else text


def _policy(text: str) -> Any:
    """A subscription's RedrivePolicy."""
    if not text:
        return None
    try:
        target = msgspec.json.decode(text, type=dict[str, str])["deadLetterTargetArn"]
    except (msgspec.DecodeError, KeyError, RecursionError):
        raise InvalidParameterValue(
            "It is not valid. Reason: RedrivePolicy: failed to parse JSON.", "attributes.redrive_policy"
        ) from None
    if not target.startswith("arn:"):
        raise InvalidParameterValue(
            "It is not valid. Reason: RedrivePolicy: deadLetterTargetArn is an invalid arn",
            "attributes.redrive_policy",
        )
    return {"dead_letter_target_arn": target}


def _archive(text: str) -> Any:
    """A topic's ArchivePolicy: days. Without any it is taken away."""
    wrong = "It is not valid. Reason: ArchivePolicy: "
    try:
        said = msgspec.json.decode(text or "{}", type=dict[str, int | str])
    except (msgspec.DecodeError, RecursionError):
        raise InvalidParameterValue(f"{wrong}failed to parse JSON.", "attributes") from None
    if not said:
        return None
    days = str(said.get("MessageRetentionPeriod", ""))
    if set(said) != {"MessageRetentionPeriod"} or not days.isascii() or not days.isdigit():
        raise InvalidParameterValue(f"{wrong}must contain MessageRetentionPeriod alone.", "attributes")
    if len(days) > 3 or not 1 <= int(days) <= 365:
        raise InvalidParameterValue(
            f"{wrong}MessageRetentionPeriod must be between 1 and 365 days.", "attributes"
        )
    return int(days)


def _replay(text: str) -> Any:
    """A subscription's ReplayPolicy. Without any it is taken away."""
    wrong, field = "It is not valid. Reason: ReplayPolicy: ", "attributes.replay_policy"
    try:
        said = msgspec.json.decode(text or "{}", type=dict[str, str])
    except (msgspec.DecodeError, RecursionError):
        raise InvalidParameterValue(f"{wrong}failed to parse JSON.", field) from None
    if not said:
        return None
    for name in said:
        if name not in ("PointType", "StartingPoint", "EndingPoint"):
            raise InvalidParameterValue(f"{wrong}unknown field {name[:80]}", field)
    if said.get("PointType") != "Timestamp":
        raise InvalidParameterValue(f"{wrong}PointType must be Timestamp", field)
    found = {"starting_point": _time(said, "StartingPoint")}
    if "EndingPoint" in said:
        found["ending_point"] = _time(said, "EndingPoint")
    return found


def _time(said: Mapping[str, str], name: str) -> int:
    """Milliseconds of a time as ISO 8601 writes it; of UTC where it does not say."""
    try:
        at = datetime.fromisoformat(said[name])
        return max(0, round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000))
    except (KeyError, ValueError, OverflowError):
        raise InvalidParameterValue(
            f"It is not valid. Reason: ReplayPolicy: {name} must be a timestamp as 2026-11-26T12:00:00.000Z",
            "attributes.replay_policy",
        ) from None


TOPIC: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "DisplayName": ("display_name", str),
    "Policy": ("policy", str),
    "DeliveryPolicy": ("delivery_policy", str),
    "KmsMasterKeyId": ("kms_master_key_id", str),
    "SignatureVersion": ("signature_version", str),
    "TracingConfig": ("tracing_config", str),
    "MaximumMessageSize": ("maximum_message_size", _number),
    "FifoTopic": ("fifo", _truth("FifoTopic")),
    "ContentBasedDeduplication": ("content_based_deduplication", _truth("ContentBasedDeduplication")),
    "FifoThroughputScope": ("fifo_throughput_scope", str),
    "ArchivePolicy": ("archive_days", _archive),
}
"""By AWS's name: the action's, and how a value is read."""
SUBSCRIPTION: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "RawMessageDelivery": ("raw_message_delivery", _truth("RawMessageDelivery")),
    "FilterPolicy": ("filter_policy", str),
    "FilterPolicyScope": ("filter_policy_scope", str),
    "RedrivePolicy": ("redrive_policy", _policy),
    "DeliveryPolicy": ("delivery_policy", str),
    "SubscriptionRoleArn": ("subscription_role_arn", str),
    "ReplayPolicy": ("replay_policy", _replay),
}
DELIVERY: Final = {
    "defaultHealthyRetryPolicy": {
        "minDelayTarget": 20,
        "maxDelayTarget": 20,
        "numRetries": 3,
        "numMaxDelayRetries": 0,
        "numNoDelayRetries": 0,
        "numMinDelayRetries": 0,
        "backoffFunction": "linear",
    },
    "disableSubscriptionOverrides": False,
    "defaultRequestPolicy": {"headerContentType": "text/plain; charset=UTF-8"},
}


def read(given: Mapping[str, str], known: Mapping[str, tuple[str, Callable[[str], Any]]]) -> dict[str, Any]:
    """Attributes as the actions take them. Raises InvalidParameterValue."""
    found: dict[str, Any] = {}
    for name, text in given.items():
        if name in known:
            ours, reads = known[name]
            found[ours] = reads(text)
        elif name in FEEDBACK and known is TOPIC:
            found.setdefault("feedback", {})[name] = text
        else:
            raise InvalidParameterValue("AttributeName", "")
    return found


def show_topic(said: Mapping[str, Any]) -> dict[str, str]:
    """What a topic is told to be."""
    fifo = said.get("fifo", False)
    shown = {
        "Policy": said.get("policy") or default_policy(said["arn"], said["owner"]),
        "Owner": said["owner"],
        "TopicArn": said["arn"],
        "DisplayName": said.get("display_name", ""),
        "SubscriptionsPending": str(said["pending"]),
        "SubscriptionsConfirmed": str(said["confirmed"]),
        "SubscriptionsDeleted": str(said["deleted"]),
        "EffectiveDeliveryPolicy": said.get("delivery_policy")
        or msgspec.json.encode({"http": DELIVERY}).decode(),
    }
    for name in (
        "DeliveryPolicy",
        "KmsMasterKeyId",
        "SignatureVersion",
        "TracingConfig",
        "MaximumMessageSize",
    ):
        value = said.get(TOPIC[name][0])
        if value is not None:
            shown[name] = str(value)
    if fifo:
        shown["FifoTopic"] = "true"
        shown["ContentBasedDeduplication"] = str(said.get("content_based_deduplication", False)).lower()
        shown["FifoThroughputScope"] = said.get("fifo_throughput_scope", "Topic")
    if said.get("archive_days") is not None:
        policy = {"MessageRetentionPeriod": str(said["archive_days"])}
        shown["ArchivePolicy"] = msgspec.json.encode(policy).decode()
        shown["BeginningArchiveTime"] = shown_time(said["archive_at"])
    return {**shown, **said.get("feedback", {})}


def show_subscription(said: Mapping[str, Any]) -> dict[str, str]:
    """What a subscription is told to be."""
    shown = {
        "SubscriptionArn": said["subscription"],
        "TopicArn": said["topic"],
        "Protocol": said["protocol"],
        "Endpoint": said["endpoint"],
        "Owner": said["owner"],
        "PendingConfirmation": "true" if said["pending"] else "false",
        "ConfirmationWasAuthenticated": "true" if said["guarded"] or not said["asked"] else "false",
        "RawMessageDelivery": "true" if said["raw_message_delivery"] else "false",
        "SubscriptionPrincipal": f"arn:aws:iam::{said['owner']}:root",
    }
    if said.get("filter_policy") is not None:
        shown["FilterPolicy"] = said["filter_policy"]
        shown["FilterPolicyScope"] = said["filter_policy_scope"]
    if said.get("delivery_policy") is not None:
        shown["DeliveryPolicy"] = said["delivery_policy"]
    if said.get("subscription_role_arn") is not None:
        shown["SubscriptionRoleArn"] = said["subscription_role_arn"]
    if said.get("replay_policy") is not None:
        policy = {"PointType": "Timestamp"}
        for aws, ours in (("StartingPoint", "starting_point"), ("EndingPoint", "ending_point")):
            if said["replay_policy"].get(ours) is not None:
                policy[aws] = shown_time(said["replay_policy"][ours])
        shown["ReplayPolicy"] = msgspec.json.encode(policy).decode()
        shown["ReplayStatus"] = said["replay_status"]
    if said.get("redrive_policy") is not None:
        target = said["redrive_policy"]["dead_letter_target_arn"]
        shown["RedrivePolicy"] = msgspec.json.encode({"deadLetterTargetArn": target}).decode()
    return shown
