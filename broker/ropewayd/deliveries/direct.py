"""What is published to a telephone number or a device itself, as a delivery: no topic has a say in it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ropewayd.vocabulary.names import Scope

from .delivery import Delivery

_ENDPOINT: Final = {"sms": "PhoneNumber", "application": "TopicArn"}
"""Where a message says whom it is for: texting/line.py has a name for that, and in what is published to a
device (mobile/publishing.py) the endpoint stands where the topic would."""


def direct(protocol: str, scope: Scope, message: Any) -> Delivery:
    """What a message of the hidden queue says."""
    said = msgspec.json.decode(message[2])
    told = said.get("MessageAttributes", {})
    return Delivery(
        topic="",
        subscription="",
        protocol=protocol,
        endpoint=said[_ENDPOINT[protocol]],
        message_id=said["MessageId"],
        kind="Notification",
        body=said["Message"],
        subject=said.get("Subject"),
        attributes={name: (each["Type"], each["Value"]) for name, each in told.items()},
        timestamp=said["Timestamp"],
        sequence_number=None,
        group=None,
        raw=protocol == "sms",
        confirm_url="",
        unsubscribe_url="",
        token="",
        attempt=message[4],
        settings={},
        scope=scope,
        verifies=said.get("Verifies", False),
    )
