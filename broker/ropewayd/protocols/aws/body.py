"""The body of a request: gathered to its end within its bounds, and unpacked."""

from __future__ import annotations

import zlib

from aiohttp.streams import StreamReader

from ropewayd.vocabulary.errors import MalformedRequest

from .errors import RequestTooLarge


class Body:
    """The body of one request while it comes. Raises RequestTooLarge as soon as that is known."""

    __slots__ = ("_most", "_pieces", "_size", "_stream")

    def __init__(self, stream: StreamReader, most: int, length: str) -> None:
        """`length`: what the headers say that it will be, if they do."""
        self._stream = stream
        self._most = most
        self._pieces: list[bytes] = []
        self._size = 0
        if length and int(length) > most:
            raise too_large(most)

    def gather(self) -> bool:
        """Take what has come, and say whether that is all."""
        whole = self._stream.is_eof()
        piece = self._stream.read_nowait()
        if piece:
            self._pieces.append(piece)
            self._size += len(piece)
            if self._size > self._most:
                raise too_large(self._most)
        return whole

    def whole(self) -> bytes:
        """All of it."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


def unpack(body: bytes, coding: str, most: int) -> bytes:
    """The body without its content coding. Raises MalformedRequest or RequestTooLarge."""
    coding = coding.strip().lower()
    if coding in {"identity", ""}:
        return body
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise MalformedRequest(f"The content coding {coding[:40]!r} is not known; gzip and deflate are.")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        plain = unpacker.decompress(body, most + 1)
    except zlib.error:
        raise MalformedRequest(f"The body is not {coding}.") from None
    if len(plain) > most:
        raise too_large(most)
    if not unpacker.eof or unpacker.unused_data:
        raise MalformedRequest(f"The body is not {coding} from its beginning to its end.")
    return plain


def too_large(most: int) -> RequestTooLarge:
    """The error of a body that is."""
    return RequestTooLarge(f"A body has at most {most} bytes, packed or not.")
