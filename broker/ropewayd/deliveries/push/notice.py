"""What is published to a device itself, as a delivery."""

from __future__ import annotations

from typing import Any

import msgspec

from ropewayd.deliveries.delivery import Delivery
from ropewayd.vocabulary.names import Scope


def to_a_device(scope: Scope, message: Any) -> Delivery:
    """What a message of the hidden queue says of what is published to an endpoint (mobile/publishing.py): the
    endpoint stands where the topic would."""
    said = msgspec.json.decode(message[2])
    told = said.get("MessageAttributes", {})
    return Delivery(
        topic="",
        subscription="",
        protocol="application",
        endpoint=said["TopicArn"],
        message_id=said["MessageId"],
        kind="Notification",
        body=said["Message"],
        subject=said.get("Subject"),
        attributes={name: (each["Type"], each["Value"]) for name, each in told.items()},
        timestamp=said["Timestamp"],
        sequence_number=None,
        group=None,
        raw=False,
        confirm_url="",
        unsubscribe_url="",
        token="",
        attempt=message[4],
        settings={},
        scope=scope,
    )
