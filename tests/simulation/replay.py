"""State is a function of the journal: memory and rows, against the whole journal lived again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Union

import msgspec

from ropewayd.queues.delays import messages_of
from ropewayd.queues.message import DELAYED, VISIBLE
from ropewayd.queues.records import CHUNKS, MESSAGES, row_key, split_row_key
from ropewayd.queues.rows import Rows
from ropewayd.queues.service import Queues
from ropewayd.store.protocol import Record
from tests.simulation.line import Violation, plain

History = list[tuple[int, bytes]]


class Shadow:
    """Queues that live by the journal alone, row after row, without any record, any start or any spilling.

    `make` makes them. They go on from where they were, so that to look often costs little.
    """

    def __init__(self, make: Callable[[], Queues]) -> None:
        self._make = make
        self._known: History = []
        """The last row that it knows."""
        self._length = 0

    def _begin(self) -> None:
        self._queues = self._make()
        self._appliers = self._queues.appliers()
        kinds = tuple(self._appliers)
        row: Any = tuple[int, int, list[Union[kinds]]]  # type: ignore[valid-type]  # noqa: UP007  # known at run time
        self._decoder = msgspec.msgpack.Decoder(row)
        self._queues.load([])
        list(self._queues.named([]))

    def _apply(self, history: History) -> None:
        for lsn, batch in history:
            _, _, events = self._decoder.decode(batch)
            for event in events:
                self._appliers[type(event)](event, lsn)

    def state(self, history: History, now: int) -> dict[str, Any]:
        """What the whole journal gives."""
        at = self._length
        if not at or history[at - 1 : at] != self._known:  # a disk that lied has taken rows back
            self._begin()
            self._queues.recovered(now)
            at = 0
        self._apply(history[at:])
        self._length, self._known = len(history), history[-1:]
        return dict(self._queues.snapshot())

    def whole(self, history: History, now: int) -> dict[str, Any]:
        """The same, as a start would find it that has the whole journal for its tail."""
        self._begin()
        self._apply(history)
        self._queues.recovered(now)
        self._length, self._known = len(history), history[-1:]
        return dict(self._queues.snapshot())


def compare(queues: Queues, disk: Any, must: dict[str, Any]) -> None:
    """Raises Violation where memory and rows together differ from the state that must be, in any field."""
    found = queues.snapshot()
    same(
        "state",
        {k: v for k, v in found.items() if k != "queues"},
        {k: v for k, v in must.items() if k != "queues"},
    )
    same("queues", sorted(found["queues"]), sorted(must["queues"]))
    rows, reader = disk.records.get(MESSAGES, {}), Rows()
    delayed = {
        (split_row_key(key)[0], m.sequence): m
        for key, record in disk.records.get(CHUNKS, {}).items()
        for m in messages_of(Record(CHUNKS, key, *record))
    }
    for number, queue in must["queues"].items():
        mine = found["queues"][number]
        here, there = mine.pop("messages"), queue.pop("messages")
        paged = set(there) - set(here)
        for sequence in sorted(paged):
            d = delayed.get((number, sequence))
            if d is not None:
                here[sequence] = (
                    *(d.id, d.body, d.attributes, d.system, d.sent_at, 0, 0),
                    *(DELAYED, d.deadline),
                )
                continue
            m = reader.message(row(rows, number, sequence))
            here[sequence] = (
                *(m.id, m.body, m.attributes, m.system, m.sent_at, m.receive_count, m.first_received_at),
                *(VISIBLE, there[sequence][-1]),
            )
        for sequence, message in here.items():
            if type(message[1]) is int:
                here[sequence] = with_body(message, row(rows, number, sequence), reader)
        if _encode([here.get(sequence) for sequence in there]) != _encode(list(there.values())):
            for sequence in there:
                same(f"message {sequence} of queue {number}", here[sequence], there[sequence])
        same(f"the messages of queue {number}", sorted(here), sorted(there))
        queue["ready"] = [sequence for sequence in queue["ready"] if sequence not in paged]
        for field in queue:
            same(f"{field} of queue {number}", mine[field], queue[field])


_encode = msgspec.msgpack.Encoder().encode


def row(rows: dict[Any, tuple[int, bytes, int]], number: int, sequence: int) -> Record:
    """The row of a message whose body is not in memory."""
    key = row_key(number, sequence)
    if key not in rows:
        raise Violation(f"message {sequence} of queue {number} is neither in memory nor on disk")
    return Record(MESSAGES, key, *rows[key])


def with_body(stub: tuple[Any, ...], row: Record, reader: Rows) -> tuple[Any, ...]:
    """A stub of a snapshot as its row completes it."""
    m = reader.message(row)
    same("the id of a stub", stub[0], m.id)
    same("the size of a stub", stub[1], m.size)
    return (m.id, m.body, m.attributes, m.system, *stub[4:])


def same(what: str, found: Any, must: Any) -> None:
    # In bytes they are compared at once; where those differ, what counts is whether the values do.
    if _encode(found) != _encode(must) and plain(found) != plain(must):
        raise Violation(f"{what}: memory and rows say {found!r}, the whole journal says {must!r}")
