"""How many messages may wait: in one queue, and in the daemon as a whole. By default any number.

A send that would go beyond is refused as a whole, and may be tried again when consumers have made room.
Messages that come in other ways than a send (moved to a dead-letter queue, say) are not refused, but count.
"""

from __future__ import annotations

from collections.abc import Mapping

from ropewayd.vocabulary.errors import OverLimit

from .queue import Queue
from .settings import QueueLimits

_RECOUNT = 100
"""Milliseconds for which a total that was counted holds, with what was taken since on top of it."""


class Backlog:
    """See the module. `queues`: all there are, by number."""

    def __init__(self, limits: QueueLimits, queues: Mapping[int, Queue]) -> None:
        self._queue = limits.max_queue_messages
        self._total = limits.max_messages
        self._queues = queues
        self._counted = 0
        self._counted_at = -_RECOUNT

    @classmethod
    def of(cls, limits: QueueLimits, queues: Mapping[int, Queue]) -> Backlog | None:
        """None where nothing is limited."""
        return cls(limits, queues) if limits.max_queue_messages or limits.max_messages else None

    def refusal(self, queue: Queue, count: int, now: int) -> OverLimit | None:
        """Why so many more may not go into this queue now; None if they may, and then they are counted."""
        if self._queue and queue.live + count > self._queue:
            return _refused(
                f"The queue {queue.name} holds", queue.live, count, self._queue, "queues.max_queue_messages"
            )
        if not self._total:
            return None
        if self._counted + count > self._total or now - self._counted_at >= _RECOUNT:
            self._recount(now)
        if self._counted + count > self._total:
            return _refused("All queues hold", self._counted, count, self._total, "queues.max_messages")
        self._counted += count
        return None

    def _recount(self, now: int) -> None:
        if not 0 <= now - self._counted_at < _RECOUNT:
            self._counted = sum(queue.live for queue in self._queues.values())
            self._counted_at = now


def _refused(what: str, held: int, more: int, limit: int, setting: str) -> OverLimit:
    return OverLimit(
        f"{what} {held} messages, and {more} more would exceed {limit}, the limit ({setting}). Receive and"
        " delete, and send again.",
        "entries",
    )
