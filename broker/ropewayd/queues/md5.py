"""The MD5 digests that AWS sends along with messages, by which its SDKs notice what was damaged on the way.

They are computed when they are asked for and never stored: most consumers do not want them. A digest of
attributes is over those that are sent, which on a receive can be fewer than the message has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

TRACE_HEADER = "AWSTraceHeader"

_TEXT, _BINARY = b"\x01", b"\x02"


def md5_of_body(body: str | bytes) -> str:
    """Of a body as it is shown, in hexadecimal."""
    raw = body if type(body) is bytes else body.encode()  # type: ignore[union-attr]  # the other one is text
    return hashlib.md5(raw, usedforsecurity=False).hexdigest()


def md5_of_attributes(attributes: Mapping[str, tuple[str, Any]] | None) -> str | None:
    """Of message attributes, name to (type, value); None where there are none.

    Sorted by name, of each: the name, the type with its label, a byte that says text or binary, the value.
    Each but that byte has its length before it, four bytes, the highest first.
    """
    if not attributes:
        return None
    parts: list[bytes] = []
    for name in sorted(attributes):
        kind, value = attributes[name]
        binary = kind.startswith("Binary")
        for part in (name.encode(), kind.encode()):
            parts += (len(part).to_bytes(4, "big"), part)
        raw = value if type(value) is bytes else value.encode()
        parts += (_BINARY if binary else _TEXT, len(raw).to_bytes(4, "big"), raw)
    return _md5(b"".join(parts))


def md5_of_system_attributes(trace_header: str | None) -> str | None:
    """Of the one system attribute that can be sent; None without it."""
    return md5_of_attributes({TRACE_HEADER: ("String", trace_header)}) if trace_header else None


def _md5(raw: bytes) -> str:
    return hashlib.md5(raw, usedforsecurity=False).hexdigest()
