"""Seconds and aware datetimes on this side, whole milliseconds on the wire."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from ropeway.errors import InvalidParameterValue

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 10**15
"""Milliseconds; far beyond every range of the daemon, and still an integer for msgpack."""


def milliseconds(seconds: float, field: str) -> int:
    """A duration for the wire, rounded to the nearest millisecond. Raises InvalidParameterValue."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{field} is a number of seconds, not {type(seconds).__name__}")
    if not math.isfinite(seconds) or not 0 <= seconds * 1000 <= _LONGEST:
        raise InvalidParameterValue(f"{field} is a number of seconds from 0, not {seconds}", field)
    return round(seconds * 1000)


def moment(epoch_milliseconds: int) -> datetime:
    """A point in time, in UTC."""
    return _EPOCH + timedelta(milliseconds=epoch_milliseconds)
