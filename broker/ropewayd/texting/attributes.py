"""What may stand in the attributes of an account's text messages, and how a mistake is told."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ropewayd.vocabulary.errors import InvalidAttributeName, InvalidAttributeValue, RopewayError
from ropewayd.vocabulary.fitting import explain

from .actions import SmsAttributes

NAMES: Final = SmsAttributes.__struct_fields__


def read(given: dict[str, Any]) -> dict[str, str | None] | RopewayError:
    """The attributes that were given, each checked; None for one that is to go."""
    for name in given:
        if name not in NAMES:
            return InvalidAttributeName(
                f"Text messages have no attribute {name[:80]!r}. There are: {', '.join(NAMES)}.",
                f"attributes.{name[:80]}",
            )
    gone: dict[str, str | None] = {name: None if value == "" else value for name, value in given.items()}
    try:
        msgspec.convert(gone, SmsAttributes)
    except msgspec.ValidationError as error:
        found = explain(error)
        return InvalidAttributeValue(
            found.message.replace("The field", "The attribute"), f"attributes.{found.field}"
        )
    return gone
