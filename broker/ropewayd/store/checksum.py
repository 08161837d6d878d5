"""The checksum that every journal row and every record carries.

It is a CRC-32 (zlib's) over a header and then the bytes. The header holds the space's number, the key and the
lsn, so that a row which turns up whole but in the wrong place, or in an older version, does not match either.
The chain starts from a seed, which a store derives from its own random identity: a row of another store does
not match.

A CRC finds every single flipped bit and every burst of up to 32, and all but one in 2**32 of other damage. It
is no guard against somebody who forges it; whoever can write the files can write anything.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError  # noqa: N812  # it is a class
from typing import Any, Final
from zlib import crc32

from ropewayd.store.protocol import Key

JOURNAL: Final = 0
"""The journal's number among the spaces; those of the kernel begin at 1."""

_INTEGER: Final = Struct(">BBqQ")
_BYTES: Final = Struct(">BBqI")


def checksum(seed: int, space: int, key: Key, lsn: int, value: bytes) -> int:
    """The checksum of one row, 0 to 2**32 - 1.

    Header, big-endian: space (1 byte), kind of key (1 byte: 1 integer, 2 bytes), lsn (8 bytes), and then the
    integer (8 bytes), or the length of the key (4 bytes) and the key.
    """
    if isinstance(key, int):
        header = _INTEGER.pack(space, 1, lsn, key)
    else:
        header = _BYTES.pack(space, 2, lsn, len(key)) + key
    return crc32(value, crc32(header, seed))


def row_checksum(seed: int, lsn: int, batch: bytes) -> int:
    """The checksum of a journal row: space 0, and its lsn is its key."""
    return crc32(batch, crc32(_INTEGER.pack(JOURNAL, 1, lsn, lsn), seed))


def matcher(seed: int, space: int) -> Callable[[Any, Any, Any, Any], bool]:
    """`matches` for the many rows of a paged space: whether (key, lsn, check, value) is as it was written."""
    pack = _INTEGER.pack

    def match(key: Any, lsn: Any, check: Any, value: Any) -> bool:
        if type(value) is not bytes or type(lsn) is not int or type(key) is not int:
            return False
        try:
            return bool(crc32(value, crc32(pack(space, 1, lsn, key), seed)) == check)
        except StructError:
            return False

    return match


def matches(seed: int, space: int, key: Key, lsn: int, value: bytes, check: int) -> bool:
    """Whether a row that was read back is the one that was written.

    Damage can give a field another type, too; then it is not.
    """
    if type(value) is not bytes or type(lsn) is not int or type(key) not in {int, bytes}:
        return False
    try:
        return checksum(seed, space, key, lsn, value) == check
    except StructError:
        return False  # a number that no key or lsn can be
