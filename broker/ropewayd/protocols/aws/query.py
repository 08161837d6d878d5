"""The Query protocol's parameters: `Attribute.1.Name=...` and the like, as the operation's members.

Lists and maps are flattened: their elements are numbered, and called by the singular that the model gives
them. Some services (SNS) do not flatten theirs. What the model does not know is passed over, as AWS does.
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import Generator, Mapping
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec

from ropewayd.vocabulary.errors import MalformedRequest

from .body import LARGE
from .call import Operation
from .turns import PIECE

LISTS: Final = {
    "AttributeNames": "AttributeName",
    "MessageSystemAttributeNames": "MessageSystemAttributeName",
    "MessageAttributeNames": "MessageAttributeName",
    "AWSAccountIds": "AWSAccountId",
    "Actions": "ActionName",
    "TagKeys": "TagKey",
    "StringListValues": "StringListValue",
    "BinaryListValues": "BinaryListValue",
}
"""Members that are lists, and what an element is called."""

MAPS: Final = {
    "Attributes": ("Attribute", "Name", "Value"),
    "MessageAttributes": ("MessageAttribute", "Name", "Value"),
    "MessageSystemAttributes": ("MessageSystemAttribute", "Name", "Value"),
    "Tags": ("Tag", "Key", "Value"),
    "tags": ("Tag", "Key", "Value"),
}
"""Members that are maps, and what an element, its key and its value are called."""

_AS_EQUALS: Final = bytes.maketrans(b"%", b"=")
_NO_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
MAX_DEPTH: Final = 8
"""Dots in a name. The deepest that the model knows has six."""

MAX_ENTRIES: Final = 100
"""Entries of a batch that are read, to be told that they are too many: AWS takes ten."""


def parse(text: bytes, most: int) -> dict[str, str]:
    """The parameters of a query string or a form, `most` of them. Of two of a name the last counts.

    Raises MalformedRequest.
    """
    if not text:
        return {}
    if text.count(b"&") >= most:
        raise _too_many(most)
    found = {}
    for part in text.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            found[_text(_plain(name))] = _text(_plain(value))
    return found


def parse_by_turns(text: bytes, most: int) -> Generator[None, None, dict[str, str]]:
    """The same for a large form, in steps."""
    found = {}
    start = number = 0
    while start < len(text):
        number += 1
        if number > most:
            raise _too_many(most)
        end = text.find(b"&", start)
        if end < 0:
            end = len(text)
        equals = text.find(b"=", start, end)
        if equals < 0:
            equals = end
        if start < end:
            found[(yield from _decoded(text, start, equals))] = yield from _decoded(text, equals + 1, end)
        start = end + 1
    return found


def _too_many(most: int) -> MalformedRequest:
    return MalformedRequest(f"The request has more than {most} parameters.")


def _decoded(text: bytes, start: int, end: int) -> Generator[None, None, str]:
    """A name or a value, in steps if it is large. A step ends where no escape is under way."""
    if end - start <= PIECE:
        return _text(_plain(text[start:end]))
    pieces: list[bytes] = []
    while start < end:
        upto = min(end, start + PIECE)
        escape = text.rfind(b"%", upto - 2, upto)
        if start < escape and upto < end:
            upto = escape
        pieces.append(_plain(text[start:upto], large=True))
        start = upto
        yield
    return _text(b"".join(pieces))


def _plain(raw: bytes, *, large: bool = False) -> bytes:
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    return _unquoted(raw, large=large or len(raw) > LARGE) if b"%" in raw else raw


def _text(plain: bytes) -> str:
    try:
        return plain.decode()
    except UnicodeDecodeError:
        raise MalformedRequest("A parameter is not UTF-8.") from None


def _unquoted(raw: bytes, *, large: bool = False) -> bytes:
    """What urllib.parse.unquote_to_bytes gives, which takes seconds for what a peer may send.

    Percent signs become those of quoted-printable, which is decoded in C: an escape of it is two bytes
    shorter then, and what is none is not, but for a line's end. What is none stays as it is, and has to be
    looked for; no client makes it by the kilobyte.
    """
    whole = raw.replace(b"=", b"%3D")
    if (b"\n" not in raw or b"%\n" not in raw) and (b"\r" not in raw or b"%\r" not in raw):
        plain = a2b_qp(whole.translate(_AS_EQUALS))
        if len(plain) == len(whole) - 2 * whole.count(b"%"):
            return plain
    if large:
        raise MalformedRequest("A parameter has a percent sign that begins no escape.")
    return a2b_qp(_NO_ESCAPE.sub(b"%25", raw).replace(b"=", b"%3D").translate(_AS_EQUALS))


def members(kind: type[Operation], parameters: Mapping[str, str], *, nested: bool = False) -> dict[str, Any]:
    """The operation's members, as plain objects that msgspec.convert takes. Raises MalformedRequest."""
    tree: dict[str, Any] = {}
    for name, value in parameters.items():
        parts = name.split(".")
        if len(parts) > MAX_DEPTH:
            raise MalformedRequest(f"The parameter {name[:100]} has more than {MAX_DEPTH} parts.")
        at = tree
        for part in parts[:-1]:
            below = at.setdefault(part, {})
            if not isinstance(below, dict):
                below = at[part] = {}
            at = below
        at.setdefault(parts[-1], value)
    return _nested(kind, tree) if nested else _struct(kind, tree, kind.entry)


