"""What an action is: one definition that every protocol, the documentation and the checks derive from.

An action is a msgspec Struct. Its name is its class's, its fields carry their ranges and a description, its
docstring says what it does. `decode` and `convert` turn bytes or plain objects into it, and say which field
is wrong and what is allowed there (see fitting.py).

In a batch each entry succeeds or fails by itself. So an entry that does not fit its type does not fail the
call: it takes the entry's place as an error, which `decide` finds where it looks first
(`BatchEntry.rejected`). Well-formed batches pay nothing for that.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar, cast, get_args, get_type_hints

import msgspec
from msgspec import Meta

from .errors import InvalidParameterValue, RopewayError
from .fitting import Fitting
from .names import MAX_QUEUE_REFERENCE

Milliseconds = int


class Action(msgspec.Struct, kw_only=True):
    """Base of all actions. Subclasses are the catalogue; nothing is registered by hand."""

    code: ClassVar[int]
    """The number on the binary protocol. Fixed for ever."""
    answer: ClassVar[str]
    """What a success holds, in words, for the reference."""
    errors: ClassVar[tuple[type[RopewayError], ...]] = ()
    """What can go wrong besides what can always go wrong."""
    grows: ClassVar[bool] = False
    """Whether it makes the journal grow by what a caller sends: such calls wait where the journal is at its
    limit."""
    batch: ClassVar[str | None] = None
    """The field that holds the entries, if the action takes a batch."""
    merges: ClassVar[bool] = False
    """Whether calls that follow each other may become one with the entries of all: no entry's outcome depends
    on which others it comes with."""
    local: ClassVar[bool] = False
    """Whether only a caller on the daemon's own machine may ask for it."""
    fleeting: ClassVar[bool] = False
    """Whether it should not happen when nobody is there to take its answer."""


class BatchEntry(msgspec.Struct, gc=False):
    """Base of an entry of a batch. Its first field takes any object; `decide` checks that one by hand."""

    @classmethod
    def rejected(cls, error: RopewayError) -> BatchEntry:
        """An entry that holds nothing but its error, in its first field."""
        required = len(cls.__struct_fields__) - len(cls.__struct_defaults__)
        return cls(error, *[None] * (required - 1))


A = TypeVar("A", bound=Action)

BULK = 512 << 10
"""Bytes of parameters from which on nothing is unpacked before it is known to be text, bytes or a number: a
byte of msgpack can become a hundred of Python (an empty map), and here that is a small sum."""

_decoders: dict[type[Action], msgspec.msgpack.Decoder[Any]] = {}
_fittings: dict[type[Action], Fitting] = {}


def decode(kind: type[A], raw: bytes | msgspec.Raw) -> A:
    """An action from the msgpack of its parameters.

    Raises InvalidParameterValue, MissingParameter, EmptyBatchRequest or TooManyEntriesInBatchRequest, with
    the field's name.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    if len(raw) > BULK:
        if _entry_kind(kind) is None:
            raise InvalidParameterValue(
                f"The parameters have {len(raw)} bytes; {kind.__name__} takes {BULK}."
            )
        if not _fitting(kind).harmless(raw, BULK):
            return cast(A, _fitting(kind).fit(raw))
    try:
        return cast(A, decoder.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return cast(A, _fitting(kind).fit(raw))


def convert(kind: type[A], plain: Any) -> A:
    """An action from plain objects (what JSON, a query string or msgpack gave). Raises as `decode` does."""
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError:
        return decode(kind, msgspec.msgpack.encode(plain))


def _fitting(kind: type[Action]) -> Fitting:
    fitting = _fittings.get(kind)
    if fitting is None:
        fitting = _fittings[kind] = Fitting(kind, kind.batch, _entry_kind(kind), MAX_BATCH)
    return fitting


def _entry_kind(kind: type[Action]) -> type[BatchEntry] | None:
    """What the batch's entries are, if they have fields."""
    hint = get_type_hints(kind)[kind.batch] if kind.batch else None
    inner = get_args(hint)[0] if get_args(hint) else None
    return inner if isinstance(inner, type) and issubclass(inner, BatchEntry) else None


MAX_BATCH = 1000
"""Entries in one call. The binary protocol's own limit; the AWS face keeps its 10."""

BatchSize = Meta(min_length=1, max_length=MAX_BATCH)
QueueName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_QUEUE_REFERENCE,
        description="The queue's name, 1 to 80 of A-Z a-z 0-9 _ and - (.fifo ends a FIFO queue's); or its "
        "ARN, where it belongs to another account or region than the daemon's own.",
    ),
]
