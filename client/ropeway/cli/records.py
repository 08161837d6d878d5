"""A message as a line of JSON: what `queue peek --json` and `export` write, and `import` reads.

A body of bytes is `body_base64`, and so is the value of a Binary attribute.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import ropeway
from ropeway.cli.output import Json
from ropeway.cli.values import in_base64, stamp
from ropeway.message import Body, TypedAttribute

SYSTEM = ("group", "deduplication_id", "trace_header", "source")


def record_of(message: ropeway.Peeked) -> dict[str, Json]:
    """What is known of a message that was looked at."""
    record: dict[str, Json] = {
        "sequence": message.sequence,
        "id": message.id,
        "state": message.state,
        "sent_at": stamp(message.sent_at),
        "receive_count": message.receive_count,
    }
    if message.visible_at is not None:
        record["visible_at"] = stamp(message.visible_at)
    record |= {name: message.system[name] for name in SYSTEM if name in message.system}
    return record | _content(message.typed_attributes, message.body)


def received_record_of(message: ropeway.Message) -> dict[str, Json]:
    """What is to be kept of a message that was received."""
    record: dict[str, Json] = {
        "id": message.id,
        "sent_at": stamp(message.sent_at),
        "receive_count": message.receive_count,
    }
    for name in SYSTEM:
        value = getattr(message, name)
        if value is not None:
            record[name] = value
    return record | _content(message.typed_attributes, message.body)


def _content(attributes: Mapping[str, TypedAttribute], body: Body | None) -> dict[str, Json]:
    content: dict[str, Json] = {}
    if attributes:
        content["attributes"] = {name: _attribute(each) for name, each in attributes.items()}
    if body is None:
        return content
    return content | ({"body": body} if isinstance(body, str) else {"body_base64": in_base64(body)})


def _attribute(typed: TypedAttribute) -> dict[str, Json]:
    kind, value = typed
    return {"type": kind, "value": value if isinstance(value, str) else in_base64(value)}


def message_of(line: bytes, token: str | None) -> ropeway.Outgoing | None:
    """The message that a line says, to be sent; None for the heading of an export. Raises ValueError."""
    record: Any = json.loads(line)
    if not isinstance(record, dict):
        raise ValueError("it is no JSON object")
    if "ropeway_export" in record:
        return None
    body = record.get("body")
    if body is None and isinstance(record.get("body_base64"), str):
        body = base64.b64decode(record["body_base64"], validate=True)
    if not isinstance(body, (str, bytes)):
        raise ValueError("it has no body")
    given = record.get("attributes") or {}
    if not isinstance(given, dict):
        raise ValueError("its attributes are no object")
    said = {name: record.get(name) for name in ("trace_header", "group", "deduplication_id")}
    return ropeway.Outgoing(
        body, attributes={name: _typed(name, each) for name, each in given.items()}, token=token, **said
    )


def _typed(name: str, given: Any) -> TypedAttribute:
    match given:
        case {"type": str(kind), "value": str(value)}:
            if kind.partition(".")[0] == "Binary":
                return kind, base64.b64decode(value, validate=True)
            return kind, value
    raise ValueError(f"its attribute {name} has no type and value")
