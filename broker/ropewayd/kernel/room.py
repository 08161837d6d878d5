"""Whether the disk has room for more: below one mark what makes the journal grow is refused, above a higher
one it is taken again.

Receives and deletes go on: they make room, and what they write is small. So a disk that fills is told to
producers long before a commit fails.
"""

from __future__ import annotations

from ropewayd.vocabulary.errors import ServiceUnavailable


class Room:
    """`low` and `enough` in bytes of free space; a `low` of 0 watches nothing."""

    def __init__(self, low: int, enough: int) -> None:
        self._low = low
        self._enough = max(low, enough)
        self.refusal: ServiceUnavailable | None = None
        """What to answer where there is too little room; None where there is enough."""

    def see(self, free: int) -> bool:
        """So much is free now. True if that changed what is refused."""
        short = self.refusal is not None
        if free < (self._enough if short else self._low):
            self.refusal = ServiceUnavailable(
                f"The disk is nearly full: {free >> 20} MiB are free. Nothing is added below "
                f"{self._low >> 20} MiB, and again from {self._enough >> 20} MiB on; receive and delete, or "
                "make room."
            )
        else:
            self.refusal = None
        return short != (self.refusal is not None)
