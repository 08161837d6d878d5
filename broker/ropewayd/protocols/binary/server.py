"""Where the binary protocol is listened for, and what all its connections share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ropewayd.kernel.kernel import Kernel
from ropewayd.vocabulary.names import DEFAULT_ACCOUNT, DEFAULT_REGION

from .connection import Connection
from .handshake import Handshake
from .settings import BinaryLimits

BACKLOG = 1024


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
        self._keys = dict(keys or {})
        self._account = account
        self._region = region
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.AbstractServer] = []
        self._paths: list[Path] = []
        self._idle = asyncio.Event()
        self._idle.set()

    async def listen(self, address: str | socket.socket, tls: ssl.SSLContext | None = None) -> str:
        """Listen at HOST:PORT (port 0: any), unix:PATH, or a socket that is bound already. Gives the address
        in the same form. Raises OSError."""
        if isinstance(address, str):
            bound = _bind_unix(Path(address[5:])) if address.startswith("unix:") else _bind_tcp(address)
            if bound.family == socket.AF_UNIX:
                self._paths.append(Path(address[5:]))
        else:
            bound = address
        bound.setblocking(False)
        if bound.family == socket.AF_UNIX:
            server = await self.loop.create_unix_server(self._connect, sock=bound, ssl=tls, backlog=BACKLOG)
        else:
            server = await self.loop.create_server(self._connect, sock=bound, ssl=tls, backlog=BACKLOG)
        self._servers.append(server)
        return show_address(bound)

    def _connect(self) -> Connection:
        return Connection(self)

    def handshake(self) -> Handshake:
        return Handshake(self.limits, self._keys, self._account, self._region)

    def admit(self, connection: Connection) -> bool:
        """Count a connection in, unless there are too many."""
        if len(self._connections) >= self.limits.max_connections:
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
        for path in self._paths:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        self._paths.clear()

    async def close(self, within: float = 5.0) -> None:
        """Send what is ready, close every connection, and wait for that, `within` seconds at the most."""
        self.stop_accepting()
        for connection in list(self._connections):
            connection.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), within)


def show_address(bound: socket.socket) -> str:
    """HOST:PORT or unix:PATH of a bound socket."""
    name = bound.getsockname()
    if bound.family == socket.AF_UNIX:
        return f"unix:{name.decode() if isinstance(name, bytes) else name}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bind_tcp(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(
        host.strip("[]") or "127.0.0.1", int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, proto, _, where = found[0]
    bound = socket.socket(family, kind, proto)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        bound.bind(where)
    except OSError:
        bound.close()
        raise
    return bound


def _bind_unix(path: Path) -> socket.socket:
    """A socket of mode 0600. One that a dead daemon left is taken over; one that answers is not."""
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(os.fspath(path))
            except ConnectionRefusedError:
                path.unlink()
    bound = socket.socket(socket.AF_UNIX)
    try:
        before = os.umask(0o177)
        try:
            bound.bind(os.fspath(path))
        finally:
            os.umask(before)
    except OSError:
        bound.close()
        raise
    return bound
