"""Where queues stand on disk: the spaces, the keys, the forms.

A message's row is keyed by (queue number, sequence) in one 64-bit integer. A queue number is an incarnation,
never used again: a queue that is created anew starts with other keys, so nothing old can come back.
"""

from __future__ import annotations

import msgspec

from ropewayd.store.protocol import GROUP_BITS, Space

from .segments import Segment

QUEUES = Space(2, "queues", paged=False)
"""One record a queue, and two by name: `next` (the next queue number) and `key` (of the receipt handles)."""
WAITING = Space(3, "waiting", paged=False)
"""One small record for each spilled message that is invisible."""
MESSAGES = Space(4, "messages", paged=True)
"""One row a spilled message."""
CHUNKS = Space(6, "delayed", paged=True)
"""Delayed messages whose time is far, some in a row. See delays.py."""
DELAYS = Space(7, "delays", paged=False)
"""One small record for each of those rows."""

NEXT_NUMBER = b"next"
HANDLE_KEY = b"key"

SEQUENCE_BITS = GROUP_BITS
MAX_SEQUENCE = (1 << SEQUENCE_BITS) - 1
MAX_NUMBER = (1 << (63 - SEQUENCE_BITS)) - 1
VERSION = 1


RUNNING, COMPLETED, CANCELLED, FAILED = "RUNNING", "COMPLETED", "CANCELLED", "FAILED"


class MoveTask(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One move task of a queue, under way or over. Up to `through` are the messages that it moves;
    `destination` is an ARN, or None for where each came from."""

    number: int
    started_at: int
    destination: str | None
    rate: int | None
    through: int
    to_move: int
    moved: int = 0
    status: str = RUNNING
    reason: str | None = None


class QueueRecord(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A queue as of its record's lsn. `spilled_through`: no message with a higher sequence has a row. Without
    an account and a region it is the daemon's own account's. `bytes`: of bodies and attributes. Where it
    is older than this field, they count from then on."""

    version: int
    name: str
    attributes: msgspec.Raw
    created_at: int
    modified_at: int
    next_sequence: int
    live: int
    floor: int
    spilled_through: int
    account: str = ""
    region: str = ""
    mixed: bool = False
    tags: dict[str, str] | None = None
    tasks: list[MoveTask] = []
    epochs: list[int] = []
    bytes: int = 0
    segments: list[Segment] = []


def row_key(number: int, sequence: int) -> int:
    """Of a message's row."""
    return number << SEQUENCE_BITS | sequence


def split_row_key(key: int) -> tuple[int, int]:
    """(queue number, sequence)."""
    return key >> SEQUENCE_BITS, key & MAX_SEQUENCE


def first_sequence_number(number: int) -> int:
    """What to add a message's sequence to, for what AWS calls its sequence number: 20 digits, rising with
    every message of a FIFO queue, though it be created anew."""
    return 10**19 + row_key(number, 0)


def sequence_number(number: int, sequence: int) -> str:
    """That of one message."""
    return str(first_sequence_number(number) + sequence)


def sequence_numbers(number: int, first: int, count: int) -> list[str]:
    """Those of `count` messages from this sequence on."""
    at = first_sequence_number(number) + first
    return list(map(str, range(at, at + count)))


def queue_key(number: int) -> bytes:
    """Of a queue's own record."""
    return b"q" + number.to_bytes(8, "big")


def waiting_key(number: int, sequence: int) -> bytes:
    """Of the small record of an invisible message."""
    return row_key(number, sequence).to_bytes(8, "big")


def chunk_key(number: int, chunk: int) -> bytes:
    """Of the small record of a chunk of delayed messages."""
    return row_key(number, chunk).to_bytes(8, "big")
