"""A message: what is sent (`Outgoing`), and what was received (`Message`)."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Self, TypeAlias, TypedDict

from ropeway.errors import ProtocolError
from ropeway.units import milliseconds, moment
from ropeway.wire import pack

if TYPE_CHECKING:
    from ropeway.queue import Queue

Body: TypeAlias = str | bytes
AttributeValue: TypeAlias = str | bytes | int | float | Decimal
"""Text, bytes and numbers, as the attribute types String, Binary and Number."""
TypedAttribute: TypeAlias = tuple[str, str | bytes]
"""An attribute type and its value as it is on the wire, such as ("Number.pixels", "640")."""
Attributes: TypeAlias = Mapping[str, AttributeValue | TypedAttribute]


class SendOptions(TypedDict, total=False):
    """What can be said of a message besides its body; see `Outgoing`."""

    delay: float | None
    attributes: Attributes | None
    trace_header: str | None
    group: str | None
    deduplication_id: str | None
    token: str | None


class MessageId(str):
    """A message's id, a UUID, as the daemon gave it when the message was accepted.

    `sequence_number` is the message's place in its FIFO queue, 20 digits; None in any other queue. A message
    that was taken for a duplicate has the id and the number of the one that was accepted before.
    """

    __slots__ = ("sequence_number",)
    sequence_number: str | None

    def __new__(cls, value: object, sequence_number: str | None = None) -> Self:
        made = super().__new__(cls, value)
        made.sequence_number = sequence_number
        return made


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send with `Queue.send_many`: its body, its own delay in seconds (0 to 900; None is the
    queue's), its attributes, and an X-Ray trace header to hand on.

    A FIFO queue keeps the order within each `group`, which it requires, and takes no delay. Two messages with
    the same `deduplication_id` within 5 minutes are one. Both are 1 to 128 letters, digits and punctuation
    marks of ASCII. So is `token`, which the producer makes up for one message: sent again within 5 minutes
    with the same one it is not stored again, on any queue.
    """

    body: Body
    delay: float | None = None
    attributes: Attributes | None = None
    trace_header: str | None = None
    group: str | None = None
    deduplication_id: str | None = None
    token: str | None = None


def pack_entry(message: Outgoing, *, exactly_once: bool = False) -> bytes:
    """An entry of SendMessage; with `exactly_once`, one that the daemon recognises.

    Raises TypeError, ValueError and InvalidParameterValue for what cannot be said.
    """
    body, delay, attributes = message.body, message.delay, message.attributes
    if not isinstance(body, (str, bytes, bytearray, memoryview)):
        raise TypeError(f"a body is str or bytes, not {type(body).__name__}")
    entry: dict[str, object] = {"body": body}
    if delay is not None:
        entry["delay"] = milliseconds(delay, "delay")
    if attributes:
        entry["attributes"] = {name: typed(name, value) for name, value in attributes.items()}
    if message.trace_header is not None:
        entry["trace_header"] = message.trace_header
    if message.group is not None:
        entry["group"] = message.group
    if message.deduplication_id is not None:
        entry["deduplication_id"] = message.deduplication_id
    if message.token is not None:
        entry["token"] = message.token
    elif exactly_once and message.deduplication_id is None:
        entry["token"] = uuid.uuid4().hex
    return pack(entry)


def typed(name: str, value: AttributeValue | TypedAttribute) -> tuple[str, str | bytes]:
    """An attribute's value with its type. Raises TypeError for what cannot be one."""
    match value:
        case bool():
            pass
        case str():
            return "String", value
        case bytes() | bytearray() | memoryview():
            return "Binary", bytes(value)
        case int():
            return "Number", str(value)
        case float() | Decimal() if math.isfinite(value):
            return "Number", repr(value) if isinstance(value, float) else str(value)
        case (str(kind), str() | bytes() as plain):
            return kind, plain
    raise TypeError(
        f"attribute {name} is str, bytes, a finite number or (type, value), not {type(value).__name__}"
    )


def _plain(kind: str, value: str | bytes) -> AttributeValue:
    if kind.partition(".")[0] != "Number" or isinstance(value, bytes):
        return value
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return Decimal(value)
    except InvalidOperation:
        return value


def plain_attributes(typed: Mapping[str, TypedAttribute]) -> dict[str, AttributeValue]:
    """Attributes as plain values: a Number is an int, or a Decimal if it has a fraction."""
    return {name: _plain(*each) for name, each in typed.items()}


