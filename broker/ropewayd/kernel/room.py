"""Whether there is room for more: below one mark of free space what makes the journal grow is refused, above
a higher one it is taken again. Likewise beyond a limit on what the store itself holds, if one is set.

Receives and deletes go on: they make room, and what they write is small. So a disk that fills is told to
producers long before a commit fails.
"""

from __future__ import annotations

from ropewayd.vocabulary.errors import ServiceUnavailable


class Room:
    """`low` and `enough` in bytes of free space; a `low` of 0 watches nothing. `most`: bytes that the store
    may hold; 0 is no limit."""

    def __init__(self, low: int, enough: int, most: int = 0) -> None:
        self._low = low
        self._enough = max(low, enough)
        self._most = most
        self.refusal: ServiceUnavailable | None = None
        """What to answer where there is too little room; None where there is enough."""

    def see(self, free: int, used: int = 0) -> bool:
        """So much is free now, and so much the store holds. True if that changed what is refused."""
        short = self.refusal is not None
        if self._most and used > (self._most - self._most // 8 if short else self._most):
            self.refusal = ServiceUnavailable(
                f"The store holds {used >> 20} MiB. Nothing is added beyond {self._most >> 20} MiB, the limit"
                " (kernel.max_store_bytes), and again from seven eighths of it on; receive and delete."
            )
        elif free < (self._enough if short else self._low):
            self.refusal = ServiceUnavailable(
                f"The disk is nearly full: {free >> 20} MiB are free. Nothing is added below "
                f"{self._low >> 20} MiB, and again from {self._enough >> 20} MiB on; receive and delete, or "
                "make room."
            )
        else:
            self.refusal = None
        return short != (self.refusal is not None)
