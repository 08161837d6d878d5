"""SQLite on a model disk: apsw's Connection, over a VFS written in Python, made to look like sqlite3's.

The store's own code runs on it unchanged, since a SqliteStore takes any connector. What the store does to the
log before SQLite opens it goes to the model disk too.
"""

# ruff: noqa: N802  # the methods' names are SQLite's

from __future__ import annotations

import errno
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn
from unittest import mock

import apsw

from ropewayd.store import wal
from tests.faults.disk import Disk, Failed, File, Operation

_IO_ERRORS: Final = {
    Operation.OPEN: apsw.SQLITE_CANTOPEN,
    Operation.READ: apsw.SQLITE_IOERR_READ,
    Operation.WRITE: apsw.SQLITE_IOERR_WRITE,
    Operation.TRUNCATE: apsw.SQLITE_IOERR_TRUNCATE,
    Operation.SYNC: apsw.SQLITE_IOERR_FSYNC,
    Operation.SIZE: apsw.SQLITE_IOERR_FSTAT,
    Operation.DELETE: apsw.SQLITE_IOERR_DELETE,
    Operation.LOOK: apsw.SQLITE_IOERR_ACCESS,
}
"""What SQLite's Unix layer says of each."""

POWERSAFE_OVERWRITE: Final = apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE
"""As SQLite's Unix layer says by default: a write that is cut does no harm to the bytes beside it."""


def refuse(failure: Failed) -> NoReturn:
    """Raise what SQLite understands."""
    code = apsw.SQLITE_FULL if failure.full else _IO_ERRORS[failure.operation]
    raise apsw.exception_for(code) from failure


@contextmanager
def as_the_system_says() -> Iterator[None]:
    """Raise the system's own errors for those of the disk."""
    try:
        yield
    except Failed as failure:
        raise OSError(errno.ENOSPC if failure.full else errno.EIO, str(failure)) from failure


class ModelFile:
    """An open file, as SQLite asks for it."""

    def __init__(self, disk: Disk, file: File) -> None:
        self._disk = disk
        self._file = file

    def xRead(self, amount: int, offset: int) -> bytes:
        try:
            return self._disk.read(self._file, amount, offset)
        except Failed as failure:
            refuse(failure)

    def xWrite(self, data: bytes, offset: int) -> None:
        try:
            self._disk.write(self._file, bytes(data), offset)
        except Failed as failure:
            refuse(failure)

    def xTruncate(self, size: int) -> None:
        try:
            self._disk.truncate(self._file, size)
        except Failed as failure:
            refuse(failure)

    def xSync(self, flags: int) -> None:
        try:
            self._disk.sync(self._file)
        except Failed as failure:
            refuse(failure)

    def xFileSize(self) -> int:
        try:
            return self._disk.size(self._file)
        except Failed as failure:
            refuse(failure)

    def xClose(self) -> None:
        """The disk keeps it: a cut may come later."""

    def xLock(self, level: int) -> None:
        """Nobody else is there."""

    def xUnlock(self, level: int) -> None:
        """Nobody else is there."""

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, operation: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return 4096

    def xDeviceCharacteristics(self) -> int:
        return POWERSAFE_OVERWRITE


