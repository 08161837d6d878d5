"""A request while it comes: its head, which is whole, and as much of its body as is there."""

from __future__ import annotations

from io import BytesIO
from typing import Final

DIRECT: Final = 64 << 10
"""Bytes of a body up to which its pieces are put together at the end. Those of a larger one lie in one place
as they come: to join them then would take a millisecond or two."""
MANY: Final = 64
"""Pieces of which that holds, too, however short they are."""


class Incoming:
    """See the module. Of a body that is larger than `most` nothing is kept."""

    __slots__ = (
        "_large",
        "_most",
        "_pieces",
        "fields",
        "headers",
        "keeps",
        "method",
        "modern",
        "size",
        "target",
        "too_large",
        "whole",
    )

    def __init__(
        self,
        method: str,
        target: str,
        headers: list[tuple[bytes, bytes]],
        fields: dict[str, list[bytes]],
        length: int,
        most: int,
    ) -> None:
        """`length`: what the headers say of the body, if they do."""
        self.method = method
        self.target = target
        self.headers = headers
        self.fields = fields
        self.modern = True
        """Whether it is of HTTP/1.1."""
        self.keeps = True
        """Whether another request may follow on the connection."""
        self.size = 0
        """Bytes of the body that have come."""
        self.whole = False
        """Whether that is all."""
        self.too_large = length > most
        self._most = most
        self._pieces: list[bytes] = []
        self._large: BytesIO | None = None

    def add(self, piece: bytes) -> None:
        """More of the body."""
        self.size += len(piece)
        if self.size > self._most or self.too_large:
            self.too_large = True
            self._pieces.clear()
            self._large = None
        elif self._large is not None:
            self._large.write(piece)
        else:
            self._pieces.append(piece)
            if len(self._pieces) > 1 and (self.size > DIRECT or len(self._pieces) > MANY):
                self._large = BytesIO()
                self._large.writelines(self._pieces)
                self._pieces.clear()

    def body(self) -> bytes:
        """The body, as far as it is there."""
        if self._large is not None:
            return self._large.getvalue()
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
