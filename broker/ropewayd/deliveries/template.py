"""The body of a request to an SMS gateway, with places for what differs between messages.

    {"to": {to}, "from": {sender}, "text": {text}}      JSON: a place becomes a string, with its quotes
    To={to}&From={sender}&Body={text}                   form: a place becomes a value, percent-encoded

So nothing in a message can be anything but one value, whatever it holds.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import quote

import msgspec

from .text_message import TextMessage

_PLACE: Final = re.compile(r"\{([a-z_]+)\}")
PLACES: Final = ("to", "text", "sender", "type", "id")
NEEDED: Final = ("to", "text")
CONTENT_TYPES: Final = {"json": "application/json", "form": "application/x-www-form-urlencoded"}


class WrongTemplate(ValueError):
    """Says what is wrong with a template."""


class Template:
    """A template of one form. Raises WrongTemplate."""

    def __init__(self, form: Literal["json", "form"], text: str) -> None:
        self.content_type = CONTENT_TYPES[form]
        self._text = text
        self._json = form == "json"
        named = _PLACE.findall(text)
        if strange := sorted(set(named) - set(PLACES)):
            raise WrongTemplate(f"it has a place {{{strange[0]}}}; there are {_listed(PLACES)}")
        if missing := [each for each in NEEDED if each not in named]:
            raise WrongTemplate(f"it has no place {{{missing[0]}}}")
        try:
            if self._json:
                msgspec.json.decode(_PLACE.sub('""', text).encode())
            text.encode("ascii" if not self._json else "utf-8")
        except (ValueError, RecursionError) as wrong:
            raise WrongTemplate(f"it is not such a body: {wrong}") from None

    def filled(self, message: TextMessage) -> bytes:
        """The body for one message."""
        values = {
            "to": message.to,
            "text": message.text,
            "sender": message.sender,
            "type": message.kind,
            "id": message.id,
        }
        return _PLACE.sub(lambda place: self._shown(values[place[1]]), self._text).encode()

    def _shown(self, value: str) -> str:
        return msgspec.json.encode(value).decode() if self._json else quote(value, safe="")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"{{{each}}}" for each in names)
