"""Every error as AWS tells it: its type in JSON, its code in the Query protocol, its status, and its text.

One table holds codes and statuses. Texts are AWS's where a program may look at them; what the daemon says of
itself elsewhere is told as it is, with the parameter's own name in place of the action's field.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from ropewayd.vocabulary.errors import RopewayError

from .call import Call, Operation


class Fault(msgspec.Struct, frozen=True, gc=False):
    """How one code is told. `sender`: whether the caller is at fault."""

    type: str
    code: str
    status: int = 400

    @property
    def sender(self) -> bool:
        return self.status < 500


_AWS = "AWS.SimpleQueueService."
_CORAL = "com.amazon.coral.service#"

FAULTS: Final[dict[str, Fault]] = {
    "QueueDoesNotExist": Fault("QueueDoesNotExist", _AWS + "NonExistentQueue"),
    "QueueNameExists": Fault("QueueNameExists", "QueueAlreadyExists"),
    "QueueDeletedRecently": Fault("QueueDeletedRecently", _AWS + "QueueDeletedRecently"),
    "PurgeQueueInProgress": Fault("PurgeQueueInProgress", _AWS + "PurgeQueueInProgress", 403),
    "ResourceNotFoundException": Fault("ResourceNotFoundException", "ResourceNotFoundException", 404),
    "OverLimit": Fault("OverLimit", "OverLimit", 403),
    "RequestThrottled": Fault("RequestThrottled", "RequestThrottled", 403),
    "TooManyEntriesInBatchRequest": Fault(
        "TooManyEntriesInBatchRequest", _AWS + "TooManyEntriesInBatchRequest"
    ),
    "EmptyBatchRequest": Fault("EmptyBatchRequest", _AWS + "EmptyBatchRequest"),
    "BatchEntryIdsNotDistinct": Fault("BatchEntryIdsNotDistinct", _AWS + "BatchEntryIdsNotDistinct"),
    "InvalidBatchEntryId": Fault("InvalidBatchEntryId", _AWS + "InvalidBatchEntryId"),
    "BatchRequestTooLong": Fault("BatchRequestTooLong", _AWS + "BatchRequestTooLong"),
    "MessageNotInflight": Fault("MessageNotInflight", _AWS + "MessageNotInflight"),
    "UnsupportedOperation": Fault("UnsupportedOperation", _AWS + "UnsupportedOperation"),
    "ReceiptHandleIsInvalid": Fault("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404),
    "InvalidIdFormat": Fault("InvalidIdFormat", "InvalidIdFormat"),
    "InvalidMessageContents": Fault("InvalidMessageContents", "InvalidMessageContents"),
    "InvalidAttributeName": Fault("InvalidAttributeName", "InvalidAttributeName"),
    "InvalidAttributeValue": Fault("InvalidAttributeValue", "InvalidAttributeValue"),
    "InvalidParameterValue": Fault("InvalidParameterValueException", "InvalidParameterValue"),
    "NotFound": Fault("NotFound", "NotFound", 404),
    "OptedOut": Fault("OptedOut", "OptedOut"),
    "VerificationException": Fault("VerificationException", "VerificationException"),
    "MissingParameter": Fault("MissingRequiredParameterException", "MissingParameter"),
    "InvalidAddress": Fault("InvalidAddress", "InvalidAddress", 404),
    "InvalidSecurity": Fault("InvalidSecurity", "InvalidSecurity", 403),
    # A key service: messages are encrypted by nobody but the disk, so none of these is ever told.
    "KmsAccessDenied": Fault("KmsAccessDenied", "KMS.AccessDeniedException"),
    "KmsDisabled": Fault("KmsDisabled", "KMS.DisabledException"),
    "KmsInvalidKeyUsage": Fault("KmsInvalidKeyUsage", "KMS.InvalidKeyUsageException"),
    "KmsInvalidState": Fault("KmsInvalidState", "KMS.InvalidStateException"),
    "KmsNotFound": Fault("KmsNotFound", "KMS.NotFoundException"),
    "KmsOptInRequired": Fault("KmsOptInRequired", "KMS.OptInRequired", 403),
    "KmsThrottled": Fault("KmsThrottled", "KMS.ThrottlingException"),
    # What is asked for at all, and by whom
    "InvalidAction": Fault(_CORAL + "UnknownOperationException", "InvalidAction"),
    "MalformedRequest": Fault(_CORAL + "SerializationException", "MalformedInput"),
    "RequestTooLarge": Fault(_CORAL + "RequestEntityTooLargeException", "RequestEntityTooLarge", 413),
    "RequestTimeout": Fault(_CORAL + "RequestTimeoutException", "RequestTimeout", 408),
    "AccessDenied": Fault(_CORAL + "AccessDeniedException", "AccessDenied", 403),
    "SignatureDoesNotMatch": Fault(_CORAL + "InvalidSignatureException", "SignatureDoesNotMatch", 403),
    "InvalidClientTokenId": Fault(_CORAL + "UnrecognizedClientException", "InvalidClientTokenId", 403),
    "MissingAuthenticationToken": Fault(
        _CORAL + "MissingAuthenticationTokenException", "MissingAuthenticationToken", 403
    ),
    "IncompleteSignature": Fault(_CORAL + "IncompleteSignatureException", "IncompleteSignature"),
    # The daemon's own
    "ServiceUnavailable": Fault(_CORAL + "ServiceUnavailableException", "ServiceUnavailable", 503),
    "InternalFailure": Fault(_CORAL + "InternalFailure", "InternalFailure", 500),
}

_ENTRY = re.compile(r"\Aentries\[\d+\]\.")
_HANDLE = re.compile(r"\Ahandles\[\d+\]\Z")
_REASONS = (
    (
        "is not available for a change",
        "Message does not exist or is not available for visibility timeout change.",
    ),
    (
        "stays invisible at most",
        "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
    ),
)
"""What the queues say, and AWS's words for that."""
_NO_DEDUPLICATION = (
    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided "
    "explicitly"
)
_TOO_LONG = re.compile(r" bytes with its attributes; this queue takes at most (\d+)\.\Z")
"""How the queues say that a message is longer than its queue takes."""


