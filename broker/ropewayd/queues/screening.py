"""What of a send was accepted before: its entries against what the queue remembers, and one another.

Nearly every send is new, so all of it is looked at together, and entry by entry only where one may not be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ropewayd.kernel.service import Needs

from . import actions as a
from .deduplication import Accepted, digests_of
from .fifo import deduplication_id
from .message import System
from .queue import Queue
from .registry import Registry
from .segments import WINDOW
from .slices import NONE

T = TypeVar("T")

_MESSAGE_GROUP, _QUEUE = "messageGroup", "queue"


class Screen:
    """The entries of one send that can be taken otherwise. State is read only."""

    __slots__ = ("_digests", "_entries", "_names", "_now", "_queue", "_seen", "_unknown", "repeats")

    def __init__(self, queue: Queue, entries: Sequence[a.SendEntry], now: int) -> None:
        self._queue = queue
        self._entries = entries
        self._now = now
        attributes = queue.attributes
        self._names: list[str | None]
        if attributes.fifo:
            self._names = [entry.deduplication_id for entry in entries]
            if None in self._names:
                self._names = [deduplication_id(entry, attributes) for entry in entries]
        else:
            self._names = [entry.token for entry in entries]
        self._digests = self._scoped(attributes.deduplication_scope)
        self.repeats: dict[int, Accepted | int] = {}
        """By place among the entries: what was accepted before, or the place among those accepted now."""
        self._seen: list[bytes] = []
        self._unknown = False
        """Whether some of the digests that were seen must be looked up first."""
        digests, ids = self._digests, queue.ids
        doubled = len(set(digests)) < len(digests)
        if doubled or (ids is not None and (self._rescoped or ids.may_know(digests, now))):
            self._look()

    def _scoped(self, scope: str) -> list[bytes]:
        """The digests of all entries, in this scope."""
        if not self._queue.attributes.fifo:
            return digests_of("t", self._names)
        if scope == _QUEUE:
            return digests_of("q", self._names)
        named = zip(self._names, self._entries, strict=True)
        return digests_of("g", [f"{name} {entry.group}" for name, entry in named])

    @property
    def _rescoped(self) -> bool:
        """Whether the scope may have changed: an id keeps the one it was accepted in."""
        queue = self._queue
        return queue.attributes.fifo and queue.created_at < queue.modified_at > self._now - WINDOW

    def _look(self) -> None:
        """Entry by entry."""
        others: list[bytes] = []
        if self._rescoped:
            scope = self._queue.attributes.deduplication_scope
            others = self._scoped(_QUEUE if scope == _MESSAGE_GROUP else _MESSAGE_GROUP)
        places: dict[bytes, int] = {}
        fresh = 0
        for at, digest in enumerate(self._digests):
            found: Accepted | int | None = places.get(digest)
            if found is None and digest != NONE:
                found = self._remembered(digest)
                if found is None and others:
                    found = self._remembered(others[at])
            if found is not None:
                self.repeats[at] = found
                continue
            if digest != NONE:
                places[digest] = fresh
            fresh += 1

    def _remembered(self, digest: bytes) -> Accepted | None:
        ids = self._queue.ids
        if ids is None:
            return None
        found = ids.held(digest, self._now, self._queue.floor)
        if found is not None:
            return found
        self._seen.append(digest)
        found = ids.find(digest, self._now, self._queue.floor)
        if found is None and ids.may_be_on_disk(digest, self._now):
            self._unknown = True
        return found

    def fresh(self, column: list[T] | None) -> list[T] | None:
        """Of a column of all entries, what belongs to those that are accepted."""
        return None if column is None else [each for at, each in enumerate(column) if at not in self.repeats]

    def column(self) -> bytes | None:
        """The digests of those that are accepted, if any has one."""
        digests = self._digests
        if self.repeats:
            digests = [digest for at, digest in enumerate(digests) if at not in self.repeats]
        return b"".join(digests) if digests.count(NONE) < len(digests) else None

    def systems(self) -> list[System | None]:
        """What goes with messages of a FIFO queue besides bodies and attributes."""
        named = zip(self._names, self._entries, strict=True)
        return [System(entry.group, name, entry.trace_header) for name, entry in named]

    def ahead(self, registry: Registry) -> Needs | None:
        """What there is to learn of the disk, that fewer of those to come need a look."""
        ids, number = self._queue.ids, self._queue.number
        return None if ids is None else ids.learning((number, "learning"), self._now, registry.memory.grow)

    def needs(self, registry: Registry) -> Needs | None:
        """What must be looked up on disk before these entries can be taken. While others wait for such a
        look, these wait behind them, so that messages stay in the order in which they came.

        All that memory does not hold are looked up if one must be: what an earlier look found is known no
        more after this one. What memory holds is not, for it may not be on disk yet: it would be taken for
        absent when it has left memory meanwhile.
        """
        ids, number = self._queue.ids, self._queue.number
        if ids is None:
            return None
        digests = self._seen if self._unknown else []
        return ids.look((number, "ids"), digests, self._now, registry.memory.grow)
