"""Fair queues: the visible messages of a standard queue some of whose messages have groups, its tenants.

Rule 1  A tenant is noisy while it has at least `LEAST` messages in flight and more than a tenth of the
        queue's; or when more than a tenth of what consumers did in the last minute was its, and at least
        `LEAST_TIME` of it. A message without a group is a tenant of its own, and quiet.
Rule 2  A noisy tenant's messages are received only when no quiet tenant has one: among what is in memory.
Rule 3  Nobody noisy: the order is that of sending, as in any other queue.

The tenants' messages stand in an index beside the order of all; what leaves that order some other way leaves
the index when somebody comes across it, or when there is more of that than of anything else. So a receive
costs what it returns. Nothing of this is state.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from .message import VISIBLE, Message
from .processing import Processing
from .ready import Ready, up_to

LEAST = 30
LEAST_TIME = 30_000
"""Milliseconds of one message in flight. AWS names no such bound; without it a queue's first two tenants
would take turns from their first message on."""
SHARE = 10
"""One in so many."""


def tenant(message: Message) -> str | None:
    """Its group, if it has one."""
    return None if message.system is None else message.system.group


class Fair(Ready):
    """See the module."""

    __slots__ = ("_all", "_flying", "_indexed", "_long", "_loud", "_room", "_tenants")

    def __init__(self, visible: Iterable[Message], flying: Iterable[Message], now: int) -> None:
        """`visible` in order of sequence."""
        line = list(visible)
        super().__init__(line)
        self._tenants: OrderedDict[str | None, deque[Message]] = OrderedDict()
        self._indexed = 0
        self._all = Processing(now)
        self._flying: dict[str, Processing] = {}
        self._room = 64
        """Tenants from which on those are forgotten of which nothing was in flight lately."""
        self._loud: set[str] = set()
        """Those with at least `LEAST` in flight."""
        self._long: set[str] = set()
        """Those that may have had more than their share of the consumers' time."""
        for message in line:
            self._index(message)
        self.fly(flying, now)

    # What is in flight

    def fly(self, messages: Iterable[Message], now: int) -> None:
        """These are in flight from now on."""
        flying, every = self._flying, self._all
        for message in messages:
            every.fly(1, now)
            group = tenant(message)
            if group is not None:
                its = flying.get(group)
                if its is None:
                    its = flying[group] = Processing(now)
                its.fly(1, now)
                if its.flying == LEAST:
                    self._loud.add(group)
                if its.flying * SHARE > every.flying:
                    self._long.add(group)

    def land(self, message: Message, now: int) -> None:
        """It is in flight no more."""
        self._all.fly(-1, now)
        group = tenant(message)
        if group is None:
            return
        its = self._flying[group]
        its.fly(-1, now)
        if its.flying == LEAST - 1:
            self._loud.discard(group)
        if its.recent(now) * SHARE > self._all.recent(now):
            self._long.add(group)
        if not its.flying and len(self._flying) > self._room:
            self._forget(now)

    def _forget(self, now: int) -> None:
        """There may be many tenants of which nothing was in flight lately."""
        self._flying = {group: its for group, its in self._flying.items() if its.flying or its.recent(now)}
        self._long.intersection_update(self._flying)
        self._room = 64 + 2 * len(self._flying)

    def noisy(self, in_flight: int, now: int) -> set[str]:
        """The tenants that are noisy while so many messages of the queue are in flight."""
        flying, every = self._flying, self._all
        found = {group for group in self._loud if flying[group].flying * SHARE > in_flight}
        took = every.recent(now) if self._long else 0
        for group in list(self._long):
            its = flying[group]
            recent = its.recent(now)
            if recent * SHARE <= took and its.flying * SHARE <= every.flying:
                self._long.discard(group)
            elif recent >= LEAST_TIME and recent * SHARE > took:
                found.add(group)
        return found

    # What is visible

    def add(self, message: Message) -> None:
        super().adding()(message)
        self._index(message)

    def adding(self) -> Callable[[Message], None]:
        return self.add

    def put_back(self, message: Message) -> None:
        super().put_back(message)
        self._index(message)

    def put_page(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.put_back(message)

    def _index(self, message: Message) -> None:
        group = tenant(message)
        line = self._tenants.get(group)
        if line is None:
            line = self._tenants[group] = deque()
        line.append(message)
        self._indexed += 1
        if self._indexed > 64 and self._indexed > 2 * len(self):
            self._renew()

    def _renew(self) -> None:
        """Most of the index is of messages that have left."""
        self._tenants.clear()
        self._indexed = 0
        for message in self:
            self._tenants.setdefault(tenant(message), deque()).append(message)
            self._indexed += 1

    def next(self, count: int, through: int, in_flight: int, now: int) -> list[Message]:
        """What a receive should look at, at most `count`: the quiet tenants' messages in turn, wherever they
        stand, then the noisy ones' up to `through`; in order of sequence if nobody is noisy."""
        noisy = self.noisy(in_flight, now)
        if not noisy:
            return up_to(through, self.first(count))
        found: dict[int, Message] = {}
        turn, depth = self._turn(count, noisy), 0
        while turn and len(found) < count:
            turn = [line for line in turn if len(line) > depth]
            for line in turn:
                message = line[depth]
                if message.state == VISIBLE and len(found) < count:
                    found.setdefault(message.sequence, message)
            depth += 1
        if len(found) < count:  # no quiet tenant has more
            for message in up_to(through, self.first(count + len(found))):
                if len(found) < count:
                    found.setdefault(message.sequence, message)
        return list(found.values())

    def _turn(self, count: int, noisy: set[str]) -> list[deque[Message]]:
        """The messages of those quiet tenants whose turn it is, at most so many: they are last next time."""
        tenants = self._tenants
        while True:
            names = [name for name in islice(tenants, count + len(noisy)) if name not in noisy][:count]
            lines = [line for line in map(self._line_of, names) if line]
            if len(lines) == len(names):  # otherwise some had none, and are forgotten now
                break
        for name in names:
            tenants.move_to_end(name)
        return lines

    def _line_of(self, group: str | None) -> deque[Message]:
        """A tenant's messages, the first of them visible."""
        line = self._tenants[group]
        while line and line[0].state != VISIBLE:
            line.popleft()
            self._indexed -= 1
        if not line:
            del self._tenants[group]
        return line
