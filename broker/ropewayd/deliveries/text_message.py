"""The text message (SMS) that a delivery becomes: to whom, from whom, and in how many parts it travels."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from ropewayd.vocabulary.names import PHONE_NUMBER

from .delivery import Delivery
from .envelope import whole

MAX_CHARACTERS: Final = 1600
"""What one message may hold, as at AWS."""
_NUMBER: Final = re.compile(PHONE_NUMBER)
_SENDER: Final = re.compile(r"(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,11}|\+?[0-9]{3,15}")
_SIMPLE: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The alphabet of GSM 03.38: a text of it alone takes seven bits a character."""
_DOUBLE: Final = frozenset("\f^{}\\[~]|€")
"""What that alphabet writes in two characters."""


class NoText(ValueError):
    """There is no text message that it could become; says why."""


class TextMessage(msgspec.Struct, frozen=True):
    """One text message. `kind` is Promotional or Transactional."""

    id: str
    timestamp: str
    to: str
    sender: str
    kind: str
    text: str
    max_price: float | None

    @property
    def parts(self) -> int:
        """How many messages it is on the way, each of which is paid for."""
        if _SIMPLE.union(_DOUBLE).issuperset(self.text):
            return _parts(len(self.text) + sum(each in _DOUBLE for each in self.text), 160, 153)
        return _parts(len(self.text.encode("utf-16-be")) // 2, 70, 67)


def _parts(length: int, alone: int, together: int) -> int:
    return 1 if length <= alone else -(-length // together)


def is_number(text: str) -> bool:
    """Whether it is a telephone number as E.164 writes one, with its plus."""
    return _NUMBER.fullmatch(text) is not None


def text_message(delivery: Delivery, sender: str, kind: str) -> TextMessage:
    """The message to the endpoint, from `sender` unless the delivery says another. Raises NoText."""
    if not is_number(delivery.endpoint):
        raise NoText("the endpoint is not a telephone number of E.164, as +4930123456")
    text = whole(delivery.body)
    if len(text) > MAX_CHARACTERS:
        raise NoText(f"a text message holds no more than {MAX_CHARACTERS} characters")
    told = delivery.attributes
    sender = told.get("AWS.SNS.SMS.SenderID", ("", sender))[1]
    if sender and _SENDER.fullmatch(sender) is None:
        raise NoText("the sender is not 1 to 11 letters and digits with a letter, or a number")
    kind = told.get("AWS.SNS.SMS.SMSType", ("", kind))[1]
    if kind not in ("Promotional", "Transactional"):
        raise NoText("the type is neither Promotional nor Transactional")
    price = told.get("AWS.SNS.SMS.MaxPrice")
    try:
        max_price = None if price is None else float(price[1])
    except ValueError:
        raise NoText("the maximum price is not a number") from None
    id_ = f"{delivery.message_id}.{delivery.subscription.rpartition(':')[2]}"
    return TextMessage(id_, delivery.timestamp, delivery.endpoint, sender, kind, text, max_price)
