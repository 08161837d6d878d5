"""A disk that keeps only what was synced, and fails when it is told to.

What a process sees are real files in a directory, so that all code that goes by path sees them too. Beside
each the disk keeps what is durable of it and the list of writes since, and the names that are durable in the
directory.

Rule 1  A write or a truncation is durable once its file is synced. Before that a cut keeps any part of it:
        each sector of 512 bytes may be there or not, in any order between writes, and a sector that two
        writes have changed may have either.
Rule 2  A name that is made or removed is durable once the directory is synced, which happens as SQLite's own
        Unix layer does it: with the first sync of a log or journal, and with a removal that asks for it. A
        cut keeps a first part of the changes since, as a journaling file system does.
Rule 3  After a sync that failed nobody knows: each write since the last one is durable or lost, and no later
        sync brings it back, though it can still be read until the power goes.
Rule 4  All chance comes from one generator: the same seed and the same calls give the same bytes.
"""

from __future__ import annotations

import enum
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

SECTOR: Final = 512
_CHUNKS: Final = (512, 512, 4096, 1 << 30)
"""How finely writes are torn, by chance: the last one keeps or loses them whole."""

_pread, _pwrite, _open, _close, _truncate = os.pread, os.pwrite, os.open, os.close, os.ftruncate
# Kept by their names here, since tests put failing ones in their place for everybody else.


class Operation(enum.Enum):
    """What can be asked of the disk."""

    OPEN = "open"
    READ = "read"
    WRITE = "write"
    TRUNCATE = "truncate"
    SYNC = "sync"
    SIZE = "size"
    DELETE = "delete"
    LOOK = "look"


class Failed(Exception):
    """The operation fails, with the error that its kind has: an I/O error, or no space. `short`: of a write a
    first part was done, up to some sector's end."""

    def __init__(self, operation: Operation, full: bool = False, short: bool = False) -> None:
        what = f"{'no space' if full else 'I/O error'}{', cut short' if short else ''}"
        super().__init__(f"{operation.value}: {what}")
        self.operation = operation
        self.full = full
        self.short = short


class Change(NamedTuple):
    """A write at `offset`; or, without data, a truncation to it."""

    offset: int
    data: bytes | None


class File:
    """One file: what is durable of it, what was done since, and what is seen."""

    def __init__(self, path: Path, durable: bytes = b"") -> None:
        self.path = path
        self.durable = bytearray(durable)
        self.since: list[Change] = []
        self.name_is_durable = True
        self.handle = _open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read(self, size: int, offset: int) -> bytes:
        return _pread(self.handle, size, offset)

    def write(self, data: bytes, offset: int) -> None:
        self.since.append(Change(offset, data))
        _pwrite(self.handle, data, offset)

    def truncate(self, size: int) -> None:
        self.since.append(Change(size, None))
        _truncate(self.handle, size)

    def sync(self) -> None:
        for change in self.since:
            apply(self.durable, change)
        self.since.clear()

    @property
    def size(self) -> int:
        return os.fstat(self.handle).st_size

    def close(self) -> None:
        if self.handle >= 0:
            _close(self.handle)
            self.handle = -1


def apply(content: bytearray, change: Change) -> None:
    """Make a change to a content. A hole before it is zeros."""
    at, data = change
    if data is None:
        if len(content) > at:
            del content[at:]
        else:
            content.extend(bytes(at - len(content)))
        return
    if len(content) < at:
        content.extend(bytes(at - len(content)))
    content[at : at + len(data)] = data


def survive(durable: bytearray, since: list[Change], chance: random.Random) -> bytearray:
    """What is left of a file: what is durable, and some of what was done since."""
    content = bytearray(durable)
    chunk = chance.choice(_CHUNKS)
    kept = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
    # At times the disk has worked in order until the power went.
    upto = chance.randrange(len(since) + 1) if since and chance.random() < 0.3 else None
    for number, change in enumerate(since):
        if upto is not None:
            kept = 1.0 if number < upto else 0.5 if number == upto else 0.0
        if change.data is None:
            if chance.random() < kept:
                apply(content, change)
            continue
        for piece in pieces(change.offset, change.data, chunk):
            if kept == 1.0 or chance.random() < kept:
                apply(content, piece)
    return content


def pieces(offset: int, data: bytes, chunk: int) -> list[Change]:
    """A write, cut at the multiples of `chunk`."""
    found, at, end = [], offset, offset + len(data)
    while at < end:
        upto = min(end, at - at % chunk + chunk)
        found.append(Change(at, data[at - offset : upto - offset]))
        at = upto
    return found


