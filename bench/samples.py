"""A server watched while it works: its memory and how many messages wait, a few times a second.

A match looks from where it waits anyway (match.py). What has no one place to wait has a thread here that asks
the daemon itself, over a connection of its own: it sees what is spilled, expired or purged too. While the
daemon is away there is nothing to see, and no sample.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.contestants import Server, rss_bytes
from bench.wire import ATTRIBUTES, UnexpectedAnswer

INTERVAL = 0.5
"""Seconds between two looks of the thread."""

MOST = 400
"""Samples that are kept of a run."""


@dataclass(frozen=True)
class Sample:
    """One look."""

    at: float
    """Seconds since the first."""
    memory: int
    """Bytes that the server had resident."""
    backlog: int
    """Messages sent and not yet deleted."""


@contextmanager
def watched(
    server: Callable[[], Server], queues: Sequence[str], interval: float = INTERVAL
) -> Iterator[list[Sample]]:
    """Samples, as they come, of whichever process the server is at the time, until the end of the block."""
    samples: list[Sample] = []
    ended = threading.Event()
    began = time.perf_counter()

    def look() -> None:
        while not ended.wait(interval):
            try:
                now = server()
                backlog = sum(waiting(now, queue) for queue in queues)
                samples.append(Sample(time.perf_counter() - began, rss_bytes(now.process.pid), backlog))
            except OSError:
                continue  # it is being started anew

    thread = threading.Thread(target=look, name="samples", daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def thinned(samples: Sequence[Sample], most: int = MOST) -> list[Sample]:
    """About so many of them at most, evenly: a long run needs no more to be drawn."""
    return list(samples[:: -(-len(samples) // most) or 1])


def waiting(server: Server, queue: str) -> int:
    """Messages in a queue; none where there is no such queue yet. Raises OSError where there is no server."""
    try:
        found = server.ask(ATTRIBUTES, queue=queue)
    except UnexpectedAnswer:
        return 0
    return int(found["visible"] + found["in_flight"] + found["delayed"])
