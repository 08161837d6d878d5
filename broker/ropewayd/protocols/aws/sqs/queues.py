"""The operations on queues themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from ropewayd.protocols.aws.call import Call, Operation
from ropewayd.queues import actions as a
from ropewayd.vocabulary.action import Action, convert

from .attributes import AWS_NAMES, read_attributes, show_attributes
from .url import owned_name, queue_name, queue_url

MAX_RESULTS = 1000


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

    queue_name: str
    attributes: dict[str, str] | None = None
    tags: dict[str, str] | None = msgspec.field(default=None, name="tags")

    def action(self, call: Call) -> Action:
        name = owned_name(call, self.queue_name, call.caller.account, call.caller.region)
        return convert(a.CreateQueue, {"queue": name, "attributes": read_attributes(self.attributes or {})})

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
        limit = MAX_RESULTS if self.max_results is None else self.max_results
        asked = {
            "prefix": self.queue_name_prefix or "",
            "limit": max(-1, min(limit, 10**6)),
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
