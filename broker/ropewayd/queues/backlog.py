"""How much may wait: messages in one queue and in the daemon as a whole, and bytes in one queue. By default
any amount.

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
        self._queue_bytes = limits.max_queue_bytes
        self._total = limits.max_messages
        self._queues = queues
        self._counted = 0
        self._counted_at = -_RECOUNT

    @classmethod
    def of(cls, limits: QueueLimits, queues: Mapping[int, Queue]) -> Backlog | None:
        """None where nothing is limited."""
        limited = limits.max_queue_messages or limits.max_queue_bytes or limits.max_messages
        return cls(limits, queues) if limited else None

    def refusal(self, queue: Queue, count: int, now: int) -> OverLimit | None:
        """Why so many more may not go into this queue now; None if they may, and then they are counted."""
        if self._queue and queue.live + count > self._queue:
            held = f"The queue {queue.name} holds {queue.live} messages"
            return _refused(held, count, self._queue, "queues.max_queue_messages")
        if not self._total:
            return None
        if self._counted + count > self._total or now - self._counted_at >= _RECOUNT:
            self._recount(now)
        if self._counted + count > self._total:
            held = f"All queues hold {self._counted} messages"
            return _refused(held, count, self._total, "queues.max_messages")
        self._counted += count
        return None

    def bytes_refusal(self, queue: Queue, more: int) -> OverLimit | None:
        """Why messages of so many bytes together may not go into this queue, if they are too many."""
        if not self._queue_bytes or queue.bytes + more <= self._queue_bytes:
            return None
        held = f"The queue {queue.name} holds {queue.bytes} bytes of messages"
        return _refused(held, more, self._queue_bytes, "queues.max_queue_bytes")

    def _recount(self, now: int) -> None:
        if not 0 <= now - self._counted_at < _RECOUNT:
            self._counted = sum(queue.live for queue in self._queues.values())
            self._counted_at = now


def _refused(held: str, more: int, limit: int, setting: str) -> OverLimit:
    return OverLimit(
        f"{held}, and {more} more would exceed {limit}, the limit ({setting}). Receive and delete, and send"
        " again.",
        "entries",
    )
