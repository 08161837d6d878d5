"""A daemon with a store of its own, and loads that move a number of messages through it.

Unlike a match, a move has no window: it ends when it is done. So it can move more than fits into memory, and
empty a queue that was filled before; what was sent and what came is compared by number and sum.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contestants import Daemon, peak_rss_bytes, written_bytes
from bench.load import DELETED, SENT, Plan, Tally
from bench.match import Crew, Worker
from bench.wire import ATTRIBUTES, QUEUE

BODY = 1024
CREW = Crew(connections=4, outstanding=16)
BACKLOG = 8 * 64 * 10
"""Producers of a full cycle hold back beyond it; of a move, never."""
NEVER = 2**40
STILL_SECONDS = 15.0
"""Where nothing has moved for so long, nothing more comes."""


@dataclass(frozen=True)
class Moved:
    """Messages that were sent, or received and deleted."""

    messages: int
    digest: int
    seconds: float
    written: int
    """Bytes that the daemon had written to disk meanwhile."""

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    def amplification(self, body: int) -> float:
        """Bytes written for each byte of bodies of such a length."""
        return self.written / (self.messages * body)


class Store:
    """A daemon on data of its own, which it finds again when it has ended, and loads for it.

    `crew`, `batch` and `body`: connections, requests outstanding, messages a request and bytes a message of
    each load.
    """

    def __init__(
        self,
        directory: Path,
        daemon: Daemon | None = None,
        crew: Crew = CREW,
        batch: int = 10,
        body: int = BODY,
    ) -> None:
        self._daemon = daemon or Daemon()
        self._directory = directory
        self._crew = crew
        self._batch = batch
        self._body = body
        self._peak = 0
        self.server = self._daemon.start(directory)

    def peak(self) -> int:
        """The most memory that any of its processes has had resident, in bytes."""
        self._peak = max(self._peak, peak_rss_bytes(self.server.process.pid))
        return self._peak

    def restart(self, end: Callable[[], None]) -> float:
        """Ends it in some way. Gives the seconds from the next start to the first answer about a queue."""
        self.peak()
        end()
        began = time.perf_counter()
        self.server = self._daemon.restart(self._directory)
        self.server.ask(ATTRIBUTES, queue=QUEUE)
        return time.perf_counter() - began

    def move(
        self,
        role: str,
        queue: str,
        messages: int,
        rate: float = 0.0,
        groups: int = 1,
        watch: Callable[[int], None] | None = None,
    ) -> Moved:
        """Sends or consumes so many. `watch` is told now and then how many that are so far.

        What does not come is missing in what is given. Raises ContestantFailed when the load fails.
        """
        assert messages > 0
        counter = SENT if role == "produce" else DELETED
        with self.load(role, queue, messages=messages, rate=rate, groups=groups) as (worker, tally):
            before = written_bytes(self.server.process.pid)
            worker.tell()
            so_far, moved = 0, time.perf_counter()
            while not worker.settled(0.2) and time.perf_counter() - moved < STILL_SECONDS:
                if tally.counts[counter] != so_far:
                    so_far, moved = tally.counts[counter], time.perf_counter()
                    if watch is not None:
                        watch(so_far)
            written = written_bytes(self.server.process.pid) - before
            if not worker.settled(0):
                worker.tell()  # what is missing will not come
            report = worker.report()
        seconds = report["done_at"] - report["began_at"]
        return Moved(report["messages"], report["digest"], seconds, written)

    @contextmanager
    def load(
        self,
        role: str,
        queue: str,
        *,
        messages: int = 0,
        rate: float = 0.0,
        groups: int = 1,
        batch: int = 0,
        throttled: bool = False,
        tally: Path | None = None,
    ) -> Iterator[tuple[Worker, Tally]]:
        """A load process that is connected and waits to be told, and its counters. `batch`: if not the
        store's own."""
        own = tally is None
        tally = tally or self._directory / f"tally-{role}"
        plan = Plan(
            role=role,
            kind=self.server.kind,
            port=self.server.port,
            connections=self._crew.connections,
            outstanding=self._crew.outstanding * (self.server.consumer_commits if role == "consume" else 1),
            batch=batch or self._batch,
            body=self._body,
            backlog=NEVER if own else BACKLOG,
            tally=str(tally),
            ids="",
            queue=queue,
            messages=messages,
            rate=rate,
            groups=groups,
            throttled=throttled,
        )
        with Tally(tally, create=own) as counts:
            worker = Worker(plan, quiet=not own)
            try:
                worker.ready()
                yield worker, counts
            finally:
                worker.close()

    @contextmanager
    def busy(self, rate: float = 0.0) -> Iterator[None]:
        """A full cycle at so many messages a second goes on meanwhile, on a queue of its own."""
        shared = self._directory / "tally-busy"
        with Tally(shared, create=True), ExitStack() as stack:
            for role in ("consume", "produce"):
                worker, _ = stack.enter_context(self.load(role, QUEUE, rate=rate, tally=shared))
                worker.tell()
            yield

    def close(self) -> None:
        """Ends it, whatever it is doing."""
        self.server.kill()


def summed(parts: Sequence[Moved]) -> Moved:
    """All of them."""
    return Moved(
        sum(part.messages for part in parts),
        sum(part.digest for part in parts) % 2**128,
        sum(part.seconds for part in parts),
        sum(part.written for part in parts),
    )


def astray(sent: Moved, came: Moved) -> int:
    """Messages lost or doubled; -1 where as many came as were sent, but not the same."""
    return abs(sent.messages - came.messages) or -(sent.digest != came.digest)
