"""What is listened for a protocol, and its open connections: how many there may be, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

BACKLOG = 4096


class Closable(Protocol):
    """A connection, as far as this module goes."""

    def close(self) -> None:
        """Send what is ready, and close."""


C = TypeVar("C", bound=Closable)


class Listening(ABC, Generic[C]):
    """Accepts connections on any number of addresses. Each asks to be admitted, and says when it is gone."""

    def __init__(self, max_connections: int, handshake_timeout: int) -> None:
        """`handshake_timeout`: milliseconds for that of TLS."""
        self.loop = asyncio.get_running_loop()
        self.full: Callable[[], bool] = lambda: False
        """Whether the whole process can have no more connections."""
        self._most = max_connections
        self._patience = handshake_timeout / 1000
        self._open: set[C] = set()
        self._servers: list[asyncio.AbstractServer] = []
        self._idle = asyncio.Event()
        self._idle.set()

    @abstractmethod
    def connect(self) -> Any:
        """The protocol of a new connection."""

    @property
    def connections(self) -> int:
        """Open ones."""
        return len(self._open)

    async def listen(self, bound: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve a socket that is bound already. Who may reach it is not this module's to judge."""
        bound.setblocking(False)
        unix = bound.family == socket.AF_UNIX
        start: Any = self.loop.create_unix_server if unix else self.loop.create_server
        patience = {} if tls is None else {"ssl_handshake_timeout": self._patience}
        self._servers.append(await start(self.connect, sock=bound, ssl=tls, backlog=BACKLOG, **patience))

    def admit(self, connection: C) -> bool:
        """Count a connection in, unless there are too many."""
        if len(self._open) >= self._most or self.full():
            return False
        self._open.add(connection)
        self._idle.clear()
        return True

    def dismiss(self, connection: C) -> None:
        self._open.discard(connection)
        if not self._open:
            self._idle.set()

    def stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def close(self, within: float = 5.0) -> None:
        """Send what is ready, close every connection, and wait for that, `within` seconds at the most."""
        self.stop_accepting()
        for connection in list(self._open):
            connection.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), within)
