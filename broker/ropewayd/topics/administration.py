"""Topics as such: made, listed, described, changed, tagged, deleted. State is read, never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ropewayd.kernel.service import Decision, Outcome
from ropewayd.queues.events import QueueDeleted
from ropewayd.queues.owning import check_tags
from ropewayd.queues.registry import Registry as Queues
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import InvalidParameterValue, OverLimit, RopewayError, UnsupportedOperation
from ropewayd.vocabulary.names import Scope, page

from . import actions as a
from . import archive
from . import events as e
from .attributes import name_problem, read_topic
from .policy import default_policy, forbid, permit
from .records import MAX_NUMBER
from .registry import Registry, missing
from .topic import Topic


class Administration:
    """Decides what is asked of a topic as a whole."""

    def __init__(self, registry: Registry, queues: Queues) -> None:
        self._registry = registry
        self._queues = queues

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {
            a.CreateTopic: self.create,
            a.DeleteTopic: self.delete,
            a.ListTopics: self.list_topics,
            a.GetTopicAttributes: self.attributes,
            a.SetTopicAttributes: self.set_attributes,
            a.TagTopic: self.tag,
            a.UntagTopic: self.untag,
            a.ListTopicTags: self.tags,
            a.AddTopicPermission: self.permit,
            a.RemoveTopicPermission: self.forbid,
        }

    def create(self, action: a.CreateTopic, now: int) -> Outcome:
        registry = self._registry
        scope, name = registry.place(action.topic)
        given = read_topic(action.attributes, None)
        if isinstance(given, RopewayError):
            return given
        fifo = given.get("fifo", False)
        problem = name_problem(name, fifo) or archive.problem(given, fifo, registry.limits.archive_standard)
        if problem is not None:
            return problem
        called = scope.topic_called(name, registry.home)
        answer = {"topic": called, "arn": scope.topic_arn(name), "created": False}
        topic = registry.by_name.get(called)
        if topic is not None:
            if any(_differs(topic, attribute, value) for attribute, value in given.items()):
                return InvalidParameterValue(
                    "The topic cannot be made so. Reason: Topic already exists with different attributes",
                    "attributes",
                )
            if action.tags is not None and action.tags != (topic.tags or {}):
                return InvalidParameterValue(
                    "The topic cannot be made so. Reason: Topic already exists with different tags", "tags"
                )
            return Decision(answer)
        most = registry.limits.max_fifo_topics if fifo else registry.limits.max_topics
        if (registry.fifo if fifo else len(registry.by_number) - registry.fifo) >= most:
            kind = "FIFO" if fifo else "standard"
            return OverLimit(f"There are {most} {kind} topics, and that is the limit.", "topic")
        problem = check_tags(action.tags or {})
        if problem is not None:
            return problem
        number = registry.next_number
        if number > MAX_NUMBER:
            return OverLimit("This store has no topic numbers left: move to a new one.", "topic")
        answer["created"] = True
        created = e.TopicCreated(number, name, *scope, now, given, action.tags or None)
        if given.get("archive_days") is None:
            return Decision(answer, (created,))
        events = archive.begun(number, self._queues.next_number, given["archive_days"], now)
        return events if isinstance(events, RopewayError) else Decision(answer, (created, *events))

    def delete(self, action: a.DeleteTopic, now: int) -> Outcome:
        topic = self._registry.find(action.topic)
        if topic is None:
            return Decision({})
        if topic.archive:
            return UnsupportedOperation(
                "The topic cannot be deleted. Reason: it has an ArchivePolicy: deactivate that first",
                "archive_days",
            )
        subscribers = (*topic.subscriptions.values(), *topic.farewells.values())
        hidden = [QueueDeleted(each.number, now) for each in subscribers if each.number]
        return Decision({}, (e.TopicDeleted(topic.number), *hidden))

    def list_topics(self, action: a.ListTopics, now: int) -> Outcome:
        home = self._registry.home
        scope = Scope(action.account or home.account, action.region or home.region)
        names = self._registry.names.get(scope, [])
        found, more = page(names, action.prefix, action.after, action.limit)
        return Decision({"topics": [scope.topic_called(name, home) for name in found], "next": more})

    def attributes(self, action: a.GetTopicAttributes, now: int) -> Outcome:
        topic = self._registry.find(action.topic)
        if topic is None:
            return missing(action.topic)
        answer = msgspec.to_builtins(topic.attributes)
        answer["arn"] = topic.arn
        answer["owner"] = topic.scope.account
        answer["created_at"] = topic.created_at
        answer["confirmed"] = len(topic.subscriptions) - topic.pending
        answer["pending"] = topic.pending
        answer["deleted"] = topic.deleted
        if topic.archive:
            answer["archive_at"] = archive.beginning(topic, now)
        return Decision(answer)

    def set_attributes(self, action: a.SetTopicAttributes, now: int) -> Outcome:
        topic = self._registry.find(action.topic)
        if topic is None:
            return missing(action.topic)
        given = read_topic(action.attributes, topic.attributes)
        if isinstance(given, RopewayError):
            return given
        changed = {name: value for name, value in given.items() if _plain(topic, name) != value}
        problem = archive.problem(given, topic.attributes.fifo, self._registry.limits.archive_standard)
        if problem is not None:
            return problem
        if not changed:
            return Decision({})
        event = e.TopicAttributesSet(topic.number, changed)
        if "archive_days" not in changed:
            return Decision({}, (event,))
        more = archive.changed(topic, changed["archive_days"], self._queues.next_number, now)
        return more if isinstance(more, RopewayError) else Decision({}, (event, *more))

    def tag(self, action: a.TagTopic, now: int) -> Outcome:
        topic = self._registry.find(action.topic)
        if topic is None:
            return missing(action.topic)
        tags = {**(topic.tags or {}), **action.tags}
        problem = check_tags(tags)
        return self._tagged(topic, tags) if problem is None else problem

    def untag(self, action: a.UntagTopic, now: int) -> Outcome:
        topic = self._registry.find(action.topic)
        if topic is None:
            return missing(action.topic)
        gone = set(action.keys)
        return self._tagged(topic, {k: v for k, v in (topic.tags or {}).items() if k not in gone})

    def _tagged(self, topic: Topic, tags: dict[str, str]) -> Outcome:
        return Decision({}, () if tags == (topic.tags or {}) else (e.TopicTagged(topic.number, tags),))

    def tags(self, action: a.ListTopicTags, now: int) -> Outcome:
        topic = self._registry.find(action.topic)
        return missing(action.topic) if topic is None else Decision(dict(topic.tags or {}))

    def permit(self, action: a.AddTopicPermission, now: int) -> Outcome:
        topic = self._registry.find(action.topic)
        if topic is None:
            return missing(action.topic)
        policy = permit(_policy(topic), topic.arn, action.label, action.accounts, action.actions)
        if isinstance(policy, RopewayError):
            return policy
        return Decision({}, (e.TopicAttributesSet(topic.number, {"policy": policy}),))

    def forbid(self, action: a.RemoveTopicPermission, now: int) -> Outcome:
        topic = self._registry.find(action.topic)
        if topic is None:
            return missing(action.topic)
        policy = forbid(_policy(topic), action.label)
        return Decision({}, (e.TopicAttributesSet(topic.number, {"policy": policy}),))


def _policy(topic: Topic) -> str:
    return topic.attributes.policy or default_policy(topic.arn, topic.scope.account)


def _differs(topic: Topic, name: str, value: Any) -> bool:
    """Whether a topic that is there is not as asked for. Of its delivery status attributes those count that
    are given."""
    now = _plain(topic, name)
    return bool(now != value if name != "feedback" else {**now, **value} != now)


def _plain(topic: Topic, name: str) -> Any:
    return msgspec.to_builtins(getattr(topic.attributes, name))
