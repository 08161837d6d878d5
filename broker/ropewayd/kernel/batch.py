"""One group commit in the making: the events of a journal row, and what leaves when the row is on disk.

The form on disk is msgpack: [version, time, [event, ...]]. Events are encoded as they are applied, so a batch
knows its size exactly, and closing one costs a header.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import msgspec

from ropewayd.store.protocol import Slice

from .service import Event, Touch

VERSION = 1
"""Of the batch's form. Events carry their own: a changed event is a new tag, or fields added at the end."""


class Reply(Protocol):
    """Where an answer goes. `prepare` runs at once (encoding overlaps the commit), `deliver` when it is
    durable."""

    def prepare(self, answer: Any) -> Any:
        """Turn an answer or an error into what `deliver` takes. Sends nothing."""

    def deliver(self, prepared: Any) -> None:
        """Send it."""


class Nobody:
    """The reply of what the daemon asks of itself."""

    def prepare(self, answer: Any) -> Any:
        return None

    def deliver(self, prepared: Any) -> None:
        return None


NOBODY = Nobody()


class Awaited:
    """The reply of who waits for an answer inside the daemon. Who does not wait any more misses nothing."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def prepare(self, answer: Any) -> Any:
        return answer

    def deliver(self, prepared: Any) -> None:
        if not self.answer.done():
            self.answer.set_result(prepared)


_encoder = msgspec.msgpack.Encoder()
_outline = msgspec.msgpack.Decoder(tuple[int, int, list[msgspec.Raw]])


def events_of(row: bytes) -> list[msgspec.Raw]:
    """The events of a journal row, each still as it is on disk."""
    version, _, events = _outline.decode(row)
    assert version == VERSION
    return events


class Batch:
    """See the module."""

    __slots__ = ("answers", "count", "events", "lsn", "slice", "touches")

    def __init__(self, lsn: int) -> None:
        self.lsn = lsn
        self.count = 0
        self.events = bytearray()
        self.touches: list[tuple[Any, Touch]] = []
        self.answers: list[tuple[Reply, Any]] = []
        self.slice: Slice | None = None

    def add(self, event: Event) -> None:
        _encoder.encode_into(event, self.events, -1)
        self.count += 1

    def encode(self, now: int) -> bytes:
        """The journal row's bytes; empty if nothing happened."""
        if not self.count:
            return b""
        head = b"\x93" + _encoder.encode(VERSION) + _encoder.encode(now)
        return head + b"\xdd" + self.count.to_bytes(4, "big") + self.events
