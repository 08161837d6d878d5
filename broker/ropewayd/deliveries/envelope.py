"""A message as it is delivered: in a JSON object that it is wrapped in, or raw. What signs it is in
seal.py."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from ropewayd.topics.notification import ENCODING

from .delivery import Delivery

BASE64: Final = ("String", "base64")


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


def raw_body(delivery: Delivery) -> str | bytes:
    """The message as it was published: bytes are in base64 in an envelope, and an attribute says so."""
    if delivery.attributes.get(ENCODING) != BASE64:
        return delivery.body
    try:
        return base64.b64decode(delivery.body, validate=True)
    except (binascii.Error, ValueError):  # somebody published that attribute with a text
        return delivery.body


def raw_attributes(delivery: Delivery) -> dict[str, tuple[str, str | bytes]]:
    """Its attributes as they were published."""
    return {
        name: (kind, base64.b64decode(value) if kind.startswith("Binary") else value)
        for name, (kind, value) in delivery.attributes.items()
        if (name, (kind, value)) != (ENCODING, BASE64)
    }


def whole(text: str) -> str:
    """Text with a mark for each half of a surrogate pair: JSON can hold one, and no encoding has it."""
    return text.encode("utf-8", "replace").decode()
