"""Every error as SNS tells it: its code, its status, and its text.

A parameter at fault is told in AWS's manner, `Invalid parameter: NAME Reason: ...`. What AWS says after
`Reason:` stands in the services' messages, after the same word.
"""

from __future__ import annotations

import re
from typing import Final

from ropewayd.protocols.aws.call import Call, Operation
from ropewayd.protocols.aws.errors import Fault, fault_of
from ropewayd.vocabulary.errors import RopewayError

INVALID: Final = Fault("InvalidParameterException", "InvalidParameter")
FAULTS: Final[dict[str, Fault]] = {
    "InvalidParameterValue": INVALID,
    "InvalidAttributeName": INVALID,
    "InvalidAttributeValue": INVALID,
    "InvalidMessageContents": INVALID,
    "UnsupportedOperation": INVALID,
    "MissingParameter": Fault("ValidationError", "ValidationError"),
    "OptedOut": Fault("OptedOutException", "OptedOut"),
    "EndpointDisabled": Fault("EndpointDisabledException", "EndpointDisabled"),
    "VerificationException": Fault("VerificationException", "VerificationException"),
    "MalformedRequest": Fault("MalformedQueryString", "MalformedQueryString", 404),
    "NotFound": Fault("NotFoundException", "NotFound", 404),
    "AccessDenied": Fault("AuthorizationErrorException", "AuthorizationError", 403),
    "InternalFailure": Fault("InternalErrorException", "InternalError", 500),
    "RequestThrottled": Fault("ThrottledException", "Throttled", 429),
    "BatchEntryIdsNotDistinct": Fault("BatchEntryIdsNotDistinctException", "BatchEntryIdsNotDistinct"),
    "BatchRequestTooLong": Fault("BatchRequestTooLongException", "BatchRequestTooLong"),
    "EmptyBatchRequest": Fault("EmptyBatchRequestException", "EmptyBatchRequest"),
    "InvalidBatchEntryId": Fault("InvalidBatchEntryIdException", "InvalidBatchEntryId"),
    "TooManyEntriesInBatchRequest": Fault(
        "TooManyEntriesInBatchRequestException", "TooManyEntriesInBatchRequest"
    ),
}
"""By the daemon's code, where SNS has another than SQS."""
ATTRIBUTE: Final = Fault("InvalidParameterValueException", "ParameterValueInvalid")
NO_RESOURCE: Final = Fault("ResourceNotFoundException", "ResourceNotFound", 404)
ARCHIVED: Final = Fault("InvalidStateException", "InvalidState")
LIMITS: Final = {
    "topic": Fault("TopicLimitExceededException", "TopicLimitExceeded", 403),
    "subscription": Fault("SubscriptionLimitExceededException", "SubscriptionLimitExceeded", 403),
    "filter_policy": Fault("FilterPolicyLimitExceededException", "FilterPolicyLimitExceeded", 403),
    "replay": Fault("ReplayLimitExceededException", "ReplayLimitExceeded", 403),
    "tags": Fault("TagLimitExceededException", "TagLimitExceeded"),
    "number": Fault("UserErrorException", "UserError"),
    "account": Fault("UserErrorException", "UserError"),
}
"""What is too many of, by the field."""

_ENTRY = re.compile(r"\Aentries\[\d+\]\.")
_ALONE = frozenset(
    ("attributes.filter_policy", "attributes.redrive_policy", "attributes.replay_policy", "body")
)
"""Fields whose reason says all."""
_NAMES: Final = {
    "attributes": "Attributes",
    "attributes.data_protection_policy": "DataProtectionPolicy",
    "attributes.feedback": "Attributes",
    "tags": "Tags",
    "endpoint": "Invalid parameter: Endpoint",
    "group": "MessageGroupId",
    "deduplication_id": "MessageDeduplicationId",
    "protocol": "Protocol",
    "label": "Label",
    "accounts": "AWSAccountId",
    "actions": "Policy",
    "subject": "Subject",
    "body": "Message",
    "number": "PhoneNumber",
    "after": "NextToken",
    "password": "OneTimePassword",
    "language": "LanguageCode",
    "platform": "Platform",
    "name": "Name",
    "user_data": "CustomUserData",
    "target": "TargetArn",
    "token": "Token",
}
_MISSING: Final = {
    "topic": "Topic",
    "application": "PlatformApplication",
    "endpoint": "Endpoint",
}
"""What is not there, by the field that names it."""
_TEXTS: Final = {
    "endpoint": "SQS endpoint ARN",
    "topic": "Topic Name",
    "subject": "Subject",
    "token": "Token",
    "number": "PhoneNumber Reason: input incorrectly formatted",
}
"""What is said of a field where there is no reason."""
_FIFO_NAME: Final = (
    "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, "
    "numbers, underscores, and hyphens, and must be between 1 and 256 characters long."
)
_NO_DEDUPLICATION: Final = (
    "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided "
    "explicitly"
)


