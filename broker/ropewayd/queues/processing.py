"""Processing time: how long consumers have had messages lately, of one tenant or of all.

Counted in milliseconds of one message in flight, over the last minute: what is of the minute under way, and
of the one before as large a part as lies within the last sixty seconds. Times are carried milliseconds.
"""

from __future__ import annotations

WINDOW = 60_000


class Processing:
    """See the module."""

    __slots__ = ("_before", "_now", "_since", "_window", "flying")

    def __init__(self, at: int) -> None:
        self.flying = 0
        """Messages in flight."""
        self._since = at
        self._window = at // WINDOW
        self._now = self._before = 0

    def fly(self, count: int, at: int) -> None:
        """So many more are in flight; fewer, if it is negative."""
        self._pass(at)
        self.flying += count

    def recent(self, at: int) -> int:
        """The last minute's."""
        self._pass(at)
        return self._now + self._before * (WINDOW - at % WINDOW) // WINDOW

    def _pass(self, at: int) -> None:
        if at <= self._since:
            return
        window = at // WINDOW
        if window == self._window:
            self._now += self.flying * (at - self._since)
        else:
            began = window * WINDOW
            if window == self._window + 1:
                self._before = self._now + self.flying * (began - self._since)
            else:
                self._before = self.flying * WINDOW
            self._now = self.flying * (at - began)
            self._window = window
        self._since = at
