"""What memory still holds of messages that ended all at once: by a purge, or with their queue.

Counts, pages and handles honour such an end at once, by the queue's floor or its absence. What is left is
work: to give back memory and timers, and to name the small records that the disk has. It is done in pieces,
by a timer and by the slice that writes the end to disk, whichever comes first.
"""

from __future__ import annotations

from ropewayd.kernel.wheel import Wheel

from .groups import Groups
from .memory import Memory
from .message import OVERHEAD, Message

PIECE = 2000
"""Messages in one piece: some two milliseconds."""


class Remains:
    """See the module. `messages`, `dead` and `groups` are a queue's, which has new ones or is over."""

    __slots__ = ("_dead", "_groups", "_memory", "_messages", "_wheel", "chunks", "waiting")

    def __init__(
        self,
        messages: dict[int, Message],
        dead: dict[int, bool],
        memory: Memory,
        wheel: Wheel,
        groups: Groups | None = None,
    ) -> None:
        self._messages = messages
        self._dead = dead
        self._memory = memory
        self._wheel = wheel
        self._groups = groups
        self.waiting: list[int] = []
        """Sequences whose small records are to be dropped, as far as is known."""
        self.chunks: list[int] = []
        """Likewise, chunks of delayed messages."""

    def __bool__(self) -> bool:
        """Whether there is anything left to clear."""
        return bool(self._messages or self._dead or self._groups is not None)

    def clear(self, count: int = PIECE) -> None:
        """Clear so many."""
        freed = 0
        messages, dead, waiting = self._messages, self._dead, self.waiting
        for _ in range(min(count, len(messages))):
            sequence, message = messages.popitem()
            freed += message.size + OVERHEAD
            lease = message.lease
            if lease is not None:
                message.lease = None
                lease.left -= 1
                if not lease.left:
                    self._wheel.cancel(lease.timer)
            if message.waits:
                waiting.append(sequence)
        for _ in range(min(count, len(dead))):
            sequence, waits = dead.popitem()
            if waits:
                waiting.append(sequence)
        if self._groups is not None and not self._groups.clear(count):
            self._groups = None
        self._memory.used -= freed
