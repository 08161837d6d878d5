"""What messages take in memory, all queues together."""

from __future__ import annotations


class Memory:
    """Bytes that are taken, and how many may be."""

    __slots__ = ("budget", "durable", "used")

    def __init__(self, budget: int = 128 << 20) -> None:
        self.budget = budget
        self.used = 0
        self.durable = 0
        """Every row as of an lsn up to this one is on disk."""

    def grow(self, size: int) -> None:
        """So much more is taken."""
        self.used += size

    @property
    def short(self) -> bool:
        """Whether what is invisible leaves its body to the disk: half of the budget is for what can be
        received."""
        return self.used > self.budget // 2
