"""What is counted of one queue since the daemon started. No count is state, and an unused queue has none.

Calls are counted by their events, when those happen: what a restart replays is not counted again.
"""

from __future__ import annotations

import msgspec

BILLED = 64 << 10
"""Bytes of a call for which AWS counts one request. Each begun is one, and so is a call with no message."""
BILLED_ENTRIES = 10
"""Entries of a batch that one call to AWS can have."""


class Meter(msgspec.Struct, gc=False):
    """Messages, but where a name says otherwise."""

    sent: int = 0
    received: int = 0
    deleted: int = 0
    expired: int = 0
    dead_lettered: int = 0
    empty_receives: int = 0
    """Receives that brought none."""
    throttled: int = 0
    """Calls."""
    requests: int = 0
    """Calls that had an effect, as AWS bills them."""

    def bill(self, entries: int, size: int = 0) -> None:
        """A call with so many entries, of so many bytes together."""
        if entries <= BILLED_ENTRIES and size <= BILLED:  # nearly always
            self.requests += 1
        else:
            self.requests += max(-(-size // BILLED), -(-entries // BILLED_ENTRIES))


class Meters:
    """Those of all queues, by number."""

    def __init__(self) -> None:
        self._by_number: dict[int, Meter] = {}

    def of(self, number: int) -> Meter:
        """To count in."""
        found = self._by_number.get(number)
        if found is None:
            found = self._by_number[number] = Meter()
        return found

    def seen(self, number: int) -> Meter:
        """To read."""
        return self._by_number.get(number) or Meter()

    def forget(self, number: int) -> None:
        """The queue is gone."""
        self._by_number.pop(number, None)
