"""The text message (SMS) that a delivery becomes: to whom, from whom, and in how many parts it travels."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from ropewayd.texting.actions import MAX_CHARACTERS
from ropewayd.texting.text import NoText, stated
from ropewayd.vocabulary.names import PHONE_NUMBER

from .delivery import Delivery
from .envelope import whole

_NUMBER: Final = re.compile(PHONE_NUMBER)
_SIMPLE: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The alphabet of GSM 03.38: a text of it alone takes seven bits a character."""
_DOUBLE: Final = frozenset("\f^{}\\[~]|€")
"""What that alphabet writes in two characters."""


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
    said = stated(delivery.attributes, sender, kind)
    own = delivery.subscription.rpartition(":")[2]
    id_ = f"{delivery.message_id}.{own}" if own else delivery.message_id
    return TextMessage(
        id_, delivery.timestamp, delivery.endpoint, said.sender, said.kind, text, said.max_price
    )
