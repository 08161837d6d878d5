"""What can go wrong, as the caller sees it.

Two kinds. A `DaemonError` is an answer of the daemon: there is one class a code, and the classes are named
after their codes. The others are found by this library: the connection, the deadline, the bytes of the peer.
Nothing here knows how an answer travels; `answered` turns a code into its class.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar


class RopewayError(Exception):
    """Base of all errors that this library raises. `message` is a sentence for people."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class DaemonError(RopewayError):
    """The daemon's answer to a call. `field` names the parameter at fault, or is None.

    A code that this version does not know is raised as this class itself, with its `code`.
    """

    code: str = ""
    retryable: bool = False
    """Whether the same call may succeed later without any change."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class InternalFailure(DaemonError):
    """The daemon is at fault."""

    code = "InternalFailure"


class ServiceUnavailable(DaemonError):
    """The daemon cannot take this now: it is stopping, starting, or short of disk space."""

    code = "ServiceUnavailable"
    retryable = True


class MalformedRequest(DaemonError):
    """The bytes are not a request of this protocol. The connection ends."""

    code = "MalformedRequest"


class InvalidAction(DaemonError):
    """No action has this code or name; the daemon is probably older than this library."""

    code = "InvalidAction"


class AccessDenied(DaemonError):
    """No or a wrong access key, or no permission."""

    code = "AccessDenied"


class OverLimit(DaemonError):
    """A limit on how many there may be (queues, messages in flight, connections) is reached."""

    code = "OverLimit"
    retryable = True


class RequestThrottled(DaemonError):
    """A FIFO queue is called more often than its limit allows."""

    code = "RequestThrottled"
    retryable = True


class MissingParameter(DaemonError):
    """A required field is absent or empty."""

    code = "MissingParameter"


class InvalidParameterValue(DaemonError):
    """A field has the wrong type or is out of its range."""

    code = "InvalidParameterValue"


class InvalidAttributeName(DaemonError):
    """A queue has no attribute of this name, or it cannot be set."""

    code = "InvalidAttributeName"


class InvalidAttributeValue(DaemonError):
    """A queue attribute's value is out of its range."""

    code = "InvalidAttributeValue"


class QueueDoesNotExist(DaemonError):
    """There is no queue of this name."""

    code = "QueueDoesNotExist"


class QueueNameExists(DaemonError):
    """The queue exists with a different value for an attribute that was given."""

    code = "QueueNameExists"


class QueueDeletedRecently(DaemonError):
    """A queue of this name was deleted a moment ago, and the daemon is set to wait before it is made anew."""

    code = "QueueDeletedRecently"
    retryable = True


class PurgeQueueInProgress(DaemonError):
    """The queue was purged a moment ago, and the daemon is set to wait before it is purged again."""

    code = "PurgeQueueInProgress"
    retryable = True


class ReceiptHandleIsInvalid(DaemonError):
    """These bytes are not a receipt handle of this queue."""

    code = "ReceiptHandleIsInvalid"


class InvalidMessageContents(DaemonError):
    """The body is empty, or of a kind or content that is not allowed."""

    code = "InvalidMessageContents"


class EmptyBatchRequest(DaemonError):
    """A batch has no entries."""

    code = "EmptyBatchRequest"


class TooManyEntriesInBatchRequest(DaemonError):
    """A batch has more entries than this protocol takes in one call."""

    code = "TooManyEntriesInBatchRequest"


class ResourceNotFoundException(DaemonError):
    """A queue or a move task that was named is not there."""

    code = "ResourceNotFoundException"


class NotFound(DaemonError):
    """A topic, a subscription or a number that was named is not there."""

    code = "NotFound"


class UnsupportedOperation(DaemonError):
    """This cannot be done to it as it is."""

    code = "UnsupportedOperation"


class OptedOut(DaemonError):
    """The owner of this number wants no text messages."""

    code = "OptedOut"


class VerificationException(DaemonError):
    """It is not the one-time password that was sent to the number, or it is over."""

    code = "VerificationException"


class ConnectionFailed(RopewayError, ConnectionError):
    """No connection could be made. Nothing was asked of the daemon."""


class ConnectionLost(RopewayError, ConnectionError):
    """The connection ended after a call was written and before its answer: it may or may not have taken
    effect."""


class DeadlineExceeded(RopewayError, TimeoutError):
    """No answer came within the call's deadline. The message says whether the call may have taken effect."""


class BrokerClosed(RopewayError):
    """The broker was closed before the call, or while it waited."""


class ProtocolError(RopewayError):
    """The peer sent bytes that are not this protocol, or could not prove that it knows the secret."""


class BatchError(RopewayError):
    """Some entries of a batch failed, and the others did not.

    `results` has an item for each entry, in their order: what the call would have returned for it, or its
    error. `errors` has the failures alone, by index.
    """

    def __init__(self, results: Sequence[object]) -> None:
        self.results: list[Any] = list(results)
        self.errors: dict[int, RopewayError] = {
            index: result for index, result in enumerate(self.results) if isinstance(result, RopewayError)
        }
        first = next(iter(self.errors.items()), None)
        detail = "" if first is None else f"; entry {first[0]}: {type(first[1]).__name__}: {first[1]}"
        super().__init__(f"{len(self.errors)} of {len(self.results)} entries failed{detail}")

    def __reduce__(self) -> tuple[type[BatchError], tuple[list[Any]]]:
        return type(self), (self.results,)


def catalogue() -> Mapping[str, type[DaemonError]]:
    """Every code of the daemon that this library knows, and its class."""
    return {each.code: each for each in sorted(DaemonError.__subclasses__(), key=lambda each: each.code)}


_BY_CODE = catalogue()


def answered(code: str, message: str, field: str | None) -> DaemonError:
    """The exception for an error that came over the wire."""
    known = _BY_CODE.get(code)
    if known is not None:
        return known(message, field)
    error = DaemonError(message, field)
    error.code = code
    return error


_AnyError = TypeVar("_AnyError", bound=RopewayError)


def renewed(error: _AnyError) -> _AnyError:
    """An equal error without a traceback, for another caller: a traceback grows wherever its error is
    raised."""
    fresh = copy.copy(error)
    fresh.__cause__ = error.__cause__
    fresh.__dict__.update(error.__dict__)
    return fresh
