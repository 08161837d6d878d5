"""Ropeway's client library: durable queues from Python programs.

    async with ropeway.connect() as broker:
        jobs = await broker.create_queue("jobs", visibility_timeout=60)
        await jobs.send("resize cat.jpg", delay=2)
        async for message in jobs:
            ...
            await message.delete()

Durations are in seconds, times are aware datetimes. `ropeway.sync` has the same names for plain code.
"""

from ropeway.backoff import Backoff
from ropeway.broker import Broker, connect
from ropeway.delivery_attempt import DeliveryAttempt
from ropeway.errors import (
    AccessDenied,
    BatchError,
    BrokerClosed,
    ConnectionFailed,
    ConnectionLost,
    DaemonError,
    DeadlineExceeded,
    EmptyBatchRequest,
    InternalFailure,
    InvalidAction,
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidMessageContents,
    InvalidParameterValue,
    MalformedRequest,
    MissingParameter,
    NotFound,
    OptedOut,
    OverLimit,
    ProtocolError,
    PurgeQueueInProgress,
    QueueDeletedRecently,
    QueueDoesNotExist,
    QueueNameExists,
    ReceiptHandleIsInvalid,
    RequestThrottled,
    ResourceNotFoundException,
    RopewayError,
    ServiceUnavailable,
    TooManyEntriesInBatchRequest,
    UnsupportedOperation,
    VerificationException,
)
from ropeway.listener import Listener
from ropeway.message import Message, MessageId, Outgoing
from ropeway.moves import MoveTask
from ropeway.peek import Peeked, PeekOptions, State
from ropeway.phones import Phones, SmsSettings
from ropeway.queue import Queue, QueueAttributes, QueueSettings, RedriveAllowPolicy, RedrivePolicy
from ropeway.stream import Stream
from ropeway.topic import Publication, Subscription, SubscriptionSettings, Topic, TopicSettings
from ropeway.version import __version__
from ropeway.worker import Worker, run

from ropeway import sync  # isort: skip

__all__ = [
    "__version__",
    "connect",
    "Broker",
    "Queue",
    "QueueSettings",
    "RedrivePolicy",
    "RedriveAllowPolicy",
    "MoveTask",
    "QueueAttributes",
    "Message",
    "MessageId",
    "Outgoing",
    "Peeked",
    "PeekOptions",
    "State",
    "Stream",
    "Listener",
    "Topic",
    "TopicSettings",
    "Publication",
    "DeliveryAttempt",
    "Subscription",
    "SubscriptionSettings",
    "Phones",
    "SmsSettings",
    "Worker",
    "run",
    "sync",
    "Backoff",
    "RopewayError",
    "DaemonError",
    "AccessDenied",
    "EmptyBatchRequest",
    "InternalFailure",
    "InvalidAction",
    "InvalidAttributeName",
    "InvalidAttributeValue",
    "InvalidMessageContents",
    "InvalidParameterValue",
    "MalformedRequest",
    "MissingParameter",
    "NotFound",
    "OptedOut",
    "OverLimit",
    "PurgeQueueInProgress",
    "QueueDeletedRecently",
    "QueueDoesNotExist",
    "QueueNameExists",
    "ReceiptHandleIsInvalid",
    "RequestThrottled",
    "ResourceNotFoundException",
    "ServiceUnavailable",
    "TooManyEntriesInBatchRequest",
    "UnsupportedOperation",
    "VerificationException",
    "BatchError",
    "BrokerClosed",
    "ConnectionFailed",
    "ConnectionLost",
    "DeadlineExceeded",
    "ProtocolError",
]
