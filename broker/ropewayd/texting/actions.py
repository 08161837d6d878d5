"""The actions on telephone numbers: parameters, ranges, defaults, errors and documentation, written once."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from ropewayd.queues.actions import MessageAttribute
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidMessageContents,
    NotFound,
    OptedOut,
    OverLimit,
    RopewayError,
    UnsupportedOperation,
    VerificationException,
)
from ropewayd.vocabulary.names import ACCOUNT, PHONE_NUMBER, REGION

MAX_CHARACTERS: Final = 1600
"""What one text message may hold, as at AWS."""

Number = Annotated[
    str, Meta(pattern=rf"^{PHONE_NUMBER}\Z", description="A telephone number of E.164, as +4930123456.")
]
_OWN = "Without it, the daemon's own."
_After = Annotated[
    Annotated[str, Meta(pattern=rf"^{PHONE_NUMBER}\Z")] | None,
    Meta(description="Only numbers after this one."),
]
_Limit = Annotated[int, Meta(ge=1, le=1000, description="Numbers in one answer.")]


class SmsAttributes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """What an account can set for its text messages. All are texts; an empty one takes it away."""

    monthly_spend_limit: (
        Annotated[
            str,
            Meta(
                pattern=r"^[0-9]{1,9}\Z",
                description="What its messages may cost in a month of UTC, a whole number.",
            ),
        ]
        | None
    ) = None
    delivery_status_iam_role: Annotated[str, Meta(max_length=2048, description="Kept and told.")] | None = (
        None
    )
    delivery_status_success_sampling_rate: (
        Annotated[
            str,
            Meta(
                pattern=r"^(100|[1-9]?[0-9])\Z",
                description="0 to 100: of how many text messages of topics that arrived the log of "
                "deliveries has an entry, in percent. Without it all.",
            ),
        ]
        | None
    ) = None
    default_sender_id: (
        Annotated[
            str,
            Meta(
                pattern=r"^(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,11}\Z",
                description="Whom messages are from that do not say it: 1 to 11 letters and digits, with a "
                "letter.",
            ),
        ]
        | None
    ) = None
    default_sms_type: (
        Annotated[
            Literal["Promotional", "Transactional"],
            Meta(description="What messages are that do not say it. Without it Promotional."),
        ]
        | None
    ) = None
    usage_report_s3_bucket: Annotated[str, Meta(max_length=2048, description="Kept and told.")] | None = None


class Scoped(Action, kw_only=True):
    """Base of them, and no action itself: each is about one account's part of one region."""

    code: ClassVar[int] = 0

    account: Annotated[str, Meta(pattern=rf"^{ACCOUNT}\Z", description=_OWN)] | None = None
    region: Annotated[str, Meta(pattern=rf"^{REGION}\Z", description=_OWN)] | None = None


class SetSmsAttributes(Scoped):
    """Set attributes of an account's text messages. Those not named stay."""

    code: ClassVar[int] = 110
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (
        InvalidAttributeName,
        InvalidAttributeValue,
        OverLimit,
    )

    attributes: Annotated[
        dict[str, Any],
        Meta(
            max_length=100,
            description="By name: `monthly_spend_limit`, `delivery_status_iam_role`, "
            "`delivery_status_success_sampling_rate`, `default_sender_id`, `default_sms_type`, "
            "`usage_report_s3_bucket`, each a text. Empty text takes one away.",
        ),
    ]


class GetSmsAttributes(Scoped):
    """Tell what an account has set for its text messages."""

    code: ClassVar[int] = 111
    answer: ClassVar[str] = (
        "A map: every attribute that is set, and `sandbox` (whether messages go to verified numbers alone)."
    )


class CheckIfPhoneNumberIsOptedOut(Scoped):
    """Tell whether a number gets no text messages."""

    code: ClassVar[int] = 112
    answer: ClassVar[str] = "A map: `opted_out`."

    number: Number


class ListPhoneNumbersOptedOut(Scoped):
    """List the numbers that get no text messages, in pages."""

    code: ClassVar[int] = 113
    answer: ClassVar[str] = "A map: `numbers` (in order), `next` (what to give as `after`, nil at the end)."

    limit: _Limit = 1000
    after: _After = None


class OptInPhoneNumber(Scoped):
    """A number gets text messages again. One that does is fine; one that the settings name stays."""

    code: ClassVar[int] = 114
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (UnsupportedOperation,)

    number: Number


class OptOutPhoneNumber(Scoped):
    """The daemon's own: a gateway said that the number's owner wants no text messages."""

    code: ClassVar[int] = -110
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (OverLimit,)

    number: Number


class CreateSandboxPhoneNumber(Scoped):
    """Put a number into the sandbox, and send it a one-time password that verifies it. One that is there and
    not verified is sent another; one that is verified stays."""

    code: ClassVar[int] = 115
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (OptedOut, OverLimit)

    number: Number
    language: Annotated[
        Literal[
            "en-US",
            "en-GB",
            "es-419",
            "es-ES",
            "de-DE",
            "fr-CA",
            "fr-FR",
            "it-IT",
            "ja-JP",
            "pt-BR",
            "kr-KR",
            "zh-CN",
            "zh-TW",
        ],
        Meta(description="In which the message is."),
    ] = "en-US"


class VerifySandboxPhoneNumber(Scoped):
    """Verify a number of the sandbox with the password that was sent to it, within 15 minutes. After five
    wrong ones it is good for nothing: put the number in again to get another."""

    code: ClassVar[int] = 116
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (NotFound, VerificationException)

    number: Number
    password: Annotated[str, Meta(pattern=r"^[0-9]{5,8}\Z", description="As it was sent, 5 to 8 digits.")]


class DeleteSandboxPhoneNumber(Scoped):
    """Take a number out of the sandbox."""

    code: ClassVar[int] = 117
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (NotFound,)

    number: Number


class ListSandboxPhoneNumbers(Scoped):
    """List the numbers of the sandbox, in pages."""

    code: ClassVar[int] = 118
    answer: ClassVar[str] = (
        "A map: `numbers` (in order, a map each: `number`, `verified`), `next` (what to give as `after`, nil "
        "at the end)."
    )

    limit: _Limit = 1000
    after: _After = None


class PublishText(Scoped):
    """Send a text message to a number. It is accepted when it is on disk, and is sent, and tried again for
    hours where that fails, as to a subscriber by the protocol sms."""

    code: ClassVar[int] = 119
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "A map: `id` (16 bytes)."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (
        InvalidMessageContents,
        OptedOut,
        OverLimit,
        UnsupportedOperation,
    )

    number: Number
    body: Annotated[str, Meta(description="The text, 1 to 1,600 characters of it.")]
    attributes: (
        Annotated[
            dict[Annotated[str, Meta(min_length=1, max_length=256)], MessageAttribute],
            Meta(
                max_length=100,
                description="Name to [type, value]. `AWS.SNS.SMS.SenderID`, `AWS.SNS.SMS.SMSType` and "
                "`AWS.SNS.SMS.MaxPrice` say whom it is from, what it is, and what it may cost.",
            ),
        ]
        | None
    ) = None
    structure: (
        Annotated[
            Literal["json"],
            Meta(description="The body is a JSON object: `default`, and `sms` if that is to be another."),
        ]
        | None
    ) = None
