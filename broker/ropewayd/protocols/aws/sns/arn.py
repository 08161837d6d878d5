"""The ARNs of topics, subscriptions, applications and endpoints, as callers give them."""

from __future__ import annotations

from ropewayd.mobile.application import application_arn_place, read_endpoint_arn
from ropewayd.protocols.aws.call import Call
from ropewayd.vocabulary.errors import AccessDenied, InvalidParameterValue, NotFound
from ropewayd.vocabulary.names import Scope, read_subscription_arn, read_topic_arn

ELEMENTS = 6


def topic_name(call: Call, arn: str, parameter: str = "TopicArn") -> str:
    """What the actions call the topic of this ARN.

    Raises InvalidParameterValue, AccessDenied where it is another account's, and NotFound where no topic can
    have it.
    """
    _check(arn, parameter)
    place = read_topic_arn(arn)
    if place is None:
        raise NotFound(f"No topic has the ARN {arn[:300]}.", "topic")
    scope, name = place
    _own(call, scope, arn)
    if scope.region != call.caller.region:
        raise InvalidParameterValue(f"The topic is in the region {scope.region}.", parameter)
    return scope.topic_called(name, call.home)


def named_topic(arn: str) -> str:
    """A topic's ARN, whoever's and wherever it is. Raises as `topic_name` does."""
    _check(arn, "TopicArn")
    if read_topic_arn(arn) is None:
        raise InvalidParameterValue("It is no topic's ARN.", "TopicArn")
    return arn


def owned_topic(call: Call, name: str) -> str:
    """What the actions call the caller's topic of this name."""
    return Scope(call.caller.account, call.caller.region).topic_called(name, call.home)


def subscription_arn(call: Call, arn: str) -> str:
    """A subscription's ARN, if it can be one. Raises as `topic_name` does."""
    _check(arn, "SubscriptionArn")
    place = read_subscription_arn(arn)
    topic = None if place is None else read_topic_arn(place[0])
    if topic is None:
        raise InvalidParameterValue("It is no subscription's ARN.", "SubscriptionArn")
    _own(call, topic[0], arn)
    return arn


def application_arn(call: Call, arn: str) -> str:
    """A platform application's ARN, if it can be one. Raises as `topic_name` does."""
    return _here(call, arn, "PlatformApplicationArn", application_arn_place(arn))


def endpoint_arn(call: Call, arn: str, parameter: str = "EndpointArn") -> str:
    """An endpoint's ARN, if it can be one. Raises as `topic_name` does."""
    place = read_endpoint_arn(arn)
    return _here(call, arn, parameter, None if place is None else place[0])


def is_endpoint_arn(arn: str) -> bool:
    """Whether it is to be an endpoint's, and not a topic's, whether or not it is well made."""
    return "".join(arn.split(":", 5)[5:]).startswith("endpoint/")


def _here(call: Call, arn: str, parameter: str, scope: Scope | None) -> str:
    """The ARN, if its scope is the caller's."""
    _check(arn, parameter)
    if scope is None:
        raise InvalidParameterValue(f"It is not valid. Reason: {arn[:300]} is no such ARN", parameter)
    _own(call, scope, arn)
    if scope.region != call.caller.region:
        raise InvalidParameterValue(f"It is in the region {scope.region}.", parameter)
    return arn


def _check(arn: str, parameter: str) -> None:
    elements = arn.count(":") + 1
    if elements < ELEMENTS:
        raise InvalidParameterValue(
            f"It is no ARN. Reason: An ARN must have at least {ELEMENTS} elements, not {elements}", parameter
        )


def _own(call: Call, scope: Scope, arn: str) -> None:
    if call.caller.proven and scope.account != call.caller.account:
        raise AccessDenied(
            f"User: arn:aws:iam::{call.caller.account}:root is not authorized to perform: "
            f"SNS:{call.operation} on resource: {arn}"
        )
