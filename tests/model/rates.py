"""How often a FIFO queue may be called, as it is meant: a bucket for each action that holds what one second
gives, in thousandths of a call, so that all is whole numbers.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Buckets:
    """Those of one queue, by action and partition: (thousandths that are left, as of when)."""

    left: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def take(self, action: str, partition: int, messages: int, rate: int, now: int) -> bool:
        """Whether a call may happen now. Each ten messages begun are one; what is more than a bucket holds
        takes all of it."""
        tokens, at = self.left.get((action, partition), (1000 * rate, now))
        tokens = min(1000 * rate, tokens + (now - at) * rate)
        cost = 1000 * ((messages + 9) // 10)
        enough = tokens >= min(cost, 1000 * rate)
        self.left[action, partition] = (tokens - cost if enough else tokens, now)
        return enough


@dataclass
class Rates:
    """The limits: calls a second of each action, to a queue or, in high throughput, to each partition."""

    calls: int
    partitions: int

    def allow(
        self, buckets: Buckets, attributes: dict[str, Any], action: str, messages: int, now: int
    ) -> bool:
        """Whether a call that is of so many messages, of no matter which groups, may happen."""
        if not self.calls:
            return True
        high = attributes["fifo_throughput_limit"] == "perMessageGroupId"
        return buckets.take(action, 0, messages, self.calls * (self.partitions if high else 1), now)

    def allow_send(
        self, buckets: Buckets, attributes: dict[str, Any], groups: list[str | None], now: int
    ) -> bool:
        """Whether messages of these groups may be sent: in high throughput each partition says so for its
        own, and the first that refuses ends it."""
        if not self.calls or attributes["fifo_throughput_limit"] == "perQueue":
            return self.allow(buckets, attributes, "send", len(groups), now)
        parts = [1 + zlib.crc32(str(group).encode()) % self.partitions for group in groups]
        return all(
            buckets.take("send", part, parts.count(part), self.calls, now) for part in dict.fromkeys(parts)
        )
