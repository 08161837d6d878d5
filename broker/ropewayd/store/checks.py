"""The limits of the store's protocol, which every store holds its caller to.

A ValueError says that the caller is at fault: nothing was asked of the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ropewayd.store.protocol import Key, KeyRange, Slice, Space

BATCH_LIMIT: Final = 256 << 20
VALUE_LIMIT: Final = 64 << 20
KEY_LIMIT: Final = 256
LAST_KEY: Final = 2**63 - 1


def check_batch(batch: bytes) -> None:
    """Hold a batch to its limit. Raises ValueError."""
    if len(batch) > BATCH_LIMIT:
        raise ValueError(f"A batch of {len(batch)} bytes is larger than {BATCH_LIMIT}.")


def check_slice(slice: Slice, lsn: int) -> None:
    """Hold a slice to the protocol's limits. Raises ValueError: the caller is at fault."""
    for record in slice.puts:
        check_key(record.space, record.key)
        if len(record.value) > VALUE_LIMIT:
            raise ValueError(f"A record of {len(record.value)} bytes is larger than {VALUE_LIMIT}.")
        if not 0 <= record.lsn <= lsn:
            raise ValueError(f"A record of lsn {record.lsn} in a slice of lsn {lsn}.")
    for space, key in slice.drops:
        check_key(space, key)
    for each in slice.drop_ranges:
        check_page(each.space, each.first, each.last, 1)
    if not 0 <= slice.trim_to <= lsn:
        raise ValueError(f"A slice of lsn {lsn} trims to {slice.trim_to}.")


def check_key(space: Space, key: Key) -> None:
    """Hold a key to its space's kind and range. Raises ValueError."""
    if space.paged:
        if not isinstance(key, int) or not 0 <= key <= LAST_KEY:
            raise ValueError(f"{key!r} is no key of the paged space {space.name}.")
    elif not isinstance(key, bytes) or len(key) > KEY_LIMIT:
        raise ValueError(f"{key!r} is no key of the small space {space.name}.")


def check_ranges(ranges: Sequence[KeyRange]) -> None:
    """Hold each to its limits. Raises ValueError."""
    for each in ranges:
        check_page(each.space, each.first, each.last, 1)


def check_page(space: Space, first: int, last: int, limit: int) -> None:
    """Hold a range to its limits. Raises ValueError."""
    if not space.paged or not 0 <= first <= last <= LAST_KEY or limit < 1:
        raise ValueError(f"{first} to {last}, limit {limit}: no range of a paged space {space.name}.")
