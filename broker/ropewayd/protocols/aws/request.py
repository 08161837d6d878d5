"""One HTTP request, read whole: what was asked, in the bytes that came.

Header names are compared in lower case; values stay bytes, for signatures are over bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end of a connection."""

    local: bool = False
    """Whether it is on this machine."""
    secure: bool = False
    """Whether it came by TLS."""


SOMEBODY: Final = Peer()


class Request(msgspec.Struct):
    """See the module. `target` is path and query as they came, `body` what the headers say of its coding."""

    method: str
    target: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    peer: Peer = SOMEBODY
    connection: str = ""
    """What the answer has to say of the connection, if anything."""
    fields: dict[str, list[bytes]] = {}
    """The values of each header, by its name in lower case."""

    def __post_init__(self) -> None:
        if not self.fields:
            self.fields = by_name(self.headers)

    def get(self, name: str, default: str = "") -> str:
        """The first value of a header, by its name in lower case."""
        values = self.fields.get(name)
        return values[0].decode("utf-8", "surrogateescape") if values is not None else default

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, list[bytes]]:
    """The values of each header, in the order that they came in."""
    found: dict[str, list[bytes]] = {}
    for raw, value in headers:
        name = _name(raw) if len(raw) <= _SHORT else _lower(raw)
        if name in found:
            found[name].append(value)
        else:
            found[name] = [value]
    return found


def _lower(raw: bytes) -> str:
    return raw.decode("latin-1").lower()


_name = functools.lru_cache(maxsize=1024)(_lower)
_SHORT: Final = 64
"""Bytes of a header's name that is kept: what a peer makes up costs no memory that stays."""
