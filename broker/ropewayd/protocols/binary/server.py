"""Where the binary protocol is listened for, and what all its connections share."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from ropewayd.kernel.kernel import Kernel
from ropewayd.protocols.catalogue import ACTIONS
from ropewayd.vocabulary.names import DEFAULT_ACCOUNT, DEFAULT_REGION

from .connection import PROTOCOL, Connection, Encoder
from .handshake import Handshake
from .settings import BinaryLimits

BACKLOG = 4096


class BinaryServer:
    """Accepts connections on any number of addresses. `keys` maps access key ids to secrets; empty lets
    anyone in."""

    def __init__(
        self,
        kernel: Kernel,
        limits: BinaryLimits | None = None,
        keys: Mapping[str, str] | None = None,
        account: str = DEFAULT_ACCOUNT,
        region: str = DEFAULT_REGION,
    ) -> None:
        self.kernel = kernel
        self.wheel = kernel.wheel
        self.limits = limits or BinaryLimits()
        self.loop = asyncio.get_running_loop()
        self.now = kernel.clock.now
        self.encode = Encoder(kernel.meter.errors)
        self.seconds = {code: kernel.meter.calls(PROTOCOL, kind.__name__) for code, kind in ACTIONS.items()}
        """Where it is counted how long each action takes."""
        self._keys = dict(keys or {})
        self._account = account
        self._region = region
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.AbstractServer] = []
        self.full: Callable[[], bool] = lambda: False
        """Whether the whole process can have no more connections."""
        self._idle = asyncio.Event()
        self._idle.set()

    async def listen(self, bound: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve a socket that is bound already. Who may reach it is not this module's to judge."""
        bound.setblocking(False)
        unix = bound.family == socket.AF_UNIX
        start: Any = self.loop.create_unix_server if unix else self.loop.create_server
        patience = {} if tls is None else {"ssl_handshake_timeout": self.limits.handshake_timeout / 1000}
        self._servers.append(await start(self._connect, sock=bound, ssl=tls, backlog=BACKLOG, **patience))

    def _connect(self) -> Connection:
        return Connection(self)

    def handshake(self) -> Handshake:
        return Handshake(self.limits, self._keys, self._account, self._region)

    @property
    def connections(self) -> int:
        """Open ones."""
        return len(self._connections)

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

    def due(self, payloads: list[Any], now: int) -> None:
        """Connections whose timer fired."""
        for connection in payloads:
            connection.look(now)

    def stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def close(self, within: float = 5.0) -> None:
        """Send what is ready, close every connection, and wait for that, `within` seconds at the most."""
        self.stop_accepting()
        for connection in list(self._connections):
            connection.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), within)
