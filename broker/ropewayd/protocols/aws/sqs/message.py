"""Messages as AWS shows them: bodies, attributes and receipt handles."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from ropewayd.queues.contents import check_text, fits
from ropewayd.queues.md5 import TRACE_HEADER
from ropewayd.vocabulary.errors import InvalidParameterValue

ENCODING: Final = "Ropeway.BodyEncoding"
"""The attribute that says that a body of bytes is shown in base64."""


class Value(msgspec.Struct, kw_only=True, rename="pascal"):
    """A message attribute. One of the two values goes with its type."""

    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None
    string_list_values: list[str] | None = None
    binary_list_values: list[bytes] | None = None


def read_attributes(given: Mapping[str, Value] | None) -> dict[str, tuple[str, str | bytes]] | None:
    """Message attributes as the actions take them. Raises RopewayError."""
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
        if value.string_value:
            problem = check_text(value.string_value, name[:256])
            if problem is not None:
                raise problem
        binary = value.data_type.partition(".")[0] == "Binary"
        if not (value.binary_value if binary else value.string_value):
            kind = value.data_type.partition(".")[0][:80]
            raise InvalidParameterValue(
                f"Message (user) attribute '{name[:256]}' must contain a non-empty value of type '{kind}'."
            )
        found[name] = (
            value.data_type,
            (value.binary_value or b"") if binary else (value.string_value or ""),
        )
    return found


def read_trace(given: Mapping[str, Value] | None, header: str | None) -> str | None:
    """The trace header of a message: its system attribute, or else the request's own. Raises RopewayError."""
    for name, value in (given or {}).items():
        if name != TRACE_HEADER:
            raise InvalidParameterValue(
                f"Message system attribute name '{name[:256]}' is invalid. Only '{TRACE_HEADER}' can be sent."
            )
        if value.data_type != "String" or not value.string_value:
            raise InvalidParameterValue(
                f"Message (system) attribute '{name}' must contain a non-empty value of type 'String'."
            )
        return value.string_value
    return header


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


def shown_body(body: str | bytes) -> tuple[str, bool]:
    """A body as AWS's clients can take it, and whether it is in base64."""
    if isinstance(body, str):
        text = body
    else:
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return base64.b64encode(body).decode(), True
    if not fits(text):
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
