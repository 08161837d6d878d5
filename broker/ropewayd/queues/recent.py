"""What happened a moment ago and may not happen again yet. A throttle, no state: a restart forgets it."""

from __future__ import annotations

from collections import OrderedDict


class Recent:
    """Times by key, of the last `interval` milliseconds alone; 0: none, and nothing is held back."""

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._times: OrderedDict[object, int] = OrderedDict()

    @property
    def seconds(self) -> str:
        """The interval, to be told."""
        return f"{self._interval / 1000:g}"

    def within(self, key: object, now: int) -> bool:
        """Whether it happened within the interval."""
        times = self._times
        while times and next(iter(times.values())) <= now - self._interval:
            times.popitem(last=False)
        return key in times

    def happened(self, key: object, now: int) -> None:
        """It happens now."""
        if self._interval:
            self._times.pop(key, None)
            self._times[key] = now
