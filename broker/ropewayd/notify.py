"""The service manager's side of things: readiness, status, the watchdog, and sockets that it opened for us.

These are systemd's protocols, spoken by hand: a datagram of VARIABLE=value lines to the socket that
NOTIFY_SOCKET names, and listening sockets from file descriptor 3 on, counted by LISTEN_FDS. Without those
variables nothing here does anything. The variables are taken out of the environment, so that no child process
mistakes them for its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Final

from ropewayd.exits import Misconfigured

FIRST_DESCRIPTOR: Final = 3
MAX_SOCKETS: Final = 64
PATIENCE: Final = 0.5
"""Seconds that a send may wait for a manager whose socket is full."""


class Notifier:
    """Tells the service manager how the daemon is doing. Never raises: serving comes first."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        self.watchdog_interval = _watchdog_interval(environ)
        """Seconds between signs of life, half of what the manager allows. None: it asks for none."""
        if self._address.startswith(("/", "@")):
            self._socket = socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0)
            )
            self._socket.settimeout(PATIENCE)

    def ready(self, status: str) -> None:
        self.send("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        self.send(f"STATUS={status}")

    def stopping(self, status: str) -> None:
        self.send("STOPPING=1", f"STATUS={status}")

    def extend_start(self, seconds: float) -> None:
        """Ask for this much more time, from now, before the start is called a failure."""
        self.send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def alive(self) -> None:
        self.send("WATCHDOG=1")

    def send(self, *assignments: str) -> None:
        """One datagram of VARIABLE=value lines."""
        if self._socket is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            self._socket.sendto("\n".join(assignments).encode(), address)
        except OSError:
            return  # there is nobody else to tell, and serving matters more

    async def watch(self, probe: Callable[[], Awaitable[object]]) -> None:
        """Send signs of life for ever: each after `probe` came back, so only while both the loop and what the
        probe asks (the store's thread) move. Returns at once where no watchdog is asked for."""
        if self.watchdog_interval is None or self._socket is None:
            return
        while True:
            await probe()
            self.alive()
            await asyncio.sleep(self.watchdog_interval)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _watchdog_interval(environ: MutableMapping[str, str]) -> float | None:
    microseconds = environ.pop("WATCHDOG_USEC", "")
    process = environ.pop("WATCHDOG_PID", "")
    if not microseconds.isdigit() or int(microseconds) == 0 or (process and process != str(os.getpid())):
        return None
    return int(microseconds) / 2_000_000


def inherited_sockets(
    environ: MutableMapping[str, str], first_descriptor: int = FIRST_DESCRIPTOR
) -> list[socket.socket]:
    """The listening sockets that the service manager passed to this very process, in its order.

    Raises Misconfigured if one of them is not a listening stream socket.
    """
    process = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", "")
    if process != str(os.getpid()):
        return []
    if not count.isdigit() or int(count) > MAX_SOCKETS:
        raise Misconfigured(f"LISTEN_FDS must be a number up to {MAX_SOCKETS}, and is {count!r}")
    sockets: list[socket.socket] = []
    try:
        sockets.extend(map(_adopted, range(first_descriptor, first_descriptor + int(count))))
    except Misconfigured:
        for each in sockets:
            each.close()
        raise
    return sockets


def _adopted(descriptor: int) -> socket.socket:
    try:
        adopted = socket.socket(fileno=descriptor)
    except OSError as wrong:
        raise Misconfigured(f"inherited descriptor {descriptor} is not a socket: {wrong.strerror}") from None
    if adopted.type != socket.SOCK_STREAM or not adopted.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        adopted.close()
        raise Misconfigured(f"inherited descriptor {descriptor} is not a listening stream socket")
    adopted.set_inheritable(False)
    adopted.setblocking(False)
    return adopted
