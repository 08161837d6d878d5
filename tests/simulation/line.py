"""What there is in a history: calls, queues and messages, as the checker knows them."""

from __future__ import annotations

from copy import copy
from typing import Any

import msgspec
from msgspec.structs import replace

from ropewayd.queues import actions as a

SLACK = 400
"""Milliseconds: a tick of the wheel, and the longest time for which a simulated daemon is held up."""
EXPIRY_SLACK = 20_000
"""Retention is enforced a page at a time, ten a second, and pages are small here."""

VISIBLE, IN_FLIGHT, DELAYED = "visible", "in_flight", "delayed"
SETTABLE = a.QueueAttributes.__struct_fields__
FIFO_ONLY = ("fifo", "content_based_deduplication", "deduplication_scope", "fifo_throughput_limit")


def plain(value: Any) -> Any:
    """A value with lists for tuples: msgpack knows one kind of array."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, tuple | list) else value


class Violation(AssertionError):
    """The daemon did what it must never do."""


class Op:
    """One call of a client. `needed`: how many events must be durable before its answer may leave."""

    def __init__(self, number: int, client: str, action: Any) -> None:
        self.number = number
        self.client = client
        self.action = action
        self.life = 0
        self.life_began = 0
        self.asked_at: int | None = None
        self.decided_at: int | None = None
        self.answer: Any = None
        self.events = 0
        self.needed = 0
        self.zombie = False
        self.stopped = False
        self.hurried = False
        self.abandoned = False
        self.delivered = False
        self.moved: list[Any] = []
        """The messages that became dead letters by the decision that answers it."""
        self.moved_much = False

    def __repr__(self) -> str:
        return f"#{self.number} {self.client} {self.action!r}"


class Moves(msgspec.Struct, eq=False):
    """What a daemon does of itself: messages go from one queue to another, by ids and bodies."""

    source: str
    destination: str
    messages: list[tuple[bytes, Any]]
    task: bool = False
    """A move task does it, and these are new messages: the ids are the new ones."""


class Held(msgspec.Struct, eq=False):
    """A message as it must be."""

    id: bytes
    body: Any
    attributes: Any
    sent_at: int
    kind: str
    visible_at: int
    receive_count: int = 0
    first_received_at: int = 0
    doubtful: bool = False
    """Retention may have taken it, or not: a change of the attribute came in between."""
    source: str | None = None
    """The ARN of the queue that it is a dead letter of."""
    moves: int = 0
    """How often it has moved: a handle is of no use after it."""


class Line(msgspec.Struct, eq=False):
    """A queue as it must be. `incarnation` is the number of the call that made it."""

    incarnation: int
    attributes: dict[str, Any]
    created_at: int
    modified_at: int
    messages: dict[Any, Held]
    retention_set_at: int = 0
    look_at: int = 0
    """Before this, retention must have taken none of them."""
    mixed: bool = False
    """Messages came from other queues: what is past its retention can be counted until it is in front."""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    labels: list[str] = msgspec.field(default_factory=list)
    """Of its permissions, in order."""
    task: tuple[str | None] | None = None
    """Of the last move task that empties it: where to, None for where each message came from."""

    def copy(self) -> Line:
        messages = {body: copy(held) for body, held in self.messages.items()}
        own = {"attributes": dict(self.attributes), "tags": dict(self.tags), "labels": list(self.labels)}
        return replace(self, messages=messages, **own)


def require(true: Any, op: Op, sentence: str) -> None:
    if not true:
        raise Violation(f"{sentence}\n  call: {op!r}\n  answer: {op.answer!r}")


def arn(name: str) -> str:
    """Of a queue of this name."""
    return f"arn:aws:sqs:us-east-1:000000000000:{name}"


def named(arn: str) -> str:
    """The name in a queue's ARN."""
    return arn.rpartition(":")[2]
