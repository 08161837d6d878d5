"""The actions on mobile applications and endpoints: parameters, ranges, errors and documentation.

They are asked for by AWS's face alone, so that they have no number on the binary protocol.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from ropewayd.queues.actions import MessageAttribute
from ropewayd.topics.actions import Subject
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
    InvalidMessageContents,
    InvalidParameterValue,
    NotFound,
    OverLimit,
    RopewayError,
)
from ropewayd.vocabulary.names import ACCOUNT, REGION

from .application import NAME

MAX_TOKEN = 2048
MAX_USER_DATA = 2048
"""Bytes of UTF-8: AWS's limit."""

ApplicationArn = Annotated[str, Meta(min_length=1, max_length=400, description="The application's ARN.")]
EndpointArn = Annotated[str, Meta(min_length=1, max_length=450, description="The endpoint's ARN.")]
Attributes = Annotated[
    dict[Annotated[str, Meta(max_length=256)], Annotated[str, Meta(max_length=20_480)]],
    Meta(max_length=50, description="By AWS's names."),
]
Limit = Annotated[int, Meta(ge=1, le=1000, description="How many in one answer.")]
After = Annotated[Annotated[str, Meta(max_length=450)] | None, Meta(description="Only those after this ARN.")]
_OWN = "Without it, the daemon's own."
Account = Annotated[str, Meta(pattern=f"^{ACCOUNT}$", description=_OWN)]
Region = Annotated[str, Meta(pattern=f"^{REGION}$", description=_OWN)]


class EndpointDisabled(RopewayError):
    """The endpoint gets no messages: its platform knows its token no more, or it was disabled by a caller."""

    code = "EndpointDisabled"


class CreatePlatformApplication(Action):
    """Make an application, or find the one of this name on this platform and give it these attributes."""

    code: ClassVar[int] = -120
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "A map: `application` (its ARN)."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (InvalidParameterValue, OverLimit)

    name: Annotated[str, Meta(pattern=f"^{NAME}\\Z", description="What it is called.")]
    platform: Annotated[str, Meta(max_length=256, description="ADM, APNS, APNS_SANDBOX, GCM or WNS.")]
    attributes: Attributes
    account: Account | None = None
    region: Region | None = None


class DeletePlatformApplication(Action):
    """Delete an application, every endpoint of it, and what was published to them and is not sent yet. One
    that is not there is fine."""

    code: ClassVar[int] = -121
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (InvalidParameterValue,)

    application: ApplicationArn


class GetPlatformApplicationAttributes(Action):
    """Tell an application's attributes, without its secrets."""

    code: ClassVar[int] = -122
    answer: ClassVar[str] = "A map: each attribute with its value."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (InvalidParameterValue, NotFound)

    application: ApplicationArn


class SetPlatformApplicationAttributes(Action):
    """Change attributes of an application."""

    code: ClassVar[int] = -123
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (InvalidParameterValue, NotFound)

    application: ApplicationArn
    attributes: Attributes


class ListPlatformApplications(Action):
    """List the applications of one account and region, in pages."""

    code: ClassVar[int] = -124
    answer: ClassVar[str] = (
        "A map: `applications` (maps of `application`, its ARN, and `attributes`), `next` (what to give as "
        "`after`, nil at the end)."
    )

    limit: Limit = 100
    after: After = None
    account: Account | None = None
    region: Region | None = None


class CreatePlatformEndpoint(Action):
    """Make an endpoint of an application, or find the one that has this token and these attributes."""

    code: ClassVar[int] = -125
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "A map: `endpoint` (its ARN), `created` (false if it was there)."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (InvalidParameterValue, NotFound, OverLimit)

    application: ApplicationArn
    token: Annotated[
        str, Meta(min_length=1, max_length=MAX_TOKEN, description="What the platform gave the device.")
    ]
    user_data: Annotated[str, Meta(max_length=MAX_USER_DATA, description="Kept and told.")] | None = None
    attributes: Attributes = msgspec.field(default_factory=dict)


class DeleteEndpoint(Action):
    """Delete an endpoint. One that is not there is fine."""

    code: ClassVar[int] = -126
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (InvalidParameterValue,)

    endpoint: EndpointArn


class GetEndpointAttributes(Action):
    """Tell an endpoint's attributes."""

    code: ClassVar[int] = -127
    answer: ClassVar[str] = "A map: each attribute with its value."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (InvalidParameterValue, NotFound)

    endpoint: EndpointArn


class SetEndpointAttributes(Action):
    """Change attributes of an endpoint."""

    code: ClassVar[int] = -128
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "An empty map."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (InvalidParameterValue, NotFound)

    endpoint: EndpointArn
    attributes: Attributes


class DisableEndpoint(Action):
    """The daemon's own: the platform says that this token of the endpoint is good for nothing any more. One
    that has another token since is left alone."""

    code: ClassVar[int] = -130
    answer: ClassVar[str] = "An empty map."

    endpoint: EndpointArn
    token: str


class ListEndpointsByPlatformApplication(Action):
    """List the endpoints of an application, in pages."""

    code: ClassVar[int] = -129
    answer: ClassVar[str] = (
        "A map: `endpoints` (maps of `endpoint`, its ARN, and `attributes`), `next` (what to give as "
        "`after`, nil at the end)."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (InvalidParameterValue, NotFound)

    application: ApplicationArn
    limit: Limit = 100
    after: After = None


class PublishToEndpoint(Action):
    """Send a message to an endpoint. It is accepted when it is on disk, and is sent, and tried again for
    hours where that fails, as to a subscriber by the protocol application."""

    code: ClassVar[int] = -131
    grows: ClassVar[bool] = True
    answer: ClassVar[str] = "A map: `id` (16 bytes)."
    errors: ClassVar[tuple[type[RopewayError], ...]] = (
        EndpointDisabled,
        InvalidMessageContents,
        InvalidParameterValue,
        OverLimit,
    )

    target: EndpointArn
    body: Annotated[str, Meta(description="The text, at least one character.")]
    subject: Subject | None = None
    attributes: (
        Annotated[
            dict[Annotated[str, Meta(min_length=1, max_length=256)], MessageAttribute],
            Meta(
                max_length=100,
                description="Name to [type, value]. `AWS.SNS.MOBILE.APNS.TTL` and the like say how it "
                "is sent.",
            ),
        ]
        | None
    ) = None
    structure: (
        Annotated[
            Literal["json"],
            Meta(
                description="The body is a JSON object: `default`, and a text for each platform (`APNS`, "
                "`GCM` and so on) that is to get another."
            ),
        ]
        | None
    ) = None
