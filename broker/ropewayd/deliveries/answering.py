"""How a sender words what became of an attempt.

What a peer said goes into logs and attributes, so of it there is an excerpt: one line, of what can be
printed, and short.
"""

from __future__ import annotations

import time
from typing import Final

from .delivery import Answer

EXCERPT: Final = 1024
"""Characters of a peer's answer that are kept."""


class Attempt:
    """One attempt, timed from when this is made."""

    __slots__ = ("_began",)

    def __init__(self) -> None:
        self._began = time.monotonic()

    def ends(self, outcome: str, code: int | None, said: str, retry_after_ms: int | None = None) -> Answer:
        """The answer to it. `said` is what the peer said, or what went wrong with it."""
        spent = round((time.monotonic() - self._began) * 1000)
        return Answer(outcome, code, excerpt(said), spent, retry_after_ms)


def excerpt(said: str) -> str:
    """The beginning of it on one line, of printable characters alone."""
    clean = "".join(each if each.isprintable() else " " for each in said[: 4 * EXCERPT])
    return " ".join(clean.split())[:EXCERPT]
