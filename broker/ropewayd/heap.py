"""One heap for all threads of the process.

glibc gives each thread a heap of its own, and what is freed in one is of no use to the others. Rows are made
on the store's thread and messages on the loop's, so a queue that is drained and filled again would take its
memory twice. Measured so: 270 MiB at most with two heaps, 237 with one, at the same processor time a message,
for the threads seldom allocate at once: both need the interpreter's lock for it.
"""

from __future__ import annotations

import contextlib
import ctypes
from typing import Final

_ARENA_MAX: Final = -8
"""M_ARENA_MAX of malloc.h."""


def share() -> None:
    """To be called before there is a second thread. Another C library than glibc is left as it is."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # TypeError: Windows has no library of None
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
