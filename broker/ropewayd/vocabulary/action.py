"""What an action is: one definition that every protocol, the documentation and the checks derive from.

An action is a msgspec Struct. Its name is its class's, its fields carry their ranges and a description, its
docstring says what it does. `decode` and `convert` turn bytes or plain objects into it, and say which field
is wrong and what is allowed there.

In a batch each entry succeeds or fails by itself. So an entry that does not fit its type does not fail the
call: it takes the entry's place as an error, which `decide` finds where it looks first
(`BatchEntry.rejected`). Well-formed batches pay nothing for that.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Meta

from .errors import (
    EmptyBatchRequest,
    InvalidParameterValue,
    MissingParameter,
    RopewayError,
    TooManyEntriesInBatchRequest,
)

Milliseconds = int


class Action(msgspec.Struct, kw_only=True):
    """Base of all actions. Subclasses are the catalogue; nothing is registered by hand."""

    code: ClassVar[int]
    """The number on the binary protocol. Fixed for ever."""
    answer: ClassVar[str]
    """What a success holds, in words, for the reference."""
    errors: ClassVar[tuple[type[RopewayError], ...]] = ()
    """What can go wrong besides what can always go wrong."""
    batch: ClassVar[str | None] = None
    """The field that holds the entries, if the action takes a batch."""


class BatchEntry(msgspec.Struct, gc=False):
    """Base of an entry of a batch. Its first field takes any object; `decide` checks that one by hand."""

    blank: ClassVar[dict[str, Any]]
    """The least that is a valid entry."""

    @classmethod
    def rejected(cls, error: RopewayError) -> BatchEntry:
        """An entry that holds nothing but its error, in its first field."""
        return cls(error)


A = TypeVar("A", bound=Action)

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$?\.?(?P<path>[^`]*)`)?\Z", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")


def explain(error: msgspec.ValidationError) -> RopewayError:
    """The error for a caller: which field, and what is allowed there."""
    place = _PLACE.match(str(error))
    assert place is not None  # the pattern matches every text
    what, path = place["what"], place["path"] or ""
    missing = _MISSING.match(what)
    if missing:
        field = f"{path}.{missing['name']}".lstrip(".")
        return MissingParameter(f"The field {field} is required.", field)
    what = what[0].lower() + what[1:]
    return InvalidParameterValue(
        f"The field {path or '(the parameters)'} is not valid: {what}.", path or None
    )


_decoders: dict[type[Action], msgspec.msgpack.Decoder[Any]] = {}


def decode(kind: type[A], raw: bytes | msgspec.Raw) -> A:
    """An action from the msgpack of its parameters.

    Raises InvalidParameterValue or MissingParameter, with the field's name; MalformedRequest is the
    protocol's own.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        action: A = decoder.decode(raw)
        return action
    except msgspec.ValidationError as error:
        if kind.batch is None:
            raise explain(error) from None
    return convert(kind, msgspec.msgpack.decode(raw))


def convert(kind: type[A], plain: Any) -> A:
    """An action from plain objects (what JSON, a query string or msgpack gave). Raises as `decode` does."""
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        entries = plain.get(kind.batch) if kind.batch and isinstance(plain, dict) else None
        if not isinstance(entries, list):
            raise explain(error) from None
        _check_count(str(kind.batch), entries)
        entry_kind = _entry_kind(kind)
        if entry_kind is None:
            raise explain(error) from None
    fitted = [_fit(entry_kind, entry, f"{kind.batch}[{at}]") for at, entry in enumerate(entries)]
    try:
        action = msgspec.convert({**plain, str(kind.batch): [entry_kind.blank]}, kind)
    except msgspec.ValidationError as error:
        raise explain(error) from None
    setattr(action, str(kind.batch), fitted)
    return action


def _entry_kind(kind: type[Action]) -> type[BatchEntry] | None:
    hint = get_type_hints(kind)[str(kind.batch)]
    inner = get_args(hint)[0] if get_args(hint) else None
    return inner if isinstance(inner, type) and issubclass(inner, BatchEntry) else None


def _fit(kind: type[BatchEntry], plain: Any, path: str) -> BatchEntry:
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        found = explain(error)
        field = f"{path}.{found.field}" if found.field else path
        text = found.message.replace(found.field or "(the parameters)", field, 1)
        return kind.rejected(type(found)(text, field))


def _check_count(field: str, entries: list[Any]) -> None:
    if not entries:
        raise EmptyBatchRequest(f"The field {field} is empty; it takes 1 to {MAX_BATCH} entries.", field)
    if len(entries) > MAX_BATCH:
        raise TooManyEntriesInBatchRequest(
            f"The field {field} has {len(entries)} entries; it takes 1 to {MAX_BATCH}.", field
        )


MAX_BATCH = 1000
"""Entries in one call. The binary protocol's own limit; the AWS face keeps its 10."""

BatchSize = Meta(min_length=1, max_length=MAX_BATCH)
QueueName = Annotated[
    str, Meta(min_length=1, max_length=256, description="The queue's name: 1 to 80 of A-Z a-z 0-9 _ and -.")
]
