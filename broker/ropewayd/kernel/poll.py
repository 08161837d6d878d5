"""Long polls: calls that wait for an event, in the order they came, each with the time it gives up.

A poll is no state: it is in no journal, and a restart forgets it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec

from ropewayd.vocabulary.action import Action

from .batch import Reply
from .wheel import Timer, Wheel


class Poll(msgspec.Struct, gc=False, eq=False):
    """One waiting call. `answer` is what it gets when its time is up. It stands in the line of each key."""

    action: Action
    reply: Reply
    key: object
    answer: Any
    timer: Timer | None = None
    others: tuple[object, ...] = ()


class Polls:
    """See the module. The wheel's timers hold the reply, not the poll, so that there is no cycle."""

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel
        self._by_key: dict[object, OrderedDict[Poll, None]] = {}
        self._by_reply: dict[Reply, Poll] = {}

    def __len__(self) -> int:
        return len(self._by_reply)

    def add(self, poll: Poll, until: int) -> None:
        assert poll.reply not in self._by_reply
        poll.timer = self._wheel.add(until, self, poll.reply)
        for key in (poll.key, *poll.others):
            self._by_key.setdefault(key, OrderedDict())[poll] = None
        self._by_reply[poll.reply] = poll

    def first(self, key: object) -> Poll | None:
        """Whoever has waited longest for this key."""
        line = self._by_key.get(key)
        return next(iter(line)) if line else None

    def remove(self, poll: Poll) -> None:
        del self._by_reply[poll.reply]
        for key in (poll.key, *poll.others):
            line = self._by_key[key]
            del line[poll]
            if not line:
                del self._by_key[key]
        if poll.timer is not None:
            self._wheel.cancel(poll.timer)

    def forget(self, reply: Reply) -> None:
        """Remove the poll of this reply, if there is one."""
        poll = self._by_reply.get(reply)
        if poll is not None:
            self.remove(poll)

    def expired(self, replies: list[Reply]) -> list[Poll]:
        """Remove and give those whose time is up."""
        polls = [self._by_reply[reply] for reply in replies if reply in self._by_reply]
        for poll in polls:
            self.remove(poll)
        return polls

    def clear(self) -> list[Poll]:
        """Remove and give all."""
        polls = list(self._by_reply.values())
        for poll in polls:
            self.remove(poll)
        return polls
