"""What of a publish to a FIFO topic was accepted before: its messages against what the topic remembers, and
one another.

The topic does this before anything is delivered, so that its standard queues have no duplicates either. How
ids are remembered is as in queues/deduplication.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewayd.kernel.service import Needs
from ropewayd.queues.deduplication import Accepted, Ids, digests_of

from .registry import Registry
from .topic import Topic


class Screen:
    """The messages of one publish, each with a group and a deduplication id. State is read only."""

    __slots__ = ("_digests", "_now", "_topic", "repeats", "unknown")

    def __init__(self, topic: Topic, named: Sequence[tuple[str, str]], now: int) -> None:
        self._topic = topic
        self._now = now
        if topic.attributes.fifo_throughput_scope == "MessageGroup":
            self._digests = digests_of("g", [f"{name} {group}" for group, name in named])
        else:
            self._digests = digests_of("q", [name for _, name in named])
        self.repeats: dict[int, Accepted | int] = {}
        """By place among the messages: what was accepted before, or the place among those accepted now."""
        self.unknown: list[bytes] = []
        """Digests that must be looked up first."""
        ids = topic.ids
        assert ids is not None
        if len(set(self._digests)) < len(self._digests) or ids.may_know(self._digests, now):
            self._look(ids)

    def _look(self, ids: Ids) -> None:
        """Message by message."""
        places: dict[bytes, int] = {}
        for at, digest in enumerate(self._digests):
            found: Accepted | int | None = places.get(digest)
            if found is None:
                found = ids.find(digest, self._now, 0)
                if found is None and ids.may_be_on_disk(digest, self._now):
                    self.unknown.append(digest)
            if found is not None:
                self.repeats[at] = found
            else:
                places[digest] = len(places)

    def column(self) -> bytes:
        """The digests of those that are accepted."""
        return b"".join([digest for at, digest in enumerate(self._digests) if at not in self.repeats])

    def ahead(self, registry: Registry) -> Needs | None:
        """What there is to learn of the disk, that fewer of those to come need a look."""
        ids, key = self._topic.ids, ("topic learning", self._topic.number)
        return None if ids is None else ids.learning(key, self._now, registry.grow)

    def needs(self, registry: Registry) -> Needs | None:
        """What must be looked up on disk before these can be taken. While others wait for such a look, these
        wait behind them, so that messages stay in the order in which they came.

        All of them are looked up if one must be: what an earlier look found is known no more after this one.
        """
        ids, number = self._topic.ids, self._topic.number
        assert ids is not None
        digests = self._digests if self.unknown else []
        return ids.look(("topic ids", number), digests, self._now, registry.grow)
