"""Plain text for people: aligned columns, sizes in their usual units, and nothing that drives a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count: float) -> str:
    """Bytes, with three digits or so."""
    at = 0
    while count >= 1024 and at < len(UNITS) - 1:
        count, at = count / 1024, at + 1
    return f"{count:.0f} {UNITS[at]}" if at == 0 or count >= 100 else f"{count:.1f} {UNITS[at]}"


def duration(seconds: float) -> str:
    """A short time."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def cell(value: object) -> str:
    """A value as a column shows it: numbers with their thousands apart, nothing as a dash."""
    if value is None:
        return "-"
    if type(value) is int:
        return f"{value:,}"
    return printable(str(value))


def printable(text: str) -> str:
    """The text on one line, without what a terminal would obey."""
    return "".join(each if each.isprintable() else "?" for each in text)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], indent: str = "  ") -> list[str]:
    """Columns; those that hold numbers are flush right."""
    body = [list(row) for row in rows]
    shown = [[cell(value) for value in row] for row in body]
    widths = [max(len(row[at]) for row in [list(head), *shown]) for at in range(len(head))]
    right = [all(type(row[at]) in (int, type(None)) for row in body) for at in range(len(head))]
    lines = []
    for row in [list(head), *shown]:
        cells = [
            each.rjust(width) if flush else each.ljust(width)
            for each, width, flush in zip(row, widths, right, strict=True)
        ]
        lines.append(indent + "  ".join(cells).rstrip())
    return lines


def facts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Names and what is said of them, in two columns."""
    known = list(pairs)
    width = max(len(name) for name, _ in known)
    return [f"{name.ljust(width)}  {printable(said)}" for name, said in known]