class Disk:
    """The files of one directory. `trouble` is asked before each operation, with its number from 1 and its
    kind; it raises Failed, or calls `cut`.

    `lies`: a sync says yes and does nothing, as some disks do.
    """

    def __init__(self, directory: Path, chance: random.Random, *, lies: bool = False) -> None:
        self.directory = directory
        self.chance = chance
        self.lies = lies
        self.operations = 0
        self.dead = False
        self.trouble: Callable[[int, Operation], None] = lambda number, operation: None
        self._files: dict[str, File] = {}
        self._durable_names: dict[str, File] = {}
        self._name_changes: list[tuple[str, File | None]] = []
        self._closed: list[File] = []
        self.image: dict[str, bytes] = {}
        """What the last cut has left."""
        self._half: Callable[[], object] = lambda: None

    # What is asked of it

    def open(self, name: str) -> File:
        self._step(Operation.OPEN)
        file = self._files.get(name)
        if file is None:
            path = self.directory / name
            # What somebody else has made here was synced: that is how the store makes its database.
            durable = path.read_bytes() if path.exists() else None
            file = File(path, durable or b"")
            self._files[name] = file
            if durable is None:
                file.name_is_durable = False
                self._name_changes.append((name, file))
            else:
                self._durable_names[name] = file
        return file

    def read(self, file: File, size: int, offset: int) -> bytes:
        self._step(Operation.READ)
        return file.read(size, offset)

    def write(self, file: File, data: bytes, offset: int) -> None:
        try:
            self._step(Operation.WRITE, lambda: file.write(data, offset))
        except Failed as failure:
            if failure.short and not self.dead:
                sectors = len(data) // SECTOR
                file.write(data[: self.chance.randint(1, sectors - 1) * SECTOR if sectors > 1 else 1], offset)
            raise
        file.write(data, offset)

    def truncate(self, file: File, size: int) -> None:
        self._step(Operation.TRUNCATE, lambda: file.truncate(size))
        file.truncate(size)

    def sync(self, file: File) -> None:
        try:
            self._step(Operation.SYNC, lambda: self._sync_perhaps(file))
        except Failed:
            if not self.dead:
                file.durable = survive(file.durable, file.since, self.chance)
                file.since.clear()
            raise
        self._sync(file)

    def _sync_perhaps(self, file: File) -> None:
        if self.chance.random() < 0.5:
            self._sync(file)

    def _sync(self, file: File) -> None:
        if self.lies:
            return
        file.sync()
        if not file.name_is_durable:
            self._sync_names()

    def size(self, file: File) -> int:
        self._step(Operation.SIZE)
        return file.size

    def delete(self, name: str, and_sync: bool) -> None:
        self._step(Operation.DELETE, lambda: self._unlink(name))
        self._unlink(name)
        if and_sync and not self.lies:
            self._sync_names()

    def exists(self, name: str) -> bool:
        self._step(Operation.LOOK)
        path = self.directory / name
        return path.exists() and path.stat().st_size > 0  # as SQLite's Unix layer sees it

    def _unlink(self, name: str) -> None:
        file = self._files.pop(name, None)
        if file is None:
            return
        (self.directory / name).unlink()
        self._closed.append(file)
        self._name_changes.append((name, None))

    def _sync_names(self) -> None:
        for name, file in self._name_changes:
            if file is None:
                self._durable_names.pop(name, None)
            else:
                file.name_is_durable = True
                self._durable_names[name] = file
        self._name_changes.clear()

    # What befalls it

    def cut(self) -> None:
        """The power goes, now: what is left is decided here. From now on everything fails, until
        `restore`."""
        names = dict(self._durable_names)
        for name, file in self._name_changes[: self.chance.randrange(len(self._name_changes) + 1)]:
            if file is None:
                names.pop(name, None)
            else:
                names[name] = file
        self.image = {
            name: bytes(survive(file.durable, file.since, self.chance)) for name, file in names.items()
        }
        self.dead = True

    def restore(self) -> None:
        """The power is back: the files are what the cut has left."""
        assert self.dead
        self.load(self.image)

    def restart(self) -> None:
        """The process has ended and begins anew, but the power stayed: what could be read still can be, and
        what was not synced still is not."""
        self.dead = False

    def load(self, image: dict[str, bytes]) -> None:
        """Make the files what `image` says, and durable."""
        self.close()
        self.dead = False
        for path in self.directory.glob("ropeway.*"):
            if path.name not in image:
                path.unlink()
        for name, content in image.items():
            (self.directory / name).write_bytes(content)
            self._files[name] = self._durable_names[name] = File(self.directory / name, content)

    def seen(self) -> dict[str, bytes]:
        """The files as a process sees them now."""
        return {path.name: path.read_bytes() for path in sorted(self.directory.glob("ropeway.*"))}

    def close(self) -> None:
        """Let go of the files."""
        for file in (*self._files.values(), *self._closed, *self._durable_names.values()):
            file.close()
        self._files.clear()
        self._closed.clear()
        self._durable_names.clear()
        self._name_changes.clear()

    def _step(self, operation: Operation, half: Callable[[], object] = lambda: None) -> None:
        """Count an operation, and let trouble come. `half`: what a cut in the middle of it finds under
        way."""
        if self.dead:
            raise Failed(operation)
        self.operations += 1
        self._half = half
        self.trouble(self.operations, operation)

    def cut_in_the_middle(self, operation: Operation) -> None:
        """The power goes while the operation that is being asked about is under way."""
        self._half()
        self.cut()
        raise Failed(operation)
