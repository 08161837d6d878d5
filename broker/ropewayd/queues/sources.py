"""Which queues have which one as their dead-letter queue: redrive policies, the other way round.

It follows from the queues' attributes and is no state of its own.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from .queue import Queue


class Sources:
    """See the module. A target need not exist."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}

    def of(self, target: Queue) -> Sequence[str]:
        """The names of those whose dead letters come here, in order. They are of its own scope."""
        return self._names.get(target.arn, ())

    def add(self, queue: Queue) -> None:
        """It is new, or its policy is."""
        policy = queue.attributes.redrive_policy
        if policy is not None:
            names = self._names.setdefault(policy.dead_letter_target_arn, [])
            at = bisect_left(names, queue.name)
            if names[at : at + 1] != [queue.name]:  # in recovery an old incarnation may still be there
                insort(names, queue.name)

    def discard(self, queue: Queue) -> None:
        """It goes, or its policy does."""
        policy = queue.attributes.redrive_policy
        if policy is None:
            return
        names = self._names.get(policy.dead_letter_target_arn, [])
        at = bisect_left(names, queue.name)
        if names[at : at + 1] == [queue.name]:
            del names[at]
            if not names:
                del self._names[policy.dead_letter_target_arn]

    def settle(self, queues: Iterable[Queue]) -> None:
        """Recovery is over: these are all that there are."""
        self._names.clear()
        for queue in queues:
            self.add(queue)
