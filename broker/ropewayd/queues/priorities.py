"""Receiving from several queues with one call: the first in order that has messages, or one by weight.

An answer has messages of one queue alone. So it costs no more than a receive from that queue, and whoever
asks again begins at the front again: what is in a queue further behind waits while one before it has any.
With weights the order is drawn anew for each call, so nobody waits for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ropewayd.kernel.service import Decision, Needs, Outcome, Wait
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import InvalidParameterValue, OverLimit, RopewayError

from . import actions as a
from .events import MessagesMoved
from .paging import go_on
from .queue import Queue
from .receiving import Receiving
from .registry import Registry, missing

_NOTHING: dict[str, Any] = {"queue": None, "messages": []}


class Priorities:
    """Decides receives from several queues. `entropy(n)` gives n unguessable bytes."""

    def __init__(self, registry: Registry, receiving: Receiving, entropy: Callable[[int], bytes]) -> None:
        self._registry = registry
        self._queues, self._find = registry.by_name, registry.find
        self._receiving = receiving
        self._entropy = entropy

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {a.ReceiveFromQueues: self.receive}

    def receive(self, action: a.ReceiveFromQueues, now: int) -> Outcome:
        queues: list[Queue] = []
        for index, called in enumerate(action.queues):
            queue = self._queues.get(called) or self._find(called)
            if queue is None:
                error = missing(called)
                error.field = f"queues[{index}]"
                return error
            queues.append(queue)
        if action.weights is not None and len(action.weights) != len(queues):
            return InvalidParameterValue(
                f"The field weights has {len(action.weights)} entries for {len(queues)} queues.", "weights"
            )
        return self._first(action, queues, now)

    def _first(self, action: a.ReceiveFromQueues, queues: list[Queue], now: int) -> Outcome:
        """From the first that has any. What happens on the way there (what expires, or moves) happens."""
        events: tuple[Any, ...] = ()
        full: list[Queue] = []
        problem: RopewayError | None = None
        for index in self._order(action):
            one = a.ReceiveMessage(
                queue=action.queues[index],
                max_messages=action.max_messages,
                wait=0,
                visibility_timeout=action.visibility_timeout,
            )
            outcome = self._receiving.receive(one, now)
            if isinstance(outcome, Needs):
                return msgspec.structs.replace(outcome, events=(*events, *outcome.events))
            if isinstance(outcome, Decision):
                events += outcome.events
                if outcome.answer:
                    return Decision({"queue": index, "messages": outcome.answer}, events, outcome.ahead)
                if any(isinstance(event, MessagesMoved) for event in outcome.events):
                    # The next queue may have the same dead-letter queue, and is decided when these are there.
                    return go_on(queues[index], events)
            elif isinstance(outcome, OverLimit):
                full.append(queues[index])
                problem = outcome
            else:
                assert isinstance(outcome, RopewayError)
                return outcome
        return self._nothing(action, queues, full, problem, events, now)

    def _order(self, action: a.ReceiveFromQueues) -> list[int]:
        order = list(range(len(action.queues)))
        if action.weights is None:
            return order
        # The k-th root of an even number in 0 to 1: the higher the weight k, the nearer to 1. The highest is
        # first with a chance of its weight among all, and so on among the rest.
        drawn = self._entropy(8 * len(order))
        even = [(int.from_bytes(drawn[8 * at : 8 * at + 8], "big") + 1) / 2**64 for at in order]
        keys = [number ** (1 / weight) for number, weight in zip(even, action.weights, strict=True)]
        return sorted(order, key=lambda at: -keys[at])

    def _nothing(
        self,
        action: a.ReceiveFromQueues,
        queues: list[Queue],
        full: list[Queue],
        problem: RopewayError | None,
        events: tuple[Any, ...],
        now: int,
    ) -> Outcome:
        wait = action.wait
        if wait is None:
            wait = max(queue.attributes.receive_wait_time for queue in queues)
        if not wait:
            return problem if problem is not None and not events else Decision(_NOTHING, events)
        self._registry.full.update(queue.number for queue in full)
        key, *others = dict.fromkeys(queue.number for queue in queues)
        return Wait(key, now + wait, _NOTHING, events, tuple(others))
