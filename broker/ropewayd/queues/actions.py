"""The queue actions: parameters, ranges, defaults, errors and documentation, written once.

Times and durations are milliseconds. The ranges are AWS's unless the text says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from ropewayd.vocabulary.action import Action, BatchEntry, BatchSize, QueueName
from ropewayd.vocabulary.errors import (
    EmptyBatchRequest,
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidMessageContents,
    InvalidParameterValue,
    OverLimit,
    PurgeQueueInProgress,
    QueueDeletedRecently,
    QueueDoesNotExist,
    QueueNameExists,
    ReceiptHandleIsInvalid,
    ResourceNotFoundException,
    RopewayError,
    TooManyEntriesInBatchRequest,
    UnsupportedOperation,
)
from ropewayd.vocabulary.names import ACCOUNT, REGION
from ropewayd.vocabulary.tokens import EntryToken, Token

MAX_VISIBILITY = 43_200_000
MAX_DELAY = 900_000
LONGEST_DELAY = 1_209_600_000
MAX_WAIT = 20_000

Visibility = Annotated[
    int, Meta(ge=0, le=MAX_VISIBILITY, description="How long a received message stays invisible to others.")
]
Delay = Annotated[
    int,
    Meta(
        ge=0,
        le=LONGEST_DELAY,
        description="How long until the message can first be received; at most the queue's maximum_delay.",
    ),
]
WaitTime = Annotated[int, Meta(ge=0, le=MAX_WAIT, description="How long an empty queue is waited for.")]

Handle = Annotated[
    Any, Meta(description="A receipt handle, as received.", extra_json_schema={"type": "bytes"})
]
"""Any bytes are taken: what is no handle is told one by one."""

_OWN = "Without it, the daemon's own."

_BATCH: tuple[type[RopewayError], ...] = (QueueDoesNotExist, EmptyBatchRequest, TooManyEntriesInBatchRequest)


QueueReference = Annotated[str, Meta(min_length=1, max_length=256)]
"""A queue's name or its ARN."""


class RedrivePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """When a message counts as a dead letter, and where it goes then."""

    dead_letter_target_arn: Annotated[
        QueueReference, Meta(description="The dead-letter queue: its ARN, or its name.")
    ]
    max_receive_count: Annotated[
        int, Meta(ge=1, le=1000, description="How often a message can be received before it goes there.")
    ]


class RedriveAllowPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Which queues may name this one as their dead-letter queue."""

    redrive_permission: Annotated[
        Literal["allowAll", "denyAll", "byQueue"], Meta(description="All of them, none, or those named.")
    ] = "allowAll"
    source_queue_arns: (
        Annotated[
            tuple[QueueReference, ...],
            Meta(min_length=1, max_length=10, description="With byQueue: the ARNs (or names) of those."),
        ]
        | None
    ) = None


class QueueAttributes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What can be set on a queue."""

    visibility_timeout: Visibility = 30_000
    delay: Delay = 0
    retention_period: Annotated[
        int, Meta(ge=60_000, le=1_209_600_000, description="How long after its sending a message is kept.")
    ] = 345_600_000
    receive_wait_time: WaitTime = 0
    maximum_message_size: Annotated[
        int, Meta(ge=1024, le=1_048_576, description="Bytes of body and attributes of one message.")
    ] = 1_048_576
    redrive_policy: Annotated[
        RedrivePolicy | None, Meta(description="Where messages go that were received too often; see below.")
    ] = None
    redrive_allow_policy: Annotated[
        RedriveAllowPolicy | None,
        Meta(description="Which queues may send their dead letters here; see below."),
    ] = None
    maximum_delay: Annotated[
        int,
        Meta(
            ge=MAX_DELAY,
            le=LONGEST_DELAY,
            description="The longest delay, of a message and as an attribute. AWS has 15 minutes; a message "
            "that is delayed for longer than it is kept is never received.",
        ),
    ] = MAX_DELAY
    policy: Annotated[
        str | None, Meta(description="The access policy, JSON of up to 8,192 bytes. Empty text removes it.")
    ] = None
    kms_master_key_id: (
        Annotated[str, Meta(max_length=2048, description="A KMS key's id. Empty text removes it.")] | None
    ) = None
    kms_data_key_reuse_period: Annotated[
        int, Meta(ge=60_000, le=86_400_000, description="How long one data key of that is used.")
    ] = 300_000
    sqs_managed_sse_enabled: Annotated[
        bool, Meta(description="Encrypted with a key of the queue service. One of the two at a time.")
    ] = True
    fifo: Annotated[
        bool,
        Meta(
            description="A FIFO queue: order within each message group, and no duplicates. Only at its "
            "creation, and its name ends in `.fifo` exactly then."
        ),
    ] = False
    content_based_deduplication: Annotated[
        bool,
        Meta(
            description="FIFO only: a message without a deduplication id has the SHA-256 of its body, in hex."
        ),
    ] = False
    deduplication_scope: Annotated[
        Literal["queue", "messageGroup"],
        Meta(description="FIFO only: where a deduplication id is the same message, in the queue or a group."),
    ] = "queue"
    fifo_throughput_limit: Annotated[
        Literal["perQueue", "perMessageGroupId"],
        Meta(description="FIFO only: the latter, with the scope messageGroup, is high throughput."),
    ] = "perQueue"


