"""A progress bar for work that takes a while: on standard error, and only if that is a terminal.

It appears after half a second, so that short work draws nothing and does not pay for importing rich.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ropeway.cli.output import is_terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 0.5
"""Seconds of work before the bar appears."""


class Bar:
    """`total` is None where the end is not known. Use it in `with`."""

    def __init__(self, title: str, total: int | None, *, shown: bool = True) -> None:
        self._title = title
        self._total = total
        self._done = 0
        self._due = time.monotonic() + PATIENCE
        self._shown = shown and is_terminal(2)
        self._drawn: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn is not None:
            self._drawn[0].stop()
            self._drawn = None

    def at(self, done: int, note: str) -> None:
        """So much of the total is done; `note` says it in words."""
        if not self._shown:
            return
        if self._drawn is None:
            if time.monotonic() < self._due:
                return
            self._drawn = self._draw()
        progress, task = self._drawn
        progress.update(task, completed=done, note=note)

    def _draw(self) -> tuple[Progress, TaskID]:
        from rich.console import Console  # noqa: PLC0415 - rule 4 of the package
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        columns = (TextColumn("{task.description}", markup=False), BarColumn())
        ends = (TextColumn("{task.fields[note]}", markup=False), TimeElapsedColumn())
        progress = Progress(
            *columns,
            *ends,
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        task = progress.add_task(self._title, total=self._total, note="")
        progress.start()
        return progress, task
