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
from typing import Final

from ropewayd.store.protocol import Locked

_DOUBT: Final = b"the disk failed\n"


class Lock:
    """An exclusive lock on `path`, which is made (mode 0600) where it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None
        self._note = b""
        self.in_doubt = False
        """Whether the disk failed in an earlier life, and nobody has settled that yet."""

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
            self.in_doubt = _DOUBT in os.pread(handle, 1000, 0)
            self._note = f"pid {os.getpid()}, {owner}\n".encode()
            self._write(handle)
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle

    def doubt(self, in_doubt: bool) -> None:
        """Note that the disk failed, and that nobody knows what it holds; or that this is settled.

        It need not outlive a loss of power: what that leaves can be read, and there is no doubt about it.
        """
        self.in_doubt = in_doubt
        if self._handle is not None:
            self._write(self._handle)

    def _write(self, handle: int) -> None:
        with contextlib.suppress(OSError):  # on a full disk the name is missing; the lock holds all the same
            os.ftruncate(handle, 0)
            os.pwrite(handle, self._note + (_DOUBT if self.in_doubt else b""), 0)

    def release(self) -> None:
        """Let go. Without effect when it is not held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
