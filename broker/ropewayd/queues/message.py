"""One message, and how a record says it.

A message that was spilled is one logical record in two places: its row (body and history) and, while it is
invisible, a small record that says until when. Both are written as of one lsn, `stored`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ropewayd.kernel.wheel import Timer

VISIBLE, IN_FLIGHT, DELAYED, GONE = 0, 1, 2, 3

OVERHEAD = 300
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


class Message(msgspec.Struct, gc=False, eq=False):
    """Hot: free of cycles, untracked by the garbage collector. Times are carried milliseconds."""

    sequence: int
    id: bytes
    body: Any
    attributes: Any
    sent_at: int
    size: int
    receive_count: int = 0
    first_received_at: int = 0
    state: int = VISIBLE
    deadline: int = 0
    lease: Lease | None = None
    system: System | None = None
    stored: int = 0
    """The lsn as of which the disk is right about it; 0: it is in the journal alone."""
    waits: bool = False
    """Whether the disk has a small record of its deadline."""
    changed: int = 0
    """The lsn of the last event after its sending that changed it."""

    def on_disk(self, lsn: int) -> bool:
        """Whether its row says all there is to say, and is durable if all is up to `lsn`: then memory may let
        go of it."""
        return (
            self.state == VISIBLE
            and 0 < self.stored <= lsn
            and self.stored >= self.changed
            and not self.waits
        )


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
    """The small record of a spilled message that is invisible."""

    version: int
    state: int
    deadline: int
    receive_count: int
    first_received_at: int


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
