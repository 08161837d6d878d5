"""The limits of the store's protocol, which every store holds its caller to.

A ValueError says that the caller is at fault: nothing was asked of the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import lt
from typing import Final

from ropewayd.store.protocol import GROUP_BITS, Key, KeyRange, Passage, Slice, Space

BATCH_LIMIT: Final = 256 << 20
VALUE_LIMIT: Final = 64 << 20
KEY_LIMIT: Final = 256
LAST_KEY: Final = 2**63 - 1
LAST_SPACE: Final = 127
"""Numbers above it are the store's own."""
SPAN: Final = 1 << 16
"""The keys of a passage lie within so many."""


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
    for passage in slice.passages:
        check_passage(passage, lsn)
    for each in slice.drop_ranges:
        check_number(each.space)
        check_page(each.space, each.first, each.last, 1)
    if not 0 <= slice.trim_to <= lsn:
        raise ValueError(f"A slice of lsn {lsn} trims to {slice.trim_to}.")


def check_passage(passage: Passage, lsn: int) -> None:
    """Hold it to its limits. Raises ValueError."""
    keys = passage.keys
    for key in (*keys[:1], *keys[-1:]):
        check_key(passage.space, key)
    rising = keys.step > 0 if isinstance(keys, range) else all(map(lt, keys, keys[1:]))
    if not passage.space.paged or not keys or not rising or not is_near(keys, keys):
        raise ValueError(f"These are no keys of a passage of {passage.space.name}: {keys!r}.")
    if not 0 < passage.source <= lsn or not 0 <= passage.lsn <= lsn:
        raise ValueError(f"A passage of row {passage.source} and lsn {passage.lsn} in a slice of lsn {lsn}.")


def is_near(keys: Sequence[int], more: Sequence[int]) -> bool:
    """Whether these keys, and more that follow them, can be of one passage."""
    return keys[0] <= more[-1] < keys[0] + SPAN and keys[0] >> GROUP_BITS == more[-1] >> GROUP_BITS


def check_key(space: Space, key: Key) -> None:
    """Hold a key to its space's kind and range. Raises ValueError."""
    check_number(space)
    if space.paged:
        if not isinstance(key, int) or not 0 <= key <= LAST_KEY:
            raise ValueError(f"{key!r} is no key of the paged space {space.name}.")
    elif not isinstance(key, bytes) or len(key) > KEY_LIMIT:
        raise ValueError(f"{key!r} is no key of the small space {space.name}.")


def check_number(space: Space) -> None:
    """Hold a space to the numbers that are the caller's. Raises ValueError."""
    if not 0 < space.number <= LAST_SPACE:
        raise ValueError(f"{space.number} is no number of a space: they go from 1 to {LAST_SPACE}.")


def check_ranges(ranges: Sequence[KeyRange]) -> None:
    """Hold each to its limits. Raises ValueError."""
    for each in ranges:
        check_page(each.space, each.first, each.last, 1)


def check_page(space: Space, first: int, last: int, limit: int) -> None:
    """Hold a range to its limits. Raises ValueError."""
    if not space.paged or not 0 <= first <= last <= LAST_KEY or limit < 1:
        raise ValueError(f"{first} to {last}, limit {limit}: no range of a paged space {space.name}.")
