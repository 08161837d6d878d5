"""Peers that do not keep to the protocol, and what is asked of the daemon: that nobody else notices."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import msgpack

from tests.daemon import Daemon
from tests.service.wire import Wire

HELLO = [1, 0, {"version": 1}]
MIB = 1 << 20


INVALID_TIMESTAMP = msgpack.ExtType(127, b"bad")
"""No encoder would write one: it is put in where this stands."""


def pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed.replace(b"\xc7\x03\x7fbad", b"\xc7\x03\xffbad")


def frame(value: Any) -> bytes:
    """The frame of a value, or of bytes that are a payload already."""
    payload = value if isinstance(value, bytes) else pack(value)
    return len(payload).to_bytes(4, "big") + payload


class Peer:
    """A connection that may say anything. It is greeted; with `hello` it is let in."""

    def __init__(self, address: str, *, hello: bool = True, greeted: bool = True) -> None:
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(60)
            self.socket.connect(address.removeprefix("unix:"))
        else:
            host, _, port = address.rpartition(":")
            self.socket = socket.create_connection((host, int(port)), 60)
        self._file = self.socket.makefile("rb")
        if greeted:
            assert self.take()[2]["protocol"] == "ropeway"
        if hello:
            self.say(HELLO)
            assert self.take()[:2] == [1, 0]

    def say(self, *values: Any) -> None:
        self.send(b"".join(map(frame, values)))

    def send(self, data: bytes) -> None:
        """Bytes as they are. That the daemon has had enough of them is no error here."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def take(self) -> list[Any]:
        """The next frame. Raises EOFError when the daemon has closed the connection."""
        try:
            header = self._file.read(4)
        except ConnectionResetError:
            header = b""
        if len(header) < 4:
            raise EOFError
        value: list[Any] = msgpack.unpackb(self._file.read(int.from_bytes(header, "big")))
        return value

    def rest(self) -> Iterator[list[Any]]:
        """Every frame until the daemon closes the connection."""
        with contextlib.suppress(EOFError):
            while True:
                yield self.take()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def unharmed(daemon: Daemon) -> Iterator[Wire]:
    """What happens inside is not noticed by somebody who was there before, nor by who comes after, and the
    daemon has nothing to complain of."""
    queue = f"bystander-{uuid.uuid4()}"
    with Wire(daemon.addresses[0]) as bystander:
        bystander.call(10, {"queue": queue})
        bystander.send(queue, "before")
        yield bystander
        bystander.send(queue, "after")
        got = bystander.call(21, {"queue": queue, "max_messages": 10})
        assert [message[2] for message in got] == ["before", "after"]
        handles = [message[1] for message in got]
        assert bystander.call(22, {"queue": queue, "handles": handles}) == [None, None]
        bystander.call(11, {"queue": queue})
    with Wire(daemon.addresses[0]) as newcomer:
        newcomer.call(1, {})
    assert daemon.code is None
    assert not daemon.said
    assert [line for line in daemon.log if line.get("level") in {"warning", "error", "critical"}] == []


def resident(daemon: Daemon) -> int:
    """Bytes of memory that the daemon has in use, and no less than that."""
    assert daemon.process is not None
    found = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(daemon.process.pid)], capture_output=True, text=True, check=True
    )
    return int(found.stdout) * 1024


def peak(daemon: Daemon) -> int:
    """The most that it ever had, where the system tells; elsewhere what it has."""
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status")
    if not status.exists():
        return resident(daemon)
    [found] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(found) * 1024


def short(directory: Path, listen: Sequence[str] | None = None, **limits: Any) -> Daemon:
    """A daemon with limits that are reached soon: those of [protocol]."""
    flags = [word for name, n in limits.items() for word in (f"--protocol-{name.replace('_', '-')}", str(n))]
    return Daemon(directory, *flags, listen=listen)
