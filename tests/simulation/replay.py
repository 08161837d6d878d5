"""State is a function of the journal: memory and rows, against the whole journal lived again."""

from __future__ import annotations

from typing import Any, Union

import msgspec

from ropewayd.queues.message import VISIBLE
from ropewayd.queues.records import MESSAGES, row_key
from ropewayd.queues.registry import message_of
from ropewayd.queues.service import Queues
from ropewayd.store.protocol import Record
from tests.simulation.checker import Violation, plain


def live_again(history: list[tuple[int, bytes]], queues: Queues, now: int) -> dict[str, Any]:
    """What the whole journal gives, without any record."""
    appliers = queues.appliers()
    kinds = tuple(appliers)
    row: Any = tuple[int, int, list[Union[kinds]]]  # type: ignore[valid-type]  # noqa: UP007  # known at run time
    decoder = msgspec.msgpack.Decoder(row)
    queues.load([])
    list(queues.named([]))
    for lsn, batch in history:
        _, _, events = decoder.decode(batch)
        for event in events:
            appliers[type(event)](event, lsn)
    queues.recovered(now)
    state: dict[str, Any] = queues.snapshot()
    return state


def compare(queues: Queues, disk: Any, fresh: Queues, now: int) -> None:
    """Raises Violation where memory and rows together differ from the whole journal's state, in any field."""
    found, must = queues.snapshot(), live_again(disk.history, fresh, now)
    same(
        "state",
        {k: v for k, v in found.items() if k != "queues"},
        {k: v for k, v in must.items() if k != "queues"},
    )
    same("queues", sorted(found["queues"]), sorted(must["queues"]))
    rows = disk.records.get(MESSAGES, {})
    for number, queue in must["queues"].items():
        mine = found["queues"][number]
        here, there = mine.pop("messages"), queue.pop("messages")
        paged = set(there) - set(here)
        for sequence in sorted(paged):
            lsn, value = rows.get(row_key(number, sequence), (0, None))
            if value is None:
                raise Violation(f"message {sequence} of queue {number} is neither in memory nor on disk")
            m = message_of(Record(MESSAGES, row_key(number, sequence), lsn, value))
            here[sequence] = (
                *(m.id, m.body, m.attributes, m.system, m.sent_at, m.receive_count, m.first_received_at),
                *(VISIBLE, there[sequence][-1]),
            )
        for sequence in there:
            same(f"message {sequence} of queue {number}", here[sequence], there[sequence])
        same(f"the messages of queue {number}", sorted(here), sorted(there))
        queue["ready"] = [sequence for sequence in queue["ready"] if sequence not in paged]
        for field in queue:
            same(f"{field} of queue {number}", mine[field], queue[field])


def same(what: str, found: Any, must: Any) -> None:
    if plain(found) != plain(must):
        raise Violation(f"{what}: memory and rows say {found!r}, the whole journal says {must!r}")
