"""The service that tells of deliveries: it has no state and no events, and looks into the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ropewayd.kernel.service import Decision, Outcome, Wait
from ropewayd.kernel.stateless import Stateless
from ropewayd.topics.service import Topics
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import RopewayError

from . import actions as a
from .status_log import StatusLog


class News(NamedTuple):
    """What a call waits for that follows a topic's log. Whoever waits for one is served by every entry that
    feeds it: those who want failures alone have a line of their own."""

    topic: int
    failed: bool


class Deliveries(Stateless):
    """See the module."""

    name = "deliveries"

    def __init__(self, topics: Topics, log: StatusLog) -> None:
        self._topics = topics
        self._log = log

    def follow(self, feed: Callable[[News], object]) -> None:
        """From now on `feed` is told whom each new entry serves. One may come from within a decision, so the
        kernel is to serve them afterwards."""

        def told(topic: int, failed: bool) -> None:
            feed(News(topic, False))
            if failed:
                feed(News(topic, True))

        self._log.told = told

    def deciders(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {a.ListDeliveries: self._list}

    def _list(self, action: a.ListDeliveries, now: int) -> Outcome:
        topic = self._topics.find(action.topic)
        if isinstance(topic, RopewayError):
            return topic
        found, more = self._log.page(
            topic.number, failed=action.failed, after=action.after, limit=action.limit
        )
        answer = {"deliveries": msgspec.to_builtins(found), "next": more}
        if found or not action.wait:
            return Decision(answer)
        # What no entry has reached yet would hold up those who wait behind it: no entry serves that.
        late = action.after > self._log.last
        return Wait(News(0 if late else topic.number, action.failed), now + action.wait, answer)

    def recovered(self, now: int) -> None:
        """The log is empty, and its numbers go on."""
        self._log.open()
