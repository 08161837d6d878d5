"""What the log says of each attempt to deliver."""

from __future__ import annotations

import structlog
from structlog.typing import FilteringBoundLogger

from .delivery import DELIVERED, Answer, Delivery

log: FilteringBoundLogger = structlog.get_logger()


def tell(delivery: Delivery, answer: Answer) -> None:
    """An attempt is over: a line at level debug if it arrived, else at info."""
    say = log.debug if answer.outcome == DELIVERED else log.info
    say(
        "delivery",
        subscription=delivery.subscription,
        message=delivery.message_id,
        attempt=delivery.attempt,
        outcome=answer.outcome,
        code=answer.code,
        milliseconds=answer.duration_ms,
    )
