"""The operations on messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from ropewayd.protocols.aws.call import Call, pascal
from ropewayd.protocols.aws.errors import (
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    InvalidBatchEntryId,
    fault_of,
    text_of,
)
from ropewayd.queues import actions as a
from ropewayd.queues.contents import BATCH_BYTES, batch_bytes, check_text
from ropewayd.queues.md5 import md5_of_attributes, md5_of_body, md5_of_system_attributes
from ropewayd.vocabulary.action import Action, convert
from ropewayd.vocabulary.errors import (
    EmptyBatchRequest,
    InvalidParameterValue,
    ReceiptHandleIsInvalid,
    RopewayError,
    TooManyEntriesInBatchRequest,
)
from ropewayd.vocabulary.names import FIFO_SUFFIX, read_queue_arn

from .attributes import milliseconds
from .message import (
    ENCODING,
    Value,
    read_attributes,
    read_handle,
    read_trace,
    show_attributes,
    show_handle,
    show_id,
    shown_body,
)
from .queues import QueueOperation

MAX_ENTRIES: Final = 10
MAX_MESSAGES: Final = 10
MAX_CHARACTERS: Final = BATCH_BYTES
"""A body of more is too long for every queue, and not looked at one by one."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}\Z", re.ASCII)

SYSTEM: Final = {
    "trace_header": "AWSTraceHeader",
    "source": "DeadLetterQueueSourceArn",
    "group": "MessageGroupId",
    "deduplication_id": "MessageDeduplicationId",
    "sequence_number": "SequenceNumber",
}
"""What the service knows of some messages, by the action's name and AWS's."""
SYSTEM_NAMES: Final = (
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    *SYSTEM.values(),
)

VISIBILITY: Final = "VisibilityTimeout must be an integer between 0 and 43200."
LETTERS: Final = "can only include alphanumeric and punctuation characters. 1 to 128 in length."
DELAY: Final = "DelaySeconds must be >= 0 and <= 900."


class Outgoing(msgspec.Struct, rename=pascal, kw_only=True):
    """The parts of a message that is sent."""

    message_body: str
    delay_seconds: int | None = None
    message_attributes: dict[str, Value] | None = None
    message_system_attributes: dict[str, Value] | None = None
    message_deduplication_id: str | None = None
    message_group_id: str | None = None


def entry_of(given: Outgoing | SendMessage, call: Call) -> a.SendEntry | dict[str, Any]:
    """A message as the action takes it; its types are still to be checked, unless it is a body alone. Raises
    RopewayError."""
    body = given.message_body
    if not (call.fits and body) and len(body) <= MAX_CHARACTERS:
        problem = check_text(body, "MessageBody")
        if problem is not None:
            raise problem
    if (
        given.message_attributes is None
        and given.delay_seconds is None
        and given.message_group_id is None
        and given.message_deduplication_id is None
        and given.message_system_attributes is None
        and call.trace is None
    ):
        return a.SendEntry(body)
    entry: dict[str, Any] = {"body": body}
    if given.delay_seconds is not None:
        entry["delay"] = milliseconds(given.delay_seconds)
    if given.message_attributes:
        entry["attributes"] = read_attributes(given.message_attributes)
    trace = read_trace(given.message_system_attributes, call.trace)
    if trace is not None:
        entry["trace_header"] = trace
    if given.message_group_id is not None:
        entry["group"] = given.message_group_id
    if given.message_deduplication_id is not None:
        entry["deduplication_id"] = given.message_deduplication_id
    return entry


def send(queue: str, entries: list[a.SendEntry | dict[str, Any]]) -> Action:
    """The action that sends these. Raises RopewayError."""
    ready = [each for each in entries if type(each) is a.SendEntry]
    if len(ready) == len(entries):
        return a.SendMessage(queue=queue, entries=ready)
    plain = [msgspec.structs.asdict(each) if type(each) is a.SendEntry else each for each in entries]
    return convert(a.SendMessage, {"queue": queue, "entries": plain})


