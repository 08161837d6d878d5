"""How things are called: queue names, accounts and regions, ARNs, message ids.

A queue is called by its name where it belongs to the daemon's own account and region, and by its ARN where it
belongs to another. Queues of one name in two accounts or regions have nothing to do with each other.
"""

from __future__ import annotations

import re
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

TOPIC_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}\Z")
"""The rule AWS states for a standard topic's name."""

QUEUE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")
"""The rule AWS states for a standard queue's name."""

ACCOUNT = "[0-9]{12}"
REGION = "[a-z0-9-]{1,32}"

PHONE_NUMBER = r"\+[1-9][0-9]{6,14}"
"""A telephone number as E.164 writes one, with its plus."""

MAX_QUEUE_REFERENCE = 160
"""Characters of a queue's name or ARN."""
MAX_TOPIC_REFERENCE = 340
"""Characters of a topic's name or ARN."""

FIFO_SUFFIX = ".fifo"
"""What the name of a FIFO queue ends with, and no other."""

DEFAULT_ACCOUNT = "000000000000"
DEFAULT_REGION = "us-east-1"

_QUEUE_ARN = re.compile(rf"arn:aws:sqs:({REGION}):({ACCOUNT}):([A-Za-z0-9_.-]{{1,80}})\Z")

_TOPIC_ARN = re.compile(rf"arn:aws:sns:({REGION}):({ACCOUNT}):([A-Za-z0-9_.-]{{1,256}})\Z")
_SUBSCRIPTION_ARN = re.compile(
    r"(arn:aws:sns:[a-z0-9-]{1,32}:[0-9]{12}:[A-Za-z0-9_.-]{1,256}):"
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\Z"
)


class Scope(NamedTuple):
    """Where names are unique: one account's part of one region."""

    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION

    def queue_arn(self, name: str) -> str:
        """The Amazon resource name of a queue here."""
        return f"arn:aws:sqs:{self.region}:{self.account}:{name}"

    def topic_arn(self, name: str) -> str:
        """That of a topic here."""
        return f"arn:aws:sns:{self.region}:{self.account}:{name}"

    def topic_called(self, name: str, home: Scope) -> str:
        """What a topic of this scope is called where `home` is the daemon's own."""
        return name if self == home else self.topic_arn(name)

    def called(self, name: str, home: Scope) -> str:
        """What a queue of this scope is called where `home` is the daemon's own."""
        return name if self == home else self.queue_arn(name)


def page(names: Sequence[str], prefix: str, after: str | None, limit: int) -> tuple[list[str], str | None]:
    """Of names in order, at most `limit` that begin with `prefix` and come after that one; and the last of
    them, if there are more."""
    at = bisect_left(names, prefix)
    if after is not None:
        at = max(at, bisect_right(names, after))
    found: list[str] = []
    for name in names[at : at + limit + 1]:
        if not name.startswith(prefix):
            break
        found.append(name)
    return found[:limit], found[limit - 1] if len(found) > limit else None


def read_queue_arn(arn: str) -> tuple[Scope, str] | None:
    """The scope and the name in a queue's ARN; None if it is no such ARN."""
    found = _QUEUE_ARN.match(arn)
    return (Scope(found[2], found[1]), found[3]) if found else None


def read_topic_arn(arn: str) -> tuple[Scope, str] | None:
    """The scope and the name in a topic's ARN; None if it is no such ARN."""
    found = _TOPIC_ARN.match(arn)
    return (Scope(found[2], found[1]), found[3]) if found else None


def read_subscription_arn(arn: str) -> tuple[str, bytes] | None:
    """The topic's ARN and the id in a subscription's ARN; None if it is no such ARN."""
    found = _SUBSCRIPTION_ARN.match(arn)
    return (found[1], uuid.UUID(found[2]).bytes) if found else None


def show_message_id(raw: bytes) -> str:
    """A message id as people see it: 16 bytes as a UUID."""
    return str(uuid.UUID(bytes=raw))
