"""What clients do to a queue besides its messages: tags and permissions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ropewayd.queues import actions as a
from ropewayd.vocabulary.errors import InvalidParameterValue
from tests.simulation.line import Line, Op, require

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = (
    a.TagQueue,
    a.UntagQueue,
    a.ListQueueTags,
    a.AddPermission,
    a.RemovePermission,
)


def check(op: Op, queue: Line) -> None:
    """Hold the answer against the queue, and do what it says."""
    table: dict[Any, Callable[[Op, Line], None]] = {
        a.TagQueue: _tag,
        a.UntagQueue: _untag,
        a.ListQueueTags: _tags,
        a.AddPermission: _add_permission,
        a.RemovePermission: _remove_permission,
    }
    table[type(op.action)](op, queue)


def check_policy(op: Op, queue: Line) -> None:
    """What the attributes tell of permissions."""
    policy = op.answer.get("policy")
    told = [] if policy is None else [each["Sid"] for each in json.loads(policy)["Statement"]]
    require(told == queue.labels, op, f"the permissions are {queue.labels}")


def _tag(op: Op, queue: Line) -> None:
    require(op.answer == {}, op, "the queue can be tagged")
    queue.tags |= op.action.tags


def _untag(op: Op, queue: Line) -> None:
    require(op.answer == {}, op, "tags can be taken away")
    for key in op.action.keys:
        queue.tags.pop(key, None)


def _tags(op: Op, queue: Line) -> None:
    require(op.answer == queue.tags, op, f"the tags are {queue.tags}")


def _add_permission(op: Op, queue: Line) -> None:
    if op.action.label in queue.labels:
        require(isinstance(op.answer, InvalidParameterValue), op, "there is such a permission")
        return
    require(op.answer == {}, op, "the permission can be given")
    queue.labels.append(op.action.label)
    _modified(op, queue)


def _remove_permission(op: Op, queue: Line) -> None:
    if op.action.label not in queue.labels:
        require(isinstance(op.answer, InvalidParameterValue), op, "there is no such permission")
        return
    require(op.answer == {}, op, "the permission can be taken back")
    queue.labels.remove(op.action.label)
    _modified(op, queue)


def _modified(op: Op, queue: Line) -> None:
    assert op.decided_at is not None
    queue.modified_at = op.decided_at
