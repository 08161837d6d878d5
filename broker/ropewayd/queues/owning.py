"""What a queue's owner writes on it beside its attributes: tags, and permissions for other accounts.

State is read, never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ropewayd.kernel.service import Decision, Outcome
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import InvalidParameterValue, RopewayError

from . import actions as a
from . import events as e
from .policy import forbid, permit
from .queue import Queue
from .registry import Registry, missing

MAX_TAGS = 50


def check_tags(tags: Mapping[str, str], field: str = "tags") -> RopewayError | None:
    """What types cannot state of a queue's tags, all together."""
    for key in tags:
        if key[:4].lower() == "aws:":
            return InvalidParameterValue(
                f"The tag {key!r} is not valid: a key does not begin with aws:.", field
            )
    if len(tags) > MAX_TAGS:
        return InvalidParameterValue(
            f"The queue would have {len(tags)} tags; it takes at most {MAX_TAGS}.", field
        )
    return None


class Owning:
    """Decides tags and permissions."""

    def __init__(self, registry: Registry) -> None:
        self._queues, self._find = registry.by_name, registry.find

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {
            a.TagQueue: self.tag,
            a.UntagQueue: self.untag,
            a.ListQueueTags: self.tags,
            a.AddPermission: self.add_permission,
            a.RemovePermission: self.remove_permission,
        }

    def tag(self, action: a.TagQueue, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        tags = {**(queue.tags or {}), **action.tags}
        problem = check_tags(tags)
        return self._tagged(queue, tags, now) if problem is None else problem

    def untag(self, action: a.UntagQueue, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        gone = set(action.keys)
        return self._tagged(queue, {k: v for k, v in (queue.tags or {}).items() if k not in gone}, now)

    def _tagged(self, queue: Queue, tags: dict[str, str], now: int) -> Outcome:
        return Decision({}, () if tags == (queue.tags or {}) else (e.QueueTagged(queue.number, now, tags),))

    def tags(self, action: a.ListQueueTags, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        return missing(action.queue) if queue is None else Decision(dict(queue.tags or {}))

    def add_permission(self, action: a.AddPermission, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        policy = permit(queue.attributes.policy, queue.arn, action.label, action.accounts, action.actions)
        if isinstance(policy, RopewayError):
            return policy
        return Decision({}, (e.AttributesSet(queue.number, now, {"policy": policy}),))

    def remove_permission(self, action: a.RemovePermission, now: int) -> Outcome:
        queue = self._queues.get(action.queue) or self._find(action.queue)
        if queue is None:
            return missing(action.queue)
        policy = forbid(queue.attributes.policy, action.label)
        if isinstance(policy, RopewayError):
            return policy
        return Decision({}, (e.AttributesSet(queue.number, now, {"policy": policy}),))
