"""What time does to messages: they become visible, or expire. State is read, never changed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any

from ropewayd.kernel.service import Decision, Outcome
from ropewayd.store.protocol import Record
from ropewayd.vocabulary.action import Action

from . import actions as a
from . import delays as d
from . import events as e
from .groups import Groups
from .message import VISIBLE, Message
from .paging import next_page
from .queue import Queue
from .registry import Registry


class Waking:
    """Decides what the daemon's own timers ask for."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._limits = registry.limits

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {a.Wake: self.wake, a.Expire: self.expire, a.BringNear: self.bring_near}

    def wake(self, action: a.Wake, now: int) -> Outcome:
        """Whatever is due, in one event a queue; past its retention it expires instead.

        A message can be named by two leases that are due: by the one it has, and by one that it has left.
        """
        returned: dict[int, dict[int, Message]] = {}
        expired: dict[int, dict[int, Message]] = {}
        for number, sequences in action.due:
            queue = self._registry.by_number.get(number)
            if queue is None:
                continue
            horizon = now - queue.attributes.retention_period
            for sequence in sequences:
                message = queue.messages.get(sequence)
                if message is None or message.state == VISIBLE or message.deadline > now:
                    continue
                if message.lease is None:
                    continue  # it is on its way to the disk, and comes back from there
                into = expired if message.sent_at <= horizon else returned
                into.setdefault(number, {})[sequence] = message
        events: list[Any] = [e.MessagesReturned(number, list(s)) for number, s in returned.items()]
        events += [e.expired(number, s.values()) for number, s in expired.items()]
        return Decision(None, tuple(events))

    def bring_near(self, action: a.BringNear, now: int) -> Outcome:
        """What was read is taken, and if nothing was, what is due first is read."""
        number = action.number
        queue = self._registry.by_number.get(number)
        if queue is None or queue.delays is None:
            return Decision(None)
        if queue.delays.read:
            return Decision(None, tuple(d.neared(queue.delays, chunk) for chunk in queue.delays.read))
        chunks = queue.delays.due(now + d.ahead(self._registry.memory))
        if not chunks:
            return Decision(None)

        def fill(records: list[Record]) -> None:
            queue = self._registry.by_number.get(number)
            if queue is not None and queue.delays is not None:
                queue.delays.fill(chunks, records)

        return d.reading(queue.delays, chunks, fill)

    def expire(self, action: a.Expire, now: int) -> Outcome:
        """The oldest visible messages, a page at a time; invisible ones are asked when they wake.

        Of what is on disk alone the oldest is read, and a page only if that one is past its retention.
        """
        queue = self._registry.by_number.get(action.number)
        if queue is None or not queue.live:
            return Decision(None)
        horizon = now - queue.attributes.retention_period
        if queue.groups is not None:
            return self._expire_groups(queue, queue.groups, horizon)
        seen = queue.ready.first(self._limits.page_messages)
        if queue.on_disk and (not seen or seen[0].sequence > queue.paged_through):
            return next_page(self._registry, queue, 1)
        if queue.mixed:
            gone = [m for m in seen if m.sent_at <= horizon]
        else:
            gone = seen[: bisect_right(seen, horizon, key=lambda m: m.sent_at)]
        if gone and queue.on_disk and (len(seen) == 1 or seen[1].sequence > queue.paged_through):
            return next_page(self._registry, queue, self._limits.page_messages)
        return Decision(None, (e.expired(queue.number, gone),) if gone else ())

    def _expire_groups(self, queue: Queue, groups: Groups, horizon: int) -> Outcome:
        """Likewise. What is blocked is asked when it is not any more."""
        gone = groups.past(horizon, self._limits.page_messages)
        oldest = groups.oldest()
        unseen = (
            not queue.in_flight + queue.delayed if oldest is None else oldest.sequence > queue.known_through
        )
        if queue.has_page and unseen:
            return next_page(self._registry, queue, 1)
        if len(gone) == 1 and queue.has_page:
            return next_page(self._registry, queue, self._limits.page_messages)
        known = [m for m in gone if m.sequence <= queue.known_through]
        return Decision(None, (e.expired(queue.number, known),) if known else ())
