"""Parameters that do not fit their action, or are too large to unpack on trust: what is wrong, by name.

This is the slow way in. It takes the parameters apart with every free value (a field of any type) left
packed, so that nothing is built from them but what the action's own limits allow: a value that is neither
text, bytes nor a number becomes nil, which no free field takes. It gives the action with an error in
the place of each entry that does not fit, or raises the error of the whole call.
"""

from __future__ import annotations

import functools
import re
import types
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from .errors import (
    EmptyBatchRequest,
    InvalidParameterValue,
    MissingParameter,
    RopewayError,
    TooManyEntriesInBatchRequest,
)

if TYPE_CHECKING:
    from .action import BatchEntry

_Decoder = msgspec.msgpack.Decoder[Any]

_PLACE = re.compile(r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$?\.?(?P<path>[^`]*)`)?\Z", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
_TYPES = re.compile(r"`[^`]*`")
_WORDS = (("object", "map"), ("None", "nil"), ("null", "nil"))
"""How msgspec calls types that msgpack calls otherwise."""
_SOME_KEY = "[...]"
"""How msgspec says that it is a value in a map, without saying which."""

_CONTAINERS = frozenset((*range(0x80, 0xA0), *range(0xDC, 0xE0)))
_EXTENSIONS = frozenset((*range(0xC7, 0xCA), *range(0xD4, 0xD9)))
_NOT_SCALAR = _CONTAINERS | _EXTENSIONS
"""First bytes of arrays, maps and extension types in msgpack."""


def explain(error: msgspec.ValidationError) -> RopewayError:
    """The error for a caller: which field, and what is allowed there."""
    kind, message, field = _explained(str(error))
    return kind(message, field)


@functools.lru_cache(maxsize=1024)
def _explained(said: str) -> tuple[type[RopewayError], str, str | None]:
    """What msgspec said, in words for a caller. A batch of a thousand wrong entries says the same a thousand
    times."""
    place = _PLACE.match(said)
    assert place is not None  # the pattern matches every text
    what, path = place["what"].strip(), place["path"] or ""
    missing = _MISSING.match(what)
    if missing:
        field = f"{path}.{missing['name']}".lstrip(".")
        return MissingParameter, f"The field {field} is required.", field
    what = what[0].lower() + what[1:]
    what = _TYPES.sub(_in_words, what)
    if place["key"]:
        what = f"a name in it: {what}"
    if not path:
        return InvalidParameterValue, f"The parameters are not valid: {what}.", None
    found = _invalid(path, what)
    return type(found), found.message, found.field


def _in_words(types: re.Match[str]) -> str:
    text = types[0]
    for its, ours in _WORDS:
        text = text.replace(its, ours)
    return text


def _invalid(field: str, what: str) -> RopewayError:
    return InvalidParameterValue(f"The field {field} is not valid: {what}.", field)


class Fitting:
    """One kind of action's. `batch` names the field with the entries, which are of `entry_kind` if that is
    given, and free values otherwise."""

    def __init__(self, kind: type, batch: str | None, entry_kind: type[BatchEntry] | None, most: int) -> None:
        self._kind = kind
        self._entry_kind = entry_kind
        self._most = most
        packed: dict[str, Any] = {}
        if batch:
            packed[batch] = Annotated[list[msgspec.Raw], Meta(max_length=most)]
        self._shell = _Shape(kind, packed)
        self._entry = _Shape(entry_kind, {}) if entry_kind else None
        self._peek = _Peek(str(batch), entry_kind) if entry_kind else None

    def harmless(self, raw: bytes | msgspec.Raw, most: int) -> bool:
        """Whether it can be unpacked as it is: of its free values no more than `most` bytes may be anything
        but text, bytes or a number."""
        return self._peek is not None and self._peek.harmless(raw, most)

    def fit(self, raw: bytes | msgspec.Raw) -> Any:
        """See the module. Raises RopewayError."""
        try:
            found = self._shell.read(raw)
        except InvalidParameterValue as error:
            if error.field in self._shell.lists and "of length <=" in error.message:
                raise TooManyEntriesInBatchRequest(
                    f"The field {error.field} has more entries than {self._most}.", error.field
                ) from None
            raise
        for name in self._shell.lists:
            if not found[name]:
                raise EmptyBatchRequest(
                    f"The field {name} is empty; it takes 1 to {self._most} entries.", name
                )
            fit = self._fit_entry if self._entry else _fit_free
            found[name] = [fit(each, f"{name}[{at}]") for at, each in enumerate(found[name])]
        return self._kind(**{name: _settle(value, name) for name, value in found.items()})

    def _fit_entry(self, raw: msgspec.Raw, path: str) -> BatchEntry:
        assert self._entry is not None
        assert self._entry_kind is not None
        try:
            found = self._entry.read(raw)
            return self._entry_kind(**{name: _settle(value, name) for name, value in found.items()})
        except RopewayError as error:
            if error.field is None:
                text = error.message.replace("The parameters are", f"The field {path} is", 1)
                return self._entry_kind.rejected(type(error)(text, path))
            field = f"{path}.{error.field}"
            text = error.message.replace(f"The field {error.field}", f"The field {field}", 1)
            return self._entry_kind.rejected(type(error)(text, field))


def _fit_free(raw: msgspec.Raw, path: str) -> Any:
    try:
        return _settle(raw, path)
    except InvalidParameterValue:
        return None  # as anything else that no free value is


class _Peek:
    """A look at the entries of a batch with everything left packed: in C, but for a few bytes of each."""

    def __init__(self, batch: str, entry_kind: type) -> None:
        hints = get_type_hints(entry_kind, include_extras=True)
        self._first, *others = entry_kind.__struct_fields__  # type: ignore[attr-defined]  # it is a Struct
        self._others = [name for name in others if _packed(hints[name]) != hints[name]]
        unset = msgspec.UNSET
        packed = [(name, msgspec.Raw | msgspec.UnsetType, unset) for name in (self._first, *self._others)]
        entry = msgspec.defstruct("Entry", packed)
        entries = Annotated[list[entry], Meta(max_length=1000)]  # type: ignore[valid-type]  # made just now
        self._batch = batch
        self._decoder = msgspec.msgpack.Decoder(msgspec.defstruct("Entries", [(batch, entries)]))

    def harmless(self, raw: bytes | msgspec.Raw, most: int) -> bool:
        try:
            entries = getattr(self._decoder.decode(raw), self._batch)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        size = 0
        for entry in entries:
            first = getattr(entry, self._first)
            if first is msgspec.UNSET or memoryview(first)[0] in _NOT_SCALAR:
                return False
            for name in self._others:
                other = getattr(entry, name)
                if other is not msgspec.UNSET:
                    size += len(other)
        return size <= most


class _Shape:
    """The fields of a Struct with their free values left packed."""

    def __init__(self, kind: type, packed: dict[str, Any]) -> None:
        self.lists = tuple(packed)
        hints = get_type_hints(kind, include_extras=True)
        self._types: dict[str, Any] = {}
        self._maps: dict[str, tuple[_Decoder, _Decoder]] = {}
        self._each: dict[str, _Decoder] = {}
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        for each in msgspec.structs.fields(kind):
            hint = packed.get(each.name) or _packed(hints[each.name])
            self._types[each.name] = hint
            if each.required:
                fields.append((each.name, hint))
            else:  # what is absent stays so: the kind has the default
                fields.append((each.name, hint | msgspec.UnsetType, msgspec.UNSET))
        self._decoder = msgspec.msgpack.Decoder(msgspec.defstruct(kind.__name__, fields, kw_only=True))

    def read(self, raw: bytes | msgspec.Raw) -> dict[str, Any]:
        """The fields that are there. Raises RopewayError."""
        try:
            found = self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            raise self._named(explain(error), raw) from None
        except UnicodeDecodeError:
            raise self._not_text(raw) from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidParameterValue(f"The parameters are not valid: {error}.") from None
        given = {name: getattr(found, name) for name in self._types}
        return {name: value for name, value in given.items() if value is not msgspec.UNSET}

    def _named(self, error: RopewayError, raw: bytes | msgspec.Raw) -> RopewayError:
        """The error with the name of the value in a map that it is about."""
        field, some_key, rest = (error.field or "").partition(_SOME_KEY)
        if not some_key or field not in self._types:
            return error
        values, value = self._decoders_of(field)
        for name, each in getattr(values.decode(raw), field).items():
            try:
                value.decode(each)
            except (msgspec.DecodeError, UnicodeDecodeError):
                whole = f"{field}.{name[:256]}{rest}"
                return type(error)(error.message.replace(str(error.field), whole, 1), whole)
        return error

    def _decoders_of(self, field: str) -> tuple[_Decoder, _Decoder]:
        """Of a field that is a map: one that leaves its values packed, and one for a value."""
        if field not in self._maps:
            packed = msgspec.defstruct("Map", [(field, dict[str, msgspec.Raw])])
            value = _value_type(self._types[field])
            self._maps[field] = msgspec.msgpack.Decoder(packed), msgspec.msgpack.Decoder(value)
        return self._maps[field]

    def _not_text(self, raw: bytes | msgspec.Raw) -> RopewayError:
        if not self._each:
            for name, hint in self._types.items():
                alone = msgspec.defstruct("Alone", [(name, hint | msgspec.UnsetType, msgspec.UNSET)])
                self._each[name] = msgspec.msgpack.Decoder(alone)
        for name, decoder in self._each.items():
            try:
                decoder.decode(raw)
            except UnicodeDecodeError:
                return _invalid(name, "text is UTF-8, and this is not")
            except msgspec.DecodeError:
                continue
        return InvalidParameterValue("The parameters are not valid: text is UTF-8, and this is not.")


def _packed(hint: Any) -> Any:
    """The type with each free part left packed."""
    if hint is Any:
        return msgspec.Raw
    arguments = get_args(hint)
    origin = get_origin(hint)
    if origin is Annotated:
        return Annotated[(_packed(arguments[0]), *hint.__metadata__)]
    if origin in {Union, types.UnionType}:
        return Union[tuple(_packed(each) for each in arguments)]  # noqa: UP007  # known at run time only
    if origin in {list, dict, tuple}:
        return origin[tuple(_packed(each) for each in arguments)]
    return hint


def _value_type(hint: Any) -> Any:
    """The type of a map's values, wherever in an optional or annotated type the map is."""
    if get_origin(hint) is dict:
        return get_args(hint)[1]
    return next((found for each in get_args(hint) if (found := _value_type(each)) is not None), None)


def _settle(value: Any, field: str) -> Any:
    """A value with its free parts unpacked. Raises InvalidParameterValue where text is not UTF-8."""
    if type(value) is msgspec.Raw:
        if memoryview(value)[0] in _NOT_SCALAR:
            return None
        try:
            return msgspec.msgpack.decode(value)
        except UnicodeDecodeError:
            raise _invalid(field, "text is UTF-8, and this is not") from None
    if type(value) is dict:
        return {name: _settle(each, f"{field}.{name}") for name, each in value.items()}
    if type(value) is tuple or type(value) is list:
        return type(value)(_settle(each, field) for each in value)
    return value
