"""The sockets that the daemon listens on: opened here, or inherited from the service manager.

Rule 1  Without access keys nothing but loopback and Unix sockets is served, however the address was written
        and whoever opened the socket. What counts is the numeric address.
Rule 2  Addresses are checked before the store is opened, and opened after it has recovered: a peer that can
        connect is served.
Rule 3  A Unix socket that a killed daemon left behind is replaced; one that somebody listens on is not. At
        the end only a socket file of our own is removed.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ropewayd.exits import Misconfigured

BACKLOG: Final = 4096
"""Connections that may wait to be accepted; the system caps it (net.core.somaxconn)."""
MAX_UNIX_PATH: Final = 107
"""Bytes of a Unix socket's path: sun_path has 108, and a zero ends it."""
HOW_TO_ADD_KEYS: Final = (
    'put a line id = "secret" in a file of mode 0600 and name it with keys.file (--keys-file)'
)


class Address(msgspec.Struct, frozen=True):
    """One address to serve: a path, or an address family with what bind takes."""

    text: str
    """As it was written, for people."""
    path: str | None = None
    family: int = 0
    target: tuple[Any, ...] = ()

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.path is not None or _is_loopback(self.target)


def parse(text: str, blame: str) -> list[Address]:
    """The addresses that HOST:PORT or unix:PATH means; a host name may mean several. Raises Misconfigured."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path or "\0" in path or len(os.fsencode(path)) > MAX_UNIX_PATH:
            raise Misconfigured(f"{blame}: {text} must have a path of 1 to {MAX_UNIX_PATH} bytes")
        return [Address(text, path)]
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not (colon and port.isascii() and port.isdigit() and int(port) <= 65535) or (
        ":" in host and not bracketed
    ):
        raise Misconfigured(f"{blame}: {text} is not HOST:PORT, [IPV6]:PORT or unix:PATH")
    host = host[1:-1] if bracketed else host
    try:
        found = socket.getaddrinfo(
            host if host not in {"", "*"} else None,
            int(port),
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
    except (OSError, UnicodeError) as wrong:
        raise Misconfigured(f"{blame}: cannot resolve {text}: {getattr(wrong, 'strerror', wrong)}") from None
    unique = dict.fromkeys((int(family), target) for family, _, _, _, target in found)
    return [Address(text, family=family, target=target) for family, target in unique]


def check_reach(
    addresses: Iterable[Address], inherited: Iterable[socket.socket], keys: bool, blame: str
) -> None:
    """Rule 1. Raises Misconfigured with how to mend it."""
    if keys:
        return
    open_to_others = [each.text for each in addresses if not each.loopback]
    open_to_others += [
        f"{shown(each)} (inherited)"
        for each in inherited
        if each.family != socket.AF_UNIX and not _is_loopback(each.getsockname())
    ]
    if open_to_others:
        raise Misconfigured(
            f"{blame}: {open_to_others[0]} can be reached from other machines, and there is no access key: "
            f"{HOW_TO_ADD_KEYS}, or listen on 127.0.0.1 or unix:PATH"
        )


def _is_loopback(target: Sequence[Any]) -> bool:
    return ipaddress.ip_address(str(target[0]).partition("%")[0]).is_loopback


def shown(listener: socket.socket) -> str:
    """A listening socket's address as people write it, with its real port."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(name)}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Listeners:
    """The open listening sockets, and the removal of what they leave in the file system."""

    def __init__(self, inherited: Sequence[socket.socket] = ()) -> None:
        self.sockets: list[socket.socket] = list(inherited)
        self._files: list[tuple[str, int, int]] = []

    def open(self, addresses: Sequence[Address], socket_mode: int) -> None:
        """Bind and listen on all of them, or none. Raises Misconfigured."""
        opened = {each.text: 0 for each in addresses}
        try:
            for address in addresses:
                try:
                    self.sockets.append(self._open(address, socket_mode))
                except OSError as wrong:
                    absent = wrong.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
                    if absent and sum(each.text == address.text for each in addresses) > 1:
                        continue  # localhost is often two addresses, and the machine may have but one
                    raise Misconfigured(f"cannot listen on {address.text}: {_why(wrong)}") from None
                opened[address.text] += 1
            for text, count in opened.items():
                if not count:
                    raise Misconfigured(f"cannot listen on {text}: this machine has none of its addresses")
        except Misconfigured:
            self.close()
            raise

    def _open(self, address: Address, socket_mode: int) -> socket.socket:
        family = socket.AF_UNIX if address.path is not None else address.family
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.setblocking(False)
            if address.path is not None:
                _remove_stale(address.path)
                opened.bind(address.path)
                found = Path(address.path).stat()
                self._files.append((address.path, found.st_dev, found.st_ino))
                Path(address.path).chmod(socket_mode)  # before listen: nobody can connect until then
            else:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # accepted ones inherit it
                if family == socket.AF_INET6:
                    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                opened.bind(address.target)
            opened.listen(BACKLOG)
        except BaseException:
            opened.close()
            raise
        return opened

    def close(self) -> None:
        """Close what is still open and remove the socket files that are still ours."""
        for each in self.sockets:
            each.close()
        self.sockets.clear()
        for path, device, inode in self._files:
            try:
                found = Path(path).lstat()
                if (found.st_dev, found.st_ino) == (device, inode):
                    Path(path).unlink()
            except OSError:
                continue  # somebody else removed it
        self._files.clear()


def _remove_stale(path: str) -> None:
    """Make room for a socket file. Raises OSError (in use) if it is not ours to take."""
    try:
        mode = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file of this name that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.setblocking(False)
        try:
            peer.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except BlockingIOError:
            pass  # somebody listens, and is busy
    raise OSError(errno.EADDRINUSE, "in use")


def _why(wrong: OSError) -> str:
    if wrong.errno == errno.EADDRINUSE:
        return "the address is in use by another process; --listen names another"
    if wrong.errno == errno.EACCES:
        return "permission denied"
    return wrong.strerror or str(wrong)
