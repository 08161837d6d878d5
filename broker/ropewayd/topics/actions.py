"""The topic actions: parameters, ranges, defaults, errors and documentation, written once.

Times are milliseconds. The ranges are AWS's unless the text says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from ropewayd.queues.actions import MessageAttribute, PeekMessages, TagKey, TraceHeader
from ropewayd.vocabulary.action import Action, BatchEntry, BatchSize
from ropewayd.vocabulary.errors import (
    AccessDenied,
    EmptyBatchRequest,
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidMessageContents,
    InvalidParameterValue,
    NotFound,
    OverLimit,
    RopewayError,
    TooManyEntriesInBatchRequest,
    UnsupportedOperation,
)
from ropewayd.vocabulary.names import ACCOUNT, MAX_TOPIC_REFERENCE, REGION
from ropewayd.vocabulary.tokens import EntryToken

from .settable import DeadLetters, ReplayPolicy, SubscriptionAttributes, TopicAttributes

__all__ = ["DeadLetters", "ReplayPolicy", "SubscriptionAttributes", "TopicAttributes"]

TopicName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TOPIC_REFERENCE,
        description="The topic's name, 1 to 256 of A-Z a-z 0-9 _ and - (.fifo ends a FIFO topic's); or its "
        "ARN, where it belongs to another account or region than the daemon's own.",
    ),
]
SubscriptionName = Annotated[
    str, Meta(min_length=1, max_length=400, description="The subscription's ARN, as Subscribe told it.")
]
_OWN = "Without it, the daemon's own."

GivenAttributes = Annotated[
    dict[str, Any], Meta(description="Attributes by name, each within its range.", max_length=100)
]
Tags = Annotated[
    dict[TagKey, Annotated[str, Meta(max_length=256)]],
    Meta(description="Key to value: 1 to 128 and 0 to 256 characters. A topic has up to 50.", max_length=50),
]

_ATTRIBUTES = (InvalidAttributeName, InvalidAttributeValue, InvalidParameterValue)


class CreateTopic(Action):
    """Create a topic, or find it. A topic that is there already is fine if each attribute and all tags that
    are given are as they are."""

    code: ClassVar[int] = 60
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "A map: `topic` (what it is called), `arn`, `created` (false if it was there)."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (*_ATTRIBUTES, OverLimit)

    topic: TopicName
    attributes: GivenAttributes = msgspec.field(default_factory=dict)
    tags: Tags | None = None


class DeleteTopic(Action):
    """Delete a topic and every subscription to it. One that is not there is fine."""

    code: ClassVar[int] = 61
    answer: ClassVar[str] = "An empty map."

    topic: TopicName


class ListTopics(Action):
    """List the topics of one account and region by name, in pages."""

    code: ClassVar[int] = 62
    answer: ClassVar[str] = (
        "A map: `topics` (what each is called, in order of their names), `next` (what to give as `after`, "
        "nil at the end)."
    )

    prefix: Annotated[str, Meta(max_length=256, description="Only names that begin with this.")] = ""
    limit: Annotated[int, Meta(ge=1, le=1000, description="Names in one answer.")] = 1000
    after: Annotated[
        Annotated[str, Meta(max_length=256)] | None, Meta(description="Only names after this one.")
    ] = None
    account: Annotated[str, Meta(pattern=f"^{ACCOUNT}$", description=_OWN)] | None = None
    region: Annotated[str, Meta(pattern=f"^{REGION}$", description=_OWN)] | None = None


class GetTopicAttributes(Action):
    """Tell everything about a topic."""

    code: ClassVar[int] = 63
    answer: ClassVar[str] = (
        "A map: every attribute that is set, and `arn`, `owner` (an account), `created_at`, `confirmed`, "
        "`pending` and `deleted` (numbers of subscriptions); where there is an archive, `archive_at`, from "
        "when on it has messages."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (NotFound,)

    topic: TopicName


class SetTopicAttributes(Action):
    """Change attributes of a topic."""

    code: ClassVar[int] = 64
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (NotFound, *_ATTRIBUTES)

    topic: TopicName
    attributes: GivenAttributes


class TagTopic(Action):
    """Put tags on a topic. A key that it has already gets the new value."""

    code: ClassVar[int] = 65
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (NotFound, InvalidParameterValue)

    topic: TopicName
    tags: Tags


class UntagTopic(Action):
    """Take tags from a topic. A key that it does not have is fine."""

    code: ClassVar[int] = 66
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (NotFound,)

    topic: TopicName
    keys: Annotated[list[TagKey], Meta(max_length=50, description="The keys.")]


class ListTopicTags(Action):
    """Tell a topic's tags."""

    code: ClassVar[int] = 67
    answer: ClassVar[str] = "A map: each key with its value."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (NotFound,)

    topic: TopicName


