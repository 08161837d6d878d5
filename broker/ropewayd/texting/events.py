"""What can happen to telephone numbers. A message that is to be sent is an event of the queues.

A tag is fixed for ever (60 to 64 are these). A field can be added at the end with a default; any other
change is a new event with a new tag, and the old one stays readable.
"""

from __future__ import annotations

import msgspec


class SmsAttributesSet(msgspec.Struct, array_like=True, tag=60, gc=False, frozen=True):
    """Those that changed, with their new values; nil: not set any more."""

    account: str
    region: str
    attributes: dict[str, str | None]


class OptOutChanged(msgspec.Struct, array_like=True, tag=61, gc=False, frozen=True):
    """Whether the number gets text messages of this account. `at`: since when it gets none; 0: it does."""

    account: str
    region: str
    number: str
    at: int


class SandboxNumberChanged(msgspec.Struct, array_like=True, tag=62, gc=False, frozen=True):
    """A number is in the sandbox, and this is known of it now."""

    account: str
    region: str
    number: str
    password: str
    """What verifies it, as it was sent to it; empty: nothing does any more."""
    at: int
    """When that was."""
    wrong: int = 0
    """Wrong passwords since then."""
    verified: bool = False


class SandboxNumberRemoved(msgspec.Struct, array_like=True, tag=63, gc=False, frozen=True):
    """It is not in the sandbox any more."""

    account: str
    region: str
    number: str


class TextQueueMade(msgspec.Struct, array_like=True, tag=64, gc=False, frozen=True):
    """The hidden queue of what this account publishes to numbers."""

    account: str
    region: str
    queue: int
