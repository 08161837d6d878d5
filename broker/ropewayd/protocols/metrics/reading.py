"""All that a page of metrics tells, as plain numbers of one moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ropewayd.queues.service import Seen
from ropewayd.store.protocol import Figures
from ropewayd.topics.service import Seen as Subscription


class Reading(NamedTuple):
    """Everything as of one moment."""

    queues: list[Seen]
    left_out: int
    """Queues that have no line of their own."""
    topics: int
    subscriptions: list[Subscription]
    subscriptions_left_out: int
    memory: int
    memory_limit: int
    polls: int
    tail: int
    store: Figures
    connections: Mapping[str, int]
    vain: Mapping[object, int]
    calls: list[tuple[str, str, list[tuple[str, int]], float]]
    """(protocol, action, buckets, sum)."""
    errors: list[tuple[str, str, int]]
    commits: list[tuple[str, str, list[tuple[str, int]], float]]
    """(name, meaning, buckets, sum)."""
