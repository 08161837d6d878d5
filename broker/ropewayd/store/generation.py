"""Which write-ahead log belongs to which database: the fold number.

SQLite binds the two by their names alone. A log that is put beside the database as it was at another time is
replayed page by page, and gives a mix of both times that can look whole. So the store numbers the generations
of its log, in page 1 of the database, of which the log holds a copy whenever it changes:

Rule 1  The first commit of a new log carries the next even number. So a log says which one it is.
Rule 2  Before the log is folded into the database, the next odd number is committed, as the log's last word
        so far. So what is folded into the database says how far in the log it stands.
Rule 3  A start takes a log only if the database has just what was there before it (one less than the log's
        first number), or stands within it (the log's first to last). All else is of another time.
Rule 4  The first number is the store's own, from its identity, so that the log of another store does not fit
        either. Numbers go round at 2**23.

What this cannot see: commits that somebody cut from the log's end, after which nothing was folded; and a
database that was copied while its log was being folded in, beside the log of right after that.

The number shares SQLite's user_version with the format: the format is in the low 8 bits.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ropewayd.store.protocol import Corrupt

NUMBERS: Final = 1 << 23
_FORMAT_BITS: Final = 8
_UNNUMBERED: Final = 1
"""The last format whose logs had no number."""


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """What page 1 says: the format (0: no tables yet) and the fold number."""

    format: int
    number: int

    @classmethod
    def of(cls, word: int) -> Stamp:
        """From SQLite's user_version."""
        return cls(word & (1 << _FORMAT_BITS) - 1, word >> _FORMAT_BITS & NUMBERS - 1)

    @classmethod
    def of_page(cls, page: bytes) -> Stamp:
        """From a database's first hundred bytes."""
        return cls.of(int.from_bytes(page[60:64], "big"))

    @property
    def word(self) -> int:
        """As SQLite's user_version holds it."""
        return self.number << _FORMAT_BITS | self.format

    @property
    def numbered(self) -> bool:
        return self.format > _UNNUMBERED

    def folding(self) -> Stamp:
        """What is committed before a fold: the next odd number."""
        return Stamp(self.format, (self.number + 1 + self.number % 2) % NUMBERS)

    def beginning(self) -> Stamp:
        """What a new log begins with: the next even number."""
        return Stamp(self.format, (self.number + 2 - self.number % 2) % NUMBERS)


def first_number(identity: bytes) -> int:
    """Where a store begins to count."""
    return int.from_bytes(identity[:3], "big") % NUMBERS & ~1


def check_generation(log: object, database: bytes, base: bytes, last: bytes) -> None:
    """Raise Corrupt unless a log belongs to its database (Rule 3).

    The first hundred bytes of page 1 are given: as the database has it, as the log's first commit has it
    (empty if it does not), and as its last one does.
    """
    stands, ends = Stamp.of_page(database), Stamp.of_page(last) if last else None
    begins = Stamp.of_page(base) if base else None
    if not stands.numbered and stands.format:
        return  # of before there were numbers, or just being brought up to date
    if begins is not None and not begins.numbered:
        return
    if begins is None or ends is None:
        raise Corrupt(_foreign(log, "it does not begin as a log of Ropeway's does"))
    if not stands.format:
        return  # the database has no page but the first: all of it is in the log
    behind = (stands.number - begins.number) % NUMBERS
    if behind != NUMBERS - 1 and behind > (ends.number - begins.number) % NUMBERS:
        raise Corrupt(
            _foreign(
                log,
                f"the database stands at fold {stands.number}, and the log goes from {begins.number} to"
                f" {ends.number}",
            )
        )


def _foreign(log: object, why: str) -> str:
    return (
        f"{log} does not belong to this database, or one of the two is of another time ({why}). Put the"
        " database and the log of one and the same moment side by side; nothing was changed."
    )
