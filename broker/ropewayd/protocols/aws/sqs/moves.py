"""The operations on dead-letter queues: who sends there, and the tasks that move messages back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from ropewayd.protocols.aws.call import Call, Operation
from ropewayd.queues import actions as a
from ropewayd.vocabulary.action import Action, convert
from ropewayd.vocabulary.errors import InvalidParameterValue
from ropewayd.vocabulary.names import read_queue_arn

from .message import read_handle, show_handle
from .queues import MAX_RESULTS, QueueOperation, counted
from .url import owned_name, queue_url

MAX_TASKS: Final = 10
_TASK: Final = {
    "task": "TaskHandle",
    "status": "Status",
    "source": "SourceArn",
    "destination": "DestinationArn",
    "max_messages_per_second": "MaxNumberOfMessagesPerSecond",
    "moved": "ApproximateNumberOfMessagesMoved",
    "to_move": "ApproximateNumberOfMessagesToMove",
    "reason": "FailureReason",
    "started_at": "StartedTimestamp",
}
"""What a task is told as, by the action's names."""
_REASONS: Final = {"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue"}


def named(call: Call, arn: str, parameter: str) -> str:
    """What the actions call the queue of this ARN. Raises InvalidParameterValue, or AccessDenied where it is
    another account's."""
    place = read_queue_arn(arn)
    if place is None:
        raise InvalidParameterValue(
            f"You must use this format to specify the {parameter}: arn:<partition>:<service>:<region>:"
            "<account-id>:<resource-id>",
            parameter,
        )
    return owned_name(call, place[1], place[0].account, place[0].region)


class ListDeadLetterSourceQueues(QueueOperation, kw_only=True):
    """The URLs of the queues whose dead letters come to a queue."""

    has_result: ClassVar[bool] = True
    parameters: ClassVar[Mapping[str, str]] = {"limit": "MaxResults", "after": "NextToken"}
    reasons: ClassVar[Mapping[str, str]] = {"MaxResults": "Must be an integer from 1 to 1000."}

    next_token: str | None = None
    max_results: int | None = None

    def action(self, call: Call) -> Action:
        asked = {
            "queue": self.queue(call),
            "limit": counted(self.max_results, MAX_RESULTS),
            "after": self.next_token,
        }
        return convert(a.ListDeadLetterSourceQueues, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        # The model requires this list, so it is there where it is empty.
        found: dict[str, Any] = {
            "queueUrls": [queue_url(call, name.rpartition(":")[2]) for name in answer["queues"]]
        }
        if answer["next"] is not None and self.max_results is not None:
            found["NextToken"] = answer["next"]
        return found


class StartMessageMoveTask(Operation, kw_only=True):
    """Begin to move a dead-letter queue's messages."""

    parameters: ClassVar[Mapping[str, str]] = {"max_messages_per_second": "MaxNumberOfMessagesPerSecond"}
    reasons: ClassVar[Mapping[str, str]] = {
        "MaxNumberOfMessagesPerSecond": "Must be an integer from 1 to 500."
    }

    source_arn: str
    destination_arn: str | None = None
    max_number_of_messages_per_second: int | None = None

    def action(self, call: Call) -> Action:
        rate, destination = self.max_number_of_messages_per_second, self.destination_arn
        asked = {
            "source": named(call, self.source_arn, "SourceArn"),
            "destination": named(call, destination, "DestinationArn") if destination else None,
            "max_messages_per_second": None if rate is None else counted(rate, 0),
        }
        return convert(a.StartMessageMoveTask, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"TaskHandle": show_handle(answer["task"])}


class CancelMessageMoveTask(Operation, kw_only=True):
    """End a task that is running."""

    task_handle: str

    def action(self, call: Call) -> Action:
        return a.CancelMessageMoveTask(task=read_handle(self.task_handle))

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"ApproximateNumberOfMessagesMoved": answer["moved"]}


class ListMessageMoveTasks(Operation, kw_only=True):
    """The last tasks of a dead-letter queue."""

    parameters: ClassVar[Mapping[str, str]] = {"limit": "MaxResults"}
    reasons: ClassVar[Mapping[str, str]] = {"MaxResults": "Must be an integer from 1 to 10."}

    source_arn: str
    max_results: int | None = None

    def action(self, call: Call) -> Action:
        asked = {"source": named(call, self.source_arn, "SourceArn"), "limit": counted(self.max_results, 1)}
        return convert(a.ListMessageMoveTasks, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"Results": [_told(task) for task in answer["tasks"]]} if answer["tasks"] else {}


def _told(task: Mapping[str, Any]) -> dict[str, Any]:
    told = {aws: task[ours] for ours, aws in _TASK.items() if task.get(ours) is not None}
    if "TaskHandle" in told:
        told["TaskHandle"] = show_handle(told["TaskHandle"])
    if "FailureReason" in told:
        told["FailureReason"] = _REASONS.get(told["FailureReason"], told["FailureReason"])
    return told
