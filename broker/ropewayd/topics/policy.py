"""A topic's access policy: the one that it has where none is set, and the statements that permissions write.

It is kept as the text that was given. Who may do what by it is not asked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ropewayd.vocabulary.errors import InvalidParameterValue, RopewayError
from ropewayd.vocabulary.policy import labels, with_statement, without_statement

MAX_BYTES: Final = 30_720
GRANTED: Final = (
    "GetTopicAttributes",
    "SetTopicAttributes",
    "AddPermission",
    "RemovePermission",
    "DeleteTopic",
    "Subscribe",
    "ListSubscriptionsByTopic",
    "Publish",
)
"""What a permission can be for."""


def is_object(text: str) -> bool:
    """Whether it is a JSON object that is not too long."""
    try:
        return len(text.encode()) <= MAX_BYTES and type(msgspec.json.decode(text)) is dict
    except (msgspec.DecodeError, RecursionError):
        return False


def default_policy(arn: str, owner: str) -> str:
    """What a topic's policy says where none is set, as AWS tells it."""
    statement = {
        "Effect": "Allow",
        "Sid": "__default_statement_ID",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{each}" for each in GRANTED],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": owner}},
    }
    document = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    return msgspec.json.encode(document).decode()


def permit(
    policy: str, arn: str, label: str, accounts: Sequence[str], actions: Sequence[str]
) -> str | RopewayError:
    """The policy with one more statement, which allows these accounts these actions."""
    document = msgspec.json.decode(policy)
    if label in labels(document):
        return InvalidParameterValue("The label is taken. Reason: Statement already exists", "label")
    for action in actions:
        if action not in GRANTED:
            return InvalidParameterValue(
                "An action is not one of them. Reason: Policy statement action out of service scope!",
                "actions",
            )
    text = with_statement(document, label, arn, accounts, [f"SNS:{action}" for action in actions])
    if not is_object(text):
        return InvalidParameterValue(f"The policy would have more than {MAX_BYTES} bytes.", "accounts")
    return text


def forbid(policy: str, label: str) -> str:
    """The policy without the statement of this label."""
    return without_statement(msgspec.json.decode(policy), label)
