"""What is wrong with a store, in the order in which it was found."""

from __future__ import annotations

from typing import Final

LIMIT: Final = 100
"""Findings that are kept; more are only counted."""


class Findings:
    """See the module."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.count = 0

    def add(self, sentence: str) -> None:
        """One more. A sentence names the record or the file."""
        self.count += 1
        if len(self.sentences) < LIMIT:
            self.sentences.append(sentence[0].upper() + sentence[1:])
