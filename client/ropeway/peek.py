"""A message as a look shows it: it was not received, and whatever is done with it leaves the queue alone."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, TypedDict

from ropeway.errors import ProtocolError
from ropeway.message import AttributeValue, Body, TypedAttribute, plain_attributes, typed_attributes
from ropeway.units import milliseconds, moment

State: TypeAlias = Literal["visible", "in_flight", "delayed"]


class PeekOptions(TypedDict, total=False):
    """Which messages are looked at, and whether their bodies are shown. Ages are in seconds."""

    states: Sequence[State] | None
    group: str | None
    min_age: float
    max_age: float | None
    bodies: bool


@dataclass(frozen=True, slots=True)
class Peeked:
    """See the module."""

    sequence: int
    """Its place in the queue: they rise in the order of sending."""
    id: str
    state: State
    sent_at: datetime
    size: int
    """Bytes of body and attributes."""
    receive_count: int
    first_received_at: datetime | None
    visible_at: datetime | None
    """When it will be visible; None where it is."""
    body: Body | None
    """None where bodies were not asked for."""
    typed_attributes: dict[str, TypedAttribute] = field(default_factory=dict)
    """Its attributes with their types, exactly as they were sent."""
    system: Mapping[str, str] = field(default_factory=dict)
    """What else is known of it: `group`, `deduplication_id`, `trace_header`, `source`."""

    @property
    def attributes(self) -> dict[str, AttributeValue]:
        """Its attributes as plain values: a Number is an int, or a Decimal if it has a fraction."""
        return plain_attributes(self.typed_attributes)


_OWN = frozenset(
    (
        "sequence",
        "id",
        "state",
        "sent_at",
        "receive_count",
        "first_received_at",
        "visible_at",
        "size",
        "body",
        "attributes",
    )
)


def wire_options(options: PeekOptions) -> dict[str, object]:
    """The parameters of a look, in the wire's units."""
    found: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if "states" in found:
        found["states"] = list(found["states"])
    for name in ("min_age", "max_age"):
        if name in found:
            found[name] = milliseconds(found[name], name)
    return found


def read_page(result: object) -> tuple[list[Peeked], int | None]:
    """What a look brought, and where to go on. Raises ProtocolError."""
    match result:
        case {"messages": tuple() as found, "next": None | int() as following}:
            return [_read(each) for each in found], following
    raise ProtocolError("the daemon's answer to PeekMessages has the wrong shape")


def _read(shown: Any) -> Peeked:
    match shown:
        case {
            "sequence": int() as sequence,
            "id": bytes() as message_id,
            "state": "visible" | "in_flight" | "delayed" as state,
            "sent_at": int() as sent_at,
            "size": int() as size,
            "receive_count": int() as count,
            "first_received_at": None | int() as first,
            "visible_at": None | int() as visible,
        } if len(message_id) == 16:
            return Peeked(
                sequence=sequence,
                id=str(uuid.UUID(bytes=message_id)),
                state=state,
                sent_at=moment(sent_at),
                size=size,
                receive_count=count,
                first_received_at=None if first is None else moment(first),
                visible_at=None if visible is None else moment(visible),
                body=_body(shown.get("body")),
                typed_attributes=typed_attributes(shown.get("attributes")),
                system={
                    str(name): value
                    for name, value in shown.items()
                    if name not in _OWN and isinstance(value, str)
                },
            )
    raise ProtocolError("the daemon showed a message of the wrong shape")


def _body(found: object) -> Body | None:
    if found is None or isinstance(found, (str, bytes)):
        return found
    raise ProtocolError("the daemon showed a body that is neither text nor bytes")
