"""One message, and how a record says it.

A message that was spilled is one logical record in two places: its row (body and history) and, while it is
invisible, a small record that says until when. Both are written as of one lsn, `stored`.

A stub is a message in memory without its body, which its row has. What memory knows better than the row (its
state, deadline and receive count) stays. The small record says all that a stub is, so that what is invisible
comes back at start without a look at the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ropewayd.kernel.wheel import Timer

VISIBLE, IN_FLIGHT, DELAYED, GONE = 0, 1, 2, 3

OVERHEAD = 370
"""Bytes that a message in memory takes besides its body and attributes, about."""


class System(msgspec.Struct, array_like=True, gc=False, frozen=True, omit_defaults=True):
    """What the service itself knows of a message, besides what every message has. A plain message has none of
    it."""

    group: str | None = None
    """MessageGroupId."""
    deduplication_id: str | None = None
    """Given with it, or made from its body."""
    trace_header: str | None = None
    """AWSTraceHeader."""
    source: str | None = None
    """The ARN of the queue that it was a dead letter of."""


class Lease(msgspec.Struct, gc=False, eq=False):
    """One timer for all messages of one receive (or send): cancelled when the last of them needs it no
    more."""

    timer: Timer
    left: int


Said = tuple[str, int, int, int]
"""What the small record of a message says of its attempt: id, when it was, the message's place, how many."""


class Attempt(msgspec.Struct, gc=False, eq=False):
    """A receive with an attempt id. A sequence of 0 is not known to live."""

    id: str
    at: int
    sequences: list[int]


class Message(msgspec.Struct, gc=False, eq=False):
    """Hot: free of cycles, untracked by the garbage collector. Times are carried milliseconds."""

    sequence: int
    id: bytes
    body: Any
    """Text or bytes; of a stub a number, the bytes that body and attributes have in its row."""
    attributes: Any
    sent_at: int
    size: int
    """Bytes of body and attributes in memory: 0 for a stub."""
    receive_count: int = 0
    first_received_at: int = 0
    state: int = VISIBLE
    deadline: int = 0
    lease: Lease | None = None
    system: System | None = None
    stored: int = 0
    """The lsn as of which the disk is right about it; 0: it is in the journal alone."""
    waits: bool = False
    """Whether the disk has a small record of it, which its row knows nothing of."""
    changed: int = 0
    """The lsn of the last event after its sending that changed it."""
    row_count: int = 0
    """The receive count that its row says, if it has one."""
    attempt: Attempt | None = None
    """The receive that holds it, if that can be asked for again."""

    def on_disk(self, lsn: int) -> bool:
        """Whether its row says all there is to say, and is durable if all is up to `lsn`: then memory may let
        go of it."""
        return (
            self.state == VISIBLE
            and 0 < self.stored <= lsn
            and self.stored >= self.changed
            and not self.waits
        )

    @property
    def stub(self) -> bool:
        return type(self.body) is int

    @property
    def weight(self) -> int:
        """Bytes of body and attributes, wherever they are."""
        return int(self.body) if self.stub else self.size

    def lighten(self) -> int:
        """Become a stub; gives how many bytes memory has back. The row must be durable."""
        freed = self.size
        self.body, self.attributes, self.size = freed, None, 0
        if self.system is not None:
            group = self.system.group
            self.system = None if group is None else System(group)
        return freed

    def leave(self) -> None:
        """It is not in memory any more: who has it still, for the place where it stood, holds no body."""
        self.state, self.body, self.attributes = GONE, None, None

    def complete(self, row: Message) -> int:
        """A stub no more: its row was read. Gives how many bytes memory holds for that."""
        self.body, self.attributes, self.system, self.size = row.body, row.attributes, row.system, row.size
        return self.size


class Sifted(msgspec.Struct, gc=False):
    """What a receive finds: messages to hand out, those past their retention, and dead letters."""

    picked: list[Message]
    expired: list[Message]
    letters: list[Message]
    whole: bool
    """Whether every message that is in memory has been looked at."""


class MessageRecord(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """The row of a spilled message."""

    version: int
    id: bytes
    body: Any
    attributes: Any
    sent_at: int
    receive_count: int
    first_received_at: int
    system: System | None = None


class WaitingRecord(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """The small record of a spilled message that is invisible, or visible while memory has a stub of it: what
    its row does not know, and what a stub is. Without an `id` it is older than stubs, and its row tells the
    rest."""

    version: int
    state: int
    deadline: int
    receive_count: int
    first_received_at: int
    id: bytes = b""
    sent_at: int = 0
    size: int = 0
    row_count: int = 0
    group: str | None = None
    attempt: Said | None = None


RECORD_VERSION = 1


def size_of(body: Any, attributes: Mapping[str, Any] | None) -> int:
    """Bytes that count against the queue's maximum: body, and each attribute's name, type and value (AWS's
    rule)."""
    size = len(body) if type(body) is bytes or body.isascii() else len(body.encode())
    if attributes:
        for name, (kind, value) in attributes.items():
            size += len(name.encode()) + len(kind.encode())
            size += len(value) if type(value) is bytes else len(value.encode())
    return size


def sizes(bodies: Sequence[Any], attributes: Sequence[Any] | None) -> int:
    """Of all messages of a column together."""
    return sum(map(size_of, bodies, attributes if attributes is not None else [None] * len(bodies)))


def weigh(messages: Iterable[Message]) -> int:
    """Bytes of their bodies and attributes, wherever they are."""
    return sum([m.size or m.weight for m in messages])


def told(system: System, sequence: int = 0, numbers_from: int | None = None) -> dict[str, str]:
    """What a consumer is told of it, by name. `numbers_from`: see records.first_sequence_number; None where
    there are no such numbers."""
    group, name = system.group, system.deduplication_id
    if group is None or name is None or system.trace_header is not None or system.source is not None:
        return _told(system, sequence, numbers_from)
    said = {"group": group, "deduplication_id": name}  # as nearly all of a FIFO queue are
    if numbers_from is not None:
        said["sequence_number"] = str(numbers_from + sequence)
    return said


def _told(system: System, sequence: int, numbers_from: int | None) -> dict[str, str]:
    said: dict[str, str] = {}
    if system.group is not None:
        said["group"] = system.group
    if system.deduplication_id is not None:
        said["deduplication_id"] = system.deduplication_id
    if system.trace_header is not None:
        said["trace_header"] = system.trace_header
    if system.source is not None:
        said["source"] = system.source
    if numbers_from is not None:
        said["sequence_number"] = str(numbers_from + sequence)
    return said