class RequestTooLarge(RopewayError):
    """The body is larger than this daemon takes."""

    code = "RequestTooLarge"


class RequestTimeout(RopewayError):
    """The request did not come to its end in time."""

    code = "RequestTimeout"


class BatchEntryIdsNotDistinct(RopewayError):
    """Two entries of a batch have the same id."""

    code = "BatchEntryIdsNotDistinct"


class InvalidBatchEntryId(RopewayError):
    """An entry's id has characters that are not allowed, or too many."""

    code = "InvalidBatchEntryId"


class BatchRequestTooLong(RopewayError):
    """The messages of a batch are larger together than a batch may be."""

    code = "BatchRequestTooLong"


def fault_of(error: RopewayError) -> Fault:
    """The table's line for an error."""
    return FAULTS.get(error.code) or Fault(error.code, error.code)


def type_of(fault: Fault, call: Call) -> str:
    """`__type` as the service writes it."""
    return fault.type if "#" in fault.type else f"{call.prefix}#{fault.type}"


def text_of(error: RopewayError, call: Call, parameters: Operation | None = None) -> str:
    """What the error says, in AWS's words where there are some."""
    if error.code == "QueueDoesNotExist":
        return "The specified queue does not exist" + (" for this wsdl version." if call.is_query else ".")
    if error.field is None or parameters is None:
        return error.message
    if error.field.startswith("attributes."):
        name = parameters.attribute_terms.get(error.field.split(".")[1])
        return _about_attribute(error, name, parameters) if name else error.message
    name = parameters.parameters.get(_HANDLE.sub("handle", _ENTRY.sub("", error.field)))
    too_long = _TOO_LONG.search(error.message)
    if too_long:
        told = "cannot be validated" if parameters.entry else "are invalid"
        return f"One or more parameters {told}. Reason: Message must be shorter than {too_long[1]} bytes."
    if name is None or not error.message.startswith(("The ", "A ")):
        return error.message
    if error.code == "MissingParameter":
        return f"The request must contain the parameter {name}."
    return _invalid(error, name, parameters, call) if error.code == "InvalidParameterValue" else error.message


def _about_attribute(error: RopewayError, name: str, parameters: Any) -> str:
    if error.code == "QueueNameExists":
        return f"A queue already exists with the same name and a different value for attribute {name}"
    reason = error.message.partition(" Reason: ")[2]
    if error.code == "InvalidAttributeValue":
        return f"Invalid value for the parameter {name}." + (f" Reason: {reason}" if reason else "")
    if error.code == "InvalidAttributeName" and " only for a FIFO queue" in error.message:
        return f"You can specify the {name} only when FifoQueue is set to true."
    if error.code == "InvalidParameterValue":
        reason = error.message.partition(" is not valid: ")[2] or error.message
        return f"Value {parameters.attributes[name][:1000]} for parameter {name} is invalid. Reason: {reason}"
    return error.message


def _invalid(error: RopewayError, name: str, parameters: Operation, call: Call) -> str:
    """A value out of its range, with the value as it was given where that is at hand."""
    assert error.field is not None
    if "should either have content_based_deduplication" in error.message:
        return _NO_DEDUPLICATION
    place = re.match(r"entries\[(\d+)\]", error.field)
    holder: Any = parameters
    if place is not None and parameters.entry:
        holder = call.taken[int(place[1])]
    attribute = next((each for each, said in _names(holder).items() if said == name), None)
    value = getattr(holder, attribute) if attribute else ""
    reason = error.message.partition(" Reason: ")[2]
    for ours, aws in _REASONS:
        if ours in error.message:
            reason = aws
    reason = reason or parameters.reasons.get(name) or error.message
    return f"Value {str(value)[:1024]} for parameter {name} is invalid. Reason: {reason}"


def _names(holder: msgspec.Struct) -> dict[str, str]:
    fields = holder.__struct_fields__
    return dict(zip(fields, holder.__struct_encode_fields__, strict=True))
