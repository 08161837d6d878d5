"""One delivery of one message to one subscriber, what became of it, and what a sender is."""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec

from ropewayd.vocabulary.names import Scope

DELIVERED: Final = "delivered"
RETRY: Final = "retry"
REFUSED: Final = "refused"


class Delivery(msgspec.Struct, frozen=True):
    """What a sender gets."""

    topic: str
    subscription: str
    protocol: str
    endpoint: str
    message_id: str
    kind: str
    body: str
    subject: str | None
    attributes: dict[str, tuple[str, str]]
    timestamp: str
    sequence_number: str | None
    group: str | None
    raw: bool
    confirm_url: str
    unsubscribe_url: str
    token: str
    attempt: int
    settings: Any
    scope: Scope = Scope()
    """Whose it is: the topic's, or that of who published it to a number or a device."""
    verifies: bool = False
    """Whether it is a text message to a number that the sandbox has yet to verify."""


class Answer(msgspec.Struct, frozen=True):
    """What became of one attempt."""

    outcome: str
    code: int | None
    excerpt: str
    duration_ms: int
    retry_after_ms: int | None = None
    opted_out: bool = False
    """Whether the gateway said that the number wants no text messages."""


class Sender(Protocol):
    """Sends what one protocol carries."""

    async def send(self, delivery: Delivery) -> Answer: ...

    async def close(self) -> None: ...