def told(error: RopewayError, call: Call, operation: Operation | None) -> tuple[Fault, str]:
    """An error's line of the table, and its text."""
    code, field = error.code, _ENTRY.sub("", error.field or "")
    if code == "NotFound":
        if field == "number":
            return NO_RESOURCE, error.message
        if operation is not None and operation.about_tags:
            return NO_RESOURCE, "Resource does not exist"
        return FAULTS[code], f"{_MISSING.get(field, 'Subscription')} does not exist"
    if code == "OptedOut" and call.operation == "Publish":  # whose model has no OptedOutException
        return INVALID, "Invalid parameter: Cannot publish to opted out phone number"
    if code == "UnsupportedOperation" and field == "archive_days":
        return ARCHIVED, f"Invalid state: {error.message.partition(' Reason: ')[2]}"
    if code == "OverLimit" and field in LIMITS:
        return LIMITS[field], error.message
    if code == "MissingParameter" and field != "group":
        name = error.message.removeprefix("The request must contain the parameter ").removesuffix(".")
        return FAULTS[code], (
            f"1 validation error detected: Value null at '{name[:1].lower()}{name[1:]}' failed to satisfy "
            "constraint: Member must not be null"
        )
    if error.field == "entries":
        return FAULTS["BatchRequestTooLong"], (
            "The length of all the messages put together is more than the limit."
        )
    if field.startswith("attributes.") and (error.field or "").startswith("entries["):
        return ATTRIBUTE, error.message
    if code in ("AccessDenied", "InternalFailure") or FAULTS.get(code, INVALID) is not INVALID:
        fault = INVALID if field == "group" else FAULTS[code]
        return fault, _invalid(error, field) if fault is INVALID else error.message
    if code in FAULTS:
        return INVALID, _invalid(error, field)
    return fault_of(error), error.message


def _invalid(error: RopewayError, field: str) -> str:
    return f"Invalid parameter: {_about(error, field)}"


def _about(error: RopewayError, field: str) -> str:
    message, _, reason = error.message.partition(" Reason: ")
    if field == "group" and error.code == "MissingParameter":
        return "The MessageGroupId parameter is required for FIFO topics"
    if field == "deduplication_id" and "should either have" in message:
        return _NO_DEDUPLICATION
    if field == "body" and not reason:
        if error.code == "InvalidMessageContents":
            return "Empty message"
        return "Message too long" if "takes at most" in message else "Message"
    if field == "protocol" and message.startswith("There is no"):
        said = re.sub(r"There is no protocol (.*); queues have sqs.*", r"\1", message)
        return f"Amazon SNS does not support this protocol string: {said}"
    if field == "topic" and "FIFO topic" in message:
        return _FIFO_NAME
    if field == "endpoint" and message.startswith("The endpoint must match"):
        return "Endpoint must match the specified protocol"
    if reason and field in _ALONE:
        return reason
    if reason:
        return f"{_NAMES.get(field, field)} Reason: {reason}"
    if error.code == "UnsupportedOperation":
        return f"{field[:1].upper()}{field[1:]} Reason: {message}"
    if field.startswith("attributes."):
        return f"Attributes Reason: {message}"
    return _TEXTS.get(field) or (f"{_NAMES.get(field, field)} Reason: {message}" if field else message)
