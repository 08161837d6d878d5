"""The body of a request: read to its end within its bounds, and unpacked."""

from __future__ import annotations

import asyncio
import zlib

from aiohttp import web

from ropewayd.vocabulary.errors import MalformedRequest

from .errors import RequestTimeout, RequestTooLarge
from .settings import HttpLimits


async def read(request: web.BaseRequest, limits: HttpLimits) -> bytes:
    """The whole body as it came.

    Raises MalformedRequest, and RequestTooLarge or RequestTimeout, which end the connection.
    """
    content, most = request.content, limits.max_body
    headers = request.headers
    length = headers.get("Content-Length")
    if length is not None and int(length) > most:
        raise _too_large(most)
    if "Expect" in headers and headers["Expect"].lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if content.is_eof():
        body = content.read_nowait()
        if len(body) > most:
            raise _too_large(most)
        return body
    pieces, left = [], most
    try:
        async with asyncio.timeout(limits.body_timeout / 1000):
            while piece := await content.readany():
                pieces.append(piece)
                left -= len(piece)
                if left < 0:
                    raise _too_large(most)
    except TimeoutError:
        raise RequestTimeout("The body did not come to its end in time.") from None
    except web.RequestPayloadError:
        raise MalformedRequest("The body is not encoded as its headers say.") from None
    return b"".join(pieces)


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
        raise _too_large(most)
    if not unpacker.eof or unpacker.unused_data:
        raise MalformedRequest(f"The body is not {coding} from its beginning to its end.")
    return plain


def _too_large(most: int) -> RequestTooLarge:
    return RequestTooLarge(f"A body has at most {most} bytes, packed or not.")