def sent(given: Outgoing | SendMessage, answer: Any, told: dict[str, Any]) -> dict[str, Any]:
    """What a sender is told of a message that was taken, besides what is `told` already."""
    raw, number = (answer, None) if type(answer) is bytes else answer
    told["MessageId"] = show_id(raw)
    told["MD5OfMessageBody"] = md5_of_body(given.message_body)
    if given.message_attributes:
        told["MD5OfMessageAttributes"] = md5_of_attributes(read_attributes(given.message_attributes))
    if given.message_system_attributes:
        trace = read_trace(given.message_system_attributes, None)
        told["MD5OfMessageSystemAttributes"] = md5_of_system_attributes(trace)
    if number is not None:
        told["SequenceNumber"] = number
    return told


class SendMessage(QueueOperation, kw_only=True):
    """Send one message."""

    has_result: ClassVar[bool] = True
    parameters: ClassVar[Mapping[str, str]] = {
        "delay": "DelaySeconds",
        "body": "MessageBody",
        "group": "MessageGroupId",
        "deduplication_id": "MessageDeduplicationId",
    }
    reasons: ClassVar[Mapping[str, str]] = {
        "DelaySeconds": DELAY,
        "MessageGroupId": f"MessageGroupId {LETTERS}",
        "MessageDeduplicationId": f"MessageDeduplicationId {LETTERS}",
    }

    message_body: str
    delay_seconds: int | None = None
    message_attributes: dict[str, Value] | None = None
    message_system_attributes: dict[str, Value] | None = None
    message_deduplication_id: str | None = None
    message_group_id: str | None = None

    def action(self, call: Call) -> Action:
        return send(self.queue(call), [entry_of(self, call)])

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        if isinstance(answer[0], RopewayError):
            raise answer[0]
        return sent(self, answer[0], {})


class ReceiveMessage(QueueOperation, kw_only=True):
    """Receive up to ten messages."""

    has_result: ClassVar[bool] = True
    parameters: ClassVar[Mapping[str, str]] = {
        "max_messages": "MaxNumberOfMessages",
        "visibility_timeout": "VisibilityTimeout",
        "wait": "WaitTimeSeconds",
        "attempt": "ReceiveRequestAttemptId",
    }
    reasons: ClassVar[Mapping[str, str]] = {
        "MaxNumberOfMessages": "Must be between 1 and 10, if provided.",
        "VisibilityTimeout": VISIBILITY,
        "WaitTimeSeconds": "Must be >= 0 and <= 20, if provided.",
        "ReceiveRequestAttemptId": f"ReceiveRequestAttemptId {LETTERS}",
    }

    attribute_names: list[str] | None = None
    message_system_attribute_names: list[str] | None = None
    message_attribute_names: list[str] | None = None
    max_number_of_messages: int | None = None
    visibility_timeout: int | None = None
    wait_time_seconds: int | None = None
    receive_request_attempt_id: str | None = None

    def action(self, call: Call) -> Action:
        most = 1 if self.max_number_of_messages is None else self.max_number_of_messages
        if not 1 <= most <= MAX_MESSAGES:
            raise InvalidParameterValue("The field max_messages is not valid.", "max_messages")
        asked: dict[str, Any] = {"queue": self.queue(call), "max_messages": most}
        if self.wait_time_seconds is not None:
            asked["wait"] = milliseconds(self.wait_time_seconds)
        if self.visibility_timeout is not None:
            asked["visibility_timeout"] = milliseconds(self.visibility_timeout)
        if self.receive_request_attempt_id:
            asked["attempt"] = self.receive_request_attempt_id
        return convert(a.ReceiveMessage, asked)

    def patience(self) -> float:
        # Without a time of its own it waits as long as the queue says, which is not known here.
        return a.MAX_WAIT / 1000 if self.wait_time_seconds is None else self.wait_time_seconds

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"Messages": [self._message(each, call) for each in answer]} if answer else {}

    def _message(self, received: Sequence[Any], call: Call) -> dict[str, Any]:
        body, encoded = shown_body(received[2])
        told: dict[str, Any] = {
            "MessageId": show_id(received[0]),
            "ReceiptHandle": show_handle(received[1]),
            "MD5OfBody": md5_of_body(body),
            "Body": body,
        }
        system = [*(self.attribute_names or ()), *(self.message_system_attribute_names or ())]
        if system and (attributes := self._system(received, system, call)):
            told["Attributes"] = attributes
        held: dict[str, Any] = received[6] or {}
        if encoded:
            held = {**held, ENCODING: ("String", "base64")}
        if held and (wanted := self.message_attribute_names or ([ENCODING] if encoded else None)):
            shown = show_attributes(held, wanted)
            if shown:
                told["MD5OfMessageAttributes"] = md5_of_attributes({name: held[name] for name in shown})
                told["MessageAttributes"] = shown
        return told

    def _sender(self, call: Call) -> str:
        """The queue's account: who sent a message is not kept, and with keys nobody else can have."""
        found = read_queue_arn(self.queue(call))
        return call.home.account if found is None else found[0].account

    def _system(self, received: Sequence[Any], wanted: list[str], call: Call) -> dict[str, str]:
        there = {
            "SenderId": self._sender(call),
            "SentTimestamp": str(received[3]),
            "ApproximateReceiveCount": str(received[4]),
            "ApproximateFirstReceiveTimestamp": str(received[5]),
        }
        more: dict[str, Any] = received[7] if len(received) > 7 else {}
        there |= {aws: str(more[ours]) for ours, aws in SYSTEM.items() if ours in more}
        return there if "All" in wanted else {name: there[name] for name in there if name in wanted}


