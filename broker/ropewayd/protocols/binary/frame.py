"""Frames: four bytes of length, most significant first, then so many bytes of msgpack.

`Frames` cuts a stream into frames, whatever the pieces it comes in. A frame is unpacked whole, and only by
its length: a peer that claims more than it sends costs what it sent.
"""

from __future__ import annotations

from collections.abc import Iterator

HEADER = 4


class FrameTooLong(Exception):
    """The peer announces a frame of no length or of more than the limit."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"a frame has 1 to {limit} bytes; this one says {length}")


_MANY = 1024
"""Pieces held before they are joined, so that a peer of tiny pieces costs its bytes and little more."""


class Frames:
    """See the module. `limit` is what a frame may have, `pending` how many bytes are held."""

    __slots__ = ("_need", "_pieces", "limit", "pending")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._pieces: list[bytes] = []
        self._need = HEADER
        self.pending = 0

    @property
    def partial(self) -> bool:
        """Whether what is held is the beginning of a frame, and no whole one."""
        return 0 < self.pending < self._need

    def feed(self, data: bytes) -> None:
        self._pieces.append(data)
        self.pending += len(data)
        if len(self._pieces) >= _MANY:
            self._pieces = [b"".join(self._pieces)]

    def cut(self) -> Iterator[bytes]:
        """The frames that are whole; what the caller does not take stays. Raises FrameTooLong at one that can
        never be whole."""
        if self.pending < self._need:
            return
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        start, end, need = 0, len(data), HEADER
        try:
            while end - start >= HEADER:
                length = int.from_bytes(data[start : start + HEADER], "big")
                if not 0 < length <= self.limit:
                    raise FrameTooLong(length, self.limit)
                stop = start + HEADER + length
                if stop > end:
                    need = HEADER + length
                    break
                # The place moves first: whoever stops after this frame has had it.
                begin, start = start + HEADER, stop
                yield data[begin:stop]
        finally:
            rest = data[start:] if start else data
            self._pieces = [rest] if rest else []
            self.pending = len(rest)
            self._need = need


def frame(payload: bytes) -> bytes:
    """A payload with its length in front."""
    return len(payload).to_bytes(HEADER, "big") + payload
