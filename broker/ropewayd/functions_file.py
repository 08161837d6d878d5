"""The file of functions: what the protocol lambda calls by name.

    [resize]
    command = ["/usr/local/bin/resize", "--quiet"]
    timeout = 20

    [notify]
    url = "http://127.0.0.1:9000/"

It names programs that the daemon runs, so nobody but its owner may write it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from ropewayd.deliveries.function import Address, Program
from ropewayd.exits import Misconfigured
from ropewayd.sources import MAX_FILE_BYTES, read_bounded

Word = Annotated[str, Meta(max_length=4096, pattern="^[^\\0]*$")]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file can say of one function."""

    url: Annotated[str, Meta(pattern=r"^https?://[^\s]+$")] | None = None
    command: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=100)] | None = None
    timeout: Annotated[float, Meta(ge=0.1, le=900)] | None = None


Entries = Annotated[
    dict[Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,140}$")], Entry], Meta(max_length=10_000)
]


def read_functions(path: Path, blame: str, patience: float) -> dict[str, Address | Program]:
    """The functions by name; a program has `patience` seconds unless the file says another time. Raises
    Misconfigured."""
    try:
        if path.stat().st_mode & 0o022:
            raise Misconfigured(f"{path} can be written by others, and it names programs: chmod go-w {path}")
    except OSError as wrong:
        raise Misconfigured(f"{blame}: cannot read {path}: {wrong.strerror}") from None
    content = read_bounded(path, blame, MAX_FILE_BYTES)
    try:
        entries = msgspec.convert(tomllib.loads(content.decode()), Entries)
    except ValueError as wrong:  # TOMLDecodeError, UnicodeDecodeError and ValidationError are ValueErrors
        raise Misconfigured(
            f'{blame}: each function in {path} must have url = "http..." or command = ["program", ...], and '
            f"may have timeout: {wrong}"
        ) from None
    return {name: _function(name, entry, path, blame, patience) for name, entry in entries.items()}


def _function(name: str, entry: Entry, path: Path, blame: str, patience: float) -> Address | Program:
    if (entry.url is None) == (entry.command is None):
        raise Misconfigured(f"{blame}: the function {name} in {path} must have a url or a command, not both")
    if entry.url is not None:
        if entry.timeout is not None:
            raise Misconfigured(
                f"{blame}: the function {name} in {path} has a url, so its time is functions.timeout"
            )
        return Address(entry.url)
    assert entry.command is not None
    return Program(entry.command, entry.timeout or patience)
