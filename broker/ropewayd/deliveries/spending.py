"""What text messages have cost this month, in a file, so that a restart does not forget it.

Money is counted in millionths. A month is UTC's. What is being sent counts as spent, so that many messages
at one time do not all pass below the limit; what was not sent after all is given back. The file is written
before a message is known to be sent: what a crash leaves uncounted are the messages that were under way.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

MILLION: Final = 1_000_000


EVERYBODY: Final = ""
"""Whose spending that of all accounts together is."""


class Spent(msgspec.Struct):
    """What the file holds: what all have spent, and of accounts that have a limit what each has."""

    month: str
    millionths: int
    accounts: dict[str, int] = msgspec.field(default_factory=dict)

    def of(self, whose: str) -> int:
        """What an account has spent, or all."""
        return self.millionths if whose == EVERYBODY else self.accounts.get(whose, 0)


class Spending:
    """The file `path`. `month` gives the month that it is, as 2026-11."""

    def __init__(self, path: Path, month: Callable[[], str] | None = None) -> None:
        self._path = path
        self._month = month or this_month
        self._spent: Spent | None = None
        self._reserved = Counter[str]()
        self._turn = asyncio.Lock()

    async def reserve(self, cost: int, limits: Mapping[str, int]) -> int | None:
        """Set `cost` aside, for all whose limits these are; or give the limit that the month's sum would go
        beyond. Raises OSError, ValueError."""
        async with self._turn:
            if self._spent is None:
                self._spent = await asyncio.to_thread(self._read)
            if self._spent.month != (month := self._month()):
                self._spent = Spent(month, 0)
            for whose, limit in limits.items():
                if self._spent.of(whose) + self._reserved[whose] + cost > limit:
                    return limit
            for whose in limits:
                self._reserved[whose] += cost
            return None

    async def settle(self, cost: int, limits: Mapping[str, int], *, sent: bool) -> None:
        """Spend what was set aside, or give it back. Raises OSError; it is spent then, if not in the file."""
        async with self._turn:
            assert self._spent is not None
            self._reserved.subtract(dict.fromkeys(limits, cost))
            self._reserved += Counter()  # whoever has nothing under way is not held
            if sent:
                self._spent.millionths += cost
                for whose in limits.keys() - {EVERYBODY}:
                    self._spent.accounts[whose] = self._spent.of(whose) + cost
                await asyncio.to_thread(self._write, msgspec.json.encode(self._spent))

    def _read(self) -> Spent:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Spent)
        except FileNotFoundError:
            return Spent("", 0)

    def _write(self, content: bytes) -> None:
        part = self._path.with_name(self._path.name + ".part")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(self._path)


def this_month() -> str:
    """The month of UTC."""
    return f"{datetime.now(UTC):%Y-%m}"
