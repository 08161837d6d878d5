"""Who can be subscribed besides queues: what endpoints of each protocol look like, and who is asked first."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from ropewayd.vocabulary.errors import InvalidParameterValue
from ropewayd.vocabulary.names import PHONE_NUMBER

PUSHED: Final = frozenset(
    ("http", "https", "email", "email-json", "sms", "lambda", "firehose", "application")
)
"""Protocols that the daemon delivers by itself."""
ASKED: Final = frozenset(("http", "https", "email", "email-json"))
"""Whose subscribers must confirm: anybody could name them."""

_PASSWORD: Final = re.compile(r"\A(https?://[^/?#@]*?:)[^/?#]*@", re.IGNORECASE)
_MAILBOX: Final = re.compile(r"[!-;=?A-~]{1,254}@[A-Za-z0-9.-]{1,253}\Z")
_NUMBER: Final = re.compile(rf"{PHONE_NUMBER}\Z")
_FUNCTION: Final = re.compile(
    r"arn:aws:lambda:[a-z0-9-]{1,32}:[0-9]{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9$_-]{1,128})?\Z"
)
_STREAM: Final = re.compile(
    r"arn:aws:firehose:[a-z0-9-]{1,32}:[0-9]{12}:deliverystream/[A-Za-z0-9_.-]{1,64}\Z"
)
_DEVICE: Final = re.compile(
    r"arn:aws:sns:[a-z0-9-]{1,32}:[0-9]{12}:endpoint/([A-Z0-9_]{1,32})/[A-Za-z0-9_.-]{1,256}/[0-9a-f-]{36}\Z"
)
PLATFORMS: Final = frozenset(("ADM", "APNS", "APNS_SANDBOX", "GCM", "WNS"))
"""Whose devices a message with a structure can have a text of its own for."""
_SHAPES: Final = {
    "application": (_DEVICE, "an endpoint's ARN, arn:aws:sns:REGION:ACCOUNT:endpoint/PLATFORM/NAME/ID"),
    "email": (_MAILBOX, "an address as name@example.org"),
    "email-json": (_MAILBOX, "an address as name@example.org"),
    "sms": (_NUMBER, "a phone number as +4930123456"),
    "lambda": (_FUNCTION, "a function's ARN, arn:aws:lambda:REGION:ACCOUNT:function:NAME"),
    "firehose": (_STREAM, "a stream's ARN, arn:aws:firehose:REGION:ACCOUNT:deliverystream/NAME"),
}


def endpoint_problem(protocol: str, endpoint: str) -> InvalidParameterValue | None:
    """Why nobody of this protocol can be reached there."""
    if protocol in ("http", "https"):
        if _is_url(protocol, endpoint):
            return None
        return InvalidParameterValue(
            f"The endpoint must match the protocol: a URL that begins with {protocol}:// and names a host,"
            " and a port from 1 to 65535 if any.",
            "endpoint",
        )
    shape, said = _SHAPES[protocol]
    if shape.match(endpoint):
        return None
    return InvalidParameterValue(
        f"The endpoint must match the protocol: that of {protocol} is {said}.", "endpoint"
    )


def form_of(protocol: str, endpoint: str) -> str:
    """What a message's structure calls the text for this subscriber: its protocol, or a device's platform."""
    device = _DEVICE.match(endpoint) if protocol == "application" else None
    return protocol if device is None else device[1]


def without_password(endpoint: str) -> str:
    """An endpoint as everybody may see it."""
    return _PASSWORD.sub(r"\1****@", endpoint)


def _is_url(scheme: str, endpoint: str) -> bool:
    if not endpoint.isprintable() or " " in endpoint or "\\" in endpoint:
        return False
    try:
        parts = urlsplit(endpoint)
        return parts.scheme == scheme and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
