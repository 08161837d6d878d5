"""Tokens: texts of 1 to 128 letters, digits and punctuation marks of ASCII, without a space.

In a batch with one in each entry they are looked at together: a pattern in the entry's type would cost each
of them a call.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from .errors import InvalidParameterValue

Token = Annotated[str, Meta(pattern=r"^[!-~]{1,128}\Z")]
EntryToken = Annotated[str, Meta(min_length=1, max_length=128)]
"""One of an entry: who takes the batch looks at its characters."""


def sound(tokens: Iterable[str | None]) -> bool:
    """Whether none of these has a character that it may not have."""
    text = "".join(filter(None, tokens))
    return text.isascii() and " " not in text and text.isprintable()


def token_problem(index: int, **tokens: str | None) -> InvalidParameterValue | None:
    """The error of the first that has, of one entry's by name."""
    for name, token in tokens.items():
        if not sound((token,)):
            field = f"entries[{index}].{name}"
            return InvalidParameterValue(
                f"The field {field} is not valid: it takes letters, digits and punctuation marks of ASCII.",
                field,
            )
    return None
