"""What is special about the attributes and the messages of a FIFO queue, and how a mistake is told.

A queue is FIFO from its creation on or never, and its name ends in .fifo exactly then. A message of it has a
group, and a deduplication id: one that was given, or the SHA-256 of its body where the queue is set so.
"""

from __future__ import annotations

import hashlib
from operator import attrgetter
from typing import Any

from ropewayd.vocabulary.errors import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidParameterValue,
    MissingParameter,
    RopewayError,
)
from ropewayd.vocabulary.names import FIFO_SUFFIX, QUEUE_NAME
from ropewayd.vocabulary.tokens import token_problem

from .actions import QueueAttributes, SendEntry

tokens_of = attrgetter("group", "deduplication_id", "token")
"""Those of an entry."""
_ONLY = ("content_based_deduplication", "deduplication_scope", "fifo_throughput_limit")


def name_problem(name: str, fifo: bool) -> RopewayError | None:
    """Whether a queue can be called so."""
    plain = name.removesuffix(FIFO_SUFFIX)
    if fifo and not (plain != name and len(name) <= 80 and QUEUE_NAME.match(plain)):
        return InvalidParameterValue(
            "A FIFO queue's name is 1 to 80 characters of A-Z a-z 0-9 _ and -, and ends in .fifo.", "queue"
        )
    if not fifo and not QUEUE_NAME.match(name):
        more = " One that ends in .fifo is a FIFO queue's: give the attribute fifo."
        return InvalidParameterValue(
            "A queue's name is 1 to 80 characters of A-Z a-z 0-9 _ and -."
            + (more if name.endswith(FIFO_SUFFIX) else ""),
            "queue",
        )
    return None


def attributes_problem(given: dict[str, Any], now: QueueAttributes | None) -> RopewayError | None:
    """Whether these attributes go together. `now`: those that the queue has, None where it is being made."""
    fifo = given.get("fifo", False) if now is None else now.fifo
    if now is not None and given.get("fifo", fifo) != fifo:
        return InvalidAttributeValue(
            "Invalid value for the attribute fifo. Reason: Modifying queue type is not supported.",
            "attributes.fifo",
        )
    for name in _ONLY:
        if name in given and not fifo:
            return InvalidAttributeName(
                f"You can specify the attribute {name} only for a FIFO queue.", f"attributes.{name}"
            )
    now = now or QueueAttributes()
    scope = given.get("deduplication_scope", now.deduplication_scope)
    limit = given.get("fifo_throughput_limit", now.fifo_throughput_limit)
    if limit == "perMessageGroupId" and scope != "messageGroup":
        name = "fifo_throughput_limit" if "fifo_throughput_limit" in given else "deduplication_scope"
        return InvalidAttributeValue(
            "The attribute fifo_throughput_limit can be perMessageGroupId only where deduplication_scope is "
            "messageGroup.",
            f"attributes.{name}",
        )
    return None


def shown(attributes: dict[str, Any]) -> dict[str, Any]:
    """Without those that only a FIFO queue has, where it is none."""
    if attributes["fifo"]:
        return attributes
    return {name: value for name, value in attributes.items() if name != "fifo" and name not in _ONLY}


def entry_problem(attributes: QueueAttributes, entry: SendEntry, index: int) -> RopewayError | None:
    """What keeps an entry out of this queue, FIFO or not, besides its body and attributes."""
    problem = token_problem(
        index, group=entry.group, deduplication_id=entry.deduplication_id, token=entry.token
    )
    if problem is not None:
        return problem
    if not attributes.fifo:
        if entry.deduplication_id is None:
            return None
        return _not_for_this_type(f"entries[{index}].deduplication_id")
    if entry.delay:
        return _not_for_this_type(f"entries[{index}].delay")
    if entry.group is None:
        field = f"entries[{index}].group"
        return MissingParameter(
            f"The field {field} is missing: a message of a FIFO queue has a group.", field
        )
    given = entry.deduplication_id or entry.token
    if given is None and not attributes.content_based_deduplication:
        return InvalidParameterValue(
            "The queue should either have content_based_deduplication enabled or deduplication_id provided "
            "explicitly.",
            f"entries[{index}].deduplication_id",
        )
    return None


def _not_for_this_type(field: str) -> InvalidParameterValue:
    return InvalidParameterValue(
        f"The field {field} is not valid. Reason: The request include parameter that is not valid for this "
        "queue type.",
        field,
    )


def deduplication_id(entry: SendEntry, attributes: QueueAttributes) -> str:
    """The one that was given, else the SHA-256 of the body where the queue is set so, else the token."""
    if entry.deduplication_id is not None:
        return entry.deduplication_id
    if not attributes.content_based_deduplication:
        assert entry.token is not None
        return entry.token
    body = entry.body if type(entry.body) is bytes else entry.body.encode()
    return hashlib.sha256(body).hexdigest()
