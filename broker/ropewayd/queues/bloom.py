"""A Bloom filter: a little memory that tells nearly all that is new from what was there."""

from __future__ import annotations

from collections.abc import Iterable

_BITS = 32
"""For each that is put in, at least. Four are looked at: of 5,000 new ones one is taken for one that was
there."""
_OWN_BYTES = 130


class Filter:
    """A Bloom filter for so many heads of digests, 64 bits each: what it does not have was not there."""

    __slots__ = ("_bits", "_mask")

    def __init__(self, count: int) -> None:
        size = 1 << max(3, (count * _BITS - 1).bit_length())
        self._mask = size - 1
        self._bits = bytearray(size // 8)

    def add(self, heads: Iterable[int]) -> None:
        bits, mask = self._bits, self._mask
        for head in heads:
            step = head >> 32
            for place in (head & mask, head + step & mask, head + 2 * step & mask, head + 3 * step & mask):
                bits[place >> 3] |= 1 << (place & 7)

    @property
    def bytes(self) -> int:
        """What it takes in memory, about."""
        return len(self._bits) + _OWN_BYTES

    def any(self, heads: Iterable[int]) -> bool:
        """Whether one of these may have been there."""
        bits, mask = self._bits, self._mask
        for head in heads:
            place = head & mask
            if not bits[place >> 3] >> (place & 7) & 1:
                continue
            step = head >> 32
            others = (head + step & mask, head + 2 * step & mask, head + 3 * step & mask)
            if all(bits[place >> 3] >> (place & 7) & 1 for place in others):
                return True
        return False
