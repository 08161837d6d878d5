"""The response to a call: its bytes are ready when it is made, and leave in one write.

aiohttp's own response builds its headers from mappings when it is sent, after the commit. This one is built
while the commit runs, and costs less than half.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time

if TYPE_CHECKING:
    from .connection import Connection

_REASONS: Final = {each.value: each.phrase for each in HTTPStatus}


class Response(web.StreamResponse):
    """See the module. To aiohttp it is a response that needs no preparation."""

    def __init__(self, status: int, body: bytes, kind: str, request_id: str) -> None:
        # Not the base's: what that prepares is not used here.
        self.code = status
        self.content = body
        self.kind = kind
        self.request_id = request_id
        self.more: dict[str, str] = {}
        """Headers besides those of every answer."""
        self._ends = False
        self._peer: web.BaseRequest | None = None

    @property
    def status(self) -> int:
        return self.code

    @property
    def keep_alive(self) -> bool | None:
        return not self._ends and (self._peer is None or self._peer.keep_alive)

    def force_close(self) -> None:
        self._ends = True

    async def prepare(self, request: web.BaseRequest) -> None:
        self._peer = request

    async def write_eof(self, data: bytes = b"") -> None:
        assert self._peer is not None
        transport = self._peer.transport
        if transport is None:
            return
        transport.write(self._head() + self.content)
        connection = cast("Connection", self._peer.protocol)
        if connection.writing_paused:
            await connection.taken()

    def _head(self) -> bytes:
        lines = [
            f"HTTP/1.1 {self.code} {_REASONS.get(self.code, '')}\r\nx-amzn-RequestId: {self.request_id}\r\n",
            f"Content-Type: {self.kind}\r\nContent-Length: {len(self.content)}\r\n",
            f"Date: {rfc822_formatted_time()}\r\nServer: ropewayd\r\n",
        ]
        for name, value in self.more.items():
            assert "\n" not in value
            assert "\r" not in value
            lines.append(f"{name}: {value}\r\n")
        if not self.keep_alive:
            lines.append("Connection: close\r\n")
        elif self._peer is not None and self._peer.version < (1, 1):
            lines.append("Connection: keep-alive\r\n")
        lines.append("\r\n")
        return "".join(lines).encode("latin-1", "replace")