GivenAttributes = Annotated[
    dict[str, Any], Meta(description="Queue attributes by name, each within its range.", max_length=100)
]

TagKey = Annotated[str, Meta(min_length=1, max_length=128)]
Tags = Annotated[
    dict[TagKey, Annotated[str, Meta(max_length=256)]],
    Meta(description="Key to value: 1 to 128 and 0 to 256 characters. A queue has up to 50.", max_length=50),
]


class CreateQueue(Action):
    """Create a queue, or find it. A queue that is there already is fine if each attribute given is as it
    is; its tags are not looked at then."""

    code: ClassVar[int] = 10
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "A map: `queue` (what it is called), `arn`, `created` (false if it was there)."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (
        QueueNameExists,
        InvalidAttributeName,
        InvalidAttributeValue,
        OverLimit,
        QueueDeletedRecently,
    )

    queue: QueueName
    attributes: GivenAttributes = msgspec.field(default_factory=dict)
    tags: Tags = msgspec.field(default_factory=dict)


class DeleteQueue(Action):
    """Delete a queue and every message in it. A queue of the same name can be created at once, and is
    empty."""

    code: ClassVar[int] = 11
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (QueueDoesNotExist,)

    queue: QueueName


class ListQueues(Action):
    """List the queues of one account and region by name, in pages."""

    code: ClassVar[int] = 12
    answer: ClassVar[str] = (
        "A map: `queues` (what each is called, in order of their names: its name, or its ARN where it is of "
        "another account or region than the daemon's own), `next` (what to give as `after`, nil at the end)."
    )

    prefix: Annotated[str, Meta(max_length=80, description="Only names that begin with this.")] = ""
    limit: Annotated[int, Meta(ge=1, le=1000, description="Names in one answer.")] = 1000
    after: Annotated[
        Annotated[str, Meta(max_length=80)] | None, Meta(description="Only names after this one.")
    ] = None
    account: Annotated[str, Meta(pattern=f"^{ACCOUNT}$", description=_OWN)] | None = None
    region: Annotated[str, Meta(pattern=f"^{REGION}$", description=_OWN)] | None = None


class GetQueueAttributes(Action):
    """Tell everything about a queue: what is set, and how many messages it holds."""

    code: ClassVar[int] = 13
    answer: ClassVar[str] = (
        "A map: every attribute that is set or has a default, and `arn`, `created_at`, `modified_at`, "
        "`visible`, `in_flight`, `delayed` (numbers of messages)."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (QueueDoesNotExist,)

    queue: QueueName


class SetQueueAttributes(Action):
    """Change attributes of a queue. A new delay or visibility timeout counts for what is sent or received
    after it; a new retention period counts for every message in the queue."""

    code: ClassVar[int] = 14
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (
        QueueDoesNotExist,
        InvalidAttributeName,
        InvalidAttributeValue,
    )

    queue: QueueName
    attributes: GivenAttributes


class PurgeQueue(Action):
    """Delete every message in a queue, in flight and delayed ones too."""

    code: ClassVar[int] = 15
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (QueueDoesNotExist, PurgeQueueInProgress)

    queue: QueueName


class TagQueue(Action):
    """Put tags on a queue. A key that it has already gets the new value."""

    code: ClassVar[int] = 40
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (QueueDoesNotExist,)

    queue: QueueName
    tags: Tags


class UntagQueue(Action):
    """Take tags from a queue. A key that it does not have is fine."""

    code: ClassVar[int] = 41
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (QueueDoesNotExist,)

    queue: QueueName
    keys: Annotated[list[TagKey], Meta(max_length=50, description="The keys.")]


class ListQueueTags(Action):
    """Tell a queue's tags."""

    code: ClassVar[int] = 42
    answer: ClassVar[str] = "A map: each key with its value."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (QueueDoesNotExist,)

    queue: QueueName


Label = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,80}$", description="What the permission is called.")]


