"""What the attributes of a message say of it as a text message: whom it is from, what it is, what it may
cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_SENDER: Final = re.compile(r"(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,11}|\+?[0-9]{3,15}")
_KINDS: Final = ("Promotional", "Transactional")


class NoText(ValueError):
    """There is no text message that it could become; says why."""


class Stated(NamedTuple):
    """`kind` is Promotional or Transactional."""

    sender: str
    kind: str
    max_price: float | None


def stated(told: Mapping[str, tuple[str, Any]], sender: str, kind: str) -> Stated:
    """What the attributes say; else it is from `sender`, and of that kind. Raises NoText."""
    sender = told.get("AWS.SNS.SMS.SenderID", ("", sender))[1]
    if sender and (type(sender) is not str or _SENDER.fullmatch(sender) is None):
        raise NoText("the sender is not 1 to 11 letters and digits with a letter, or a number")
    kind = told.get("AWS.SNS.SMS.SMSType", ("", kind))[1]
    if kind not in _KINDS:
        raise NoText("the type is neither Promotional nor Transactional")
    price = told.get("AWS.SNS.SMS.MaxPrice")
    try:
        return Stated(sender, kind, None if price is None else float(price[1]))
    except ValueError:
        raise NoText("the maximum price is not a number") from None
