"""What is published to an endpoint itself: it waits in a hidden queue of its application, which is made for
the first message and goes with the application. State is read only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ropewayd.kernel.service import Decision, Outcome
from ropewayd.queues.fanning import Fanning
from ropewayd.queues.keeping import Keeping
from ropewayd.queues.message import size_of
from ropewayd.topics.actions import PublishEntry
from ropewayd.topics.message_attributes import check_message_attributes
from ropewayd.topics.notification import Notification, bodies_of
from ropewayd.topics.publishing import DEFAULT_SIZE
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
    InvalidMessageContents,
    InvalidParameterValue,
    NotFound,
    RopewayError,
)

from . import actions as a
from . import events as e
from .registry import Registry


class Publishing:
    """Decides what is published to endpoints. `entropy(n)` gives n unguessable bytes."""

    def __init__(self, registry: Registry, fanning: Fanning, entropy: Callable[[int], bytes]) -> None:
        self._registry = registry
        self._keeping = Keeping(fanning, entropy)
        self._entropy = entropy

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {a.PublishToEndpoint: self.publish}

    def publish(self, action: a.PublishToEndpoint, now: int) -> Outcome:
        found = self._registry.endpoint(action.target)
        if isinstance(found, NotFound):
            return _missing()
        if isinstance(found, RopewayError):
            return InvalidParameterValue(found.message, "target")
        application, endpoint = found
        if not endpoint.enabled:
            return a.EndpointDisabled("Endpoint is disabled", "target")
        note = _read(action)
        if isinstance(note, RopewayError):
            return note
        note.id = self._entropy(16)
        # The envelope is as a topic's, and the endpoint stands in it where a topic would.
        waiting = note.waiting(action.target, application.platform, now)
        name, made = f"pushes {application.number}", partial(e.PushQueueMade, application.number)
        events = self._keeping.put(application.queue, waiting, now, name, made)
        return events if isinstance(events, RopewayError) else Decision({"id": note.id}, events)


def _read(action: a.PublishToEndpoint) -> Notification | RopewayError:
    """The message, checked."""
    if not action.body:
        return InvalidMessageContents("The field body is empty; it has at least one character.", "body")
    if action.attributes:
        problem = check_message_attributes(action.attributes, "attributes")
        if problem is not None:
            return problem
    size = size_of(action.body, action.attributes)
    if size > DEFAULT_SIZE:
        return InvalidParameterValue(
            f"The field body counts {size} bytes with its attributes; a message takes at most "
            f"{DEFAULT_SIZE}.",
            "body",
        )
    entry = PublishEntry(action.body, action.subject, action.attributes, action.structure)
    bodies = bodies_of(entry, "body")
    return bodies if isinstance(bodies, RopewayError) else Notification(entry, bodies)


def _missing() -> InvalidParameterValue:
    """In AWS's words."""
    return InvalidParameterValue(
        "It cannot be published. Reason: No endpoint found for the target arn specified", "target"
    )
