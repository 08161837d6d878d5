"""Where files can be kept in memory: for tests of the store whose disk is a model, or does not matter.

On a real disk they wait for it half of their time, and longer beside others that do.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PLACE: Final = "/dev/shm"
_ROOM: Final = 48 << 20
"""Bytes that must be free there; what such a test keeps is a fraction of that."""


def place() -> str | None:
    """A directory in memory; None, for the system's own choice, where there is none with enough room."""
    try:
        room = os.statvfs(_PLACE)
    except OSError:
        return None
    return _PLACE if room.f_bavail * room.f_frsize >= _ROOM and os.access(_PLACE, os.W_OK) else None


@contextmanager
def directory() -> Iterator[Path]:
    """A directory, in memory if that can be, for as long as the block takes."""
    with tempfile.TemporaryDirectory(prefix="ropeway-", dir=place(), ignore_cleanup_errors=True) as name:
        yield Path(name)
