"""What people type, and how it is shown to them: durations, sizes, message attributes, bodies."""

from __future__ import annotations

import base64
import binascii
import os
import re
from datetime import datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ropeway.message import TypedAttribute

_SECONDS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "kib": 1024, "mib": 1024**2}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", re.ASCII)
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BINARY = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def read_duration(text: str) -> float:
    """Seconds, of a number with or without its unit. Raises BadParameter."""
    found = _QUANTITY.fullmatch(text.strip())
    if found is None or found[2] not in _SECONDS:
        raise click.BadParameter(f"{text!r} is no duration: say 30, 30s, 500ms, 5m, 12h or 4d.")
    return float(found[1]) * _SECONDS[found[2]]


def read_size(text: str) -> int:
    """Bytes, of a number with or without its unit. Raises BadParameter."""
    found = _QUANTITY.fullmatch(text.strip())
    if found is None or found[2].lower() not in _BYTES:
        raise click.BadParameter(f"{text!r} is no size: say 1024, 256KiB or 1MiB.")
    return round(float(found[1]) * _BYTES[found[2].lower()])


def read_time(text: str) -> datetime:
    """A time as 2026-11-26T08:00, of this machine's zone if it names none. Raises BadParameter."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is no time: say 2026-11-26, 2026-11-26T08:00 or 2026-11-26T08:00Z."
        ) from None


def read_weights(text: str) -> list[int]:
    """Weights of queues, of numbers with commas between them. Raises BadParameter."""
    weights = [int(each) if each.strip().isdecimal() else 0 for each in text.split(",")]
    if not all(1 <= each <= 1000 for each in weights):
        raise click.BadParameter(f"{text!r} are no weights: say 9,1; each is 1 to 1,000.")
    return weights


def read_attribute(text: str) -> tuple[str, TypedAttribute]:
    """A message attribute, of NAME=TYPE:VALUE; the value of a Binary is base64. Raises BadParameter."""
    name, equals, typed = text.partition("=")
    kind, colon, value = typed.partition(":")
    if not (name and equals and kind and colon):
        raise click.BadParameter(f"{text!r} is not NAME=TYPE:VALUE, as in colour=String:red.")
    if kind.partition(".")[0] != "Binary":
        return name, (kind, value)
    try:
        return name, (kind, base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        raise click.BadParameter(f"the value of {name} is not base64, which Binary takes.") from None


def duration(seconds: float) -> str:
    """Seconds as `read_duration` takes them, in the largest unit that needs no fraction."""
    if seconds != round(seconds):
        return f"{round(seconds * 1000)}ms"
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{round(seconds / _SECONDS[unit])}{unit}"
    return f"{round(seconds)}s"


def size(count: int) -> str:
    """Bytes as `read_size` takes them."""
    for unit in ("MiB", "KiB"):
        if count and count % _BYTES[unit.lower()] == 0:
            return f"{count // _BYTES[unit.lower()]}{unit}"
    return f"{count}B"


def counted(count: int, noun: str) -> str:
    """As in "1 message" and "2,000 messages"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC to the millisecond, for scripts."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local(moment: datetime) -> str:
    """The reader's own time, for people."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def harmless(text: str) -> str:
    """Text without power over a terminal: its control characters are spelt out."""
    return _HIDDEN.sub(lambda found: repr(found[0])[1:-1], text)


def guess(data: bytes, *, as_bytes: bool = False) -> str | bytes:
    """The body that these bytes are: text if they can be read as text, and bytes otherwise."""
    if as_bytes:
        return data
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data
    return data if _BINARY.search(text) else text


def argument(text: str) -> bytes:
    """The bytes that were typed. An argument that is not UTF-8 keeps them in surrogates."""
    return os.fsencode(text)


def in_base64(data: bytes) -> str:
    """Bytes for JSON."""
    return base64.b64encode(data).decode()
