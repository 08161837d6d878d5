"""How far long work has come: one line on a terminal that is written over, and nothing at all elsewhere."""

from __future__ import annotations

import os
import time
from typing import Final, TextIO

BAR: Final = 24
PACE: Final = 0.1
"""Seconds between two pictures."""


class Progress:
    """On `stream`, if that is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._on = stream.isatty()
        self._next = 0.0
        self._shown = False

    def __call__(self, what: str, done: float, said: str = "") -> None:
        """`what` is under way, `done` of it (0 to 1). `said` goes to the end of the line."""
        if not self._on or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PACE
        full = round(min(max(done, 0.0), 1.0) * BAR)
        line = f"{what}  [{'#' * full}{'.' * (BAR - full)}] {min(done, 1.0):4.0%}  {said}"
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except OSError:
            columns = 80
        self._stream.write(f"\r\x1b[K{line[: max(columns - 1, 10)]}")
        self._stream.flush()
        self._shown = True

    def clear(self) -> None:
        """Leave an empty line."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False
