"""Bytes to requests, for one connection.

httptools (llhttp) reads HTTP, as strictly as it can. What it leaves open is decided here.

Rule 1  What two servers could read in two ways is refused, and so is what is no HTTP/1.0 or HTTP/1.1. Nothing
        behind it is read.
Rule 2  Nothing is unbounded: no line, nor how many there are, nor what is thrown away (extensions of chunks,
        empty lines in front of a request). Trailers are refused.
Rule 3  It stops between two requests when there are as many as are wanted, and holds the bytes behind them.
Rule 4  Another protocol is never begun. A request that asks for one is read to its end, and is the last.
"""

from __future__ import annotations

from typing import Final

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from ropewayd.vocabulary.errors import MalformedRequest

from .incoming import Incoming
from .request import by_name
from .settings import HttpLimits

STEP: Final = 16 << 10
"""Bytes of a head that are looked at in one go. Of a body whose length is known it is all that is there."""
CHUNKED_STEP: Final = 4 << 10
"""The same of a body in chunks: requests behind it in these bytes are cut, too, wanted or not."""
SINGLE: Final = (
    *("host", "content-length", "transfer-encoding", "content-type", "content-encoding", "expect"),
    *("x-amz-target", "user-agent"),
)
"""Headers that a request has once: of two a proxy in front could have read the other one."""
VERSIONS: Final = {"1.1": True, "1.0": False}
_END: Final = b"\r\n\r\n"


class RequestParser:
    """See the module. The methods on_... are httptools's to call."""

    def __init__(self, limits: HttpLimits) -> None:
        self._max_header = limits.max_header
        self._max_headers = limits.max_headers
        self._max_body = limits.max_body
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self._found: list[Incoming] = []
        self._rest = b""
        """What is held by Rule 3."""
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._begun = False
        """Whether a request has begun that is not at its end."""
        self._body: Incoming | None = None
        """It, if its head is at its end."""
        self._left = 0
        """Bytes of its body that are still to come, where its head says how many there are."""
        self._unread = 0
        """Bytes that came since httptools told of something."""
        self.wrong: MalformedRequest | None = None
        """What is wrong with what came, once that is known."""
        self.upgrades = False
        """Whether the last request was cut, because it asks for another protocol."""

    @property
    def holds(self) -> bool:
        """Whether there are bytes that were not looked at."""
        return bool(self._rest)

    def feed(self, data: bytes, wanted: int) -> list[Incoming]:
        """Take these bytes; give the requests whose heads are at their end in them, and about as many as are
        wanted. Their bodies may still come."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        found = self._found = []
        at, size = 0, len(data)
        while at < size and self.wrong is None:
            if not self._begun and (self.upgrades or len(found) >= wanted):
                break
            end = min(size, self._end(data, at))
            at += self._read(data if end - at == size else memoryview(data)[at:end])
        if at < size and self.wrong is None and not self.upgrades:
            self._rest = data[at:]
        self._found = []  # what was read is no longer ours
        return found

    def close(self) -> None:
        """Nothing more comes."""
        self._parser = None  # it refers to us as we do to it

    def _end(self, data: bytes, at: int) -> int:
        """Where the piece may end that is read next."""
        if self._left:
            return at + self._left
        if self._body is not None:
            return at + CHUNKED_STEP
        end = data.find(_END, at, at + STEP)
        return at + STEP if end < 0 else end + len(_END)

    def _read(self, piece: bytes | memoryview) -> int:
        """How many bytes of a piece were read."""
        assert self._parser is not None
        size = len(piece)
        if self.upgrades:  # httptools would take its body for the other protocol
            self.on_body(bytes(piece))
            if not self._left:
                self.on_message_complete()
            return size
        self._unread += size
        try:
            self._parser.feed_data(piece)
        except HttpParserUpgrade as upgrade:
            return int(upgrade.args[0])
        except HttpParserError as error:
            if self.wrong is None:
                if isinstance(error, HttpParserCallbackError):
                    raise error.__context__ or error from None  # it is not the peer who is wrong
                self._refuse(str(error))
        if self._unread > 2 * self._max_header + STEP:
            self._refuse("a line of it is too long")
        return size

    def _refuse(self, why: str) -> None:
        self.wrong = MalformedRequest(f"This is not an HTTP request that is read here: {why[:200]}")

    # What httptools tells. What these raise ends its work; Rule 1.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begun = True

    def on_url(self, piece: bytes) -> None:
        """Of its target, some more."""
        self._unread = 0
        self._url += piece
        if len(self._url) > self._max_header:
            self._refuse(f"its first line has more than {self._max_header} bytes")
            raise ValueError

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._unread = 0
        headers = self._headers
        headers.append((name, value.rstrip(b" \t")))
        if self._body is not None:
            self._refuse("it has trailers")
        elif len(name) + len(value) > self._max_header:
            self._refuse(f"a header has more than {self._max_header} bytes")
        elif len(headers) > self._max_headers:
            self._refuse(f"it has more than {self._max_headers} headers")
        else:
            return
        raise ValueError

    def on_headers_complete(self) -> None:
        """The head is at its end."""
        assert self._parser is not None
        fields, parser = by_name(self._headers), self._parser
        modern = VERSIONS.get(parser.get_http_version())
        problem = _problem(fields, self._headers, modern)
        if problem:
            self._refuse(problem)
            raise ValueError
        length = fields.get("content-length")
        self._left = int(length[0]) if length is not None else 0
        request = self._body = Incoming(
            parser.get_method().decode("ascii"),
            self._url.decode("utf-8", "surrogateescape"),
            self._headers,
            fields,
            self._left,
            self._max_body,
        )
        self._url, self._headers = b"", []
        request.modern = bool(modern)
        request.keeps = parser.should_keep_alive()
        self.upgrades = parser.should_upgrade()
        if self.upgrades:
            request.keeps = False
            if "transfer-encoding" in fields:
                self._refuse("it asks for another protocol, and has a body in chunks")
                raise ValueError
        self._found.append(request)

    def on_body(self, piece: bytes) -> None:
        """Of the body, some more."""
        assert self._body is not None
        self._unread = 0
        if self._left:
            self._left -= len(piece)
        self._body.add(piece)

    def on_chunk_header(self) -> None:
        """A chunk begins."""
        self._unread = 0

    def on_message_complete(self) -> None:
        """The request is at its end; one that was cut only if it has no body."""
        self._unread = 0
        if self._left:
            return
        assert self._body is not None
        self._body.whole = True
        self._body = None
        self._begun = False


def _problem(
    fields: dict[str, list[bytes]], headers: list[tuple[bytes, bytes]], modern: bool | None
) -> str | None:
    """Why a head is refused that httptools takes."""
    if modern is None:
        return "its version is neither HTTP/1.0 nor HTTP/1.1"
    if modern and "host" not in fields:
        return "it has no header Host"
    if len(fields) != len(headers):
        for name in SINGLE:
            if len(fields.get(name, ())) > 1:
                return f"it has more than one header {name}"
    coding = fields.get("transfer-encoding")
    if coding is not None and coding[0].lower() != b"chunked":
        return "its transfer encoding is not chunked alone"
    return None
