"""The lock that keeps a second daemon out of a data directory.

It is a flock on a file of its own. SQLite's locks are POSIX locks, which vanish when any handle of the file
in the process is closed, and which say nothing of their owner; this one stays until it is let go or the
process ends, and the file names the owner. The file itself stays behind, since removing it would let two
daemons lock two files of one name.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from ropewayd.store.protocol import Locked


class Lock:
    """An exclusive lock on `path`, which is made (mode 0600) where it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self, owner: str) -> None:
        """Take the lock and write `owner` and our pid into the file. Raises Locked, OSError."""
        assert self._handle is None, "the lock is taken already"
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(handle, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                other = os.pread(handle, 200, 0).decode("utf-8", "replace").strip()
                raise Locked(
                    f"{self._path.parent} is in use by another process ({other or 'unknown'}). "
                    "Two daemons cannot share a data directory: stop that one, or name another directory."
                ) from None
            note = f"pid {os.getpid()}, {owner}\n".encode()
            with contextlib.suppress(
                OSError
            ):  # on a full disk the name is missing; the lock holds all the same
                os.ftruncate(handle, 0)
                os.pwrite(handle, note, 0)
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle

    def release(self) -> None:
        """Let go. Without effect when it is not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
