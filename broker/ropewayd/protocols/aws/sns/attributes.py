"""The attributes of topics and subscriptions: AWS's names and texts, and the actions' names and types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ropewayd.topics.policy import default_policy
from ropewayd.vocabulary.errors import InvalidParameterValue

FEEDBACK: Final = frozenset(
    f"{protocol}{what}"
    for protocol in ("HTTP", "Firehose", "Lambda", "Application", "SQS")
    for what in ("SuccessFeedbackRoleArn", "FailureFeedbackRoleArn", "SuccessFeedbackSampleRate")
)
"""Delivery status attributes, which are kept and told."""


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
}
"""By AWS's name: the action's, and how a value is read."""
SUBSCRIPTION: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "RawMessageDelivery": ("raw_message_delivery", _truth("RawMessageDelivery")),
    "FilterPolicy": ("filter_policy", str),
    "FilterPolicyScope": ("filter_policy_scope", str),
    "RedrivePolicy": ("redrive_policy", _policy),
    "DeliveryPolicy": ("delivery_policy", str),
    "SubscriptionRoleArn": ("subscription_role_arn", str),
}
LATER: Final = frozenset(("ArchivePolicy", "ReplayPolicy"))
"""What AWS has, and this version does nothing with."""
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


def read(
    given: Mapping[str, str], known: Mapping[str, tuple[str, Callable[[str], Any]]], feedback: Any = None
) -> dict[str, Any]:
    """Attributes as the actions take them. `feedback`: those that the topic has already. Raises
    InvalidParameterValue."""
    found: dict[str, Any] = {}
    for name, text in given.items():
        if name in known:
            ours, reads = known[name]
            found[ours] = reads(text)
        elif name in FEEDBACK and known is TOPIC:
            found.setdefault("feedback", dict(feedback or {}))[name] = text
        elif name in LATER:
            raise InvalidParameterValue(
                f"It is not valid. Reason: {name} is not supported by this version of Ropeway", "attributes"
            )
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
    if said.get("redrive_policy") is not None:
        target = said["redrive_policy"]["dead_letter_target_arn"]
        shown["RedrivePolicy"] = msgspec.json.encode({"deadLetterTargetArn": target}).decode()
    return shown
