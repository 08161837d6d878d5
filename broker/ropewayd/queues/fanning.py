"""Fan-outs: the same messages to many queues, decided together and made by one event. State is read only.

Each queue takes what it would take of a send. What it does not take is refused for that queue alone, and the
rest of the fan-out goes its way: who fans out says what becomes of it then.
"""

from __future__ import annotations

from collections.abc import Callable

from ropewayd.kernel.service import Needs

from .actions import SendEntry
from .attributes import check_message_attributes
from .backlog import Backlog
from .events import Content, MessagesFanned
from .hidden import MAX_SIZE, is_hidden
from .message import size_of
from .records import MAX_SEQUENCE
from .registry import Registry
from .screening import Screen

MAX_ATTRIBUTES = 10
"""That a message of a queue can have (AWS's rule)."""


class Fanning:
    """Begins fan-outs. `entropy(n)` gives n unguessable bytes."""

    def __init__(self, registry: Registry, entropy: Callable[[int], bytes]) -> None:
        self.registry = registry
        self.entropy = entropy
        self.backlog = Backlog.of(registry.limits, registry.by_number)

    def begin(self, now: int) -> Fan:
        """A fan-out with nothing in it yet."""
        return Fan(self, now)


class Fan:
    """One fan-out in the making. `needs`: what must be read before it can be decided, if anything."""

    __slots__ = (
        "_contents",
        "_count",
        "_digests",
        "_fanning",
        "_firsts",
        "_largest",
        "_next",
        "_now",
        "_numbers",
        "_own",
        "_picks",
        "_sizes",
        "_unfit",
        "_visible_at",
        "needs",
    )

    def __init__(self, fanning: Fanning, now: int) -> None:
        self.needs: Needs | None = None
        self._fanning = fanning
        self._contents: list[Content] = []
        self._now = now
        self._sizes: list[int] = []
        self._unfit: set[int] = set()
        self._largest = 0
        self._numbers: list[int] = []
        self._firsts: list[int] = []
        self._picks: list[list[int]] = []
        self._own: list[str] = []
        self._visible_at: list[int] = []
        self._digests: list[bytes | None] = []
        self._next: dict[int, int] = {}
        self._count = 0

    def put(self, content: Content) -> int:
        """Something that queues are to get; what it is called in `add`."""
        place, size = len(self._contents), _size(content)
        self._contents.append(content)
        self._sizes.append(size)
        self._largest = max(self._largest, size)
        if _is_unfit(content):
            self._unfit.add(place)
            self._largest = MAX_SEQUENCE
        return place

    def add(
        self, called: str, picks: list[int], own: str = "", *, letters: bool = False, kept: bool = False
    ) -> list[int]:
        """To this queue these contents, with its own text where one has a place for it; gives those that it
        does not take. `letters`: they are dead letters, each of which is to arrive, whatever its
        deduplication id; `kept`: whatever may wait."""
        registry = self._fanning.registry
        queue = registry.by_name.get(called) or registry.find(called)
        backlog = None if kept else self._fanning.backlog
        if queue is None or (backlog and backlog.refusal(queue, len(picks), self._now) is not None):
            return picks
        attributes = queue.attributes
        refused: list[int] = []
        room = MAX_SIZE if is_hidden(queue.scope) else attributes.maximum_message_size - len(own)
        if self._largest > room:
            refused = [n for n in picks if n in self._unfit or self._sizes[n] > room]
            picks = [n for n in picks if n not in refused]
        digests = None
        if attributes.fifo:
            ungrouped = [n for n in picks if not _is_grouped(self._contents[n])]
            refused, picks = refused + ungrouped, [n for n in picks if n not in ungrouped]
            if not letters and picks:
                screen = Screen(queue, [self._entry(n) for n in picks], self._now)
                picks = screen.fresh(picks) or []
                self.needs = self.needs or screen.needs(registry)
                digests = screen.column()
        number = queue.number
        first = self._next.get(number, queue.next_sequence)
        if not picks or first + len(picks) > MAX_SEQUENCE:
            return refused + picks
        more = sum(self._sizes[n] for n in picks) + len(own) * len(picks)
        if backlog and backlog.bytes_refusal(queue, more) is not None:
            return refused + picks
        self._next[number] = first + len(picks)
        self._count += len(picks)
        self._numbers.append(number)
        self._firsts.append(first)
        self._picks.append(picks)
        self._own.append(own)
        self._visible_at.append(self._now + attributes.delay)
        self._digests.append(digests)
        return refused

    def _entry(self, content: int) -> SendEntry:
        """As a send to a FIFO queue would say it."""
        system = self._contents[content].system
        assert system is not None
        return SendEntry(None, group=system.group, deduplication_id=system.deduplication_id)

    def event(self) -> MessagesFanned | None:
        """What is to happen; None if no queue takes anything."""
        if not self._count:
            return None
        used = sorted({n for picks in self._picks for n in picks})
        places = {n: place for place, n in enumerate(used)}
        everything = all(len(picks) == len(used) for picks in self._picks)
        return MessagesFanned(
            self._now,
            self._numbers,
            self._firsts,
            self._fanning.entropy(16 * self._count),
            [self._contents[n] for n in used],
            None if everything else [[places[n] for n in picks] for picks in self._picks],
            self._own if any(self._own) else None,
            self._visible_at if max(self._visible_at) > self._now else None,
            self._digests if any(self._digests) else None,
        )


def _size(content: Content) -> int:
    body = content.body
    return size_of("".join(body) if type(body) is list else body, content.attributes)


def _is_unfit(content: Content) -> bool:
    """Whether no queue at all takes it."""
    attributes = content.attributes
    if not attributes:
        return False
    return len(attributes) > MAX_ATTRIBUTES or check_message_attributes(attributes, "") is not None


def _is_grouped(content: Content) -> bool:
    return content.system is not None and None not in (content.system.group, content.system.deduplication_id)
