"""A device that gets notifications, and the application on it, as a sender of mobile push sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from ropewayd.deliveries.answering import Attempt
from ropewayd.deliveries.delivery import Answer, Delivery


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """A platform application: who sends. `principal` and `credential` are what its platform takes for it."""

    arn: str
    platform: str
    principal: str = ""
    credential: str = ""
    attributes: Mapping[str, str] = {}


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint: one application on one device, by the token that the platform gave it."""

    arn: str
    application: Application
    token: str
    enabled: bool = True


class Outcome(msgspec.Struct, frozen=True):
    """What became of a notification, and whether its token is good for nothing any more."""

    answer: Answer
    gone: bool = False


class Platform(Protocol):
    """Sends notifications by one platform's service. It never raises for what the service does."""

    async def push(self, attempt: Attempt, device: Device, delivery: Delivery) -> Outcome: ...

    async def close(self) -> None: ...


def option(delivery: Delivery, platform: str, name: str) -> str | None:
    """What the message's attributes say of its delivery by one platform, as AWS.SNS.MOBILE.ADM.TTL does."""
    found = delivery.attributes.get(f"AWS.SNS.MOBILE.{platform}.{name}")
    return None if found is None else found[1]


def seconds(text: str | None, most: int) -> int | None:
    """How long a message lives, where that is said as it should be."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 10:
        return None
    return min(int(text), most)


def payload(body: str) -> dict[str, object] | None:
    """The JSON object that a message was written as for one platform; None if it is a plain text."""
    try:
        said = msgspec.json.decode(body)
    except (ValueError, RecursionError):  # msgspec's own errors, and UnicodeEncodeError, are ValueErrors
        return None
    return said if isinstance(said, dict) else None