class AddPermission(Action):
    """Allow other accounts some actions on a queue: a statement in its policy, which is made if there is
    none."""

    code: ClassVar[int] = 43
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (QueueDoesNotExist, OverLimit)

    queue: QueueName
    label: Label
    accounts: Annotated[
        list[Annotated[str, Meta(pattern=f"^{ACCOUNT}$")]],
        Meta(min_length=1, max_length=50, description="Twelve digits each."),
    ]
    actions: Annotated[
        list[Annotated[str, Meta(max_length=80)]],
        Meta(min_length=1, max_length=7, description="Names of actions, as SendMessage, or *."),
    ]


class RemovePermission(Action):
    """Take back what was allowed by this label. With its last statement the policy goes too."""

    code: ClassVar[int] = 44
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (QueueDoesNotExist,)

    queue: QueueName
    label: Label


TraceHeader = Annotated[
    str, Meta(min_length=1, max_length=1024, description="An X-Ray trace header, handed on with the message.")
]
"""It does not count into the message's size (AWS's rule)."""

MessageAttribute = tuple[
    Annotated[str, Meta(min_length=1, max_length=256)],
    Any,
]


class SendEntry(BatchEntry):
    """One message to send."""

    body: Annotated[Any, Meta(description="Text or bytes, at least one character or byte.")]
    delay: Delay | None = None
    attributes: (
        Annotated[
            dict[Annotated[str, Meta(min_length=1, max_length=256)], MessageAttribute],
            Meta(
                max_length=10,
                description="Name to [type, value]; the type begins with String, Number or Binary.",
            ),
        ]
        | None
    ) = None
    trace_header: TraceHeader | None = None
    group: (
        Annotated[
            EntryToken,
            Meta(description="The message group: required on a FIFO queue, whose order it is."),
        ]
        | None
    ) = None
    deduplication_id: (
        Annotated[
            EntryToken,
            Meta(
                description="FIFO only: a message with the same one within 5 minutes is accepted, and not "
                "stored again."
            ),
        ]
        | None
    ) = None
    token: (
        Annotated[
            EntryToken,
            Meta(
                description="Made up by the producer for this message. If it is sent again within 5 minutes, "
                "because the answer was lost, it is not stored again. On a FIFO queue it stands for the "
                "deduplication id of a message that has none."
            ),
        ]
        | None
    ) = None


