"""What clients do to a queue besides its messages (tags, permissions), and how they look at it (peeks)."""

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
    a.PeekMessages,
)


def check(op: Op, queue: Line) -> None:
    """Hold the answer against the queue, and do what it says."""
    table: dict[Any, Callable[[Op, Line], None]] = {
        a.TagQueue: _tag,
        a.UntagQueue: _untag,
        a.ListQueueTags: _tags,
        a.AddPermission: _add_permission,
        a.RemovePermission: _remove_permission,
        a.PeekMessages: _peek,
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


def _peek(op: Op, queue: Line) -> None:
    """Each message that is shown is there, as it is."""
    require(isinstance(op.answer, dict), op, "a look gives messages")
    shown = op.answer["messages"]
    require(len(shown) <= op.action.limit, op, "no more than were asked for")
    places = [each["sequence"] for each in shown]
    require(places == sorted(set(places)), op, "they come in order, each once")
    for each in shown:
        held = queue.messages.get(each["body"])
        require(held is not None and held.id == each["id"], op, f"{each['body']!r} is not there")
        assert held is not None
        told = (each["sent_at"], each["receive_count"], each["first_received_at"] or 0)
        must = (held.sent_at, held.receive_count, held.first_received_at)
        require(told == must, op, f"told {told}, but it is {must}")
