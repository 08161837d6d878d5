"""What can happen to mobile applications and endpoints. A message to be sent is an event of the queues.

A tag is fixed for ever (65 to 69 are the mobile applications'). A field can be added at the end with a
default; any other change is a new event with a new tag, and the old one stays readable.
"""

from __future__ import annotations

import msgspec


class ApplicationSet(msgspec.Struct, array_like=True, tag=65, gc=False, frozen=True):
    """An application is made, or has all these attributes from now on; its secrets are among them."""

    number: int
    platform: str
    name: str
    account: str
    region: str
    at: int
    attributes: dict[str, str]


class ApplicationDeleted(msgspec.Struct, array_like=True, tag=66, gc=False, frozen=True):
    """The incarnation is over, and every endpoint of it."""

    number: int


class EndpointSet(msgspec.Struct, array_like=True, tag=67, gc=False, frozen=True):
    """An endpoint is made, or is as this says from now on."""

    number: int
    id: bytes
    token: str
    user_data: str
    enabled: bool


class EndpointDeleted(msgspec.Struct, array_like=True, tag=68, gc=False, frozen=True):
    """The endpoint is over."""

    number: int
    id: bytes


class PushQueueMade(msgspec.Struct, array_like=True, tag=69, gc=False, frozen=True):
    """The hidden queue of what is published to endpoints of this application."""

    number: int
    queue: int