class ModelVFS(apsw.VFS):
    """Registered under `name`, as the default too: so SQLite's own randomness comes from `disk` as well."""

    def __init__(self, name: str, disk: Disk) -> None:
        self.disk = disk
        super().__init__(name, "", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        assert name is not None, "a temporary file, which the store never uses"
        path = Path(name if isinstance(name, str) else name.filename())
        try:
            return ModelFile(self.disk, self.disk.open(path.name))
        except Failed as failure:
            refuse(failure)

    def xDelete(self, name: str, sync: bool) -> None:
        try:
            self.disk.delete(Path(name).name, sync)
        except Failed as failure:
            refuse(failure)

    def xAccess(self, name: str, flags: int) -> bool:
        try:
            return self.disk.exists(Path(name).name)
        except Failed as failure:
            refuse(failure)

    def xFullPathname(self, name: str) -> str:
        return name

    def xRandomness(self, amount: int) -> bytes:
        return self.disk.chance.randbytes(amount)


def translated(error: apsw.Error) -> sqlite3.Error:
    """The same error as the sqlite3 module would raise it."""
    code = getattr(error, "extendedresult", -1)
    kind = sqlite3.IntegrityError if isinstance(error, apsw.ConstraintError) else sqlite3.OperationalError
    found = kind(str(error) or type(error).__name__)
    found.sqlite_errorcode = code
    found.sqlite_errorname = f"SQLITE_{type(error).__name__.removesuffix('Error').upper()}"
    return found


class Cursor:
    """One statement's rows, texts as bytes. It is always a row ahead, as sqlite3 is: so whoever fetches the
    only row has had the statement come to its end, and its commit."""

    def __init__(self, cursor: apsw.Cursor, rowcount: int) -> None:
        self._cursor = cursor
        self._next = next(cursor, None)
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        while (row := self.fetchone()) is not None:
            yield row

    def fetchone(self) -> tuple[Any, ...] | None:
        row = self._next
        if row is None:
            return None
        try:
            self._next = next(self._cursor, None)
        except apsw.Error as error:
            raise translated(error) from error
        return tuple(value.encode() if type(value) is str else value for value in row)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self)

    def close(self) -> None:
        self._cursor.close(True)


class Connection:
    """As much of sqlite3.Connection as the store needs. `rewrite` sees each statement first."""

    def __init__(self, path: str, vfs: str, rewrite: Callable[[str], str]) -> None:
        self._rewrite = rewrite
        try:
            self._db = apsw.Connection(path, vfs=vfs)
        except apsw.Error as error:
            raise translated(error) from error
        self.text_factory: Any = bytes

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Cursor:
        try:
            cursor = self._db.execute(self._rewrite(statement), parameters)
            return Cursor(cursor, self._db.changes() if statement.startswith(("INSERT", "UPDATE")) else -1)
        except apsw.Error as error:
            raise translated(error) from error

    def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> None:
        try:
            self._db.executemany(self._rewrite(statement), parameters)
        except apsw.Error as error:
            raise translated(error) from error

    def setconfig(self, option: int, value: bool) -> None:
        self._db.config(option, int(value))

    def close(self) -> None:
        with suppress(apsw.Error):  # the sqlite3 module says nothing of what fails here, as SQLite does not
            self._db.close(True)


class Machine:
    """A model disk with SQLite on it. `connect` is a connector for SqliteStore. Until it is closed, all logs
    are those of this disk."""

    def __init__(self, disk: Disk, rewrite: Callable[[str], str] = lambda statement: statement) -> None:
        self.disk = disk
        self._rewrite = rewrite
        self._vfs = ModelVFS(f"model-{id(self)}", disk)
        apsw.randomness(0)  # SQLite asks the disk for a new seed
        self._hook = sys.unraisablehook
        sys.unraisablehook = self._unraisable
        self._patches = ExitStack()
        self._patches.enter_context(mock.patch.object(wal, "cut_off", self._cut_off))
        self._patches.enter_context(mock.patch.object(wal, "rewrite", self._rewrite_log))

    def connect(self, path: str) -> Connection:
        return Connection(path, f"model-{id(self)}", self._rewrite)

    def close(self) -> None:
        self.disk.close()
        self._vfs.unregister()
        sys.unraisablehook = self._hook
        self._patches.close()

    def _cut_off(self, path: Path, end: int) -> None:
        with as_the_system_says():
            file = self.disk.open(path.name)
            self.disk.truncate(file, end)
            self.disk.sync(file)

    def _rewrite_log(self, path: Path) -> None:
        with as_the_system_says():
            file = self.disk.open(path.name)
            self.disk.write(file, file.read(file.size, 0), 0)
            self.disk.sync(file)

    def _unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """apsw comes here with failures that SQLite does not look at. Those that were planned are no news."""
        error = unraisable.exc_value
        if not isinstance(error, Failed) and not isinstance(getattr(error, "__cause__", None), Failed):
            self._hook(unraisable)