def typed_attributes(found: object) -> dict[str, TypedAttribute]:
    """Attributes as they came over the wire. Raises ProtocolError."""
    attributes: dict[str, TypedAttribute] = {}
    for name, typed in (found if isinstance(found, dict) else {}).items():
        match typed:
            case (str(kind), str() | bytes() as value):
                attributes[name] = (kind, value)
            case _:
                raise ProtocolError("the daemon sent a message attribute of the wrong shape")
    return attributes


class Message:
    """A message that was received. It is ours until its visibility timeout ends, or it is deleted or
    released."""

    __slots__ = ("_fields", "_queue", "_system", "released", "settled")

    def __init__(self, queue: Queue, fields: tuple[object, ...]) -> None:
        self._system: dict[str, object] = {}
        match fields[:7]:
            case (bytes() as message_id, bytes(), str() | bytes(), int(), int(), int(), None | dict()) if (
                len(message_id) == 16
            ):
                self._fields: tuple[
                    bytes, bytes, Body, int, int, int, dict[str, tuple[str, str | bytes]] | None
                ] = fields[:7]  # type: ignore[assignment] # just matched
                if len(fields) > 7 and isinstance(fields[7], dict):
                    self._system = fields[7]
            case _:
                raise ProtocolError("the daemon sent a message of the wrong shape")
        self._queue = queue
        self.settled = False
        """Whether `delete` or `release` was called. A `Worker` leaves such a message alone."""
        self.released = False
        """Whether `release` was called."""

    def __repr__(self) -> str:
        return f"<Message {self.id} of {self._queue.name}, received {self.receive_count} times>"

    @property
    def queue(self) -> Queue:
        """Where it came from."""
        return self._queue

    @property
    def id(self) -> str:
        """A UUID, the same for every receive of this message."""
        return str(uuid.UUID(bytes=self._fields[0]))

    @property
    def handle(self) -> bytes:
        """The receipt handle of this receive. Whoever has it may delete the message: keep it out of logs."""
        return self._fields[1]

    @property
    def body(self) -> Body:
        """Text or bytes, as it was sent."""
        return self._fields[2]

    @property
    def text(self) -> str:
        """The body as text; bytes are read as UTF-8. Raises UnicodeDecodeError."""
        body = self._fields[2]
        return body if isinstance(body, str) else body.decode()

    @property
    def sent_at(self) -> datetime:
        """When the daemon took it, in UTC."""
        return moment(self._fields[3])

    @property
    def receive_count(self) -> int:
        """How often it was received, this time included."""
        return self._fields[4]

    @property
    def first_received_at(self) -> datetime:
        """When it was received for the first time, in UTC."""
        return moment(self._fields[5])

    @property
    def attributes(self) -> dict[str, AttributeValue]:
        """Its attributes as plain values: a Number is an int, or a Decimal if it has a fraction."""
        return plain_attributes(self.typed_attributes)

    @property
    def typed_attributes(self) -> dict[str, TypedAttribute]:
        """Its attributes with their types, exactly as they were sent."""
        return typed_attributes(self._fields[6])

    def _told(self, name: str) -> str | None:
        """What the daemon tells of it by this name, for those messages of which there is such a thing."""
        value = self._system.get(name)
        return value if isinstance(value, str) else None

    @property
    def trace_header(self) -> str | None:
        """The X-Ray trace header that it was sent with."""
        return self._told("trace_header")

    @property
    def source(self) -> str | None:
        """The ARN of the queue that it is a dead letter of."""
        return self._told("source")

    @property
    def group(self) -> str | None:
        """The message group that it was sent in."""
        return self._told("group")

    @property
    def deduplication_id(self) -> str | None:
        """Of a message of a FIFO queue: the id that a duplicate of it would have."""
        return self._told("deduplication_id")

    @property
    def sequence_number(self) -> str | None:
        """Of a message of a FIFO queue: its place there, 20 digits that rise with every message."""
        return self._told("sequence_number")

    async def delete(self) -> None:
        """It is done: nobody will receive it again. Deleting it twice is fine."""
        self.settled = True
        await self._queue.delete_handles([self.handle])

    async def extend(self, seconds: float) -> None:
        """Keep it invisible to others for this long from now (0 to 43,200 s).

        The daemon refuses what would lie more than 12 hours after the receive.
        """
        await self._queue.change_visibility([self.handle], seconds)

    async def release(self, delay: float = 0) -> None:
        """Give it back: after `delay` seconds it can be received again."""
        self.settled = self.released = True
        await self._queue.change_visibility([self.handle], delay)
