"""What must be true, and of every answer, whether it is.

The checker stands at the seam between kernel and service, and hears of each call when it is decided,
with the answer it is going to get. So it knows the order of things exactly, keeps a model of the queues
in that order, and holds each answer against the model. When a daemon dies, what its journal holds is a
beginning of that order: the rest is undone in the model, and nothing of the rest may have been
acknowledged.

A call that fails with ServiceUnavailable is no answer: it may or may not have happened, and the journal
tells.
"""

from __future__ import annotations

from typing import Any

from ropewayd.queues import actions as a
from ropewayd.queues.settings import QueueLimits
from tests.simulation.line import SLACK, Op, Violation, require
from tests.simulation.model import Model


def operations(op: Op) -> int:
    """How many a call is: one for each message that it sends, is given, deletes or changes; one for any
    other."""
    action = op.action
    if isinstance(action, a.ReceiveMessage):
        return len(op.answer) if isinstance(op.answer, list) and op.answer else 1
    return len(getattr(action, "entries", ())) or len(getattr(action, "handles", ())) or 1


class Checker:
    """The log of what was decided, and the model after it. See the module."""

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self.log: list[Op] = []
        """What was decided since the store's owner began."""
        self.model = Model(limits)
        self._before = Model(limits)
        """The model as of then, and the events that were durable."""
        self._durable = 0
        self.acknowledged = 0
        self.operations = 0
        """Acknowledged, counted as `operations` says."""
        self.undone = 0

    def waits(self, op: Op) -> None:
        """A receive was decided to wait."""
        if not op.zombie:
            self.model.check_nothing_to_give(op)

    def decided(self, op: Op, answer: Any, now: int, events: int, needed: int) -> None:
        """`needed` counts the events of the whole history, those of this call included."""
        require(op.decided_at is None, op, "a call is decided once")
        require(not (op.abandoned and answer), op, "whoever asked is gone, and messages are swallowed")
        op.answer, op.decided_at, op.events, op.needed = answer, now, events, needed
        if op.zombie:
            return
        self.log.append(op)
        self.model.take(op)

    def moved(self, op: Op, now: int, events: int, needed: int) -> None:
        """Messages move to another queue in the course of a call, answered or not."""
        op.decided_at, op.events, op.needed = now, events, needed
        if not op.zombie:
            self.log.append(op)
            self.model.take(op)

    def timed_out(self, op: Op, answer: Any, now: int, needed: int) -> None:
        """A long poll gets its answer for want of a message."""
        require(op.asked_at is not None, op, "only a call that waits can time out")
        assert op.asked_at is not None
        shortest, longest = op.action.wait, op.action.wait
        if shortest is None or longest is None:
            shortest, longest = 0, a.MAX_WAIT  # the queue's own, which may have changed since
        require(answer == [], op, "a long poll that is over gives nothing")
        if not op.stopped and not op.hurried:
            waited = now - op.asked_at
            require(
                shortest <= waited <= longest + SLACK, op, f"a long poll of {longest} ms ends after {waited}"
            )
        self.decided(op, answer, now, 0, needed)

    def delivered(self, op: Op, answer: Any, durable: int) -> None:
        """The answer leaves for the client."""
        require(not op.delivered, op, "a call is answered once")
        op.delivered = True
        require(op.decided_at is not None and answer is op.answer, op, "the answer is what was decided")
        require(
            durable >= op.needed,
            op,
            f"an answer before the commit: it stands on {op.needed} events, {durable} are on disk",
        )
        require(not (op.zombie and op.events), op, "acknowledged by a daemon whose store has a new owner")
        self.acknowledged += 1
        self.operations += operations(op)

    def restarted(self, durable: int) -> None:
        """The store has a new owner: what is durable now is what has happened."""
        if durable < self._durable:
            raise Violation(f"{self._durable} events were on disk, and now there are {durable}")
        kept: list[Op] = []
        for op in self.log:
            require(not op.needed - op.events < durable < op.needed, op, "half an action is on disk")
            if op.needed <= durable:
                kept.append(op)
            else:
                require(
                    not op.delivered, op, f"acknowledged and lost: {op.needed} events, {durable} are on disk"
                )
                op.zombie = True
                self.undone += 1
        if len(kept) < len(self.log):
            self.model = self._before
            for op in kept:
                self.model.take(op)
        self.log = []
        self._before, self._durable = self.model.copy(), durable