def refuse_handle(error: RopewayError, handle: str) -> RopewayError:
    """An error about a receipt handle, with the handle as it was given."""
    if isinstance(error, ReceiptHandleIsInvalid):
        return ReceiptHandleIsInvalid(
            f'The input receipt handle "{handle[:1024]}" is not a valid receipt handle.'
        )
    return error


class DeleteMessage(QueueOperation, kw_only=True):
    """Delete a message that was received."""

    parameters: ClassVar[Mapping[str, str]] = {"handle": "ReceiptHandle"}

    receipt_handle: str

    def action(self, call: Call) -> Action:
        return a.DeleteMessage(queue=self.queue(call), handles=[read_handle(self.receipt_handle)])

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        if isinstance(answer[0], RopewayError):
            raise refuse_handle(answer[0], self.receipt_handle)
        return {}


class ChangeMessageVisibility(QueueOperation, kw_only=True):
    """Have a received message come back earlier or later."""

    parameters: ClassVar[Mapping[str, str]] = {
        "visibility_timeout": "VisibilityTimeout",
        "handle": "ReceiptHandle",
    }
    reasons: ClassVar[Mapping[str, str]] = {"VisibilityTimeout": VISIBILITY}

    receipt_handle: str
    visibility_timeout: int

    def action(self, call: Call) -> Action:
        entry = {
            "handle": read_handle(self.receipt_handle),
            "visibility_timeout": milliseconds(self.visibility_timeout),
        }
        return convert(a.ChangeMessageVisibility, {"queue": self.queue(call), "entries": [entry]})

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        if isinstance(answer[0], RopewayError):
            raise refuse_handle(answer[0], self.receipt_handle)
        return {}


# Batches


class SendEntry(Outgoing, kw_only=True):
    """One message of a batch."""

    id: str


class DeleteEntry(msgspec.Struct, rename=pascal, kw_only=True):
    """One message to delete."""

    id: str
    receipt_handle: str


class VisibilityEntry(msgspec.Struct, rename=pascal, kw_only=True):
    """One message whose visibility timeout changes."""

    id: str
    receipt_handle: str
    visibility_timeout: int = 0


Entry = SendEntry | DeleteEntry | VisibilityEntry


class Batch(QueueOperation, kw_only=True):
    """What batches have in common: each entry succeeds or fails by itself, and is known by its id."""

    has_result: ClassVar[bool] = True

    def check(self, entries: Sequence[Entry]) -> None:
        """The rules of every batch. Raises RopewayError."""
        if not entries:
            raise EmptyBatchRequest(f"There should be at least one {self.entry} in the request.")
        if len(entries) > MAX_ENTRIES:
            raise TooManyEntriesInBatchRequest(
                f"Maximum number of entries per request are {MAX_ENTRIES}. You have sent {len(entries)}."
            )
        ids = [each.id for each in entries]
        if not all(map(_ID.match, ids)):
            raise InvalidBatchEntryId(
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long."
            )
        if len(set(ids)) < len(ids):
            again = next(each for place, each in enumerate(ids) if each in ids[:place])
            raise BatchEntryIdsNotDistinct(f"Id {again} repeated.")

    def told(
        self,
        entries: Sequence[Any],
        answers: Sequence[Any],
        call: Call,
        success: Callable[[Any, Any, dict[str, Any]], dict[str, Any]],
    ) -> dict[str, Any]:
        """Successful and Failed, each absent where it would be empty."""
        good, bad = [], []
        if call.refused:
            left = iter(answers)
            places = range(len(entries))
            answers = [call.refused[place] if place in call.refused else next(left) for place in places]
        for entry, answer in zip(entries, answers, strict=True):
            if isinstance(answer, RopewayError):
                bad.append(self._failure(entry, answer, call))
            else:
                good.append(success(entry, answer, {"Id": entry.id}))
        return {name: each for name, each in (("Successful", good), ("Failed", bad)) if each}

    def _failure(self, entry: Any, error: RopewayError, call: Call) -> dict[str, Any]:
        if hasattr(entry, "receipt_handle"):
            error = refuse_handle(error, entry.receipt_handle)
        fault = fault_of(error)
        return {
            "Id": entry.id,
            "SenderFault": fault.sender,
            "Code": fault.code,
            "Message": text_of(error, call, self),
        }


