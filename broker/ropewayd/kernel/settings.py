"""The kernel's limits, with what each is for."""

from __future__ import annotations

import msgspec


class KernelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes, times in milliseconds."""

    max_batch_bytes: int = 1 << 20
    """A journal row is closed at this size."""
    tail_bytes: int = 64 << 20
    """The journal's tail that a restart may have to replay. Spilling begins at half of it."""
    slice_bytes: int = 128 << 10
    """About what one slice writes; it grows with the tail."""
    idle_spill_after: int = 1000
    """A tail that nothing was added to for so long is spilled."""
    low_space_bytes: int = 64 << 20
    """Free space on the disk below which sends and creations are refused; 0 watches nothing."""
    enough_space_bytes: int = 128 << 20
    """Free space from which they are taken again."""
    scrub_round: int = 0
    """All that is on disk is read again once in so long; 0 never."""
    max_store_bytes: int = 0
    """What the store holds on disk beyond which sends and creations are refused; 0 is no limit."""
    max_polls: int = 100_000
    """Long polls waiting at one time."""
