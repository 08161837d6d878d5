"""The page /metrics, in Prometheus's text form.

Rule 1  What changes is read in one step of the loop, as plain numbers. They become text on a thread, so that
        no call waits for a page however long it is.
Rule 2  One page is made at a time. Whoever asks meanwhile gets the same one.
Rule 3  Queues and subscriptions have lines of their own up to a limit; the totals count all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from ropewayd.kernel.kernel import Kernel
from ropewayd.kernel.meter import Distribution
from ropewayd.queues.service import Queues
from ropewayd.store.protocol import Figures, Store
from ropewayd.topics.service import Topics

from .reading import Reading


class MetricsPage:
    """See the module. `connections` tells for each protocol how many are open."""

    def __init__(
        self,
        kernel: Kernel,
        queues: Queues,
        topics: Topics,
        store: Store,
        connections: Callable[[], Mapping[str, int]],
        most_queues: int,
    ) -> None:
        self._kernel = kernel
        self._queues = queues
        self._topics = topics
        self._store = store
        self._connections = connections
        self._most = most_queues
        self._making: asyncio.Task[bytes] | None = None

    async def text(self) -> bytes:
        """The page. Raises StoreError where the store has ended."""
        if self._making is None:
            self._making = asyncio.get_running_loop().create_task(self._make())
            self._making.add_done_callback(self._made)
        return await asyncio.shield(self._making)

    def _made(self, task: asyncio.Task[bytes]) -> None:
        self._making = None
        if not task.cancelled():
            task.exception()  # seen: whoever asked was told

    async def _make(self) -> bytes:
        figures = await self._store.figures()
        return await asyncio.to_thread(_render, self._read(figures))

    def _read(self, figures: Figures) -> Reading:
        kernel, meter = self._kernel, self._kernel.meter
        seen, left_out = self._queues.seen(self._most, kernel.clock.now())
        subscriptions, more = self._topics.seen(self._most)
        return Reading(
            queues=seen,
            left_out=left_out,
            topics=self._topics.counts()[0],
            subscriptions=subscriptions,
            subscriptions_left_out=more,
            memory=self._queues.memory_used,
            memory_limit=self._queues.memory_limit,
            polls=kernel.polls,
            tail=kernel.tail_bytes,
            store=figures,
            connections=self._connections(),
            vain=dict(meter.vain_polls),
            calls=[(protocol, action, *_told(each)) for protocol, action, each in meter.all_calls()],
            errors=[(protocol, code, count) for (protocol, code), count in sorted(meter.errors.items())],
            commits=[
                ("commit_duration_seconds", "How long commits took.", *_told(meter.commit_seconds)),
                ("commit_size_bytes", "Bytes of journal in a commit.", *_told(meter.commit_bytes)),
                ("commit_events", "Events that shared a commit.", *_told(meter.commit_events)),
            ],
        )


def _told(each: Distribution) -> tuple[list[tuple[str, int]], float]:
    return each.buckets(), each.total


def _render(reading: Reading) -> bytes:
    # Prometheus's library takes a while to load: who is not watched does not wait for it.
    from .text import render  # noqa: PLC0415

    return render(reading)