def nothing_more(_entry: Entry, _answer: Any, told: dict[str, Any]) -> dict[str, Any]:
    """What most successes have besides the entry's id."""
    return told


def _counted(entry: a.SendEntry | dict[str, Any]) -> tuple[str, Any]:
    """The parts of a message that its size is counted of."""
    return (entry["body"], entry.get("attributes")) if isinstance(entry, dict) else (entry.body, None)


class SendMessageBatch(Batch, kw_only=True):
    """Send up to ten messages."""

    prepares_later: ClassVar[bool] = True
    entry: ClassVar[str] = "SendMessageBatchRequestEntry"
    parameters: ClassVar[Mapping[str, str]] = SendMessage.parameters
    reasons: ClassVar[Mapping[str, str]] = SendMessage.reasons

    entries: list[SendEntry]

    def action(self, call: Call) -> Action | None:
        self.check(self.entries)
        queue = self.queue(call)
        if queue.endswith(FIFO_SUFFIX) and not all(each.message_group_id for each in self.entries):
            # The one mistake in an entry that AWS takes for the whole batch's.
            raise InvalidParameterValue("The request must contain the parameter MessageGroupId.")
        entries: list[a.SendEntry | dict[str, Any]] = []
        for place, each in enumerate(self.entries):
            try:
                entry = entry_of(each, call)
            except RopewayError as error:
                call.refused[place] = error
                continue
            entries.append(entry)
            call.taken.append(each)
        # Each byte that counts has a byte of the parameters: few batches need a closer look.
        size = batch_bytes(map(_counted, entries)) if call.size > BATCH_BYTES else 0
        if size > BATCH_BYTES:
            raise BatchRequestTooLong(
                f"Batch requests cannot be longer than {BATCH_BYTES} bytes. You have sent {size} bytes."
            )
        return send(queue, entries) if entries else None

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return self.told(self.entries, answer or (), call, sent)


class DeleteMessageBatch(Batch, kw_only=True):
    """Delete up to ten messages that were received."""

    entry: ClassVar[str] = "DeleteMessageBatchRequestEntry"
    parameters: ClassVar[Mapping[str, str]] = DeleteMessage.parameters

    entries: list[DeleteEntry]

    def action(self, call: Call) -> Action:
        self.check(self.entries)
        call.taken = list(self.entries)
        handles = [read_handle(each.receipt_handle) for each in self.entries]
        return a.DeleteMessage(queue=self.queue(call), handles=handles)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return self.told(self.entries, answer, call, nothing_more)


class ChangeMessageVisibilityBatch(Batch, kw_only=True):
    """Have up to ten received messages come back earlier or later."""

    entry: ClassVar[str] = "ChangeMessageVisibilityBatchRequestEntry"
    parameters: ClassVar[Mapping[str, str]] = ChangeMessageVisibility.parameters
    reasons: ClassVar[Mapping[str, str]] = ChangeMessageVisibility.reasons

    entries: list[VisibilityEntry]

    def action(self, call: Call) -> Action:
        self.check(self.entries)
        call.taken = list(self.entries)
        plain = [
            {
                "handle": read_handle(each.receipt_handle),
                "visibility_timeout": milliseconds(each.visibility_timeout),
            }
            for each in self.entries
        ]
        return convert(a.ChangeMessageVisibility, {"queue": self.queue(call), "entries": plain})

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return self.told(self.entries, answer, call, nothing_more)
