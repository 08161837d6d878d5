"""One message that was published, and what it looks like in a queue: raw, or in the envelope.

The envelope is a JSON object, as AWS's, signed where that was done before (see signed_publishing.py). Its
UnsubscribeURL is the one thing in it that differs between subscriptions, so an envelope is made once, with a
place for the subscription's id.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ropewayd.queues.events import Content
from ropewayd.queues.message import System
from ropewayd.vocabulary.errors import InvalidParameterValue, RopewayError
from ropewayd.vocabulary.names import show_message_id

from .actions import PublishEntry, Signature
from .filter_policy import FilterPolicy, Seen
from .subscriber import PLATFORMS, PUSHED

CONFIRMATION: Final = "SubscriptionConfirmation"
"""The type of a message that asks its subscriber to confirm."""
FAREWELL: Final = "UnsubscribeConfirmation"
"""The type of a message that tells its subscriber that it is one no more."""
ENCODING: Final = "Ropeway.BodyEncoding"
"""The attribute of the envelope that says that a message of bytes is in it in base64."""
_encode = msgspec.json.Encoder().encode


class Notification:
    """See the module. `body` is what queues get of it."""

    __slots__ = (
        "_by_attributes",
        "_by_body",
        "_read",
        "at",
        "attributes",
        "bodies",
        "body",
        "deduplication_id",
        "entry",
        "group",
        "id",
        "sequence_number",
        "signature",
    )

    def __init__(self, entry: PublishEntry, bodies: Mapping[str, str | bytes]) -> None:
        self.entry = entry
        self.bodies = bodies
        """By protocol, where it has a structure; `default` is for all others."""
        self.body = bodies.get("sqs", bodies["default"])
        self.attributes = entry.attributes or None
        self.group = entry.group
        self.deduplication_id = entry.deduplication_id
        self.id = b""
        self.at = 0
        """When it was published, if that was not now."""
        self.sequence_number: str | None = None
        self.signature: Signature | None = None
        self._read = False
        self._by_body: Seen | None = None
        self._by_attributes: Seen | None = None

    def wanted(self, policy: FilterPolicy) -> bool:
        """Whether a filter policy takes it."""
        if policy.by_body:
            if not self._read:
                self._read, self._by_body = True, Seen.of_body(self.body)
            return policy.takes(self._by_body)
        if self._by_attributes is None:
            self._by_attributes = Seen.of_attributes(self.attributes or {})
        return policy.takes(self._by_attributes)

    def content(self, arn: str, address: str, now: int, *, raw: bool, fifo: bool, grouped: bool) -> Content:
        """What a queue gets. `fifo`: the queue is one; `grouped`: it is told the message's group."""
        trace = self.entry.trace_header
        system: System | None = None
        if fifo:
            system = System(self.group, self.deduplication_id, trace)
        elif trace is not None or (grouped and self.group is not None):
            system = System(self.group if grouped else None, None, trace)
        if raw:
            return Content(self.body, self.attributes, system)
        return Content(self._envelope(self.body, arn, address, self.at or now, self.signature), None, system)

    def waiting(self, arn: str, called: str, now: int) -> Content:
        """What waits in a hidden queue for its delivery: the envelope, with the message for those
        that the structure calls so, a protocol or a platform."""
        message = self.bodies.get(called, self.bodies["default"])
        return Content(self._envelope(message, arn, "", self.at or now), None, None)

    def shown(self, arn: str, now: int) -> dict[str, str]:
        """What is signed of it, and more, as queues get it."""
        return self._told(_text(self.body), arn, now)

    def _told(self, message: str, arn: str, now: int) -> dict[str, str]:
        told = {"Type": "Notification", "MessageId": show_message_id(self.id)}
        if self.sequence_number is not None:
            told["SequenceNumber"] = self.sequence_number
        told["TopicArn"] = arn
        if self.entry.subject is not None:
            told["Subject"] = self.entry.subject
        told["Message"] = message
        told["Timestamp"] = shown_time(now)
        return told

    def _envelope(
        self, message: str | bytes, arn: str, address: str, now: int, signature: Signature | None = None
    ) -> str | list[str]:
        attributes = self.attributes or {}
        if isinstance(message, bytes):
            attributes = {**attributes, ENCODING: ("String", "base64")}
        told = self._told(_text(message), arn, now)
        if signature is not None:
            told["SignatureVersion"] = signature.version
            told["Signature"] = signature.value
            if signature.url:
                told["SigningCertURL"] = signature.url
        head = _encode(told).decode()[:-1]
        tail = "}"
        if attributes:
            shown = {
                name: {"Type": kind, "Value": _text(value)} for name, (kind, value) in attributes.items()
            }
            tail = f',"MessageAttributes":{_encode(shown).decode()}}}'
        if not address:
            return head + tail
        return [f'{head},"UnsubscribeURL":"{address}/?Action=Unsubscribe&SubscriptionArn={arn}:', f'"{tail}']


def bodies_of(entry: PublishEntry, field: str) -> Mapping[str, str | bytes] | RopewayError:
    """What subscribers get of a message, by protocol: with the structure json what it says for each."""
    if entry.structure is None:
        return {"default": entry.body}
    try:
        said = json.loads(entry.body, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return _wrong("JSON message body failed to parse", field)
    if type(said) is not dict:
        return _wrong("JSON message body failed to parse", field)
    if type(said.get("default")) is not str:
        return _wrong("No default entry in JSON message body", field)
    chosen = {name: said[name] for name in ("default", "sqs", *PUSHED, *PLATFORMS) if name in said}
    if any(type(each) is not str or not each or not _has_utf8(each) for each in chosen.values()):
        return _wrong("JSON message body failed to parse", field)
    return chosen


def _has_utf8(text: str) -> bool:
    """JSON can name half of a surrogate pair, and Python reads it; it is no text, and no encoding has it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(reason: str, field: str) -> InvalidParameterValue:
    return InvalidParameterValue(
        f"The body is not what its structure says. Reason: Message Structure - {reason}", field
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def content_id(body: str | bytes) -> str:
    """The deduplication id of a message that is known by its content."""
    return hashlib.sha256(body if isinstance(body, bytes) else body.encode()).hexdigest()


def _text(value: str | bytes) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def shown_time(now: int) -> str:
    """A time of the daemon's clock as messages tell it."""
    at = datetime.fromtimestamp(now // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{now % 1000:03}Z"
