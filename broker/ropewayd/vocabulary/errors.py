"""One hierarchy for everything a caller can be told, one class per code.

A code is fixed for ever: it is what goes over each wire, and what a client's exception is called. Where AWS
has a name for the same thing, the code is AWS's. A wire maps classes to itself in one place of its own (the
binary protocol sends code, message and field as they are).

Errors are values: `decide` returns them, nobody needs to raise them. They are exceptions all the same, for
the few places (validation, the edges) where raising is the shorter way.
"""

from __future__ import annotations

from typing import ClassVar


class RopewayError(Exception):
    """Base of all. `message` is a sentence for people; `field` names the parameter at fault, or is None."""

    code: ClassVar[str] = "InternalFailure"
    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later without any change."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InternalFailure(RopewayError):
    """The daemon is at fault."""

    code = "InternalFailure"


class ServiceUnavailable(RopewayError):
    """The daemon cannot take this now: it is stopping, starting, or short of disk space."""

    code = "ServiceUnavailable"
    retryable = True


class MalformedRequest(RopewayError):
    """The bytes are not a request of this protocol. The connection ends."""

    code = "MalformedRequest"


class InvalidAction(RopewayError):
    """No action has this code or name."""

    code = "InvalidAction"


class AccessDenied(RopewayError):
    """No or a wrong access key, or no permission."""

    code = "AccessDenied"


class OverLimit(RopewayError):
    """A limit on how many there may be (queues, messages in flight, connections) is reached."""

    code = "OverLimit"
    retryable = True


class RequestThrottled(RopewayError):
    """A FIFO queue is called more often than its limit allows."""

    code = "RequestThrottled"
    retryable = True


class MissingParameter(RopewayError):
    """A required field is absent or empty."""

    code = "MissingParameter"


class InvalidParameterValue(RopewayError):
    """A field has the wrong type or is out of its range."""

    code = "InvalidParameterValue"


class InvalidAttributeName(RopewayError):
    """A queue has no attribute of this name, or it cannot be set."""

    code = "InvalidAttributeName"


class InvalidAttributeValue(RopewayError):
    """A queue attribute's value is out of its range."""

    code = "InvalidAttributeValue"


class QueueDoesNotExist(RopewayError):
    """There is no queue of this name."""

    code = "QueueDoesNotExist"


class QueueNameExists(RopewayError):
    """The queue exists with a different value for an attribute that was given."""

    code = "QueueNameExists"


class QueueDeletedRecently(RopewayError):
    """A queue of this name was deleted a moment ago, and the daemon is set to wait before it is made anew."""

    code = "QueueDeletedRecently"
    retryable = True


class PurgeQueueInProgress(RopewayError):
    """The queue was purged a moment ago, and the daemon is set to wait before it is purged again."""

    code = "PurgeQueueInProgress"
    retryable = True


class ReceiptHandleIsInvalid(RopewayError):
    """These bytes are not a receipt handle of this queue."""

    code = "ReceiptHandleIsInvalid"


class InvalidMessageContents(RopewayError):
    """The body is empty, or of a kind or content that is not allowed."""

    code = "InvalidMessageContents"


class EmptyBatchRequest(RopewayError):
    """A batch has no entries."""

    code = "EmptyBatchRequest"


class TooManyEntriesInBatchRequest(RopewayError):
    """A batch has more entries than this protocol takes in one call."""

    code = "TooManyEntriesInBatchRequest"


class ResourceNotFoundException(RopewayError):
    """A queue or a move task that was named is not there."""

    code = "ResourceNotFoundException"


class NotFound(RopewayError):
    """A topic, a subscription or a number that was named is not there."""

    code = "NotFound"


class UnsupportedOperation(RopewayError):
    """This cannot be done to it as it is."""

    code = "UnsupportedOperation"


class OptedOut(RopewayError):
    """The owner of this number wants no text messages."""

    code = "OptedOut"


class VerificationException(RopewayError):
    """It is not the one-time password that was sent to the number, or it is over."""

    code = "VerificationException"


def catalogue() -> dict[str, type[RopewayError]]:
    """Every code and its class, in order of code. What only one protocol can go wrong with is its own."""
    found: dict[str, type[RopewayError]] = {}
    pending = [RopewayError]
    while pending:
        for each in pending.pop().__subclasses__():
            if each.__module__ == __name__:
                found[each.code] = each
                pending.append(each)
    return dict(sorted(found.items()))
