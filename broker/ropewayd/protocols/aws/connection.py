"""One HTTP connection: aiohttp's, with the bounds that it lacks.

Rule 1  A request's headers come to their end within header_timeout of their first byte, and a connection
        without a request is closed after idle_timeout. Bodies are the gateway's to bound.
Rule 2  A peer that does not take its answers within write_timeout is cut off.
Rule 3  What is no HTTP is answered as any other mistake is, and ends the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from .settings import HttpLimits

if TYPE_CHECKING:
    from .server import HttpServer


class Connection(RequestHandler):
    """See the module."""

    __slots__ = ("_front", "_late", "_limits", "_stuck")

    def __init__(self, front: HttpServer, manager: web.Server, limits: HttpLimits) -> None:
        super().__init__(
            manager,
            loop=front.loop,
            keepalive_timeout=limits.idle_timeout / 1000,
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes it, and then writes none
            max_line_size=limits.max_header,
            max_field_size=limits.max_header,
            max_headers=limits.max_headers,
            auto_decompress=False,
            lingering_time=2.0,
        )
        self._front = front
        self._limits = limits
        self._late: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self._front.admit(self):
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._calm("_late")
        self._calm("_stuck")
        self._front.dismiss(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._request_count
        super().data_received(data)
        if self._late is None:
            # A request has begun and its headers are not all there, or a new message would have been seen.
            if self._request_count == before and self._current_request is None and not self._messages:
                self._watch("_late", self._limits.header_timeout, self.force_close)
        elif self._request_count != before:
            self._calm("_late")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch("_stuck", self._limits.write_timeout, self._cut_off)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._calm("_stuck")

    async def taken(self) -> None:
        """Wait until the peer has taken what was written. Raises ConnectionError where it is gone."""
        await self._drain_helper()

    def leave(self) -> None:
        """Close when what was asked is answered: now, if nothing was."""
        if self._current_request is None and not self._messages:
            self.force_close()
        else:
            self.close()

    def _cut_off(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _watch(self, name: str, patience: int, act: Callable[[], None]) -> None:
        self._calm(name)
        setattr(self, name, self._loop.call_later(patience / 1000, act))

    def _calm(self, name: str) -> None:
        timer = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp could not read, or what went wrong beyond the gateway."""
        return self._front.gateway.broken(request, status, message or "")

    def log_exception(self, *args: Any, **kw: Any) -> None:
        self._front.gateway.complain(kw.get("exc_info"))
