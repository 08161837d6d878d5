"""A delivery for a test to change what matters of it."""

from typing import Any

import msgspec

from ropewayd.deliveries.delivery import Delivery

TOPIC = "arn:aws:sns:us-east-1:000000000000:news"
SUBSCRIPTION = f"{TOPIC}:0123abcd-0000-4000-8000-000000000001"
ID = "5b0f4f3e-0000-4000-8000-00000000000a"


def delivery(protocol: str, endpoint: str, **changed: Any) -> Delivery:
    made = Delivery(
        topic=TOPIC,
        subscription=SUBSCRIPTION,
        protocol=protocol,
        endpoint=endpoint,
        message_id=ID,
        kind="Notification",
        body="It rains.",
        subject=None,
        attributes={},
        timestamp="2026-11-25T23:00:00.000Z",
        sequence_number=None,
        group=None,
        raw=False,
        confirm_url="http://127.0.0.1:4566/?Action=ConfirmSubscription&Token=t",
        unsubscribe_url="http://127.0.0.1:4566/?Action=Unsubscribe&SubscriptionArn=s",
        token="t0k3n",
        attempt=1,
        settings=None,
    )
    return msgspec.structs.replace(made, **changed)
