"""Receipt handles: what a receive gives and a delete takes.

A handle is the message's place (queue number and sequence), which receive it was, when, and a keyed hash over
all of it. So it cannot be guessed or made up, needs no memory, and is as good after a restart. The key is
made once for a store and lives in it.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

_FORM = struct.Struct(">IQIQ")
_HASH = 12
SIZE = _FORM.size + _HASH
KEY_SIZE = 32


class Handles:
    """Makes and reads the handles of one store."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_SIZE
        self._keyed = hashlib.blake2s(key=key, digest_size=_HASH)

    def make(self, number: int, sequence: int, count: int, at: int) -> bytes:
        """The handle of the `count`-th receive of a message, at a carried time in milliseconds."""
        plain = _FORM.pack(number, sequence, count, at)
        keyed = self._keyed.copy()
        keyed.update(plain)
        return plain + keyed.digest()

    def read(self, handle: object) -> tuple[int, int, int, int] | None:
        """(number, sequence, count, at) of a handle that this store made, or None."""
        if type(handle) is not bytes or len(handle) != SIZE:
            return None
        keyed = self._keyed.copy()
        keyed.update(handle[:-_HASH])
        if not hmac.compare_digest(keyed.digest(), handle[-_HASH:]):
            return None
        number, sequence, count, at = _FORM.unpack_from(handle)
        return number, sequence, count, at
