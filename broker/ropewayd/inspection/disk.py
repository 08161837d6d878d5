"""How fast a directory's disk syncs, which file system it is, and how much room it has."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

WRITES: Final = 300
PATIENCE: Final = 5.0
"""Seconds after which no further write is begun, however few there were."""
BLOCK: Final = 4096
"""Bytes of a write: about a small commit."""
PREFIX: Final = "ropewayd-doctor-"

_F_FULLFSYNC: Final = 51  # macOS: fsync there does not ask the disk to empty its cache


class Syncs(msgspec.Struct, frozen=True):
    """Times of writes that were synced, in seconds."""

    writes: int
    p50: float
    p99: float
    slowest: float

    @property
    def rate(self) -> float:
        """Commits that one after the other can do in a second."""
        return 1 / self.p50


def measure(directory: Path, writes: int = WRITES) -> Syncs:
    """Append small blocks to a file in `directory`, each synced; then remove it. Raises OSError."""
    block, times = os.urandom(BLOCK), []
    handle, path = tempfile.mkstemp(prefix=PREFIX, dir=directory)
    try:
        began = time.perf_counter()
        for _ in range(writes):
            start = time.perf_counter()
            os.write(handle, block)
            sync(handle)
            times.append(time.perf_counter() - start)
            if time.perf_counter() - began > PATIENCE:
                break
    finally:
        os.close(handle)
        Path(path).unlink()
    times.sort()
    return Syncs(len(times), times[len(times) // 2], times[len(times) * 99 // 100], times[-1])


def sync(handle: int) -> None:
    """Sync as the store does."""
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415 - only there

        fcntl.fcntl(handle, _F_FULLFSYNC)
    else:
        os.fsync(handle)


class Mount(msgspec.Struct, frozen=True):
    """Where a directory is mounted, and from what."""

    point: str
    kind: str
    source: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.source} on {self.point})"


def mount(directory: Path, table: str | None = None) -> Mount | None:
    """The mount that holds `directory`; None where the system does not say. `table`: the text of
    /proc/self/mountinfo."""
    if table is None:
        try:
            table = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
        except OSError:
            return None
    place, found = directory.resolve(), None
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        point, kind, source = _unescape(before.split()[4]), *map(_unescape, after.split()[:2])
        # Of two on the same point the later one covers the other.
        if place.is_relative_to(point) and (found is None or len(point) >= len(found.point)):
            found = Mount(point, kind, source)
    return found


def _unescape(text: str) -> str:
    """The kernel writes spaces and the like as three octal digits."""
    for octal in ("040", "011", "012", "134"):
        text = text.replace(f"\\{octal}", chr(int(octal, 8)))
    return text
