"""Queues as such: made, listed, described, changed, emptied, deleted. State is read, never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ropewayd.kernel.service import Decision, Outcome
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
    OverLimit,
    PurgeQueueInProgress,
    QueueDeletedRecently,
    QueueNameExists,
    RopewayError,
)
from ropewayd.vocabulary.names import Scope, page

from . import actions as a
from . import events as e
from .attributes import read_attributes, same_value, settle_attributes
from .fifo import attributes_problem, name_problem, shown
from .message import DELAYED
from .owning import check_tags
from .recent import Recent
from .records import MAX_NUMBER
from .redrive import Redrive
from .registry import Registry, missing

_DEFAULTS = a.QueueAttributes()


class Administration:
    """Decides what is asked of a queue as a whole."""

    def __init__(self, registry: Registry, entropy: Callable[[int], bytes]) -> None:
        self._registry = registry
        self._queues, self._find = registry.by_name, registry.find
        self._limits = registry.limits
        self._entropy = entropy
        self._redrive = Redrive(registry)
        self._purged = Recent(registry.limits.purge_interval)
        self._deleted = Recent(registry.limits.recreate_interval)

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {
            a.CreateQueue: self.create,
            a.DeleteQueue: self.delete_queue,
            a.ListQueues: self.list_queues,
            a.GetQueueAttributes: self.attributes,
            a.SetQueueAttributes: self.set_attributes,
            a.PurgeQueue: self.purge,
            a.Found: self.found,
            a.ListDeadLetterSourceQueues: self.list_sources,
        }

    def create(self, action: a.CreateQueue, now: int) -> Outcome:
        scope, name = self._registry.place(action.queue)
        given = read_attributes(action.attributes)
        if isinstance(given, RopewayError):
            return given
        given = self._redrive.named(scope, given)
        problem = name_problem(name, given.get("fifo", False)) or attributes_problem(given, None)
        if problem is not None:
            return problem
        called = scope.called(name, self._registry.home)
        answer = {"queue": called, "arn": scope.queue_arn(name), "created": False}
        queue = self._queues.get(called)
        if queue is not None:
            for attribute, value in given.items():
                if not same_value(attribute, getattr(queue.attributes, attribute), value):
                    return QueueNameExists(
                        f"The queue {name} exists with a different value for the attribute {attribute}.",
                        f"attributes.{attribute}",
                    )
            return Decision(answer)
        if len(self._queues) >= self._limits.max_queues:
            return OverLimit(f"There are {self._limits.max_queues} queues, and that is the limit.", "queue")
        problem = self._redrive.problem(scope, name, given)
        if problem is not None:
            return problem
        problem = check_tags(action.tags)
        if problem is not None:
            return problem
        if self._deleted.within(called, now):
            return QueueDeletedRecently(
                f"You must wait {self._deleted.seconds} seconds after deleting a queue before you can create "
                "another with the same name.",
                "queue",
            )
        given = settle_attributes(given, _DEFAULTS)
        if isinstance(given, RopewayError):
            return given
        number = self._registry.next_number
        if number > MAX_NUMBER:
            return OverLimit("This store has no queue numbers left: move to a new one.", "queue")
        full = msgspec.to_builtins(msgspec.structs.replace(_DEFAULTS, **given))
        answer["created"] = True
        return Decision(answer, (e.QueueCreated(number, name, now, full, *scope, action.tags or None),))

    def delete_queue(self, action: a.DeleteQueue, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        self._deleted.happened(queue.scope.called(queue.name, self._registry.home), now)
        return Decision({}, (e.QueueDeleted(queue.number, now),))

    def list_queues(self, action: a.ListQueues, now: int) -> Outcome:
        home = self._registry.home
        scope = Scope(action.account or home.account, action.region or home.region)
        names = self._registry.names.get(scope, [])
        return self._listed(scope, page(names, action.prefix, action.after, action.limit))

    def _listed(self, scope: Scope, found: tuple[list[str], str | None]) -> Outcome:
        """A page of these names."""
        names, more = found
        return Decision({"queues": [scope.called(name, self._registry.home) for name in names], "next": more})

    def list_sources(self, action: a.ListDeadLetterSourceQueues, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        names = self._registry.sources.of(queue)
        return self._listed(queue.scope, page(names, "", action.after, action.limit))

    def attributes(self, action: a.GetQueueAttributes, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        told = shown(msgspec.to_builtins(queue.attributes))
        answer = {attribute: value for attribute, value in told.items() if value is not None}
        answer["arn"] = queue.arn
        answer["created_at"] = queue.created_at
        answer["modified_at"] = queue.modified_at
        answer["visible"] = queue.visible
        answer["in_flight"] = queue.in_flight
        answer["delayed"] = queue.delayed
        return Decision(answer)

    def set_attributes(self, action: a.SetQueueAttributes, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        given = read_attributes(action.attributes)
        if isinstance(given, RopewayError):
            return given
        given = self._redrive.named(queue.scope, given)
        problem = attributes_problem(given, queue.attributes) or self._redrive.problem(
            queue.scope, queue.name, given
        )
        if problem is not None:
            return problem
        given = settle_attributes(given, queue.attributes)
        if isinstance(given, RopewayError):
            return given
        changed = {k: v for k, v in given.items() if getattr(queue.attributes, k) != v}
        if not changed:
            return Decision({})
        # That there was a change must show: ids that were accepted before keep their scope (screening.py).
        at = max(now, queue.modified_at, queue.created_at + ("deduplication_scope" in changed))
        set_ = e.AttributesSet(queue.number, at, msgspec.to_builtins(changed))
        if queue.groups is None or "delay" not in changed:
            return Decision({}, (set_,))
        # On a FIFO queue a new delay counts for what is delayed already.
        delayed = [m for m in queue.messages.values() if m.state == DELAYED]
        deadlines = [m.sent_at + changed["delay"] for m in delayed]
        shifted = e.VisibilityChanged(queue.number, now, [m.sequence for m in delayed], deadlines)
        return Decision({}, (set_, shifted) if delayed else (set_,))

    def purge(self, action: a.PurgeQueue, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        if self._purged.within(queue.number, now):
            return PurgeQueueInProgress(
                f"Only one PurgeQueue operation on {queue.name} is allowed every {self._purged.seconds} "
                "seconds.",
                "queue",
            )
        self._purged.happened(queue.number, now)
        if not queue.live and queue.ids is None:
            return Decision({})
        return Decision({}, (e.QueuePurged(queue.number, now, queue.next_sequence - 1),))

    def found(self, action: a.Found, now: int) -> Outcome:
        if self._registry.handle_key is not None:
            return Decision(None)
        return Decision(None, (e.StoreFounded(self._entropy(32)),))
