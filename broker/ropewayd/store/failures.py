"""What an error of SQLite means to the kernel.

Refused only where nothing can have been written: a full disk stops the write of a frame, so the commit's last
frame is not whole. An I/O error may come from the sync after it, so it is Unknown, as is everything that has
no better name.
"""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import Final

from ropewayd.store.protocol import Corrupt, Locked, Refused, StoreError, Unknown, Unusable

_OK, _ERROR, _PERM, _BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _AUTH, _NOTADB = (
    *(0, 1, 3, 5, 6, 8, 10, 11, 13, 14, 23, 26),
)
_IOERR_DATA: Final = _IOERR | 32 << 8
_IOERR_CORRUPTFS: Final = _IOERR | 33 << 8


def code(error: Exception) -> int:
    """SQLite's extended result code; -1 where the error has none."""
    # sqlite3 calls it sqlite_errorcode; connections of another make (apsw) call it extendedresult.
    found = getattr(error, "sqlite_errorcode", getattr(error, "extendedresult", -1))
    return found if isinstance(found, int) else -1


def name(error: Exception) -> str:
    """The error as people look it up."""
    found = getattr(error, "sqlite_errorname", type(error).__name__)
    return f"{found}: {error}"


def translate(error: Exception, doing: str) -> StoreError:
    """The error to raise for an error of SQLite while `doing` something ("appending lsn 7")."""
    extended = code(error)
    primary = extended & 0xFF if extended >= 0 else -1
    if primary == _FULL:
        return Refused(f"The disk is full ({name(error)} while {doing}).")
    if primary in {_CORRUPT, _NOTADB} or extended in {_IOERR_DATA, _IOERR_CORRUPTFS}:
        return Corrupt(f"The database is damaged ({name(error)} while {doing}).")
    if primary == _ERROR:
        # What is asked is written down in this package: it can only be wrong for tables that are not ours.
        return Corrupt(f"The database's tables are damaged ({name(error)} while {doing}).")
    if extended == -1 and isinstance(error, sqlite3.OperationalError | sqlite3.DataError):
        # The sqlite3 module's own: a value that cannot be what we wrote.
        return Corrupt(f"The database gave back what was never written ({name(error)} while {doing}).")
    return Unknown(f"The disk failed ({name(error)} while {doing}).")


def translate_opening(error: Exception, file: object) -> StoreError:
    """As `translate`, for errors before anything could be written."""
    primary = code(error) & 0xFF
    if primary in {_BUSY, _LOCKED}:
        return Locked(f"{file} is open in another process, which is no Ropeway daemon ({name(error)}).")
    if primary in {_CANTOPEN, _READONLY, _PERM, _AUTH}:
        return Unusable(f"{file} cannot be opened for writing ({name(error)}).")
    return translate(error, f"opening {file}")


def translate_system(error: OSError | ValueError, directory: Path) -> StoreError:
    """The error to raise for one of the system's own, beside the database, before anything could be written.

    A disk that fails or is full may be better at the next start; a place that cannot be used will not.
    """
    number = getattr(error, "errno", None)
    said = getattr(error, "strerror", None) or error
    if number == errno.EIO:
        return Unknown(f"The disk failed ({said}, in {directory}).")
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return Refused(f"The disk is full ({said}, in {directory}).")
    return Unusable(f"The data directory {directory} cannot be used: {said}.")
