"""The operations on subscriptions."""

from __future__ import annotations

from typing import Any, ClassVar

from ropewayd.protocols.aws.call import Call, Operation
from ropewayd.topics import actions as a
from ropewayd.vocabulary.action import Action, convert
from ropewayd.vocabulary.errors import InvalidParameterValue

from .arn import named_topic, subscription_arn, topic_name
from .attributes import SUBSCRIPTION, read, show_subscription
from .topics import PAGE, TopicOperation

LONGEST_TOKEN = 256
_LISTED = {
    "subscription": "SubscriptionArn",
    "owner": "Owner",
    "protocol": "Protocol",
    "endpoint": "Endpoint",
    "topic": "TopicArn",
}


class Subscribe(TopicOperation, kw_only=True):
    """Subscribe a queue, or somebody else, to a topic."""

    has_result: ClassVar[bool] = True

    protocol: str
    endpoint: str | None = None
    attributes: dict[str, str] | None = None
    return_subscription_arn: bool = False

    def action(self, call: Call) -> Action:
        endpoint = self.endpoint or ""
        if self.protocol == "sqs" and not endpoint.startswith("arn:"):
            raise InvalidParameterValue("It is no queue's ARN.", "endpoint")
        asked = {
            "topic": self.topic(call),
            "protocol": self.protocol,
            "endpoint": endpoint or "-",
            "attributes": read(self.attributes or {}, SUBSCRIPTION),
        }
        return convert(a.Subscribe, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        told = self.return_subscription_arn or not answer["pending"]
        return {"SubscriptionArn": answer["subscription"] if told else "pending confirmation"}


class ConfirmSubscription(TopicOperation, kw_only=True):
    """Confirm a subscription with the token that its subscriber was told."""

    has_result: ClassVar[bool] = True

    token: str
    authenticate_on_unsubscribe: str | None = None

    def action(self, call: Call) -> Action:
        if not 0 < len(self.token) <= LONGEST_TOKEN:
            raise InvalidParameterValue("It is no token.", "token")
        said = (self.authenticate_on_unsubscribe or "false").lower()
        if said not in ("true", "false"):
            raise InvalidParameterValue("It is true or false.", "AuthenticateOnUnsubscribe")
        # Who gave no signature cannot ask for one.
        guarded = said == "true" and not call.caller.anonymous
        return a.ConfirmSubscription(token=self.token, topic=named_topic(self.topic_arn), guarded=guarded)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"SubscriptionArn": answer["subscription"]}


class SubscriptionOperation(Operation, kw_only=True):
    """What belongs to one subscription."""

    has_result: ClassVar[bool] = False

    subscription_arn: str

    def subscription(self, call: Call) -> str:
        return subscription_arn(call, self.subscription_arn)


class Unsubscribe(SubscriptionOperation, kw_only=True):
    """End a subscription."""

    def action(self, call: Call) -> Action:
        kind = a.UnsubscribeUnsigned if call.caller.anonymous else a.Unsubscribe
        return kind(subscription=self.subscription(call))


class GetSubscriptionAttributes(SubscriptionOperation, kw_only=True):
    """What a subscription is set to."""

    has_result: ClassVar[bool] = True

    def action(self, call: Call) -> Action:
        return a.GetSubscriptionAttributes(subscription=self.subscription(call))

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return {"Attributes": show_subscription(answer)}


class SetSubscriptionAttributes(SubscriptionOperation, kw_only=True):
    """Change one attribute of a subscription."""

    attribute_name: str
    attribute_value: str | None = None

    def action(self, call: Call) -> Action:
        given = read({self.attribute_name: self.attribute_value or ""}, SUBSCRIPTION)
        asked = {"subscription": self.subscription(call), "attributes": given}
        return convert(a.SetSubscriptionAttributes, asked)


def _listed(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Subscriptions": [
            {aws: each[ours] for ours, aws in _LISTED.items()}
            | ({"SubscriptionArn": "PendingConfirmation"} if each["pending"] else {})
            for each in answer["subscriptions"]
        ]
    }
    if answer["next"] is not None:
        found["NextToken"] = answer["next"]
    return found


class ListSubscriptions(Operation, kw_only=True):
    """The caller's subscriptions, in pages."""

    next_token: str | None = None

    def action(self, call: Call) -> Action:
        asked = {
            "limit": PAGE,
            "after": self.next_token or None,
            "account": call.caller.account,
            "region": call.caller.region,
        }
        return convert(a.ListSubscriptions, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return _listed(answer)


class ListSubscriptionsByTopic(TopicOperation, kw_only=True):
    """The subscriptions to a topic, in pages."""

    has_result: ClassVar[bool] = True

    next_token: str | None = None

    def action(self, call: Call) -> Action:
        asked = {"topic": topic_name(call, self.topic_arn), "limit": PAGE, "after": self.next_token or None}
        return convert(a.ListSubscriptions, asked)

    def output(self, answer: Any, call: Call) -> dict[str, Any]:
        return _listed(answer)
