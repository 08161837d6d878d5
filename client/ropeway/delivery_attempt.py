"""One attempt to deliver a message of a topic to a subscriber, as the daemon's log of them tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from ropeway.errors import ProtocolError
from ropeway.units import moment

Outcome: TypeAlias = Literal["delivered", "retry", "dead-lettered", "failed"]


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """See the module; made by `Topic.deliveries`."""

    number: int
    """Its place in the log: they rise, through restarts too."""
    at: datetime
    """When it ended."""
    subscription: str
    """The ARN."""
    protocol: str
    endpoint: str
    """Without user, password and query; of a phone number the last digits."""
    message_id: str
    kind: str
    """"Notification", or "SubscriptionConfirmation", which asks the subscriber to confirm."""
    attempt: int
    """1 is the first."""
    outcome: Outcome
    """"delivered"; "retry": it will be tried again; given up: "dead-lettered", or "failed" where it is
    nowhere."""
    code: int | None
    """The status of the answer; None if none came."""
    duration: float
    """Seconds."""
    answer: str
    """Its beginning, or what went wrong."""


def read_attempts(result: object) -> tuple[list[DeliveryAttempt], int | None]:
    """A page of them, and where to go on. Raises ProtocolError."""
    match result:
        case {"deliveries": tuple() as found, "next": None | int() as following}:
            return [_read(each) for each in found], following
    raise ProtocolError("the daemon's answer to ListDeliveries has the wrong shape")


def _read(told: Any) -> DeliveryAttempt:
    match told:
        case {
            "number": int() as number,
            "at": int() as at,
            "subscription": str() as subscription,
            "protocol": str() as protocol,
            "endpoint": str() as endpoint,
            "message": str() as message_id,
            "kind": str() as kind,
            "attempt": int() as attempt,
            "outcome": "delivered" | "retry" | "dead-lettered" | "failed" as outcome,
            "code": None | int() as code,
            "duration": int() as duration,
            "answer": str() as answer,
        }:
            return DeliveryAttempt(
                number,
                moment(at),
                subscription,
                protocol,
                endpoint,
                message_id,
                kind,
                attempt,
                outcome,
                code,
                duration / 1000,
                answer,
            )
    raise ProtocolError("the daemon told of an attempt in the wrong shape")
