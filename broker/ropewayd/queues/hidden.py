"""Queues that no caller can name: another service's, which keeps there what it has yet to do.

They are queues in every other way: what is in them is durable, waits in memory or on disk, and comes back
after its visibility timeout. They belong to no account, so no list has them, and they are called by something
that is longer than any name that a caller can give.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from ropewayd.vocabulary.errors import OverLimit
from ropewayd.vocabulary.names import Scope

from .actions import QueueAttributes
from .events import QueueCreated
from .records import MAX_NUMBER

HIDDEN: Final = "hidden"
"""What stands for their account."""
_LENGTH: Final = 300
"""No reference to a queue is as long."""
_RETENTION: Final = 1_209_600_000
MAX_SIZE: Final = 16 << 20
"""Bytes of a message, whatever their attributes say: the largest message of all in an envelope, which may
take six characters for one."""


class HiddenAttributes(QueueAttributes, frozen=True):
    """Theirs: what a caller's queue may have, but that messages can be kept for as long as a year."""

    retention_period: Annotated[int, Meta(ge=60_000, le=31_536_000_000)] = _RETENTION


def attributes_of(account: str) -> type[QueueAttributes]:
    """What attributes a queue of this account can have."""
    return HiddenAttributes if account == HIDDEN else QueueAttributes


def called(number: int) -> str:
    """What the hidden queue of this number is called."""
    return f"{HIDDEN} {number:0{_LENGTH}}"


def made(number: int, name: str, now: int, retention: int = _RETENTION) -> QueueCreated | OverLimit:
    """A new one of this number, which is the registry's next."""
    if number > MAX_NUMBER:
        return OverLimit("This store has no queue numbers left: move to a new one.", "queue")
    full: dict[str, Any] = msgspec.to_builtins(HiddenAttributes(retention_period=retention))
    return QueueCreated(number, name, now, full, HIDDEN, HIDDEN)


def is_hidden(scope: Scope) -> bool:
    """Whether a queue of this scope is one."""
    return scope.account == HIDDEN
