"""A queue's access policy: what document it takes, and the statements of permissions in it."""

import json
from typing import Any

import pytest

from ropewayd.queues import actions as a
from ropewayd.queues.policy import check_policy
from ropewayd.vocabulary.errors import InvalidAttributeValue, InvalidParameterValue, OverLimit
from tests.house import House

ARN = "arn:aws:sqs:us-east-1:000000000000:jobs"
STATEMENT = {"Effect": "Allow", "Principal": "*", "Action": "SQS:SendMessage", "Resource": ARN}


def policy(*statements: Any, **rest: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **rest})


async def kept(house: House) -> Any:
    text = (await house.call(a.GetQueueAttributes(queue="jobs"))).get("policy")
    return None if text is None else json.loads(text)


def padded(size: int) -> str:
    bare = policy(STATEMENT, Id="")
    return policy(STATEMENT, Id="x" * (size - len(bare)))


@pytest.mark.parametrize(
    "text",
    [
        policy(STATEMENT),
        json.dumps({"Statement": STATEMENT}),
        policy({**STATEMENT, "Effect": "Deny", "Condition": {"StringLike": {"aws:SourceArn": "a*"}}}),
        policy({"Effect": "Allow", "NotPrincipal": {"AWS": "*"}, "NotAction": "SQS:*"}),
        policy(*[STATEMENT] * 20),
        policy({**STATEMENT, "Principal": {"AWS": ["1"] * 50}}),
        padded(8192),
    ],
)
def test_a_good_document(text: str) -> None:
    assert check_policy(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "JSON"),
        ("[" * 8000, "JSON"),
        ("[]", "object"),
        ("{}", "Statement"),
        (policy(STATEMENT, Version="2020-01-01"), "Version"),
        (policy("x"), "Statement"),
        (policy({**STATEMENT, "Effect": "Maybe"}), "Effect"),
        (policy({"Effect": "Allow", "Action": "*"}), "Principal"),
        (policy({"Effect": "Allow", "Principal": "*"}), "Action"),
        (policy({**STATEMENT, "Condition": []}), "Condition"),
        (policy(*[STATEMENT] * 21), "20"),
        (policy({**STATEMENT, "Principal": {"AWS": ["1"] * 51}}), "50"),
        (policy({**STATEMENT, "Condition": {"StringLike": {str(n): "a" for n in range(11)}}}), "10"),
        (padded(8193), "8192"),
    ],
)
async def test_a_bad_one_is_told_with_what_is_wrong(house: House, text: str, said: str) -> None:
    error = await house.fail(a.CreateQueue(queue="jobs", attributes={"policy": text}))
    assert isinstance(error, InvalidAttributeValue)
    assert error.field == "attributes.policy"
    assert said in error.message


async def test_the_text_is_kept_as_it_was_given_and_compared_by_what_it_says(house: House) -> None:
    text = json.dumps(json.loads(policy(STATEMENT)), indent=2)
    await house.create(policy=text)
    await house.create(policy=policy(STATEMENT))
    assert (await house.call(a.GetQueueAttributes(queue="jobs")))["policy"] == text
    await house.call(a.SetQueueAttributes(queue="jobs", attributes={"policy": ""}))
    assert await kept(house) is None


async def test_permissions_are_statements_in_the_policy(house: House) -> None:
    await house.create()

    async def add(label: str, accounts: list[str], actions: list[str]) -> Any:
        return await house.call(
            a.AddPermission(queue="jobs", label=label, accounts=accounts, actions=actions)
        )

    one, two = "111111111111", "222222222222"
    assert await add("one", [one], ["SendMessage"]) == {}
    assert await add("both", [one, two], ["ReceiveMessage", "DeleteMessage"]) == {}
    first = {
        "Sid": "one",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{one}:root"},
        "Action": "SQS:SendMessage",
        "Resource": ARN,
    }
    second = {
        "Sid": "both",
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::{one}:root", f"arn:aws:iam::{two}:root"]},
        "Action": ["SQS:ReceiveMessage", "SQS:DeleteMessage"],
        "Resource": ARN,
    }
    document = {"Version": "2008-10-17", "Id": f"{ARN}/SQSDefaultPolicy", "Statement": [first, second]}
    assert await kept(house) == document
    again = await add("one", [two], ["SendMessage"])
    assert isinstance(again, InvalidParameterValue)
    assert again.message == "Value one for parameter Label is invalid. Reason: Already exists."
    owners = await add("three", [one], ["DeleteQueue"])
    assert isinstance(owners, InvalidParameterValue)
    assert "DeleteQueue" in owners.message
    await house.restart()
    gone = a.RemovePermission(queue="jobs", label="one")
    assert await house.call(gone) == {}
    assert await kept(house) == {**document, "Statement": [second]}
    missing = await house.fail(gone)
    assert isinstance(missing, InvalidParameterValue)
    assert missing.message == "Value one for parameter Label is invalid. Reason: can't find label."
    await house.call(a.RemovePermission(queue="jobs", label="both"))
    assert await kept(house) is None


async def test_a_permission_that_the_policy_has_no_room_for_is_refused(house: House) -> None:
    await house.create(policy=policy(*[STATEMENT] * 20))
    full = await house.fail(a.AddPermission(queue="jobs", label="more", accounts=["1" * 12], actions=["*"]))
    assert isinstance(full, OverLimit)
    assert "20" in full.message
