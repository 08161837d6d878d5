"""Messages as AWS shows them: bodies, attributes, digests and receipt handles."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from ropewayd.vocabulary.errors import InvalidMessageContents, InvalidParameterValue, RopewayError

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ENCODING: Final = "Ropeway.BodyEncoding"
"""The attribute that says that a body of bytes is shown in base64."""


class Value(msgspec.Struct, kw_only=True, rename="pascal"):
    """A message attribute. One of the two values goes with its type."""

    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None
    string_list_values: list[str] | None = None
    binary_list_values: list[bytes] | None = None


def check_body(body: str, field: str) -> RopewayError | None:
    """What AWS takes in a body: the characters that XML 1.0 has."""
    if body.isascii() and body.isprintable():
        return None
    if _FORBIDDEN.search(body):
        return InvalidMessageContents(
            "Invalid characters found. Valid characters are #x9 | #xA | #xD | #x20 to #xD7FF | "
            "#xE000 to #xFFFD | #x10000 to #x10FFFF",
            field,
        )
    return None


def read_attributes(given: Mapping[str, Value] | None) -> dict[str, tuple[str, str | bytes]] | None:
    """Message attributes as the actions take them. Raises InvalidParameterValue."""
    if not given:
        return None
    found: dict[str, tuple[str, str | bytes]] = {}
    for name, value in given.items():
        if value.string_list_values or value.binary_list_values:
            raise InvalidParameterValue(
                f"Message attribute list values in SendMessage operation are not supported: '{name[:256]}'.",
                name[:256],
            )
        if value.binary_value is not None and value.string_value is not None:
            raise InvalidParameterValue(
                f"The message attribute '{name[:256]}' has a value of each type, and may have one.",
                name[:256],
            )
        binary = value.data_type.partition(".")[0] == "Binary"
        found[name] = (
            value.data_type,
            (value.binary_value or b"") if binary else (value.string_value or ""),
        )
    return found


def show_attributes(given: Mapping[str, Any], wanted: list[str]) -> dict[str, dict[str, Any]]:
    """The message attributes that the receiver asked for."""
    shown = {}
    for name in sorted(given):
        if _matches(name, wanted):
            kind, value = given[name]
            held = "BinaryValue" if isinstance(value, bytes) else "StringValue"
            shown[name] = {held: value, "DataType": kind}
    return shown


def _matches(name: str, wanted: Iterable[str]) -> bool:
    return any(
        each in {"All", ".*", "*"} or each == name or (each.endswith(".*") and name.startswith(each[:-1]))
        for each in wanted
    )


def md5(text: str | bytes) -> str:
    """The digest of a body."""
    raw = text.encode() if isinstance(text, str) else text
    return hashlib.md5(raw, usedforsecurity=False).hexdigest()


def md5_of_attributes(given: Mapping[str, tuple[str, str | bytes]]) -> str:
    """The digest of message attributes: by name, each part with its length in front."""
    said = bytearray()
    for name in sorted(given):
        kind, value = given[name]
        raw = value if isinstance(value, bytes) else value.encode()
        for part in (name.encode(), kind.encode()):
            said += len(part).to_bytes(4, "big") + part
        said += (b"\x02" if isinstance(value, bytes) else b"\x01") + len(raw).to_bytes(4, "big") + raw
    return md5(bytes(said))


def shown_body(body: str | bytes) -> tuple[str, bool]:
    """A body as AWS's clients can take it, and whether it is in base64."""
    if isinstance(body, str):
        text = body
    else:
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return base64.b64encode(body).decode(), True
    if not text.isprintable() and _FORBIDDEN.search(text):
        return base64.b64encode(text.encode()).decode(), True
    return text, False


def show_handle(handle: bytes) -> str:
    """A receipt handle as text."""
    return base64.b64encode(handle).decode()


def read_handle(text: str) -> bytes:
    """A receipt handle as the actions take it; what was never one is no handle there either."""
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""


def show_id(raw: bytes) -> str:
    """A message's id as a UUID."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
