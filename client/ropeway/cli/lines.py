"""Input, read as it comes: whole, or line by line.

Lines are read by a thread of its own, since a read from a pipe or terminal may block for ever; it is a daemon
thread, so that nobody has to wait for it. It reads little ahead. A line is never cut short: one that is
longer than a request could be is an error.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass

from ropeway.cli.exits import REFUSED, Exit, unreadable
from ropeway.wire import FRAME_LIMIT

CHUNK = 256 * 1024
AHEAD = 2
"""Chunks that are read before they are asked for."""


def whole(descriptor: int, name: str) -> bytes:
    """All that there is. Raises Exit if that is more than a request can hold, or cannot be read."""
    parts: list[bytes] = []
    count = 0
    try:
        while part := os.read(descriptor, CHUNK):
            parts.append(part)
            count += len(part)
            if count > FRAME_LIMIT:
                raise _too_long(name)
    except OSError as error:
        raise unreadable(name, error) from None
    return b"".join(parts)


def _too_long(name: str) -> Exit:
    return Exit(
        REFUSED, f"{name} is longer than a message can be", "The daemon takes at most 1 MiB in a message."
    )


@dataclass(frozen=True)
class Chunk:
    """Lines that came together, without their line ends: numbered from `first`, and how far the input was
    read for them, in bytes, of which `rest` are a line whose end is still to come."""

    first: int
    lines: list[bytes]
    end: int
    rest: int = 0


class Lines:
    """The lines of a file descriptor."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[bytes | OSError] = asyncio.Queue()
        self._room = threading.Semaphore(AHEAD)
        threading.Thread(target=self._read, name="ropeway-lines", daemon=True).start()

    async def chunks(self) -> AsyncIterator[Chunk]:
        """What has come, as soon as it has. Raises Exit."""
        rest, number, position = b"", 1, 0
        while True:
            data = await self._arrived.get()
            if isinstance(data, OSError):
                raise unreadable(self._name, data)
            self._room.release()
            position += len(data)
            *lines, rest = (rest + data).split(b"\n") if data else [rest, b""]
            if len(rest) > FRAME_LIMIT:
                raise _too_long(f"line {number + len(lines):,} of {self._name}")
            if lines:
                yield Chunk(
                    number, [line.removesuffix(b"\r") for line in lines], position, len(rest) if data else 0
                )
                number += len(lines)
            if not data:
                return

    def _read(self) -> None:
        data: bytes | OSError = b"?"
        while data and isinstance(data, bytes):
            self._room.acquire()
            try:
                data = os.read(self._descriptor, CHUNK)
            except OSError as error:
                data = error
            try:
                self._loop.call_soon_threadsafe(self._arrived.put_nowait, data)
            except RuntimeError:  # the loop was closed: nobody wants it any more
                return
