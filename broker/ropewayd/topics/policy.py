"""A topic's access policy: the one that it has where none is set, and the statements that permissions write.

It is kept as the text that was given. Who may do what by it is not asked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ropewayd.vocabulary.errors import InvalidParameterValue, RopewayError

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
    document: dict[str, Any] = msgspec.json.decode(policy)
    statements = _statements(document)
    if any(_sid(each) == label for each in statements):
        return InvalidParameterValue("The label is taken. Reason: Statement already exists", "label")
    for action in actions:
        if action not in GRANTED:
            return InvalidParameterValue(
                "An action is not one of them. Reason: Policy statement action out of service scope!",
                "actions",
            )
    principals = [f"arn:aws:iam::{account}:root" for account in dict.fromkeys(accounts)]
    granted = [f"SNS:{action}" for action in dict.fromkeys(actions)]
    statement = {
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": principals[0] if len(principals) == 1 else principals},
        "Action": granted[0] if len(granted) == 1 else granted,
        "Resource": arn,
    }
    text = msgspec.json.encode({**document, "Statement": [*statements, statement]}).decode()
    if not is_object(text):
        return InvalidParameterValue(f"The policy would have more than {MAX_BYTES} bytes.", "accounts")
    return text


def forbid(policy: str, label: str) -> str:
    """The policy without the statement of this label."""
    document: dict[str, Any] = msgspec.json.decode(policy)
    rest = [each for each in _statements(document) if _sid(each) != label]
    return msgspec.json.encode({**document, "Statement": rest}).decode()


def _statements(document: dict[str, Any]) -> list[Any]:
    found = document.get("Statement", [])
    return found if type(found) is list else [found]


def _sid(statement: Any) -> object:
    return statement.get("Sid") if type(statement) is dict else None
