"""Where the AWS face is listened for, and what all its connections share."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .connection import Connection
from .gateway import Gateway
from .settings import HttpLimits

BACKLOG = 4096


class HttpServer:
    """Accepts connections on any number of addresses."""

    def __init__(self, gateway: Gateway, limits: HttpLimits) -> None:
        self.gateway = gateway
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self._manager = web.Server(gateway.serve, handler_cancellation=True)
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.AbstractServer] = []
        self.full: Callable[[], bool] = lambda: False
        """Whether the whole process can have no more connections."""
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    async def listen(self, bound: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve a socket that is bound already. Who may reach it is not this module's to judge."""
        bound.setblocking(False)
        unix = bound.family == socket.AF_UNIX
        start: Any = self.loop.create_unix_server if unix else self.loop.create_server
        patience = {} if tls is None else {"ssl_handshake_timeout": self.limits.header_timeout / 1000}
        self._servers.append(await start(self._connect, sock=bound, ssl=tls, backlog=BACKLOG, **patience))

    def _connect(self) -> Connection:
        return Connection(self, self._manager, self.limits)

    def admit(self, connection: Connection) -> bool:
        """Count a connection in, unless there are too many."""
        if len(self._connections) >= self.limits.max_connections or self.full():
            return False
        self._connections.add(connection)
        self._idle.clear()
        return True

    def dismiss(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._idle.set()

    def stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def close(self, within: float = 5.0) -> None:
        """Let answers that are ready leave, close every connection, and wait for that, `within` seconds."""
        self.stop_accepting()
        for connection in list(self._connections):
            connection.leave()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), within)
        for connection in list(self._connections):
            connection.force_close()
