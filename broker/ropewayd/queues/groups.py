"""The messages of a FIFO queue, by message group: what `Ready` is to a standard queue.

Rule 1  A group holds its live messages in order of sequence, invisible ones too: one of those blocks what is
        behind it. So what can be delivered of a group is what is visible from its head on.
Rule 2  A group is open while its head is visible. The open groups stand in a rotation. One that opens, or
        opens again, goes to its back, so that no group starves the others.
Rule 3  A receive takes as many as it can from the group in front, then from the next.
Rule 4  The rotation is no state: after a restart the open groups stand in the order of their heads.

Whether a message is visible is said by the message itself. After it changed, `look` (or `touch`) brings its
group where it belongs. Every operation costs what it moves or returns, however many groups and messages there
are. Looking may rearrange how they are held; it never changes what is held.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from .message import GONE, IN_FLIGHT, VISIBLE, Message, Sifted


def _sequence(message: Message) -> int:
    return message.sequence


class Group(msgspec.Struct, gc=False, eq=False):
    """The live messages of one group, from `head` on; before it stands what has ended."""

    line: list[Message]
    head: int = 0
    ended: int = 0
    """About how many behind the head have ended."""
    entry: int = 0
    """The sequence under which it stands in the heap of ages; 0: in none."""
    later: bool = False
    """Whether it stands among those whose head lies beyond what is to be looked at."""


class Find(msgspec.Struct, gc=False):
    """What a receive looks for: at most `count` messages up to sequence `through`. In their way may be
    messages sent at or before `horizon`, which are past their retention, and dead letters, received `most`
    times (0: there are none): of these at most so many messages and about so many bytes."""

    count: int
    through: int
    horizon: int
    most: int
    letters: int
    letter_bytes: int

    def walk(self, group: Group, found: Sifted) -> bool:
        """Add what this group has to `found`. True when that is enough."""
        line, picked = group.line, found.picked
        count, through, horizon, most = self.count, self.through, self.horizon, self.most
        for at in range(group.head, len(line)):
            message = line[at]
            if message.state == GONE:
                continue
            if message.state != VISIBLE or message.sequence > through:
                return False
            if message.sent_at <= horizon:
                found.expired.append(message)
            elif most and message.receive_count >= most:
                if len(found.letters) >= self.letters or self.letter_bytes < 0:
                    found.whole = False
                    return True
                self.letter_bytes -= message.size
                found.letters.append(message)
            else:
                picked.append(message)
                if len(picked) == count:
                    return True
        return False


class Groups:
    """See the module."""

    __slots__ = ("_ages", "_groups", "_later", "_open", "_young")

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._groups: dict[str, Group] = {}
        self._open: OrderedDict[str, Group] = OrderedDict()
        self._later: list[tuple[int, str]] = []
        self._ages: list[tuple[int, str]] = []
        self._young: list[tuple[int, str]] = []
        for message in sorted(messages, key=_sequence):
            group = self._groups.setdefault(_group(message), Group([]))
            group.line.append(message)
        for name, group in list(self._groups.items()):  # in order of their heads
            self._place(name, group)

    def __len__(self) -> int:
        return sum(1 for _ in self._visible())

    def __iter__(self) -> Iterator[Message]:
        """Every visible message, blocked ones too, in order of sequence."""
        yield from sorted(self._visible(), key=_sequence)

    def _visible(self) -> Iterator[Message]:
        return (m for group in self._groups.values() for m in group.line[group.head :] if m.state == VISIBLE)

    @property
    def count(self) -> int:
        """Groups that have a live message."""
        return len(self._groups)

    # What comes and goes

    def clear(self, count: int) -> bool:
        """All of it is over: let go of so many groups. Whether there are more."""
        for _ in range(min(count, len(self._groups))):
            self._open.pop(self._groups.popitem()[0], None)
        for places in (self._ages, self._young, self._later):
            del places[-count:]
        return bool(self._groups or self._ages or self._young or self._later)

    def append(self, messages: Iterable[Message]) -> None:
        """New ones, whose sequences are higher than all that were ever here."""
        groups, young = self._groups, self._young
        for message in messages:
            name: str = message.system.group  # type: ignore[union-attr, assignment]  # see _group
            group = groups.get(name)
            if group is None:
                group = groups[name] = Group([message])
                if message.state == VISIBLE:  # as nearly every new one is: what `_place` does, without a call
                    self._open[name] = group
                    group.entry = message.sequence
                    young.append((message.sequence, name))
                else:
                    self._place(name, group)
            else:
                group.line.append(message)  # its head is what it was
        if len(young) + len(self._ages) > 64 + 2 * len(groups):
            self._renew_ages()

    def add(self, message: Message) -> None:
        """One that is not here. Its sequence may lie before others."""
        name = _group(message)
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = Group([message])
        else:
            line = group.line
            if line[-1].sequence < message.sequence:
                line.append(message)
                if len(line) - group.head > 1:
                    return  # its head is what it was
            else:
                at = bisect_left(line, message.sequence, group.head, key=_sequence)
                if at < len(line) and line[at].sequence == message.sequence:
                    line[at] = message
                else:
                    line.insert(at, message)
        self._place(name, group)

    def look(self, messages: Iterable[Message]) -> None:
        """These became visible or invisible, or ended."""
        groups, before = self._groups, ""
        group: Group | None = None
        for message in messages:
            name: str = message.system.group  # type: ignore[union-attr, assignment]  # see _group
            if name != before:
                before = name
                group = groups.get(name)
                if group is None:
                    continue
                if message.state == GONE and message is group.line[-1] and group.head + 1 == len(group.line):
                    # It was the last one.
                    del groups[name]
                    self._open.pop(name, None)
                    group = None
                elif not self._place(name, group):
                    group = None
            if group is not None and message.state == GONE:
                line, head = group.line, group.head
                if message.sequence > line[head].sequence:
                    group.ended += 1
                    if group.ended > 8 and 4 * group.ended > len(line) - head:
                        group.line = [m for m in line[head:] if m.state != GONE]
                        group.head = group.ended = 0

    def touch(self, messages: Iterable[Message]) -> None:
        """These were received: their groups stand behind the others if they are open still."""
        groups, before = self._groups, ""
        for message in messages:
            name: str = message.system.group  # type: ignore[union-attr, assignment]  # see _group
            if name != before:
                before = name
                self._open.pop(name, None)
                group = groups[name]
                if group.line[group.head].state != IN_FLIGHT:
                    self._place(name, group)

    def _place(self, name: str, group: Group) -> bool:
        """Bring a group to where it belongs, which is where it stands if nothing has changed. Whether it is
        still there."""
        line, head, end = group.line, group.head, len(group.line)
        first = line[head]
        if first.state == GONE:
            while head < end and line[head].state == GONE:
                head += 1
            if head == end:
                del self._groups[name]
                self._open.pop(name, None)
                return False
            group.ended = max(0, group.ended - (head - group.head - 1))
            if head > 16 and 2 * head > end:
                del line[:head]
                head = 0
            group.head = head
            first = line[head]
        if first.state != VISIBLE:
            self._open.pop(name, None)
            return True
        if name not in self._open:
            self._open[name] = group
        if not 0 < group.entry <= first.sequence:
            group.entry = first.sequence
            self._young.append((first.sequence, name))
            if len(self._young) + len(self._ages) > 64 + 2 * len(self._groups):
                self._renew_ages()
        return True

    # What comes next

    def first(self, find: Find) -> Sifted:
        """The next ones, and what is in their way."""
        if self._later:
            self._reach(find.through)
        beyond: list[str] = []
        found = Sifted([], [], [], whole=True)
        picked, count, through, horizon, most = (
            found.picked,
            find.count,
            find.through,
            find.horizon,
            find.most,
        )
        for name, group in self._open.items():
            line, head = group.line, group.head
            message = line[head]
            if message.sequence > through:
                beyond.append(name)
            elif (
                head + 1 == len(line)
                and message.sent_at > horizon
                and not (most and message.receive_count >= most)
            ):  # it is alone, as most are where consumers keep up: that costs no call
                picked.append(message)
                if len(picked) == count:
                    break
            elif find.walk(group, found):
                break
        for name in beyond:
            self._put_off(name)
        return found

    def coming(self, count: int, most: int) -> list[Message]:
        """About the next `count`, if each receive takes `most` and nothing comes back meanwhile."""
        found: list[Message] = []
        for group in self._open.values():
            for message in islice(group.line, group.head, group.head + most):
                if message.state == VISIBLE:
                    found.append(message)
                elif message.state != GONE:
                    break
            if len(found) >= count:
                break
        return found

    def _put_off(self, name: str) -> None:
        """The head of this open group lies beyond what is to be looked at."""
        group = self._open.pop(name)
        if not group.later:
            group.later = True
            heapq.heappush(self._later, (group.line[group.head].sequence, name))

    def _reach(self, through: int) -> None:
        """Those that were put off are to be looked at as far as this."""
        later = self._later
        while later and later[0][0] <= through:
            name = heapq.heappop(later)[1]
            group = self._groups.get(name)
            if group is not None:
                group.later = False
                if group.line[group.head].state == VISIBLE:
                    self._open.setdefault(name, group)

    # Ages

    def oldest(self) -> Message | None:
        """The oldest head of an open group."""
        if self._young:
            self._take_in_young()
        ages, groups = self._ages, self._groups
        while ages:
            sequence, name = ages[0]
            group = groups.get(name)
            if group is None or group.entry != sequence:
                heapq.heappop(ages)
                continue
            head = group.line[group.head]
            if head.state != VISIBLE:
                heapq.heappop(ages)
                group.entry = 0  # it stands there again when it opens
            elif head.sequence != sequence:
                group.entry = head.sequence
                heapq.heapreplace(ages, (head.sequence, name))
            else:
                return head
        return None

    def past(self, horizon: int, count: int) -> list[Message]:
        """Of those that can be delivered, the ones sent at or before `horizon`, at most `count`."""
        found: list[Message] = []
        seen: dict[tuple[int, str], None] = {}
        while len(found) < count:
            head = self.oldest()
            if head is None or head.sent_at > horizon:
                break
            entry = heapq.heappop(self._ages)
            if entry in seen:
                continue  # a group whose head was another one for a while stands here twice
            seen[entry] = None
            group = self._groups[entry[1]]
            for at in range(group.head, len(group.line)):
                message = group.line[at]
                if message.state == GONE:
                    continue
                if message.state != VISIBLE or message.sent_at > horizon or len(found) == count:
                    break
                found.append(message)
        for entry in seen:
            heapq.heappush(self._ages, entry)
        return found

    def _take_in_young(self) -> None:
        """Nobody asks for the oldest often, and most groups have gone by then: only now they take their
        places."""
        for entry in self._young:
            heapq.heappush(self._ages, entry)
        self._young.clear()

    def _renew_ages(self) -> None:
        """Most entries are of groups that have gone."""
        self._ages.clear()
        self._young[:] = [(each.entry, name) for name, each in self._groups.items() if each.entry]


def _group(message: Message) -> str:
    system = message.system
    assert system is not None
    assert system.group is not None, f"message {message.sequence} of a FIFO queue has no group"
    return system.group
