"""Queues that no caller can name: another service's, which keeps there what it has yet to do.

They are queues in every other way: what is in them is durable, waits in memory or on disk, and comes back
after its visibility timeout. They belong to no account, so no list has them, and they are called by something
that is longer than any name that a caller can give.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

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


def called(number: int) -> str:
    """What the hidden queue of this number is called."""
    return f"{HIDDEN} {number:0{_LENGTH}}"


def made(number: int, name: str, now: int) -> QueueCreated | OverLimit:
    """A new one of this number, which is the registry's next."""
    if number > MAX_NUMBER:
        return OverLimit("This store has no queue numbers left: move to a new one.", "queue")
    plain = QueueAttributes()
    full: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(plain, retention_period=_RETENTION))
    return QueueCreated(number, name, now, full, HIDDEN, HIDDEN)


def is_hidden(scope: Scope) -> bool:
    """Whether a queue of this scope is one."""
    return scope.account == HIDDEN
