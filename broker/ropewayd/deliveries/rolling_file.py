"""Lines that are appended to files NAME-000001.ndjson, NAME-000002.ndjson and so on.

Rule 1  A line is on disk before its append returns. Lines that come while others are written are the next
        batch: one write and one sync for all of them.
Rule 2  A file ends with a line's end: what a crash or a full disk left of a line is cut off before the next.
Rule 3  A file holds so many bytes, or one line, and there are so many files: the oldest go.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Final

import msgspec

SUFFIX: Final = ".ndjson"


class RollingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much is kept: bytes of a file, and files."""

    bytes: int = 64 << 20
    files: int = 16


class RollingFile:
    """The files called `name` in `folder`, which is made with the first line."""

    def __init__(self, folder: Path, name: str, limits: RollingLimits) -> None:
        self._folder = folder
        self._name = name
        self._limits = limits
        self._numbers: list[int] = []
        self._size = 0
        self._known = False
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def append(self, line: bytes) -> None:
        """Keep one line, given without its end. Raises OSError."""
        assert b"\n" not in line
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((line + b"\n", done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        await done

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._writing is not None:
            await self._writing

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    await asyncio.to_thread(self._write, [line for line, _ in batch])
                except OSError as wrong:
                    self._known = False
                    for _, done in batch:
                        if not done.done():
                            done.set_exception(wrong)
                else:
                    for _, done in batch:
                        if not done.done():
                            done.set_result(None)
        finally:
            self._writing = None

    def _write(self, lines: list[bytes]) -> None:
        if not self._known:
            self._look()
        rest = b""
        for line in lines:
            if self._size + len(rest) + len(line) > self._limits.bytes and self._size + len(rest):
                if rest:
                    self._append(rest)
                self._roll()
                rest = b""
            rest += line
        self._append(rest)

    def _look(self) -> None:
        """Find what is there, and mend its end (Rule 2)."""
        for each in reversed((self._folder, *self._folder.parents)):
            each.mkdir(mode=0o700, exist_ok=True)
        named = re.compile(re.escape(self._name) + r"-([0-9]{6,})" + re.escape(SUFFIX))
        found = (named.fullmatch(each.name) for each in self._folder.iterdir())
        self._numbers = sorted(int(each[1]) for each in found if each is not None)
        if self._numbers:
            with self._path.open("r+b") as file:
                self._size = _whole_lines(file.fileno())
                file.truncate(self._size)
        else:
            self._numbers, self._size = [1], 0
        self._known = True

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._name}-{self._numbers[-1]:06}{SUFFIX}"

    def _roll(self) -> None:
        self._numbers.append(self._numbers[-1] + 1)
        self._size = 0
        while len(self._numbers) > self._limits.files:
            gone = self._numbers.pop(0)
            (self._folder / f"{self._name}-{gone:06}{SUFFIX}").unlink(missing_ok=True)

    def _append(self, content: bytes) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb", buffering=0) as file:
            left = memoryview(content)
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        if not self._size:
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self._size += len(content)


def _whole_lines(handle: int) -> int:
    """How much of a file is whole lines."""
    at = os.fstat(handle).st_size
    while at > 0:
        begin = max(0, at - 65_536)
        end = os.pread(handle, at - begin, begin).rfind(b"\n")
        if end >= 0:
            return begin + end + 1
        at = begin
    return 0
