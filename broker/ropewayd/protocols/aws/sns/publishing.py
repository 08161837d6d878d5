"""The operations that publish."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from ropewayd.mobile import actions as mobile
from ropewayd.protocols.aws.call import Call, Operation, pascal
from ropewayd.protocols.aws.errors import (
    BatchEntryIdsNotDistinct,
    InvalidBatchEntryId,
)
from ropewayd.protocols.aws.sqs.message import show_id
from ropewayd.texting import actions as texting
from ropewayd.topics import actions as a
from ropewayd.vocabulary.action import Action, convert
from ropewayd.vocabulary.errors import (
    EmptyBatchRequest,
    InvalidParameterValue,
    RopewayError,
    TooManyEntriesInBatchRequest,
)
from ropewayd.vocabulary.names import PHONE_NUMBER

from .arn import endpoint_arn, is_endpoint_arn, topic_name
from .errors import told

MAX_ENTRIES: Final = 10
MAX_ID: Final = 80


class Value(msgspec.Struct, kw_only=True, rename=pascal):
    """A message attribute. One of the two values goes with its type."""

    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None


def _attributes(given: Mapping[str, Value] | None) -> dict[str, tuple[str, Any]] | None:
    if not given:
        return None
    return {
        name: (
            each.data_type,
            (each.binary_value or b"") if each.data_type.startswith("Binary") else (each.string_value or ""),
        )
        for name, each in given.items()
    }


def _entry(given: Publish | PublishBatchRequestEntry, call: Call) -> dict[str, Any]:
    """A message as the action takes it, before its types are checked. Raises RopewayError."""
    entry: dict[str, Any] = {"body": given.message, "attributes": _attributes(given.message_attributes)}
    if given.subject is not None:
        entry["subject"] = given.subject
    if given.message_structure is not None:
        if given.message_structure != "json":
            raise InvalidParameterValue("MessageStructure", "")
        entry["structure"] = "json"
    if given.message_group_id is not None:
        entry["group"] = given.message_group_id
    if given.message_deduplication_id is not None:
        entry["deduplication_id"] = given.message_deduplication_id
    if call.trace is not None:
        entry["trace_header"] = call.trace
    return entry


def _published(answer: Any) -> dict[str, Any]:
    if isinstance(answer, bytes):
        return {"MessageId": show_id(answer)}
    return {"MessageId": show_id(answer[0]), "SequenceNumber": answer[1]}


class Publish(Operation, kw_only=True):
    """Publish one message."""

    topic_arn: str | None = None
    target_arn: str | None = None
    phone_number: str | None = None
    message: str
    subject: str | None = None
    message_structure: str | None = None
    message_attributes: dict[str, Value] | None = None
    message_deduplication_id: str | None = None
    message_group_id: str | None = None

    def action(self, call: Call) -> Action:
        if self.phone_number is not None:
            return self._text(self.phone_number, call)
        parameter = "TopicArn" if self.topic_arn is not None else "TargetArn"
        arn = self.topic_arn if self.topic_arn is not None else self.target_arn
        if arn is None:
            raise InvalidParameterValue("TopicArn or TargetArn Reason: no value for required parameter", "")
        if parameter == "TargetArn" and is_endpoint_arn(arn):
            return self._push(arn, call)
        topic = topic_name(call, arn, parameter)
        return convert(a.PublishMessage, {"topic": topic, "entries": [_entry(self, call)]})

    def _push(self, arn: str, call: Call) -> Action:
        """To a device. What only topics know is passed over."""
        target, entry = endpoint_arn(call, arn, "TargetArn"), _entry(self, call)
        asked = {name: entry.get(name) for name in ("body", "subject", "attributes", "structure")}
        return convert(mobile.PublishToEndpoint, {"target": target, **asked})

    def _text(self, number: str, call: Call) -> Action:
        """To a telephone number, and to nothing else. What only topics know (a group, say) is passed over, as
        the subject is."""
        if self.topic_arn is not None or self.target_arn is not None:
            raise InvalidParameterValue(
                "It is one too many. Reason: only one of TopicArn, TargetArn and PhoneNumber can be given",
                "PhoneNumber",
            )
        if re.fullmatch(PHONE_NUMBER, number) is None:
            raise InvalidParameterValue(
                f"It is no number. Reason: {number[:80]} is not valid to publish to", "PhoneNumber"
            )
        entry = _entry(self, call)
        asked = {name: entry.get(name) for name in ("body", "attributes", "structure")}
        account, region = call.caller.account, call.caller.region
        return convert(texting.PublishText, {"number": number, "account": account, "region": region, **asked})

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        if isinstance(answer, dict):
            return {"MessageId": show_id(answer["id"])}
        if isinstance(answer[0], RopewayError):
            raise answer[0]
        return _published(answer[0])


class PublishBatchRequestEntry(msgspec.Struct, rename=pascal, kw_only=True):
    """One message of a batch."""

    id: str
    message: str
    subject: str | None = None
    message_structure: str | None = None
    message_attributes: dict[str, Value] | None = None
    message_deduplication_id: str | None = None
    message_group_id: str | None = None


class PublishBatch(Operation, kw_only=True):
    """Publish up to ten messages. Each succeeds or fails by itself, and is known by its id."""

    batch: ClassVar[bool] = True

    topic_arn: str
    publish_batch_request_entries: list[PublishBatchRequestEntry]

    def action(self, call: Call) -> Action | None:
        topic = topic_name(call, self.topic_arn)
        self._check(self.publish_batch_request_entries)
        call.refused, call.taken = {}, []
        entries = []
        for place, each in enumerate(self.publish_batch_request_entries):
            try:
                entries.append(_entry(each, call))
                call.taken.append(each)
            except RopewayError as error:
                call.refused[place] = error
        if not entries:
            return None
        return convert(a.PublishTogether, {"topic": topic, "entries": entries})

    def _check(self, entries: Sequence[PublishBatchRequestEntry]) -> None:
        if not entries:
            raise EmptyBatchRequest("The batch request doesn't contain any entries.")
        if len(entries) > MAX_ENTRIES:
            raise TooManyEntriesInBatchRequest(
                "The batch request contains more entries than permissible: "
                f"{len(entries)}, and there may be {MAX_ENTRIES}."
            )
        seen: set[str] = set()
        for each in entries:
            wrong = re.search(r"[^A-Za-z0-9_-]", each.id)
            if wrong:
                raise InvalidBatchEntryId(
                    "The Id of a batch entry in a batch request contains an impermissible character: "
                    f"{wrong[0]}"
                )
            if not 1 <= len(each.id) <= MAX_ID:
                raise InvalidBatchEntryId(
                    f"The Id of a batch entry in a batch request is too long: {each.id[:200]}"
                )
            if each.id in seen:
                raise BatchEntryIdsNotDistinct("Two or more batch entries in the request have the same Id.")
            seen.add(each.id)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        found: dict[str, list[Any]] = {"Successful": [], "Failed": []}
        rest = iter(answer or ())
        for place, each in enumerate(self.publish_batch_request_entries):
            its = call.refused.get(place) or next(rest)
            if isinstance(its, RopewayError):
                fault, text = told(its, call, self)
                found["Failed"].append(
                    {"Id": each.id, "Code": fault.code, "Message": text, "SenderFault": fault.sender}
                )
            else:
                found["Successful"].append({"Id": each.id, **_published(its)})
        return found
