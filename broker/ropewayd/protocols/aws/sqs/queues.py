"""The operations on queues themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from ropewayd.protocols.aws.call import Call, Operation
from ropewayd.queues import actions as a
from ropewayd.vocabulary.action import Action, convert
from ropewayd.vocabulary.errors import InvalidParameterValue

from .attributes import AWS_NAMES, read_attributes, show_attributes
from .url import MAX_NAME, owned_name, queue_name, queue_url

MAX_RESULTS = 1000


def counted(given: int | None, default: int) -> int:
    """A number as the actions take it. What is out of every range stays out of it."""
    return default if given is None else max(-1, min(given, 10**9))


class QueueOperation(Operation, kw_only=True):
    """What belongs to one queue."""

    needs_queue: ClassVar[bool] = True
    has_result: ClassVar[bool] = False

    queue_url: str | None = None

    def queue(self, call: Call) -> str:
        return queue_name(call, self.queue_url)


class CreateQueue(Operation, kw_only=True):
    """Make a queue, or find one that is as asked for."""

    attribute_terms: ClassVar[Mapping[str, str]] = AWS_NAMES
    parameters: ClassVar[Mapping[str, str]] = {"queue": "QueueName"}
    reasons: ClassVar[Mapping[str, str]] = {
        "QueueName": "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length; "
        "the name of a FIFO queue, where FifoQueue is true, ends in .fifo."
    }

    queue_name: str
    attributes: dict[str, str] | None = None
    tags: dict[str, str] | None = msgspec.field(default=None, name="tags")

    def action(self, call: Call) -> Action:
        if not 1 <= len(self.queue_name) <= MAX_NAME:
            raise InvalidParameterValue("The field queue is not valid.", "queue")
        name = owned_name(call, self.queue_name, call.caller.account, call.caller.region)
        asked = {"queue": name, "attributes": read_attributes(self.attributes or {}), "tags": self.tags or {}}
        return convert(a.CreateQueue, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"QueueUrl": queue_url(call, self.queue_name)}


class DeleteQueue(QueueOperation, kw_only=True):
    """Delete a queue and what is in it."""

    def action(self, call: Call) -> Action:
        return a.DeleteQueue(queue=self.queue(call))


class GetQueueUrl(Operation, kw_only=True):
    """The URL of a queue, by its name."""

    queue_name: str
    queue_owner_aws_account_id: str | None = msgspec.field(default=None, name="QueueOwnerAWSAccountId")

    def action(self, call: Call) -> Action:
        return a.GetQueueAttributes(
            queue=owned_name(call, self.queue_name, self._account(call), call.caller.region)
        )

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"QueueUrl": queue_url(call, self.queue_name, self._account(call))}

    def _account(self, call: Call) -> str:
        return self.queue_owner_aws_account_id or call.caller.account


class ListQueues(Operation, kw_only=True):
    """The URLs of queues, in order of name, in pages if the caller says how long one is."""

    parameters: ClassVar[Mapping[str, str]] = {
        "prefix": "QueueNamePrefix",
        "limit": "MaxResults",
        "after": "NextToken",
    }
    reasons: ClassVar[Mapping[str, str]] = {"MaxResults": "Must be an integer from 1 to 1000."}

    queue_name_prefix: str | None = None
    next_token: str | None = None
    max_results: int | None = None

    def action(self, call: Call) -> Action:
        asked = {
            "prefix": self.queue_name_prefix or "",
            "limit": counted(self.max_results, MAX_RESULTS),
            "after": self.next_token,
            "account": call.caller.account,
            "region": call.caller.region,
        }
        return convert(a.ListQueues, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if answer["queues"]:
            found["QueueUrls"] = [queue_url(call, name.rpartition(":")[2]) for name in answer["queues"]]
        if answer["next"] is not None and self.max_results is not None:
            found["NextToken"] = answer["next"]
        return found


class GetQueueAttributes(QueueOperation, kw_only=True):
    """What a queue is set to, and how much it holds."""

    has_result: ClassVar[bool] = True

    attribute_names: list[str] | None = None

    def action(self, call: Call) -> Action:
        return a.GetQueueAttributes(queue=self.queue(call))

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        shown = show_attributes(answer, self.attribute_names or ())
        return {"Attributes": shown} if shown else {}


class SetQueueAttributes(QueueOperation, kw_only=True):
    """Change what a queue is set to."""

    attribute_terms: ClassVar[Mapping[str, str]] = AWS_NAMES

    attributes: dict[str, str]

    def action(self, call: Call) -> Action:
        return convert(
            a.SetQueueAttributes, {"queue": self.queue(call), "attributes": read_attributes(self.attributes)}
        )


class PurgeQueue(QueueOperation, kw_only=True):
    """Delete what is in a queue."""

    def action(self, call: Call) -> Action:
        return a.PurgeQueue(queue=self.queue(call))


class TagQueue(QueueOperation, kw_only=True):
    """Put tags on a queue."""

    tags: dict[str, str]

    def action(self, call: Call) -> Action:
        return convert(a.TagQueue, {"queue": self.queue(call), "tags": self.tags})


class UntagQueue(QueueOperation, kw_only=True):
    """Take tags from a queue."""

    tag_keys: list[str]

    def action(self, call: Call) -> Action:
        return convert(a.UntagQueue, {"queue": self.queue(call), "keys": self.tag_keys})


class ListQueueTags(QueueOperation, kw_only=True):
    """A queue's tags."""

    has_result: ClassVar[bool] = True

    def action(self, call: Call) -> Action:
        return a.ListQueueTags(queue=self.queue(call))

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"Tags": answer} if answer else {}


class AddPermission(QueueOperation, kw_only=True):
    """Allow other accounts some actions on a queue."""

    parameters: ClassVar[Mapping[str, str]] = {
        "label": "Label",
        "accounts": "AWSAccountIds",
        "actions": "Actions",
    }
    reasons: ClassVar[Mapping[str, str]] = {
        "Label": "Must be 1 to 80 alphanumeric characters, hyphens or underscores.",
        "AWSAccountIds": "Each is twelve digits, and there are 1 to 50.",
        "Actions": "There are 1 to 7.",
    }

    label: str
    aws_account_ids: list[str] = msgspec.field(name="AWSAccountIds")
    actions: list[str]

    def action(self, call: Call) -> Action:
        asked = {
            "queue": self.queue(call),
            "label": self.label,
            "accounts": self.aws_account_ids,
            "actions": self.actions,
        }
        return convert(a.AddPermission, asked)


class RemovePermission(QueueOperation, kw_only=True):
    """Take back what was allowed by a label."""

    parameters: ClassVar[Mapping[str, str]] = {"label": "Label"}
    reasons: ClassVar[Mapping[str, str]] = AddPermission.reasons

    label: str

    def action(self, call: Call) -> Action:
        return convert(a.RemovePermission, {"queue": self.queue(call), "label": self.label})
