"""Where topics stand on disk: the spaces, the keys, the forms.

A topic number is an incarnation, never used again, as a queue's is.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ropewayd.queues.records import MAX_NUMBER, sequence_number
from ropewayd.queues.segments import Segment
from ropewayd.store.protocol import Space

__all__ = ["IDS", "MAX_NUMBER", "NEXT_NUMBER", "TOPICS", "VERSION", "SubscriptionRecord", "TopicRecord"]
__all__ += ["sequence_number", "subscription_key", "topic_key"]

TOPICS = Space(8, "topics", paged=False)
"""One record a topic, one a subscription, and `next` (the next topic number)."""
IDS = Space(9, "topic_ids", paged=True)
"""Accepted deduplication ids, as of queues (see queues/deduplication.py)."""

NEXT_NUMBER = b"next"
VERSION = 1


RUNNING, COMPLETED, FAILED = "In progress", "Completed", "Failed"


class Replay(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What a subscription gets again: what was published from `start` to `end`. It has all up to the sequence
    `after` of the archive."""

    start: int
    end: int | None
    after: int = 0
    status: str = RUNNING


class TopicRecord(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A topic as of its record's lsn, without its subscriptions."""

    version: int
    name: str
    account: str
    region: str
    attributes: dict[str, Any]
    created_at: int
    tags: dict[str, str] | None
    next_sequence: int
    deleted: int
    epochs: list[int]
    archive: int = 0
    archive_at: int = 0
    segments: list[Segment] = []


class SubscriptionRecord(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A subscription as of its record's lsn."""

    version: int
    protocol: str
    endpoint: str
    owner: str
    at: int
    attributes: dict[str, Any]
    queue: int = 0
    token: bytes = b""
    pending: bool = False
    guarded: bool = False
    replay: Replay | None = None
    farewell: bool = False
    """It ended, and can be confirmed again."""


def topic_key(number: int) -> bytes:
    """Of a topic's own record. In the order of keys topics stand before subscriptions."""
    return b"a" + number.to_bytes(8, "big")


def subscription_key(number: int, id_: bytes) -> bytes:
    """Of a subscription's record."""
    return b"b" + number.to_bytes(8, "big") + id_
