"""Replays: a subscription gets again what its topic's archive holds of a time.

Rule 1  A replay goes in small steps, at a pace that the wheel keeps. A step delivers and counts itself in one
        commit: so a restart goes on where the journal ends, and nothing is delivered twice.
Rule 2  While it runs, the subscription gets nothing that is published: the replay comes to it in its turn.
        When nothing is left, the subscription gets what is published from then on, up to the replay's end if
        it has one.
Rule 3  It ends when nothing is left (Completed), or with its archive (Failed).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ropewayd.kernel.service import Decision, Needs, Outcome
from ropewayd.queues import hidden
from ropewayd.queues.actions import PeekMessages
from ropewayd.queues.fanning import Fanning
from ropewayd.queues.movetask import step
from ropewayd.queues.peeking import Peeking
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import InvalidParameterValue, OverLimit, RopewayError

from . import actions as a
from . import archive
from . import events as e
from .publishing import Publishing
from .records import COMPLETED
from .registry import Registry
from .topic import Topic

STEP_BYTES = 1 << 20
"""About how much one step delivers at most."""


class Pace(msgspec.Struct, gc=False, frozen=True):
    """What the wheel gives back when a replay is to take its next step."""

    number: int
    id: bytes


def started(
    registry: Registry, topic: Topic, id_: bytes, given: Mapping[str, Any], now: int, *, fresh: bool
) -> tuple[e.ReplayStarted, ...] | RopewayError:
    """The event that begins the replay that new attributes ask for. `fresh`: none is
    under way there."""
    policy = given.get("replay_policy")
    if policy is None:
        return ()
    field = "attributes.replay_policy"
    if not topic.archive:
        return InvalidParameterValue(
            "It cannot be replayed. Reason: ReplayPolicy: the topic does not have an ArchivePolicy", field
        )
    end = policy.get("ending_point")
    if end is not None and end <= policy["starting_point"]:
        return InvalidParameterValue(
            "It cannot be replayed. Reason: ReplayPolicy: EndingPoint must be after StartingPoint", field
        )
    if fresh and len(registry.replays) >= registry.limits.max_replays:
        return OverLimit(
            f"There are {registry.limits.max_replays} replays under way, and that is the limit.", "replay"
        )
    return (e.ReplayStarted(topic.number, id_, now, policy["starting_point"], end),)


class Replaying:
    """Decides the steps."""

    def __init__(self, registry: Registry, fanning: Fanning, publishing: Publishing) -> None:
        self._registry = registry
        self._peeking = Peeking(fanning.registry)
        self._publishing = publishing

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {a.Replay: self.replay}

    def pace(self) -> tuple[int, int]:
        """(messages of one step, milliseconds to the next)."""
        return step(self._registry.limits.replay_rate)

    def next_step(self, pace: Pace) -> a.Replay | None:
        """What is to be done now that its time has come, if it still goes on."""
        found = self._registry.running(pace.number, pace.id)
        if found is None:
            return None
        topic, subscription = found
        assert subscription.replay is not None
        subscription.pace = None
        look = PeekMessages(
            queue=hidden.called(topic.archive), limit=self.pace()[0], after=subscription.replay.after
        )
        return a.Replay(number=pace.number, id=pace.id, look=look)

    def replay(self, action: a.Replay, now: int) -> Outcome:
        """The next step."""
        found = self._registry.running(action.number, action.id)
        if found is None:
            return Decision(None)
        topic, subscription = found
        replay = subscription.replay
        assert replay is not None
        if replay.after != action.look.after:
            return Decision(None)  # another step was faster
        looked = self._peeking.peek(action.look, now)
        if not isinstance(looked, Decision):
            return looked
        bodies, after, over = _cut(looked.answer["messages"], replay.start, replay.end)
        following = looked.answer["next"] if after is None else after
        notes = [archive.restored(topic, body) for body in bodies]
        events = self._publishing.replayed(topic, subscription, notes, now)
        if isinstance(events, Needs):
            return events
        if over or following is None:
            return Decision(None, (*events, e.ReplayEnded(topic.number, subscription.id, COMPLETED)))
        return Decision(None, (*events, e.ReplayMoved(topic.number, subscription.id, now, following)))


def _cut(messages: list[dict[str, Any]], start: int, end: int | None) -> tuple[list[bytes], int | None, bool]:
    """What of a page is delivered in one step; up to which sequence, where that is not all of it; and whether
    the end was seen."""
    bodies: list[bytes] = []
    size = 0
    for message in messages:
        at = archive.sent_at(message["body"])
        if end is not None and at > end:
            return bodies, None, True
        if at >= start:
            bodies.append(message["body"])
            size += message["size"]
            if size >= STEP_BYTES and message is not messages[-1]:
                return bodies, int(message["sequence"]), False
    return bodies, None, False
