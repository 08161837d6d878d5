"""Where telephone numbers stand on disk: the space, the keys, the forms."""

from __future__ import annotations

from typing import Final

import msgspec

from ropewayd.store.protocol import Space
from ropewayd.vocabulary.names import Scope

TEXTING = Space(11, "texting", paged=False)
"""One record an account, one a number that opted out, one a number of a sandbox."""

VERSION: Final = 1

ACCOUNT: Final = b"a"
OPT_OUT: Final = b"o"
SANDBOX: Final = b"s"
"""What keys begin with."""


class AccountRecord(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """An account in one region, without its numbers."""

    version: int
    attributes: dict[str, str]
    queue: int = 0


class OptOutRecord(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A number that gets no text messages since `at`."""

    version: int
    at: int


class SandboxRecord(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A number of a sandbox: see the event SandboxNumberChanged."""

    version: int
    password: str
    at: int
    wrong: int
    verified: bool


def key(kind: bytes, scope: Scope, number: str = "") -> bytes:
    """A record's key."""
    return kind + f"{scope.account} {scope.region} {number}".encode()


def read_key(raw: bytes) -> tuple[bytes, Scope, str]:
    """What a key says: the kind, whose it is, and the number."""
    account, region, number = raw[1:].decode().split(" ")
    return raw[:1], Scope(account, region), number
