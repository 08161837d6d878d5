"""Where mobile applications stand on disk: the space, the keys, the forms.

An application's number is an incarnation, never used again, as a topic's is.
"""

from __future__ import annotations

import msgspec

from ropewayd.store.protocol import Space

MOBILE = Space(10, "mobile", paged=False)
"""One record an application, one an endpoint, and `next` (the next application's number)."""

NEXT_NUMBER = b"next"
VERSION = 1


class ApplicationRecord(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """An application as of its record's lsn, without its endpoints."""

    version: int
    platform: str
    name: str
    account: str
    region: str
    at: int
    attributes: dict[str, str]
    queue: int = 0


class EndpointRecord(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """An endpoint as of its record's lsn."""

    version: int
    token: str
    user_data: str
    enabled: bool


def application_key(number: int) -> bytes:
    """Of an application's own record. In the order of keys applications stand before endpoints."""
    return b"a" + number.to_bytes(8, "big")


def endpoint_key(number: int, id_: bytes) -> bytes:
    """Of an endpoint's record."""
    return b"b" + number.to_bytes(8, "big") + id_
