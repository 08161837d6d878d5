"""The topics' limits, with what each is for."""

from __future__ import annotations

import msgspec

from ropewayd.vocabulary.names import DEFAULT_ACCOUNT, DEFAULT_REGION


class TopicLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers and bytes. What AWS limits has AWS's value, where that fits one machine."""

    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    max_topics: int = 100_000
    """Standard topics at one time."""
    max_fifo_topics: int = 1_000
    """FIFO topics at one time."""
    max_subscriptions: int = 100_000
    """Subscriptions of one standard topic."""
    max_fifo_subscriptions: int = 100
    """Subscriptions of one FIFO topic."""
    max_topic_policies: int = 200
    """Filter policies of one topic."""
    max_policies: int = 10_000
    """Filter policies of one account."""
    across_accounts: bool = False
    """Whether queues of other accounts can be subscribed: without keys all accounts are anybody's."""
    max_farewells: int = 100
    """Subscriptions of one topic that ended, whose subscribers can have them again; 0: nobody is told."""
    archive_standard: bool = False
    """Whether standard topics can have an archive too (AWS: FIFO topics alone)."""
    max_replays: int = 100
    """Replays at one time."""
    replay_rate: int = 3_000
    """Messages a second that one replay delivers."""
    memory_bytes: int = 16 << 20
    """Deduplication ids held in memory; beyond it what the disk has is left to the disk."""
