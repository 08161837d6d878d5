"""Bodies of answers: a result or an error, in JSON or as the Query protocol's XML."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from .call import Call, Protocol
from .errors import Fault, type_of

JSON_TYPE: Final = "application/x-amz-json-1.0"
XML_TYPE: Final = "text/xml"

LISTS: Final = {
    "QueueUrls": "QueueUrl",
    "queueUrls": "QueueUrl",
    "Messages": "Message",
    "Failed": "BatchResultErrorEntry",
    "Results": "ListMessageMoveTasksResultEntry",
    "StringListValues": "StringListValue",
    "BinaryListValues": "BinaryListValue",
}
"""Members that are lists, and what an element is called."""
MAPS: Final = {
    "Attributes": ("Attribute", "Name", "Value"),
    "MessageAttributes": ("MessageAttribute", "Name", "Value"),
    "Tags": ("Tag", "Key", "Value"),
    "attributes": ("attribute", "name", "value"),
}
"""Members that are maps, and what an element, its key and its value are called."""

_encoder = msgspec.json.Encoder()
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL = re.compile('[&<>"\r]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#xd;"}


def result(members: Mapping[str, Any], call: Call, *, has_result: bool) -> bytes:
    """The body of a success."""
    if call.protocol is Protocol.JSON:
        return _encoder.encode(members)
    name = call.operation
    if call.protocol is Protocol.QUERY_JSON:
        inner: dict[str, Any] = {f"{name}Result": members} if has_result else {}
        inner["ResponseMetadata"] = {"RequestId": call.request_id}
        return _encoder.encode({f"{name}Response": inner})
    inside = "".join(_nested(members) if call.nested else _members(members, call.operation))
    if has_result:
        inside = f"<{name}Result>{inside}</{name}Result>" if inside else f"<{name}Result/>"
    return (
        f'<?xml version="1.0"?><{name}Response xmlns="{call.namespace}">{inside}<ResponseMetadata>'
        f"<RequestId>{call.request_id}</RequestId></ResponseMetadata></{name}Response>"
    ).encode()


def error(fault: Fault, text: str, call: Call) -> bytes:
    """The body of a failure."""
    if call.protocol is Protocol.JSON:
        return _encoder.encode({"__type": type_of(fault, call), "message": text})
    side = "Sender" if fault.sender else "Receiver"
    detail = "" if call.nested else "<Detail/>"
    if call.protocol is Protocol.QUERY_JSON:
        told = {"Code": fault.code, "Message": text, "Type": side}
        return _encoder.encode({"Error": told, "RequestId": call.request_id})
    return (
        f'<?xml version="1.0"?><ErrorResponse xmlns="{call.namespace}"><Error><Type>{side}</Type>'
        f"<Code>{fault.code}</Code><Message>{escape(text)}</Message>{detail}</Error>"
        f"<RequestId>{call.request_id}</RequestId></ErrorResponse>"
    ).encode()


def escape(text: str) -> str:
    """Text for XML. What XML cannot hold at all becomes a question mark in a diamond."""
    if _FORBIDDEN.search(text):
        text = _FORBIDDEN.sub("\ufffd", text)
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], text) if _SPECIAL.search(text) else text


def _members(members: Mapping[str, Any], operation: str) -> Iterator[str]:
    for name, value in members.items():
        if isinstance(value, list):
            element = LISTS.get(name) or f"{operation}ResultEntry"
            for each in value:
                yield f"<{element}>{_inside(each, operation)}</{element}>"
        elif isinstance(value, dict) and name in MAPS:
            element, key, inner = MAPS[name]
            for each, its in value.items():
                yield (
                    f"<{element}><{key}>{escape(each)}</{key}><{inner}>{_inside(its, operation)}</{inner}>"
                    f"</{element}>"
                )
        else:
            yield f"<{name}>{_inside(value, operation)}</{name}>"


def _nested(members: Mapping[str, Any]) -> Iterator[str]:
    """Members whose lists and maps are not flattened."""
    for name, value in members.items():
        if isinstance(value, list):
            inside = "".join(f"<member>{_inside_nested(each)}</member>" for each in value)
        elif isinstance(value, dict) and name in MAPS:
            inside = "".join(
                f"<entry><key>{escape(each)}</key><value>{_inside_nested(its)}</value></entry>"
                for each, its in value.items()
            )
        else:
            inside = _inside_nested(value)
        yield f"<{name}>{inside}</{name}>"


def _inside_nested(value: Any) -> str:
    return "".join(_nested(value)) if isinstance(value, Mapping) else _inside(value, "")


def _inside(value: Any, operation: str) -> str:
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return "".join(_members(value, operation))
    return str(value)
