"""The last attempts to deliver, for whoever looks at them: each is a line of the log too."""

from __future__ import annotations

import time
from collections import deque

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger

from .delivery import DELIVERED, Answer, Delivery

log: FilteringBoundLogger = structlog.get_logger()


class Entry(msgspec.Struct, frozen=True):
    """One attempt. `at` in milliseconds of the wall clock."""

    at: int
    topic: str
    subscription: str
    protocol: str
    endpoint: str
    message_id: str
    kind: str
    attempt: int
    outcome: str
    code: int | None
    duration_ms: int
    excerpt: str


class StatusLog:
    """See the module. `most`: entries that are kept."""

    def __init__(self, most: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=most)
        self.counts: dict[tuple[str, str], int] = {}
        """Attempts by protocol and outcome."""

    def add(self, delivery: Delivery, answer: Answer) -> None:
        """An attempt is over."""
        entry = Entry(
            round(time.time() * 1000),
            delivery.topic,
            delivery.subscription,
            delivery.protocol,
            delivery.endpoint,
            delivery.message_id,
            delivery.kind,
            delivery.attempt,
            answer.outcome,
            answer.code,
            answer.duration_ms,
            answer.excerpt,
        )
        self._entries.append(entry)
        place = delivery.protocol, answer.outcome
        self.counts[place] = self.counts.get(place, 0) + 1
        say = log.debug if answer.outcome == DELIVERED else log.info
        say(
            "delivery",
            subscription=entry.subscription,
            message=entry.message_id,
            attempt=entry.attempt,
            outcome=entry.outcome,
            code=entry.code,
            milliseconds=entry.duration_ms,
        )
