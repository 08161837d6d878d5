"""The JSON object that a message is wrapped in where it is not delivered raw. It is not signed."""

from __future__ import annotations

from typing import Any

from .delivery import Delivery


def envelope(delivery: Delivery) -> dict[str, Any]:
    """As AWS words it, in its order: what is absent has no key."""
    told: dict[str, Any] = {"Type": delivery.kind, "MessageId": delivery.message_id}
    if delivery.sequence_number is not None:
        told["SequenceNumber"] = delivery.sequence_number
    if delivery.kind != "Notification":
        told["Token"] = delivery.token
    told["TopicArn"] = delivery.topic
    if delivery.subject is not None:
        told["Subject"] = whole(delivery.subject)
    told["Message"] = whole(delivery.body)
    if delivery.kind != "Notification" and delivery.confirm_url:
        told["SubscribeURL"] = delivery.confirm_url
    told["Timestamp"] = delivery.timestamp
    if delivery.kind == "Notification" and delivery.unsubscribe_url:
        told["UnsubscribeURL"] = delivery.unsubscribe_url
    if delivery.attributes:
        told["MessageAttributes"] = shown_attributes(delivery)
    return told


def shown_attributes(delivery: Delivery) -> dict[str, dict[str, str]]:
    """A message's attributes as JSON has them."""
    return {name: {"Type": kind, "Value": value} for name, (kind, value) in delivery.attributes.items()}


def whole(text: str) -> str:
    """Text with a mark for each half of a surrogate pair: JSON can hold one, and no encoding has it."""
    return text.encode("utf-8", "replace").decode()
