"""How the daemon ends: the exit codes, and the one exception that carries a code and a sentence to the top.

The codes are those of sysexits.h, so that a supervisor can tell what a restart may mend (74) from what it
cannot (65, 78). conf/ropeway.service does. Standard library only: this must be there when nothing else is.
"""

from __future__ import annotations

import os
from typing import Final

CLEAN: Final = os.EX_OK
CORRUPT: Final = os.EX_DATAERR
"""65: the store is damaged, or was written by a newer Ropeway. A restart will not help."""
SOFTWARE: Final = os.EX_SOFTWARE
"""70: the daemon broke one of its own rules. What it acknowledged is safe; please report it."""
IO: Final = os.EX_IOERR
"""74: the disk refused or failed. A restart recovers what was acknowledged."""
CONFIGURATION: Final = os.EX_CONFIG
"""78: a setting, the data directory, an address or the installation. A restart will not help."""


class Exit(Exception):
    """The daemon cannot go on. `code` is the process's exit code; `str()` is the one line that it says."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class Misconfigured(Exit):
    """Something the operator can set is wrong; the sentence says what, and where it was set."""

    def __init__(self, sentence: str) -> None:
        super().__init__(CONFIGURATION, sentence)
