"""What of a send was accepted before: its entries against what the queue remembers, and one another."""

from __future__ import annotations

from ropewayd.kernel.service import Needs
from ropewayd.store.protocol import Record

from . import actions as a
from .deduplication import IDS, NONE, WINDOW, Accepted, digest_of
from .queue import Queue
from .registry import Registry

_MESSAGE_GROUP, _QUEUE = "messageGroup", "queue"


class Screen:
    """The entries of one send that have something to be recognised by. State is read only."""

    __slots__ = ("_digests", "_now", "_places", "_queue", "repeats", "unknown")

    def __init__(self, queue: Queue, now: int) -> None:
        self._queue = queue
        self._now = now
        self._digests: dict[int, bytes] = {}
        self._places: dict[bytes, int] = {}
        self.repeats: dict[int, Accepted | int] = {}
        """By index in the send: what was accepted before, or the place among those accepted now."""
        self.unknown: list[bytes] = []
        """Digests that must be looked up first."""

    def repeated(self, index: int, entry: a.SendEntry, place: int) -> bool:
        """Whether this entry was accepted before. If not, it is to be the one at this place among those that
        are accepted now."""
        queue = self._queue
        fifo = queue.attributes.fifo
        if not fifo and entry.token is None:
            return False
        scope = queue.attributes.deduplication_scope
        digest = digest_of(entry, queue.attributes, scope)
        before = self._places.get(digest)
        found: Accepted | int | None = before if before is not None else self._remembered(digest)
        if found is None and fifo and queue.created_at < queue.modified_at > self._now - WINDOW:
            # The scope may have changed: an id keeps the one it was accepted in.
            other = _QUEUE if scope == _MESSAGE_GROUP else _MESSAGE_GROUP
            found = self._remembered(digest_of(entry, queue.attributes, other))
        if found is not None:
            self.repeats[index] = found
            return True
        self._places[digest] = place
        self._digests[place] = digest
        return False

    def _remembered(self, digest: bytes) -> Accepted | None:
        ids = self._queue.ids
        if ids is None:
            return None
        found = ids.find(digest, self._now, self._queue.floor)
        if found is None and ids.may_be_on_disk(digest, self._now):
            self.unknown.append(digest)
        return found

    def column(self, count: int) -> bytes | None:
        """The digests of those that are accepted, if any has one."""
        if not self._digests:
            return None
        return b"".join([self._digests.get(place, NONE) for place in range(count)])

    def needs(self, registry: Registry) -> Needs | None:
        """What must be looked up on disk before these entries can be taken. While others wait for such a
        look, these wait behind them, so that messages stay in the order in which they came."""
        ids, number, digests = self._queue.ids, self._queue.number, self.unknown
        if ids is None or not (digests or ids.reading):
            return None

        def fill(records: list[Record]) -> None:
            queue = registry.by_number.get(number)
            if queue is not None and queue.ids is not None:
                queue.ids.fill(digests, records)

        keys = ids.keys(digests, self._now)
        if not keys and not ids.reading:
            return None
        return Needs(key=(number, "ids"), space=IDS, fill=fill, keys=keys, begin=ids.begin)
