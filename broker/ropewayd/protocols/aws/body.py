"""The body of a request: unpacked, and looked at before it is read."""

from __future__ import annotations

import zlib
from collections.abc import Generator
from typing import Final

from ropewayd.vocabulary.errors import MalformedRequest

from .errors import RequestTooLarge
from .turns import PIECE

LARGE: Final = 64 << 10
"""Bytes of JSON from which on its strings are counted before it is read."""
LIKELY: Final = 2 << 20
MOST_PACKED: Final = 100
"""What is so many times as long as it was packed, and LIKELY already, is meant to hurt, and not read on."""


def fits(body: bytes) -> bool:
    """Whether JSON says no character that AWS refuses in a message, as far as a glance tells: what is below a
    space stands there as an escape or not at all."""
    return body.isascii() and b"\\" not in body


def check_strings(body: bytes, most: int) -> Generator[None, None, None]:
    """Raises MalformedRequest for JSON of more strings than a call can need: to make objects of a million
    would hold everybody up. In steps.

    Each string begins with a quote that no backslash precedes, and ends with one that it may: so there are
    at least half as many strings as such quotes, and never more. What is no JSON fails elsewhere.
    """
    quotes = 0
    for start in range(0, len(body), PIECE):
        if start:
            yield
        quotes += body.count(b'"', start, start + PIECE)
    if quotes <= 2 * most:
        return
    for start in range(0, len(body), PIECE):
        yield
        quotes -= body.count(b'\\"', start, start + PIECE + 1)
    if quotes > 2 * most:
        raise MalformedRequest(f"The request has more than {most} strings.")


def unpack(body: bytes, coding: str, most: int) -> Generator[None, None, bytes]:
    """The body without its content coding, in steps. Raises MalformedRequest or RequestTooLarge."""
    coding = coding.strip().lower()
    if coding in {"identity", ""}:
        return body
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise MalformedRequest(f"The content coding {coding[:40]!r} is not known; gzip and deflate are.")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    plain = bytearray()
    left = body
    while True:
        try:
            piece = unpacker.decompress(left, PIECE)
        except zlib.error:
            raise MalformedRequest(f"The body is not {coding}.") from None
        plain += piece
        left = unpacker.unconsumed_tail
        meant_to_hurt = len(plain) >= LIKELY and len(plain) > MOST_PACKED * (len(body) - len(left))
        if len(plain) > most or (meant_to_hurt and not unpacker.eof):
            raise too_large(most)
        if unpacker.eof or len(piece) < PIECE:
            break
        yield
    if not unpacker.eof or unpacker.unused_data:
        raise MalformedRequest(f"The body is not {coding} from its beginning to its end.")
    return bytes(plain)


def too_large(most: int) -> RequestTooLarge:
    """The error of a body that is."""
    return RequestTooLarge(f"A body has at most {most} bytes, packed or not.")
