"""What the dispatcher keeps to. Milliseconds where a time has no other unit."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class DispatchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """See the module."""

    longest: Mapping[str, float]
    """Seconds that an attempt may take, by protocol, whatever its sender says. A message that was under way
    when the daemon died is sent again after twice as long."""
    deliveries: int = 200
    """Messages that are sent at one time, ..."""
    share: int = 10
    """... and of one subscription."""


class LogLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what was attempted is remembered."""

    entries: int = 1_000
    """Failures of a topic, and as many successes; 0: nothing is remembered."""
    bytes: int = 16 << 20
    """Of all topics together."""
    excerpt: int = 256
    """Characters of what a subscriber answered."""
