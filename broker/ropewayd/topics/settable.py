"""What can be set on topics and subscriptions: each attribute with its range, default and meaning.

Times are milliseconds. The ranges are AWS's unless the text says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class TopicAttributes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """What can be set on a topic."""

    display_name: Annotated[str, Meta(max_length=100, description="What people are shown.")] = ""
    policy: Annotated[
        str | None, Meta(description="The access policy, JSON of up to 30,720 bytes. Empty text removes it.")
    ] = None
    delivery_policy: Annotated[
        str | None,
        Meta(description="The delivery policy, a JSON object, kept and told. Empty text removes it."),
    ] = None
    kms_master_key_id: (
        Annotated[str, Meta(max_length=2048, description="A KMS key's id, kept and told.")] | None
    ) = None
    signature_version: (
        Annotated[
            Literal["1", "2"], Meta(description="How web hooks' messages are signed: by SHA-1 or SHA-256.")
        ]
        | None
    ) = None
    tracing_config: Annotated[Literal["PassThrough", "Active"], Meta(description="Kept and told.")] | None = (
        None
    )
    maximum_message_size: (
        Annotated[
            int,
            Meta(
                ge=1024,
                le=1_048_576,
                description="Bytes of body and attributes of one message, and of all in a batch. Without it "
                "262,144.",
            ),
        ]
        | None
    ) = None
    fifo: Annotated[
        bool,
        Meta(
            description="A FIFO topic: order within each message group, and no duplicates. Only at its "
            "creation, and its name ends in `.fifo` exactly then."
        ),
    ] = False
    content_based_deduplication: Annotated[
        bool,
        Meta(
            description="FIFO only: a message without a deduplication id has the SHA-256 of its body, in hex."
        ),
    ] = False
    fifo_throughput_scope: Annotated[
        Literal["Topic", "MessageGroup"],
        Meta(description="FIFO only: where a deduplication id is the same message, in the topic or a group."),
    ] = "Topic"
    archive_days: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=365,
                description="For how many days what is published is kept, to be replayed. FIFO only, unless "
                "a setting says otherwise. Empty text removes it, and all that was kept.",
            ),
        ]
        | None
    ) = None
    feedback: Annotated[
        dict[
            Annotated[str, Meta(pattern=r"^[A-Za-z]{1,64}\Z")],
            Annotated[str, Meta(max_length=2048)],
        ],
        Meta(
            max_length=15,
            description="AWS's delivery status attributes by name. Those not named stay; empty text removes "
            "one. A SuccessFeedbackSampleRate, 0 to 100, says of how many successes the log of deliveries "
            "has an entry, in percent; without it, all. Roles are kept and told.",
        ),
    ] = msgspec.field(default_factory=dict)
    data_protection_policy: Annotated[
        str | None,
        Meta(
            description="Standard topics only: the data protection policy, a JSON object of up to 30,720 "
            "bytes, kept and told. Empty text removes it."
        ),
    ] = None


class DeadLetters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Where a subscription's messages go that it cannot deliver."""

    dead_letter_target_arn: Annotated[
        str, Meta(min_length=1, max_length=160, description="The dead-letter queue: its ARN, or its name.")
    ]


class ReplayPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """Of what time a subscription gets again what its topic's archive holds."""

    starting_point: Annotated[int, Meta(ge=0, description="From when on.")]
    ending_point: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description="Until when; what is published later does not come. Without it, all, "
            "and then what is new."
        ),
    ] = None


class SubscriptionAttributes(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, omit_defaults=True
):
    """What can be set on a subscription."""

    raw_message_delivery: Annotated[
        bool,
        Meta(description="The message as it was published, with its attributes, in place of the envelope."),
    ] = False
    filter_policy: Annotated[
        str | None,
        Meta(description="Which messages it wants: a filter policy as JSON. Empty text removes it."),
    ] = None
    filter_policy_scope: Annotated[
        Literal["MessageAttributes", "MessageBody"],
        Meta(description="What of a message the filter policy looks at."),
    ] = "MessageAttributes"
    redrive_policy: Annotated[
        DeadLetters | None,
        Meta(description="Where messages go that its queue does not take; see below."),
    ] = None
    delivery_policy: Annotated[
        str | None,
        Meta(
            description="Of http and https: how often, how soon and as what type messages are sent, a JSON "
            "object. Empty text removes it."
        ),
    ] = None
    replay_policy: Annotated[
        ReplayPolicy | None,
        Meta(
            description="Deliver again what the topic's archive holds from `starting_point` to `ending_point`"
            " (times; the latter may be left out). Empty text ends that."
        ),
    ] = None
    subscription_role_arn: (
        Annotated[str, Meta(max_length=2048, description="Of firehose; kept and told.")] | None
    ) = None
