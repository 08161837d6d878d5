"""A queue's access policy: what document may stand there, and the statements that permissions write into it.

It is kept as the text that was given. Who may do what by it is not asked here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ropewayd.vocabulary.errors import InvalidAttributeValue, InvalidParameterValue, OverLimit, RopewayError
from ropewayd.vocabulary.policy import Document, labels, statements, with_statement, without_statement

MAX_BYTES = 8192
MAX_STATEMENTS = 20
MAX_PRINCIPALS = 50
MAX_CONDITIONS = 10

VERSIONS = ("2012-10-17", "2008-10-17")
GRANTED = frozenset(
    (
        "*",
        "SendMessage",
        "ReceiveMessage",
        "DeleteMessage",
        "ChangeMessageVisibility",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ListDeadLetterSourceQueues",
        "PurgeQueue",
    )
)
"""What a permission can be for. All else is the owner's alone (AWS's rule)."""

_FIELD = "attributes.policy"


def check_policy(text: str) -> RopewayError | None:
    """What is wrong with this document, if anything: AWS's limits, and what each statement must have."""
    size = len(text.encode())
    if size > MAX_BYTES:
        return _wrong(f"has {size} bytes; it takes at most {MAX_BYTES}")
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _wrong("is not JSON")
    if type(document) is not dict:
        return _wrong("is not an object")
    if document.get("Version", VERSIONS[0]) not in VERSIONS:
        return _wrong(f"has a Version that is not one of {', '.join(VERSIONS)}")
    found = statements(document)
    if not found:
        return _wrong("has no Statement")
    return _check_statements(found)


def _check_statements(found: list[Any]) -> RopewayError | None:
    principals = conditions = 0
    for statement in found:
        if type(statement) is not dict:
            return _wrong("has a Statement that is not an object")
        if statement.get("Effect") not in ("Allow", "Deny"):
            return _wrong("has a Statement whose Effect is neither Allow nor Deny")
        for one in ("Principal", "Action"):
            if one not in statement and f"Not{one}" not in statement:
                return _wrong(f"has a Statement without {one} or Not{one}")
        who = statement.get("Principal", statement.get("NotPrincipal"))
        principals += sum(_count(each) for each in who.values()) if type(who) is dict else 1
        when = statement.get("Condition", {})
        if type(when) is not dict:
            return _wrong("has a Condition that is not an object")
        conditions += sum(len(each) if type(each) is dict else 1 for each in when.values())
    for what, count, most in (
        ("statements", len(found), MAX_STATEMENTS),
        ("principals", principals, MAX_PRINCIPALS),
        ("conditions", conditions, MAX_CONDITIONS),
    ):
        if count > most:
            return _wrong(f"has {count} {what}; it takes at most {most}")
    return None


def _count(value: Any) -> int:
    return len(value) if type(value) is list else 1


def _wrong(what: str) -> InvalidAttributeValue:
    return InvalidAttributeValue(f"The attribute policy is not valid: the document {what}.", _FIELD)


def same_policy(one: str | None, other: str | None) -> bool:
    """Whether two documents, as they are kept, say the same."""
    if one is None or other is None:
        return one is other
    return bool(one == other or msgspec.json.decode(one) == msgspec.json.decode(other))


def permit(
    policy: str | None, arn: str, label: str, accounts: list[str], actions: list[str]
) -> str | RopewayError:
    """The policy with one more statement (as AWS writes it), which allows these accounts these actions."""
    document: Document = (
        {"Version": "2008-10-17", "Id": f"{arn}/SQSDefaultPolicy", "Statement": []}
        if policy is None
        else msgspec.json.decode(policy)
    )
    if label in labels(document):
        return InvalidParameterValue(
            f"Value {label} for parameter Label is invalid. Reason: Already exists.", "label"
        )
    for action in actions:
        if action not in GRANTED:
            return InvalidParameterValue(
                f"Value SQS:{action} for parameter ActionName is invalid. Reason: Only the queue owner is "
                "allowed to invoke this action.",
                "actions",
            )
    text = with_statement(document, label, arn, accounts, [f"SQS:{action}" for action in actions])
    problem = check_policy(text)
    if problem is not None:
        return OverLimit(f"One more permission is too much for the queue's policy. {problem.message}")
    return text


def forbid(policy: str | None, label: str) -> str | RopewayError | None:
    """The policy without the statement of this label; None if that was the last one."""
    document: Document = {} if policy is None else msgspec.json.decode(policy)
    found = labels(document)
    if label not in found:
        return InvalidParameterValue(
            f"Value {label} for parameter Label is invalid. Reason: can't find label.", "label"
        )
    return None if all(each == label for each in found) else without_statement(document, label)
