"""The data directory: which files are in it, who may read them, and how much room there is.

Rule 1  The directory is 0700 and every file 0600, whatever the umask says. We make the directory where only
        its last part is missing, and change the mode of one only if it is empty or holds a store: a slip of
        the pen must not close somebody's home directory.
Rule 2  Nothing here opens the database or its write-ahead log while SQLite has them: closing such a handle
        would drop SQLite's locks. `stat` is harmless.
Rule 3  The reserve is a file of nothing. When the disk is full it is given up, so that the last steps of what
        is under way find room; tidying builds it again.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from ropewayd.store.failures import translate_system
from ropewayd.store.lock import Lock
from ropewayd.store.protocol import Corrupt, Unusable


class Directory:
    """The files of one store, in `path`."""

    def __init__(self, path: Path, reserve: int) -> None:
        self.path = path
        self.database = path / "ropeway.db"
        self.wal = path / "ropeway.db-wal"
        self._reserve = path / "reserve"
        self._reserve_bytes = reserve
        self._lock = Lock(path / "lock")

    def prepare(self, owner: str) -> None:
        """Make what is missing, take the lock, set the modes. Raises Unusable, Locked, Corrupt, Unknown,
        Refused."""
        try:
            self._make()
            self._lock.take(owner)
            try:
                self._set_modes()
            except BaseException:
                self._lock.release()
                raise
        except (OSError, ValueError) as error:  # ValueError: a name that no file can have
            raise translate_system(error, self.path) from error

    def _make(self) -> None:
        if not self.path.exists():
            self.path.mkdir(mode=0o700)
            self.path.chmod(0o700)
            sync_directory(self.path.parent)
        if not self.path.is_dir():
            raise Unusable(f"{self.path} is not a directory.")
        info = self.path.stat()
        ours = info.st_uid == os.geteuid() and (self.database.exists() or not any(self.path.iterdir()))
        if ours and stat.S_IMODE(info.st_mode) & 0o077:
            self.path.chmod(0o700)

    def _set_modes(self) -> None:
        if not self.database.exists() or not self.database.stat().st_size:
            if self.wal.exists() and self.wal.stat().st_size:
                raise Corrupt(f"{self.database} is missing or empty, but its log {self.wal.name} is there.")
            # Made here and not by SQLite, which would go by the umask; the log gets the mode of the database.
            handle = os.open(self.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.close(handle)
            sync_directory(self.path)
        for file in (self.database, self.wal, self._reserve):
            if file.exists() and stat.S_IMODE(file.stat().st_mode) != 0o600:
                file.chmod(0o600)
        if not os.access(self.database, os.R_OK | os.W_OK):
            raise Unusable(f"{self.database} may not be written.")

    @property
    def unborn(self) -> bool:
        """Nothing was ever committed here. A rollback journal is only there while the first page is
        written."""
        return not self.size(self.database) or self.size(self.path / "ropeway.db-journal") > 0

    @property
    def in_doubt(self) -> bool:
        """Whether what can be read here may not be on disk: an operation of it has failed."""
        return self._lock.in_doubt

    def doubt(self, in_doubt: bool) -> None:
        """Set that, for the lives to come too."""
        self._lock.doubt(in_doubt)

    def release(self) -> None:
        """Let go of the lock."""
        self._lock.release()

    def free(self) -> int:
        """Bytes that may still be written here, beside the reserve."""
        room = os.statvfs(self.path)
        return room.f_bavail * room.f_frsize

    def size(self, file: Path) -> int:
        """Bytes of a file; 0 if it is not there."""
        try:
            return file.stat().st_size
        except FileNotFoundError:
            return 0

    def build_reserve(self) -> None:
        """Set the reserve aside, where there is twice the room for it. To go without it is no error."""
        if not self._reserve_bytes:
            return
        with suppress(OSError):
            if self.size(self._reserve) != self._reserve_bytes and self.free() >= 2 * self._reserve_bytes:
                self._write_reserve()

    def _write_reserve(self) -> None:
        handle = os.open(self._reserve, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(handle, 0o600)
            os.ftruncate(handle, 0)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(handle, 0, self._reserve_bytes)
            else:  # macOS: a hole would set nothing aside
                for at in range(0, self._reserve_bytes, 1 << 20):
                    os.pwrite(handle, bytes(min(1 << 20, self._reserve_bytes - at)), at)
        except OSError:
            os.ftruncate(handle, 0)
            raise
        finally:
            os.close(handle)

    def give_up_reserve(self) -> bool:
        """Give the reserve back to the disk. False if there was none."""
        try:
            if not self.size(self._reserve):
                return False
            self._reserve.unlink()
        except OSError:
            return False
        return True


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