Label = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,80}\Z", description="What the permission is called.")]


class AddTopicPermission(Action):
    """Allow other accounts some actions on a topic: a statement in its policy."""

    code: ClassVar[int] = 68
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (NotFound, InvalidParameterValue)

    topic: TopicName
    label: Label
    accounts: Annotated[
        list[Annotated[str, Meta(pattern=f"^{ACCOUNT}$")]],
        Meta(min_length=1, max_length=50, description="Twelve digits each."),
    ]
    actions: Annotated[
        list[Annotated[str, Meta(max_length=80)]],
        Meta(min_length=1, max_length=20, description="Names of AWS's actions, as Publish."),
    ]


class RemoveTopicPermission(Action):
    """Take back what was allowed by this label. One that is not there is fine."""

    code: ClassVar[int] = 69
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (NotFound,)

    topic: TopicName
    label: Label


class Subscribe(Action):
    """Subscribe a queue, or somebody else, to a topic: what is published from now on goes there too. A
    subscription that is there already is fine if each attribute that is given is as it is.

    Web hooks and mailboxes are asked first, and get nothing before they confirm (ConfirmSubscription); asking
    for one that has not, asks it again."""

    code: ClassVar[int] = 70
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = (
        "A map: `subscription` (its ARN), `created` (false if it was there), `pending` (true if it is to be "
        "confirmed)."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (
        NotFound,
        *_ATTRIBUTES,
        OverLimit,
        UnsupportedOperation,
    )

    topic: TopicName
    endpoint: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=2048,
            description="A queue's ARN or name, which need not be there (yet); a URL; a mailbox; a phone "
            "number; a function's or a stream's ARN.",
        ),
    ]
    protocol: Annotated[
        str,
        Meta(
            max_length=32,
            description="`sqs`: a queue. `http`, `https`: a web hook. `email`, `email-json`: a mailbox. "
            "`sms`: a phone. `lambda`: a function. `firehose`: a stream.",
        ),
    ] = "sqs"
    attributes: GivenAttributes = msgspec.field(default_factory=dict)


class Unsubscribe(Action):
    """End a subscription. One that is not there is fine."""

    code: ClassVar[int] = 71
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (InvalidParameterValue,)

    subscription: SubscriptionName


class UnsubscribeUnsigned(Unsubscribe):
    """The daemon's own: as Unsubscribe, of somebody who gave no signature where others need one."""

    code: ClassVar[int] = -61
    errors: ClassVar[tuple[type[RopewayError], ...]] = (InvalidParameterValue, AccessDenied)


class ConfirmSubscription(Action):
    """Confirm a subscription with the token that its subscriber was told, within two days. One that is
    confirmed already is fine."""

    code: ClassVar[int] = 76
    answer: ClassVar[str] = "A map: `subscription` (its ARN)."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (InvalidParameterValue,)

    token: Annotated[str, Meta(min_length=1, max_length=256, description="The token.")]
    topic: Annotated[
        Annotated[str, Meta(min_length=1, max_length=MAX_TOPIC_REFERENCE)] | None,
        Meta(description="The topic's name or ARN. Its region is looked at; the token says the rest."),
    ] = None
    guarded: Annotated[
        bool,
        Meta(
            description="Whether a call to Unsubscribe without a signature is not to end it "
            "(AuthenticateOnUnsubscribe)."
        ),
    ] = False


class ListSubscriptions(Action):
    """List subscriptions, those of one topic or all of one account and region, in pages."""

    code: ClassVar[int] = 72
    answer: ClassVar[str] = (
        "A map: `subscriptions` (a list of maps: `subscription` and `topic` (their ARNs), `protocol`, "
        "`endpoint`, `owner`, `pending`), `next` (what to give as `after`, nil at the end)."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (NotFound,)

    topic: TopicName | None = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="Subscriptions in one answer.")] = 1000
    after: Annotated[
        Annotated[str, Meta(max_length=400)] | None,
        Meta(description="Only those after the one of this ARN."),
    ] = None
    account: Annotated[str, Meta(pattern=f"^{ACCOUNT}$", description=_OWN)] | None = None
    region: Annotated[str, Meta(pattern=f"^{REGION}$", description=_OWN)] | None = None


