"""The delivery status log: what became of each attempt to deliver, the latest of each topic.

It is a log, in memory alone: a restart begins an empty one, and nobody waits for a disk because of it. What
is to outlive the daemon is a line of the daemon's own log, at level debug if it arrived, else at info.

Rule 1  Failures and successes of a topic are kept apart, so many of each: however much arrives, what did not
        stays to be seen.
Rule 2  All of it together has a limit in bytes. Beyond it the oldest entry goes of the ring that has been
        quiet for longest.
Rule 3  Every failure has an entry; of successes, as many as the topic's attributes say (topics/feedback.py).
Rule 4  Entries have numbers that rise, also from one life of the daemon to the next: each begins at the
        microseconds of the carried clock. So who has seen one asks for those after it, and no others come.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from operator import attrgetter
from sys import getsizeof
from typing import Final

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger

from ropewayd.topics.topic import Subscription, Topic
from ropewayd.vocabulary.clock import Clock

from .delivery import DELIVERED, Answer, Delivery
from .endpoint import without_secrets
from .settings import LogLimits

log: FilteringBoundLogger = structlog.get_logger()

DEAD_LETTERED: Final = "dead-lettered"
FAILED: Final = "failed"
"""Given up: it is in the dead-letter queue, or nowhere. (What comes again is a RETRY, see delivery.py.)"""

PAGE_BYTES: Final = 1 << 20
"""About the most of entries that is told at one time."""
_BESIDE: Final = 700
"""Bytes of an entry in memory beside its answer and its endpoint, about."""

_number = attrgetter("number")


class Entry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One attempt."""

    number: int = 0
    at: int = 0
    """When it ended, by the system's clock."""
    subscription: str
    protocol: str
    endpoint: str
    message: str
    kind: str
    attempt: int
    outcome: str
    code: int | None
    duration: int
    """Milliseconds."""
    answer: str

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return _BESIDE + getsizeof(self.answer) + getsizeof(self.endpoint)


class StatusLog:
    """See the module. `told(topic, failed)` is called with each entry; `chance()` gives 0 up to 1."""

    def __init__(
        self,
        clock: Clock,
        limits: LogLimits | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._limits = limits or LogLimits()
        self._chance = chance
        self._rings: dict[tuple[int, bool], deque[Entry]] = {}
        """By the topic's number and whether they failed; the ring that has been quiet for longest first."""
        self.last = 0
        """The number of the last entry."""
        self.bytes = 0
        self.told: Callable[[int, bool], None] | None = None

    def open(self) -> None:
        """Begin, when the clock is carried on from the last life of the daemon."""
        self.last = self._clock.now() * 1000

    def attempted(
        self, topic: Topic, delivery: Delivery, answer: Answer, outcome: str, success_rate: int
    ) -> None:
        """An attempt is over, and this became of the message."""
        if outcome == DELIVERED and self._chance() * 100 >= success_rate:
            return
        entry = Entry(
            subscription=delivery.subscription,
            protocol=delivery.protocol,
            endpoint=delivery.endpoint,
            message=delivery.message_id,
            kind=delivery.kind,
            attempt=delivery.attempt,
            outcome=outcome,
            code=answer.code,
            duration=answer.duration_ms,
            answer=answer.excerpt,
        )
        self._add(topic.number, entry)

    def not_taken(
        self, topic: Topic, subscription: Subscription, message: str, why: str, lettered: bool
    ) -> None:
        """A queue did not take its copy of a publish."""
        entry = Entry(
            subscription=topic.arn_of(subscription),
            protocol=subscription.protocol,
            endpoint=subscription.endpoint,
            message=message,
            kind="Notification",
            attempt=1,
            outcome=DEAD_LETTERED if lettered else FAILED,
            code=None,
            duration=0,
            answer=why,
        )
        self._add(topic.number, entry)

    def _add(self, topic: int, said: Entry) -> None:
        """An entry that has no number and no time yet, and tells more than it may."""
        if not self._limits.entries:
            return
        self.last = max(self.last + 1, self._clock.now() * 1000)
        entry = msgspec.structs.replace(
            said,
            number=self.last,
            at=self._clock.wall(),
            endpoint=without_secrets(said.protocol, said.endpoint),
            answer=said.answer[: self._limits.excerpt],
        )
        key = topic, entry.outcome != DELIVERED
        ring = self._rings.pop(key, None)
        self._rings[key] = ring = deque() if ring is None else ring
        ring.append(entry)
        self.bytes += entry.size
        while len(ring) > self._limits.entries:
            self.bytes -= ring.popleft().size
        while self.bytes > self._limits.bytes:
            self._drop()
        if self.told is not None:
            self.told(*key)

    def _drop(self) -> None:
        """Rule 2."""
        key, ring = next(iter(self._rings.items()))
        self.bytes -= ring.popleft().size
        if not ring:
            del self._rings[key]

    def page(self, topic: int, *, failed: bool, after: int, limit: int) -> tuple[list[Entry], int | None]:
        """So many of a topic's entries after this number, in order, and where to go on if there are more;
        `failed`: failures alone."""
        kinds = (True,) if failed else (True, False)
        found: list[Entry] = []
        size = 0
        for entry in merge(*(_after(self._rings.get((topic, each)), after) for each in kinds), key=_number):
            if len(found) == limit or (found and size + entry.size > PAGE_BYTES):
                return found, found[-1].number
            found.append(entry)
            size += entry.size
        return found, None


def _after(ring: deque[Entry] | None, after: int) -> Iterator[Entry]:
    """Those of a ring with higher numbers. Who follows asks for the last few: looked for from the end."""
    if ring is None:
        return iter(())
    count = 0
    for entry in reversed(ring):
        if entry.number <= after:
            break
        count += 1
    return islice(ring, len(ring) - count, None)


def tell(delivery: Delivery, answer: Answer) -> None:
    """A line of the daemon's log."""
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
