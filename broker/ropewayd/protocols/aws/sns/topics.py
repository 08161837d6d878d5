"""The operations on topics themselves."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from ropewayd.protocols.aws.call import Call, Operation, pascal
from ropewayd.topics import actions as a
from ropewayd.vocabulary.action import Action, convert
from ropewayd.vocabulary.errors import InvalidParameterValue
from ropewayd.vocabulary.names import Scope

from .arn import owned_topic, topic_name
from .attributes import TOPIC, read, show_topic

PAGE = 100


class Tag(msgspec.Struct, rename=pascal):
    """One tag."""

    key: str
    value: str = ""


class CreateTopic(Operation, kw_only=True):
    """Make a topic, or find one that is as asked for."""

    name: str
    attributes: dict[str, str] | None = None
    tags: list[Tag] | None = None
    data_protection_policy: str | None = None

    def action(self, call: Call) -> Action:
        if not self.name or ":" in self.name or len(self.name) > 256:
            raise InvalidParameterValue("A topic cannot be called so.", "topic")
        attributes = read(self.attributes or {}, TOPIC)
        if self.data_protection_policy:
            attributes["data_protection_policy"] = self.data_protection_policy
        asked: dict[str, Any] = {"topic": owned_topic(call, self.name), "attributes": attributes}
        if self.tags:
            asked["tags"] = {each.key: each.value for each in self.tags}
        return convert(a.CreateTopic, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"TopicArn": answer["arn"]}


class TopicOperation(Operation, kw_only=True):
    """What belongs to one topic."""

    has_result: ClassVar[bool] = False

    topic_arn: str

    def topic(self, call: Call) -> str:
        return topic_name(call, self.topic_arn)


class DeleteTopic(TopicOperation, kw_only=True):
    """Delete a topic and the subscriptions to it."""

    def action(self, call: Call) -> Action:
        return a.DeleteTopic(topic=self.topic(call))


class ListTopics(Operation, kw_only=True):
    """The ARNs of topics, in order of name, in pages."""

    next_token: str | None = None

    def action(self, call: Call) -> Action:
        asked = {
            "limit": PAGE,
            "after": self.next_token or None,
            "account": call.caller.account,
            "region": call.caller.region,
        }
        return convert(a.ListTopics, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        scope = Scope(call.caller.account, call.caller.region)
        arns = [scope.topic_arn(name.rpartition(":")[2]) for name in answer["topics"]]
        found: dict[str, Any] = {"Topics": [{"TopicArn": arn} for arn in arns]}
        if answer["next"] is not None:
            found["NextToken"] = answer["next"]
        return found


class GetTopicAttributes(TopicOperation, kw_only=True):
    """What a topic is set to."""

    has_result: ClassVar[bool] = True

    def action(self, call: Call) -> Action:
        return a.GetTopicAttributes(topic=self.topic(call))

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"Attributes": show_topic(answer)}


class SetTopicAttributes(TopicOperation, kw_only=True):
    """Change one attribute of a topic."""

    attribute_name: str
    attribute_value: str | None = None

    def action(self, call: Call) -> Action:
        given = read({self.attribute_name: self.attribute_value or ""}, TOPIC)
        return convert(a.SetTopicAttributes, {"topic": self.topic(call), "attributes": given})


class AddPermission(TopicOperation, kw_only=True):
    """Allow other accounts some actions on a topic."""

    label: str
    aws_account_ids: list[str] = msgspec.field(name="AWSAccountId")
    action_names: list[str] = msgspec.field(name="ActionName")

    def action(self, call: Call) -> Action:
        asked = {
            "topic": self.topic(call),
            "label": self.label,
            "accounts": self.aws_account_ids,
            "actions": self.action_names,
        }
        return convert(a.AddTopicPermission, asked)


class RemovePermission(TopicOperation, kw_only=True):
    """Take back what was allowed by a label."""

    label: str

    def action(self, call: Call) -> Action:
        return convert(a.RemoveTopicPermission, {"topic": self.topic(call), "label": self.label})


class PutDataProtectionPolicy(Operation, kw_only=True):
    """Give a topic a data protection policy. It is no attribute at AWS, and one here."""

    has_result: ClassVar[bool] = False

    resource_arn: str
    data_protection_policy: str

    def action(self, call: Call) -> Action:
        topic = topic_name(call, self.resource_arn, "ResourceArn")
        given = {"data_protection_policy": self.data_protection_policy}
        return convert(a.SetTopicAttributes, {"topic": topic, "attributes": given})


class GetDataProtectionPolicy(Operation, kw_only=True):
    """A topic's data protection policy, if it has one."""

    resource_arn: str

    def action(self, call: Call) -> Action:
        return a.GetTopicAttributes(topic=topic_name(call, self.resource_arn, "ResourceArn"))

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        policy = answer.get("data_protection_policy")
        return {} if policy is None else {"DataProtectionPolicy": policy}


class ResourceOperation(Operation, kw_only=True):
    """What is about the tags of a topic."""

    about_tags: ClassVar[bool] = True

    resource_arn: str

    def topic(self, call: Call) -> str:
        return topic_name(call, self.resource_arn, "ResourceArn")


class TagResource(ResourceOperation, kw_only=True):
    """Put tags on a topic."""

    tags: list[Tag]

    def action(self, call: Call) -> Action:
        tags = {each.key: each.value for each in self.tags}
        return convert(a.TagTopic, {"topic": self.topic(call), "tags": tags})


class UntagResource(ResourceOperation, kw_only=True):
    """Take tags from a topic."""

    tag_keys: list[str]

    def action(self, call: Call) -> Action:
        return convert(a.UntagTopic, {"topic": self.topic(call), "keys": self.tag_keys})


class ListTagsForResource(ResourceOperation, kw_only=True):
    """A topic's tags."""

    def action(self, call: Call) -> Action:
        return a.ListTopicTags(topic=self.topic(call))

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"Tags": [{"Key": key, "Value": value} for key, value in answer.items()]}