class GetSubscriptionAttributes(Action):
    """Tell everything about a subscription."""

    code: ClassVar[int] = 73
    answer: ClassVar[str] = (
        "A map: every attribute that is set or has a default, and `subscription` and `topic` (their ARNs), "
        "`protocol`, `endpoint`, `owner`, `created_at`, `pending`, `guarded`, `asked` (whether it had to be "
        "confirmed); and, since the daemon "
        "started, `delivered`, `filtered`, `dead_lettered` and `failed` (numbers of messages); where there "
        "is a `replay_policy`, `replay_status` (In progress, Completed or Failed)."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (NotFound, InvalidParameterValue)

    subscription: SubscriptionName


class SetSubscriptionAttributes(Action):
    """Change attributes of a subscription. They count for what is published from now on."""

    code: ClassVar[int] = 74
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (NotFound, *_ATTRIBUTES, OverLimit)

    subscription: SubscriptionName
    attributes: GivenAttributes


Subject = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x1f\x7f]{1,99}\Z",
        description="Told in the envelope. Fewer than 100 characters, none of them a control one.",
    ),
]


class PublishEntry(BatchEntry):
    """One message to publish."""

    body: Annotated[Any, Meta(description="Text or bytes, at least one character or byte.")]
    subject: Subject | None = None
    attributes: (
        Annotated[
            dict[Annotated[str, Meta(min_length=1, max_length=256)], MessageAttribute],
            Meta(
                max_length=100,
                description="Name to [type, value]; the type begins with String, Number or Binary.",
            ),
        ]
        | None
    ) = None
    structure: (
        Annotated[
            Literal["json"],
            Meta(
                description="The body is a JSON object: a text for each protocol by its name, and `default`."
            ),
        ]
        | None
    ) = None
    trace_header: TraceHeader | None = None
    group: (
        Annotated[
            EntryToken, Meta(description="The message group: required on a FIFO topic, whose order it is.")
        ]
        | None
    ) = None
    deduplication_id: (
        Annotated[
            EntryToken,
            Meta(
                description="FIFO only: a message with the same one within 5 minutes is accepted, and not "
                "delivered again."
            ),
        ]
        | None
    ) = None


class PublishMessage(Action):
    """Publish messages, in order. Each is accepted, or refused with a reason of its own. All that are
    accepted are delivered to every queue that wants them before the answer comes, in one commit. What a queue
    does not take goes to the subscription's dead-letter queue, or is counted as failed where there is
    none."""

    code: ClassVar[int] = 75
    grows: ClassVar[bool] = True
    batch: ClassVar[str | None] = "entries"
    answer: ClassVar[str] = (
        "A list, one for each entry: the message's id (16 bytes), or an error. Of a FIFO topic a list of the "
        "id and the sequence number (20 digits)."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (
        NotFound,
        EmptyBatchRequest,
        TooManyEntriesInBatchRequest,
        InvalidMessageContents,
        InvalidParameterValue,
    )

    topic: TopicName
    entries: Annotated[list[PublishEntry], BatchSize, Meta(description="The messages, in order.")]


class PublishTogether(PublishMessage):
    """The daemon's own, for AWS's PublishBatch: as PublishMessage, but the messages together are no larger
    than one may be, and without a group or a deduplication id that the topic asks for none is accepted."""

    code: ClassVar[int] = -60


class Signature(msgspec.Struct, frozen=True, gc=False):
    """What a message is published with that was signed before: the id and the time are signed too."""

    id: bytes
    at: int
    version: str
    value: str
    url: str
    """Of the certificate; empty where there is none."""


class PublishSigned(PublishMessage):
    """The daemon's own: as PublishMessage or PublishTogether, with signatures by the number of the entry."""

    code: ClassVar[int] = -63

    signatures: dict[int, Signature]
    together: bool


class Replay(Action):
    """The daemon's own: the next step of a subscription's replay, which begins with this look at the
    archive."""

    code: ClassVar[int] = -62

    number: int
    id: bytes
    look: PeekMessages
