"""What a daemon costs that has nothing to do.

Queues that nobody uses, and consumers that wait on some of them, as they do in an idle system (crowd.py).
Measured is the daemon's CPU clock over a little more than one renewal of each poll.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.contestants import Server, rss_bytes
from bench.crowd import Crowd

POLL_MS = 20_000
SETTLE_SECONDS = 1.0
"""What making the queues has left to do is done by then."""


@dataclass(frozen=True)
class Idle:
    """How much of a core an idle daemon took."""

    queues: int
    polls: int
    seconds: float
    renewals: int
    share: float
    """Processor time over time: 0.01 is one percent of a core."""
    memory: int = 0
    """Bytes that it had resident."""


def idle(server: Server, queues: int, polls: int, seconds: float, poll_ms: int = POLL_MS) -> Idle:
    """Measures it. Raises UnexpectedAnswer when a poll is answered with anything but nothing."""
    with Crowd(server, queues, polls, poll_ms) as crowd:
        return watched(server, crowd, queues, polls, seconds)


def watched(server: Server, crowd: Crowd, queues: int, polls: int, seconds: float) -> Idle:
    """The same of a crowd that waits already."""
    crowd.renew(SETTLE_SECONDS)
    began, before = time.perf_counter(), server.cpu()
    renewals = crowd.renew(seconds)
    took = time.perf_counter() - began
    share = (server.cpu() - before) / took
    return Idle(queues, polls, took, renewals, share, rss_bytes(server.process.pid))
