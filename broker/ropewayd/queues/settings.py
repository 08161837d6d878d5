"""The queues' limits, with what each is for."""

from __future__ import annotations

import msgspec

from ropewayd.vocabulary.names import DEFAULT_ACCOUNT, DEFAULT_REGION


class QueueLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers and bytes. What AWS limits has AWS's value."""

    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    max_queues: int = 100_000
    """Queues at one time."""
    max_in_flight: int = 120_000
    """Messages of one standard queue in flight; a receive beyond it is told so."""
    fifo_in_flight: int = 120_000
    """Likewise of a FIFO queue, where a receive beyond it gets nothing."""
    fifo_calls: int = 300
    """Calls of one action a second to a FIFO queue, or to a partition of one in high throughput; 0: any."""
    fifo_partitions: int = 30
    """Partitions of a FIFO queue in high throughput."""
    fifo_look: int = 120_000
    """Messages of a FIFO queue, the first ones, that are looked through for an open group; 0: all."""
    purge_interval: int = 0
    """A queue is purged once in so many milliseconds (AWS: 60,000)."""
    recreate_interval: int = 0
    """A deleted queue's name is free after so many milliseconds (AWS: 60,000)."""
    max_queue_messages: int = 0
    """Messages of one queue beyond which sends to it are refused; 0 is no limit."""
    max_queue_bytes: int = 0
    """Bytes of one queue's messages, bodies and attributes, likewise; 0 is no limit."""
    max_messages: int = 0
    """Messages of all queues together beyond which sends are refused; 0 is no limit."""
    max_move_rate: int = 500
    """Messages a second that one move task moves."""
    max_answer_bytes: int = (16 << 20) - (64 << 10)
    """What one receive may hold; it returns fewer messages rather than exceed it."""
    memory_bytes: int = 128 << 20
    """Messages held in memory; beyond it what the disk has is left to the disk."""
    min_window_bytes: int = 64 << 10
    """Of each queue, about so much stays in memory however short that is."""
    page_messages: int = 1000
    """Messages read from disk at one time, or moved to another queue, ..."""
    page_bytes: int = 1 << 20
    """... and about how many bytes."""
    kept_bytes: int = 16 << 10
    """So many bytes of one queue's messages in a journal row, if they are a quarter of it, keep the row when
    the journal is trimmed: they are not written again."""