def _nested(kind: type[msgspec.Struct] | None, tree: Mapping[str, Any]) -> dict[str, Any]:
    """A struct where lists and maps are not flattened: `Tags.member.1.Key`, `Attributes.entry.1.key`."""
    found: dict[str, Any] = {}
    for field, name in _fields(kind) if kind is not None else ():
        value = tree.get(name)
        if value == "" and kind is not None and _is_list(kind, field):
            found[name] = []  # as an SDK says that a list is empty
        elif isinstance(value, str):
            found[name] = value
        elif isinstance(value, dict):
            assert kind is not None
            found[name] = _inside(_inner(kind, field), value)
    return found


def _inside(inner: type[msgspec.Struct] | None, value: dict[str, Any]) -> Any:
    """A list, a map or a struct."""
    if "member" in value:
        return [_element(inner, each) for each in _numbered(value["member"])]
    if "entry" in value:
        pairs = [each for each in _numbered(value["entry"]) if isinstance(each, dict)]
        return {
            str(each.get("key", each.get("Name"))): _element(inner, each.get("value", each.get("Value", "")))
            for each in pairs
        }
    return _nested(inner, value)


def _element(inner: type[msgspec.Struct] | None, each: Any) -> Any:
    return _nested(inner, each) if isinstance(each, dict) else each


def _struct(kind: type[msgspec.Struct], tree: Mapping[str, Any], entry: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field, name in _fields(kind):
        if name == "Entries" and entry:
            inner = _inner(kind, field)
            numbered = _numbered(tree.get(entry))
            if len(numbered) > MAX_ENTRIES:
                raise MalformedRequest(f"A batch of {len(numbered)} entries is not read at all.")
            found[name] = [_struct(inner, each) if isinstance(each, dict) else {} for each in numbered]
        elif name in LISTS:
            numbered = _numbered(tree.get(LISTS[name]))
            if numbered:
                found[name] = [each for each in numbered if isinstance(each, str)]
        elif name in MAPS:
            element, key, value = MAPS[name]
            numbered = _numbered(tree.get(element))
            if numbered:
                found[name] = {
                    str(each[key]): _value(kind, field, each.get(value, ""))
                    for each in numbered
                    if isinstance(each, dict) and isinstance(each.get(key), str)
                }
        elif isinstance(tree.get(name), str):
            found[name] = tree[name]
    return found


def _value(kind: type[msgspec.Struct], field: str, value: Any) -> Any:
    """A map's value: text, or a struct of its own."""
    if isinstance(value, dict):
        inner = _inner(kind, field)
        return _struct(inner, value) if inner is not None else ""
    return value


def _numbered(tree: Any) -> list[Any]:
    """The elements in the order of their numbers, whatever gaps there are."""
    if not isinstance(tree, dict):
        return []
    numbers = [each for each in tree if each.isascii() and each.isdigit() and len(each) <= 9]
    return [tree[each] for each in sorted(numbers, key=int)]


_cached: dict[type, list[tuple[str, str]]] = {}
_inners: dict[tuple[type, str], Any] = {}


def _fields(kind: type[msgspec.Struct]) -> list[tuple[str, str]]:
    """Each field's own name and its name on the wire."""
    found = _cached.get(kind)
    if found is None:
        found = _cached[kind] = [(each.name, each.encode_name) for each in msgspec.structs.fields(kind)]
    return found


def _inner(kind: type[msgspec.Struct], field: str) -> Any:
    """The struct that is inside a list or map, or None."""
    key = (kind, field)
    if key not in _inners:
        _inners[key] = _struct_in(get_type_hints(kind)[field])
    return _inners[key]


def _is_list(kind: type[msgspec.Struct], field: str) -> bool:
    hint = get_type_hints(kind)[field]
    return any(get_origin(each) is list for each in (hint, *get_args(hint)))


def _struct_in(hint: Any) -> Any:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    return next((found for each in get_args(hint) if (found := _struct_in(each)) is not None), None)
