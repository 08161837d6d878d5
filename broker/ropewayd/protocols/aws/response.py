"""What is answered to a request. Its bytes are made when it is prepared, while the commit runs, and leave in
one write.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from .request import Request

_REASONS: Final = {each.value: f"{each.value} {each.phrase}" for each in HTTPStatus}


class Response:
    """See the module."""

    __slots__ = ("_raw", "body", "ends", "kind", "more", "request_id", "status")

    def __init__(
        self, status: int, body: bytes = b"", kind: str = "", request_id: str = "", *, ends: bool = False
    ) -> None:
        self._raw = b""
        self.status = status
        self.body = body
        self.kind = kind
        self.request_id = request_id
        """Empty where the request is no call."""
        self.ends = ends
        """Whether the connection ends with it, whatever the peer asks for."""
        self.more: dict[str, str] | None = None
        """Headers besides those of every answer."""

    def add(self, name: str, value: str) -> None:
        """Give it one more header."""
        if self.more is None:
            self.more = {}
        self.more[name] = value

    def encode(self, request: Request) -> bytes:
        """Its bytes as the answer to a request: made once, unless the connection has to end now."""
        if self._raw:
            return self._raw
        head = f"HTTP/1.1 {_REASONS[self.status]}\r\n"
        if self.request_id:
            head += f"x-amzn-RequestId: {self.request_id}\r\n"
        if self.kind:
            head += f"Content-Type: {self.kind}\r\n"
        head += f"Content-Length: {len(self.body)}\r\n{_stamp()}"
        if self.more is not None:
            for name, value in self.more.items():
                assert "\n" not in value
                assert "\r" not in value
                head += f"{name}: {value}\r\n"
        connection = "close" if self.ends else request.connection
        head += f"Connection: {connection}\r\n\r\n" if connection else "\r\n"
        raw = head.encode("latin-1", "replace")
        self._raw = raw if request.method == "HEAD" else raw + self.body
        return self._raw

    def end(self) -> None:
        """The connection ends with it, and it says so."""
        self.ends = True
        self._raw = b""


_stamped: tuple[int, str] = (0, "")


def _stamp() -> str:
    """The date and the server's name, which are the same for a second."""
    global _stamped  # noqa: PLW0603  # a cache of one
    now = int(time.time())
    if now != _stamped[0]:
        _stamped = now, f"Date: {formatdate(now, usegmt=True)}\r\nServer: ropewayd\r\n"
    return _stamped[1]
