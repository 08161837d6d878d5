"""How often a FIFO queue may be called: token buckets, one for each queue and action.

A call takes a token; one that sends, receives or settles more than ten messages takes one for each ten begun,
as many calls of the AWS face would. In high throughput each partition has a bucket of its own: what is sent
is counted where its group belongs, and other calls, which name no group, are counted against all together.

A bucket holds what one second gives. It is no state: a restart fills it. Standard queues have none.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import RequestThrottled

from . import actions as a
from .queue import Queue
from .registry import Registry

_AT_ONCE = 10
"""Messages that one call of AWS's can hold."""
_MANY = 10_000
"""Buckets from which on the full ones are thrown away."""


class Bucket:
    """Fills with `rate` tokens a second up to as many."""

    __slots__ = ("at", "tokens")

    def __init__(self, tokens: float, at: int) -> None:
        self.tokens = tokens
        self.at = at

    def take(self, count: int, rate: int, now: int) -> bool:
        """Whether there are so many. Who asks for more than it can ever hold waits until it is full."""
        self.tokens = min(rate, self.tokens + (now - self.at) * rate / 1000)
        self.at = now
        if self.tokens < min(count, rate):
            return False
        self.tokens -= count
        return True


class Throttle:
    """See the module."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._rate = registry.limits.fifo_calls
        self._partitions = registry.limits.fifo_partitions
        self._buckets: dict[tuple[int, int, int], Bucket] = {}

    def gates(self) -> Mapping[type[Action], Callable[[Any, int], RequestThrottled | None]]:
        """For each action that is throttled, whether it may happen now."""
        if not self._rate:
            return {}
        return {
            a.SendMessage: self._send,
            a.ReceiveMessage: self._receive,
            a.ReceiveFromQueues: self._receive_from,
            a.DeleteMessage: self._delete,
            a.ChangeMessageVisibility: self._change,
        }

    def _send(self, action: a.SendMessage, now: int) -> RequestThrottled | None:
        queue = self._fifo(action.queue)
        if queue is None:
            return None
        if not _high(queue):
            return self._ask(queue, action.code, len(action.entries), now)
        counts: dict[int, int] = {}
        for entry in action.entries:
            partition = 1 + zlib.crc32(str(entry.group).encode()) % self._partitions
            counts[partition] = counts.get(partition, 0) + 1
        for partition, count in counts.items():
            if not self._take(queue, action.code, partition, count, self._rate, now):
                return self._refusal(queue, self._rate, "one partition of ")
        return None

    def _receive(self, action: a.ReceiveMessage, now: int) -> RequestThrottled | None:
        queue = self._fifo(action.queue)
        return None if queue is None else self._ask(queue, action.code, action.max_messages, now)

    def _receive_from(self, action: a.ReceiveFromQueues, now: int) -> RequestThrottled | None:
        """Each of its FIFO queues is asked, and counts it with its other receives."""
        for called in action.queues:
            queue = self._fifo(called)
            if queue is not None:
                refusal = self._ask(queue, a.ReceiveMessage.code, action.max_messages, now)
                if refusal is not None:
                    return refusal
        return None

    def _delete(self, action: a.DeleteMessage, now: int) -> RequestThrottled | None:
        queue = self._fifo(action.queue)
        return None if queue is None else self._ask(queue, action.code, len(action.handles), now)

    def _change(self, action: a.ChangeMessageVisibility, now: int) -> RequestThrottled | None:
        queue = self._fifo(action.queue)
        return None if queue is None else self._ask(queue, action.code, len(action.entries), now)

    def _fifo(self, called: str) -> Queue | None:
        queue = self._registry.by_name.get(called) or self._registry.find(called)
        return queue if queue is not None and queue.groups is not None else None

    def _ask(self, queue: Queue, code: int, messages: int, now: int) -> RequestThrottled | None:
        rate = self._rate * self._partitions if _high(queue) else self._rate
        if self._take(queue, code, 0, messages, rate, now):
            return None
        return self._refusal(queue, rate, "")

    def _take(self, queue: Queue, code: int, partition: int, messages: int, rate: int, now: int) -> bool:
        buckets, key = self._buckets, (queue.number, code, partition)
        bucket = buckets.get(key)
        if bucket is None:
            if len(buckets) >= _MANY:
                self._buckets = buckets = {k: b for k, b in buckets.items() if b.at + 1000 > now}
            bucket = buckets[key] = Bucket(rate, now)
        return bucket.take(-(-messages // _AT_ONCE), rate, now)

    def _refusal(self, queue: Queue, rate: int, of: str) -> RequestThrottled:
        return RequestThrottled(
            f"The rate of calls to {of}{queue.name} is over its limit: {rate} a second for each action. "
            "Every ten messages begun count as a call.",
            "queue",
        )


def _high(queue: Queue) -> bool:
    return queue.attributes.fifo_throughput_limit == "perMessageGroupId"
