"""The outbox: a folder in the data directory where what would leave by a relay is kept instead, a file each.

It is for a desk, and for machines that send nothing: a program, or its author, looks there.

Rule 1  A file is there whole or not at all, on disk before its delivery counts as made, and 0600.
Rule 2  A delivery that is made twice, because a crash came between, has the same name: it is there once.
Rule 3  The folder is bounded by files and by bytes. Beyond either the oldest, by name, go.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

MAX_NAME: Final = 200


class OutboxLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much an outbox keeps."""

    files: int = 1_000
    bytes: int = 64 << 20


class Outbox:
    """Files with one suffix in the folder `path`, which is made with the first of them."""

    def __init__(self, path: Path, suffix: str, limits: OutboxLimits) -> None:
        self._path = path
        self._suffix = suffix
        self._limits = limits
        self._sizes: dict[str, int] | None = None
        self._turn = asyncio.Lock()

    async def put(self, name: str, content: bytes) -> str:
        """Keep it, and say under which name. Raises OSError."""
        name = re.sub(r"[^A-Za-z0-9.-]", "-", name).lstrip(".-")[:MAX_NAME] + self._suffix
        async with self._turn:
            await asyncio.to_thread(self._put, name, content)
        return name

    def _put(self, name: str, content: bytes) -> None:
        if self._sizes is None:
            self._sizes = self._look()
        part = self._path / f".{name}.part"
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(self._path / name)
        self._sizes[name] = len(content)
        self._tidy(name)
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _look(self) -> dict[str, int]:
        """What is there from before; what a crash left half written goes."""
        self._path.mkdir(mode=0o700, exist_ok=True)
        for part in self._path.glob(f".*{self._suffix}.part"):
            part.unlink(missing_ok=True)
        return {each.name: each.stat().st_size for each in self._path.glob(f"*{self._suffix}")}

    def _tidy(self, newest: str) -> None:
        """Rule 3. What somebody else removed meanwhile is no loss."""
        assert self._sizes is not None
        limits, total = self._limits, sum(self._sizes.values())
        if len(self._sizes) <= limits.files and total <= limits.bytes:
            return
        for name in sorted(self._sizes):
            if (len(self._sizes) <= limits.files and total <= limits.bytes) or name == newest:
                break
            total -= self._sizes.pop(name)
            with suppress(FileNotFoundError):
                (self._path / name).unlink()
