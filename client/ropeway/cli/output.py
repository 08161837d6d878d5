"""Standard output and standard error, and who reads them.

`Output` writes answers, in one of three ways: drawn for a terminal, tab-separated lines for a pipe, or JSON
lines. It writes with system calls of its own, so that what was written is known exactly. `say` is for remarks
and errors; a standard error that is gone is no reason to fail.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from ropeway.cli.exits import unwritable
from ropeway.cli.interruption import may_block
from ropeway.cli.values import harmless

if TYPE_CHECKING:
    from rich.table import Table

Json: TypeAlias = "str | int | float | Mapping[str, Json] | None"
_STDOUT, _STDERR = 1, 2
_DIM, _BOLD, _RED, _RESET = "\x1b[2m", "\x1b[1m", "\x1b[31m", "\x1b[0m"
_COLOURS = {"red": _RED, "yellow": "\x1b[33m", "green": "\x1b[32m", "dim": _DIM}


def is_terminal(descriptor: int) -> bool:
    """Whether a person is there. A descriptor that is closed is not a terminal."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _is_file(descriptor: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def _colour() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def say(sentence: str, hint: str = "", *, error: bool = False) -> None:
    """A line on standard error, and what to do next on a second one."""
    name = "ropeway:"
    sentence, hint = harmless(" ".join(sentence.split())), harmless(hint)
    if error and is_terminal(_STDERR) and _colour():
        name, hint = f"{_RED}ropeway:{_RESET}", hint and f"{_DIM}{hint}{_RESET}"
    text = f"{name} {sentence}\n" + (f"  {hint}\n" if hint else "")
    with contextlib.suppress(OSError):
        os.write(_STDERR, text.encode(errors="replace"))


def remark(sentence: str) -> None:
    """A line on standard error for a person; in a script nobody reads it, so there it is not said."""
    if is_terminal(_STDERR):
        say(sentence)


class Output:
    """`drawn` is whether a terminal gets it; `json` wins over both other ways."""

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self.drawn = not json and is_terminal(_STDOUT)
        self._colour = self.drawn and _colour()
        self._is_file = _is_file(_STDOUT)

    # The three ways at once: what a command has to say, for each of them.

    def done(self, drawn: str, plain: Sequence[str] = (), **record: Json) -> None:
        """That something was done: a sentence for people, fields for pipes (none: silence), a record."""
        if self.json:
            self.record(record)
        elif self.drawn:
            self.line(harmless(drawn))
        elif plain:
            self.line("\t".join(plain))

    def rows(self, columns: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
        """A table: JSON gets an object a row, pipes a line a row without the heading."""
        if self.json:
            for row in rows:
                self.record(dict(zip(columns, row, strict=True)))
        elif self.drawn:
            self._draw(columns, list(rows))
        else:
            for row in rows:
                self.line("\t".join(map(str, row)))

    def pairs(self, shown: Mapping[str, str], plain: Mapping[str, Json]) -> None:
        """One thing and its properties, as people read them and as programs do."""
        if self.json:
            self.record(plain)
        elif self.drawn:
            self._draw((), list(shown.items()))
        else:
            for name, value in plain.items():
                self.line(f"{name}\t{value}")

    # The ways by themselves.

    def record(self, record: Mapping[str, Json]) -> None:
        """One line of JSON."""
        import json  # noqa: PLC0415 - 5 ms that most commands need not spend

        self.line(json.dumps(record, ensure_ascii=False))

    def line(self, text: str) -> None:
        """One line of text."""
        self.write(text.encode() + b"\n")

    def coloured(self, text: str, colour: Literal["red", "yellow", "green", "dim"]) -> str:
        """Text on a terminal that has colours; elsewhere as it is."""
        return f"{_COLOURS[colour]}{text}{_RESET}" if self._colour and text else text

    def heading(self, text: str, rest: str) -> str:
        """A line above something on a terminal, the first words stronger than the others."""
        text, rest = harmless(text), harmless(rest)
        return f"{_BOLD}{text}{_RESET}  {_DIM}{rest}{_RESET}" if self._colour else f"{text}  {rest}"

    def write(self, data: bytes) -> None:
        """These bytes and no others. Raises Exit where they cannot be written, Interrupted by a signal."""
        rest = memoryview(data)
        try:
            while rest:
                with may_block() as interruption:
                    if not self._is_file:
                        select.select(interruption, [_STDOUT], [])
                # So much can be written without blocking when there is room at all.
                piece = rest if self._is_file else rest[: select.PIPE_BUF]
                with contextlib.suppress(BlockingIOError):  # somebody else was quicker to fill it
                    rest = rest[os.write(_STDOUT, piece) :]
        except OSError as error:
            raise unwritable(error) from None

    def _draw(self, columns: Sequence[str], rows: Sequence[Sequence[str | int]]) -> None:
        from rich.console import Console  # noqa: PLC0415 - rule 4 of the package

        colours: Literal["auto"] | None = "auto" if self._colour else None
        console = Console(file=sys.stdout, color_system=colours, highlight=False)
        with console.capture() as capture:
            console.print(_table(columns, rows))
        lines = capture.get().splitlines()
        self.write("".join(f"{line.rstrip()}\n" for line in lines).encode())


def _table(columns: Sequence[str], rows: Sequence[Sequence[str | int]]) -> Table:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(
        box=None, show_header=bool(columns), header_style="dim", pad_edge=False, padding=(0, 2, 0, 0)
    )
    for index, name in enumerate(columns or ("", "")):
        number = bool(rows) and isinstance(rows[0][index], int)
        style = "bold" if index == 0 and columns else "dim" if index == 0 else ""
        table.add_column(
            name.replace("_", " "), justify="right" if number else "left", style=style, overflow="fold"
        )
    for row in rows:
        cells = (f"{each:,}" if isinstance(each, int) else harmless(each) for each in row)
        table.add_row(*(Text(cell) for cell in cells))
    return table