class SendMessage(Action):
    """Send messages, in order. Each is stored, or refused with a reason of its own."""

    code: ClassVar[int] = 20
    grows: ClassVar[bool] = True
    merges: ClassVar[bool] = True
    batch: ClassVar[str | None] = "entries"
    answer: ClassVar[str] = (
        "A list, one for each entry: the message's id (16 bytes), or an error. Of a FIFO queue a list of the "
        "id and the sequence number (20 digits)."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (
        *_BATCH,
        InvalidMessageContents,
        InvalidParameterValue,
    )

    queue: QueueName
    entries: Annotated[list[SendEntry], BatchSize, Meta(description="The messages, in order.")]


class ReceiveMessage(Action):
    """Receive messages. They stay in the queue, invisible to others for the visibility timeout: delete them
    when done. Answers as soon as there is one, or when the wait is over; fewer than asked for is normal.

    A message that was received as often as the queue's redrive policy allows goes to the dead-letter queue
    instead."""

    code: ClassVar[int] = 21
    answer: ClassVar[str] = (
        "A list of messages, each a list: id (16 bytes), receipt handle (bytes), body, sent_at, "
        "receive_count, first_received_at, attributes (a map or nil); and, where there is any of it, a map "
        "of what else is known: `trace_header`, `source` (the ARN of the queue that it is a dead letter of), "
        "and of a FIFO queue `group`, `deduplication_id`, `sequence_number` (20 digits, rising)."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (QueueDoesNotExist, OverLimit)
    fleeting: ClassVar[bool] = True

    queue: QueueName
    max_messages: Annotated[int, Meta(ge=1, le=1000, description="At most so many.")] = 1
    wait: WaitTime | None = None
    visibility_timeout: Visibility | None = None
    attempt: (
        Annotated[
            Token,
            Meta(
                description="FIFO only: made up by the consumer for this receive. Asked again with the same "
                "one within 5 minutes, it gives the same messages and handles, hidden anew, unless one of "
                "them was deleted, changed or is visible again."
            ),
        ]
        | None
    ) = None


class ReceiveFromQueues(Action):
    """Receive messages from one of several queues: from the first that has any, or, with weights, from one
    that is drawn among those that have any. As ReceiveMessage, a wait is over when one of them has one."""

    code: ClassVar[int] = 46
    answer: ClassVar[str] = (
        "A map: `queue` (the index in `queues` of the queue that they are of; nil if there are none), "
        "`messages` (as ReceiveMessage answers)."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (QueueDoesNotExist, OverLimit)
    fleeting: ClassVar[bool] = True

    queues: Annotated[
        list[QueueName], Meta(min_length=1, max_length=100, description="The queues, the most urgent first.")
    ]
    weights: (
        Annotated[
            list[Annotated[int, Meta(ge=1, le=1000)]],
            Meta(max_length=100, description="One for each queue; then their order counts for nothing."),
        ]
        | None
    ) = None
    max_messages: Annotated[int, Meta(ge=1, le=1000, description="At most so many.")] = 1
    wait: Annotated[
        WaitTime | None,
        Meta(description="How long they are waited for if all are empty; by default the longest of theirs."),
    ] = None
    visibility_timeout: Visibility | None = None


class PeekMessages(Action):
    """Look at messages without receiving them: nothing about them changes. They come in the order of sending,
    a part of the queue at a time; go on with `after` until `next` is nil. An answer can have fewer messages
    than asked for, or none, and a `next` all the same. A look is no snapshot of a queue that is in use."""

    code: ClassVar[int] = 45
    answer: ClassVar[str] = (
        "A map: `messages`, `next` (what to give as `after`, nil at the end). Each message is a map: "
        "`sequence`, `id` (16 bytes), `state` (visible, in_flight or delayed), `sent_at`, `receive_count`, "
        "`first_received_at` (or nil), `visible_at` (or nil where it is visible), `size`; what else is known "
        "of it, as in ReceiveMessage; and, if `bodies`, `body` and `attributes` (a map or nil)."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (QueueDoesNotExist,)
    fleeting: ClassVar[bool] = True

    queue: QueueName
    limit: Annotated[int, Meta(ge=1, le=1000, description="At most so many.")] = 10
    after: Annotated[int, Meta(ge=0, description="Only messages with a higher sequence.")] = 0
    states: (
        Annotated[
            list[Literal["visible", "in_flight", "delayed"]],
            Meta(max_length=3, description="Only messages in one of these states."),
        ]
        | None
    ) = None
    group: Annotated[str, Meta(max_length=128, description="Only messages of this group.")] | None = None
    min_age: Annotated[int, Meta(ge=0, description="Only messages that were sent so long ago.")] = 0
    max_age: Annotated[int, Meta(ge=0, description="Only messages sent no longer ago.")] | None = None
    bodies: Annotated[bool, Meta(description="Whether bodies and attributes are shown.")] = True


class DeleteMessage(Action):
    """Delete received messages by their receipt handles. Deleting one twice is fine."""

    code: ClassVar[int] = 22
    merges: ClassVar[bool] = True
    batch: ClassVar[str | None] = "handles"
    answer: ClassVar[str] = "A list, one for each handle: nil, or an error."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (*_BATCH, ReceiptHandleIsInvalid)

    queue: QueueName
    handles: Annotated[list[Handle], BatchSize, Meta(description="Receipt handles, as received.")]


class VisibilityEntry(BatchEntry):
    """One message whose visibility timeout changes."""

    handle: Handle
    visibility_timeout: Annotated[
        int, Meta(ge=0, le=MAX_VISIBILITY, description="From now on, how long it stays invisible.")
    ]


class ChangeMessageVisibility(Action):
    """Make received messages visible again after another time, counted from now; 0 is at once. A message
    cannot stay invisible longer than 12 hours after the receive that gave the handle."""

    code: ClassVar[int] = 23
    merges: ClassVar[bool] = True
    batch: ClassVar[str | None] = "entries"
    answer: ClassVar[str] = "A list, one for each entry: nil, or an error."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (
        *_BATCH,
        ReceiptHandleIsInvalid,
        InvalidParameterValue,
    )

    queue: QueueName
    entries: Annotated[list[VisibilityEntry], BatchSize, Meta(description="The changes.")]


class ListDeadLetterSourceQueues(Action):
    """List the queues whose dead letters come to a queue, by name, in pages."""

    code: ClassVar[int] = 30
    answer: ClassVar[str] = (
        "A map: `queues` (what each is called, in order of their names), `next` (what to give as `after`, "
        "nil at the end)."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (QueueDoesNotExist,)

    queue: QueueName
    limit: Annotated[int, Meta(ge=1, le=1000, description="Names in one answer.")] = 1000
    after: Annotated[
        Annotated[str, Meta(max_length=80)] | None, Meta(description="Only names after this one.")
    ] = None


MoveSource = Annotated[QueueReference, Meta(description="The dead-letter queue: its name or ARN.")]
Task = Annotated[Any, Meta(description="A task, as its start told it.", extra_json_schema={"type": "bytes"})]


class StartMessageMoveTask(Action):
    """Begin to move the messages of a dead-letter queue: back to the queues that they came from, or to one
    that is named. They become new messages there, with new ids, sent when they were moved. What is in flight
    or delayed when its turn comes stays. A queue has one such task at a time."""

    code: ClassVar[int] = 31
    answer: ClassVar[str] = "A map: `task` (bytes, what to cancel it by)."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (ResourceNotFoundException, UnsupportedOperation)

    source: MoveSource
    destination: Annotated[
        QueueReference | None, Meta(description="A queue's name or ARN; nil: where each message came from.")
    ] = None
    max_messages_per_second: Annotated[
        Annotated[int, Meta(ge=1, le=10_000_000)] | None,
        Meta(description="At most the daemon's `queues.max_move_rate`, which is the default."),
    ] = None


class CancelMessageMoveTask(Action):
    """End a move task that is running. What it has moved stays where it is."""

    code: ClassVar[int] = 32
    answer: ClassVar[str] = "A map: `moved` (how many messages)."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (ResourceNotFoundException, UnsupportedOperation)

    task: Task


class ListMessageMoveTasks(Action):
    """List the last move tasks of a dead-letter queue, the newest first."""

    code: ClassVar[int] = 33
    answer: ClassVar[str] = (
        "A map: `tasks` (a list of maps: `status` (RUNNING, COMPLETED, CANCELLED or FAILED), `source` (an "
        "ARN), `moved` and `to_move` (numbers of messages), `started_at`, and, where there is such a thing, "
        "`task` (while it is running), `destination` (an ARN), `max_messages_per_second`, `reason` (why it "
        "failed))."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (ResourceNotFoundException,)

    source: MoveSource
    limit: Annotated[int, Meta(ge=1, le=10, description="Tasks in one answer.")] = 1


class Wake(Action):
    """The daemon's own: timers of messages are due. Each payload is (queue number, sequences)."""

    code: ClassVar[int] = -1
    answer: ClassVar[str] = "Nothing."
    due: list[Any]


class Expire(Action):
    """The daemon's own: a queue's oldest messages may be past their retention."""

    code: ClassVar[int] = -2
    answer: ClassVar[str] = "Nothing."
    number: int


class BringNear(Action):
    """The daemon's own: the time of delayed messages that are on disk alone comes near."""

    code: ClassVar[int] = -5
    answer: ClassVar[str] = "Nothing."
    number: int


class Move(Action):
    """The daemon's own: a queue's move task is to take its next step."""

    code: ClassVar[int] = -4
    answer: ClassVar[str] = "Nothing."
    number: int


class Found(Action):
    """The daemon's own: a new store gets its key."""

    code: ClassVar[int] = -3
    answer: ClassVar[str] = "Nothing."
