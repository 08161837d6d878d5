"""How long to wait before the next try."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Exponential back-off with jitter, in seconds: `first`, then `factor` times as long for each further
    failure, at most `longest`. Of each delay a random part, up to the share `jitter`, is left out, so that
    many who failed together do not come back together."""

    first: float = 1.0
    factor: float = 2.0
    longest: float = 900.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if not (0 <= self.first <= self.longest and self.factor >= 1 and 0 <= self.jitter <= 1):
            raise ValueError("a back-off needs 0 <= first <= longest, factor >= 1 and 0 <= jitter <= 1")

    def delay(self, failures: int) -> float:
        """Seconds to wait after the given number of failures, counted from 1."""
        # A large exponent would overflow long after the longest delay is reached.
        grown = self.first * self.factor ** min(max(failures, 1) - 1, 64)
        return min(self.longest, grown) * (1 - self.jitter * random.random())  # noqa: S311 - spread, no secret
