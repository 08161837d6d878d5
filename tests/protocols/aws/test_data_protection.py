"""Data protection policies: kept with their topic, told, and checked for their form."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.daemon import Daemon
from tests.protocols.aws.clients import client as client_of

ARN = "arn:aws:sns:us-east-1:000000000000:"
POLICY = json.dumps({"Name": "none", "Version": "2021-06-01", "Statement": []})
LONGEST = 30_720
WRONG = "Invalid parameter: DataProtectionPolicy Reason: it is a JSON object of up to 30720 bytes"


@pytest.fixture
def sns(daemon: Daemon) -> Iterator[Any]:
    made = client_of("sns", daemon.endpoint)
    yield made
    made.close()


def policy(sns: Any, topic: str) -> Any:
    return sns.get_data_protection_policy(ResourceArn=topic).get("DataProtectionPolicy")


def error(call: Any, **given: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as raised:
        call(**given)
    said = raised.value.response
    return said["Error"]["Code"], said["Error"]["Message"], said["ResponseMetadata"]["HTTPStatusCode"]


def test_a_policy_is_put_told_changed_and_taken_away(sns: Any) -> None:
    topic = sns.create_topic(Name="plain")["TopicArn"]
    assert policy(sns, topic) is None
    sns.put_data_protection_policy(ResourceArn=topic, DataProtectionPolicy=POLICY)
    assert policy(sns, topic) == POLICY
    longest = json.dumps({"Name": "x" * (LONGEST - 12)})
    assert len(longest) == LONGEST
    sns.put_data_protection_policy(ResourceArn=topic, DataProtectionPolicy=longest)
    assert policy(sns, topic) == longest
    assert "DataProtectionPolicy" not in sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    sns.put_data_protection_policy(ResourceArn=topic, DataProtectionPolicy="")
    assert policy(sns, topic) is None


def test_a_topic_is_made_with_one_and_found_if_it_is_the_same(sns: Any) -> None:
    topic = sns.create_topic(Name="protected", DataProtectionPolicy=POLICY)["TopicArn"]
    assert policy(sns, topic) == POLICY
    for given in ({}, {"DataProtectionPolicy": POLICY}):
        assert sns.create_topic(Name="protected", **given)["TopicArn"] == topic
    assert error(sns.create_topic, Name="protected", DataProtectionPolicy="{}") == (
        "InvalidParameter",
        "Invalid parameter: Attributes Reason: Topic already exists with different attributes",
        400,
    )


@pytest.mark.parametrize("text", ["no JSON", "[]", '"text"', "{" * 2000, json.dumps({"Name": "x" * LONGEST})])
def test_what_is_no_policy_is_refused(sns: Any, text: str) -> None:
    topic = sns.create_topic(Name="strict")["TopicArn"]
    given = {"ResourceArn": topic, "DataProtectionPolicy": text}
    assert error(sns.put_data_protection_policy, **given) == ("InvalidParameter", WRONG, 400)
    made = {"Name": "never", "DataProtectionPolicy": text}
    assert error(sns.create_topic, **made) == ("InvalidParameter", WRONG, 400)
    assert policy(sns, topic) is None


def test_a_fifo_topic_has_none(sns: Any) -> None:
    said = "Invalid parameter: DataProtectionPolicy Reason: a FIFO topic has none"
    fifo = {"Name": "order.fifo", "Attributes": {"FifoTopic": "true"}}
    assert error(sns.create_topic, **fifo, DataProtectionPolicy=POLICY) == ("InvalidParameter", said, 400)
    topic = sns.create_topic(**fifo)["TopicArn"]
    given = {"ResourceArn": topic, "DataProtectionPolicy": POLICY}
    assert error(sns.put_data_protection_policy, **given) == ("InvalidParameter", said, 400)
    assert policy(sns, topic) is None


def test_it_is_no_attribute_by_its_name(sns: Any) -> None:
    topic = sns.create_topic(Name="named")["TopicArn"]
    given = {"TopicArn": topic, "AttributeName": "DataProtectionPolicy", "AttributeValue": POLICY}
    assert error(sns.set_topic_attributes, **given)[0] == "InvalidParameter"


@pytest.mark.parametrize(
    ("arn", "code", "text", "status"),
    [
        (ARN + "nobody", "NotFound", "Topic does not exist", 404),
        ("x", "InvalidParameter", "An ARN must have at least 6 elements, not 1", 400),
        (ARN.replace("us-east-1", "eu-west-1") + "named", "InvalidParameter", "eu-west-1", 400),
    ],
)
def test_there_must_be_such_a_topic(sns: Any, arn: str, code: str, text: str, status: int) -> None:
    for call, more in (
        (sns.get_data_protection_policy, {}),
        (sns.put_data_protection_policy, {"DataProtectionPolicy": POLICY}),
    ):
        said = error(call, ResourceArn=arn, **more)
        assert (said[0], said[2]) == (code, status)
        assert text in said[1]


def test_it_survives_kill_9(tmp_path: Path) -> None:
    with Daemon(tmp_path, http="127.0.0.1:0") as daemon:
        sns = client_of("sns", daemon.endpoint)
        topics = [sns.create_topic(Name=name)["TopicArn"] for name in ("a", "b")]
        for topic in topics:
            sns.put_data_protection_policy(ResourceArn=topic, DataProtectionPolicy=POLICY)
        sns.put_data_protection_policy(ResourceArn=topics[1], DataProtectionPolicy="")
        sns.close()
        daemon.kill()
        daemon.start()
        sns = client_of("sns", daemon.endpoint)
        assert [policy(sns, topic) for topic in topics] == [POLICY, None]
        sns.close()
