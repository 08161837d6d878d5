"""AWS's rule for text, and its limit for a batch: for those protocols whose users expect them.

The queues themselves take any text that UTF-8 can say, and any bytes. A text that AWS would not take does not
fit into XML, and no SDK of AWS expects it; but the binary protocol carries it well, and to look at every
character of every message would cost all of its users for a rule that is not theirs. So it is asked where a
message comes in by AWS's protocols, and again where one goes out by them: what does not fit goes as bytes do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ropewayd.vocabulary.errors import InvalidMessageContents

from .message import size_of

BATCH_BYTES = 1_048_576
"""Bodies and attributes of all entries of one batch together (AWS's limit). A queue's own maximum for one
message, however low, does not lower it."""

_REFUSED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\r"))


def fits(text: str) -> bool:
    """Whether AWS would take each character."""
    if text.isascii():  # the most frequent, and the cheapest to look through
        raw = text.encode()
        return raw.translate(None, _CONTROLS) == raw
    return text.isprintable() or _REFUSED.search(text) is None


def check_text(text: str, field: str) -> InvalidMessageContents | None:
    """The error of a body, or of an attribute's value, that AWS would not take."""
    if not text:
        return InvalidMessageContents(f"The field {field} is empty; it has at least one character.", field)
    if fits(text):
        return None
    return InvalidMessageContents(
        f"The field {field} holds a character that is not allowed: allowed are #x9, #xA, #xD, #x20 to "
        "#xD7FF, #xE000 to #xFFFD and #x10000 to #x10FFFF.",
        field,
    )


def batch_bytes(entries: Iterable[tuple[str | bytes, Mapping[str, tuple[str, Any]] | None]]) -> int:
    """What the bodies and attributes of a batch count together, as one message's are counted."""
    return sum(size_of(body, attributes) for body, attributes in entries)
