"""With access keys every call is signed, and reaches its own account alone."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.daemon import Daemon
from tests.protocols.aws.raw import Http

ONE, TWO = ("AKIDONE", "a-secret-of-sixteen"), ("111122223333", "another-of-sixteen")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    secrets = ",".join(f"{key}:{secret}" for key, secret in (ONE, TWO))
    directory = tmp_path_factory.mktemp("keys")
    with Daemon(directory, http="127.0.0.1:0", environ={"ROPEWAY_KEYS_SECRETS": secrets}) as running:
        yield running


def sqs(daemon: Daemon, key: tuple[str, str], **more: Any) -> Any:
    return boto3.client(
        "sqs",
        endpoint_url=daemon.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=Config(retries={"max_attempts": 0}),
        **more,
    )


def refusal(client: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as raised:
        client.list_queues()
    response = raised.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_keys_are_verified(daemon: Daemon) -> None:
    assert sqs(daemon, ONE).list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert refusal(sqs(daemon, (ONE[0], "a-wrong-secret"))) == (403, "SignatureDoesNotMatch")
    assert refusal(sqs(daemon, ("AKIDNONE", ONE[1]))) == (403, "InvalidClientTokenId")
    assert refusal(sqs(daemon, ONE, aws_session_token="made up")) == (403, "InvalidClientTokenId")


def test_what_is_not_signed_is_refused_but_health(daemon: Daemon) -> None:
    with Http(daemon.endpoint) as http:
        said = http.json("ListQueues", {})
        assert (said.status, said.headers["x-amzn-query-error"]) == (403, "MissingAuthenticationToken;Sender")
        assert said.json["__type"] == "com.amazon.coral.service#MissingAuthenticationTokenException"
        assert http.json("ListQueues", {}, query_mode=False).status == 400
        assert http.query("ListQueues").xml[0][1].text == "MissingAuthenticationToken"
        assert http.query("GetCallerIdentity").status == 403
        # Nobody without a key learns which operations there are, or what is wrong with parameters.
        assert http.json("Nothing", b"{").headers["x-amzn-query-error"].startswith("MissingAuth")
        assert http.ask("GET", "/health").status == 200
        assert http.ask("OPTIONS", "/", {"Origin": "http://localhost"}).status == 200


def test_a_subscriber_needs_no_key_to_confirm_or_to_end_and_gets_no_further(daemon: Daemon) -> None:
    sns = boto3.client(
        "sns",
        endpoint_url=daemon.endpoint,
        region_name="us-east-1",
        aws_access_key_id=ONE[0],
        aws_secret_access_key=ONE[1],
    )
    topic = sns.create_topic(Name="news")["TopicArn"]
    arn = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:q")
    confirm = f"/?Action=ConfirmSubscription&TopicArn={topic}&Token=00"
    end = f"/?Action=Unsubscribe&SubscriptionArn={arn['SubscriptionArn']}"
    create = {"X-Amz-Target": "AmazonSQS.CreateQueue", "Content-Type": "application/x-amz-json-1.0"}
    with Http(daemon.endpoint) as http:
        said = http.ask("GET", confirm)
        assert (said.status, said.xml[0][2].text) == (400, "Invalid parameter: Token")
        # What a header or a body asks for is another thing, and needs a key.
        for path in (confirm, end):
            assert "MissingAuthenticationToken" in http.ask("GET", path, create, b'{"QueueName":"q"}').text
            assert http.ask("POST", path, {}, b"Action=ListTopics").status == 403
            assert http.ask("POST", path).status == 403
        for path in ("/?Action=ListTopics", f"/?Action=DeleteTopic&TopicArn={topic}"):
            assert http.ask("GET", path).status == 403
        assert len(sns.list_subscriptions()["Subscriptions"]) == 1
        assert http.ask("GET", end).status == 200
    assert not sns.list_subscriptions()["Subscriptions"]


def test_a_signature_for_one_service_is_none_for_another(daemon: Daemon) -> None:
    body = b"Action=ListQueues&Version=2012-11-05"
    asked = AWSRequest(method="POST", url=daemon.endpoint + "/", data=body)
    SigV4Auth(Credentials(*ONE), "sts", "us-east-1").add_auth(asked)
    with Http(daemon.endpoint) as http:
        said = http.ask("POST", "/", {name: str(value) for name, value in asked.headers.items()}, body)
    assert (said.status, said.xml[0][1].text) == (403, "SignatureDoesNotMatch")


def test_a_presigned_get_works(daemon: Daemon) -> None:
    sqs(daemon, ONE).create_queue(QueueName="presigned")
    path = "/000000000000/presigned?Action=SendMessage&MessageBody=by%20get&Version=2012-11-05"
    asked = AWSRequest(method="GET", url=daemon.endpoint + path)
    SigV4QueryAuth(Credentials(*ONE), "sqs", "us-east-1", expires=60).add_auth(asked)
    place = urlsplit(asked.url)
    with Http(daemon.endpoint) as http:
        assert http.ask("GET", f"{place.path}?{place.query}").status == 200
        changed = place.query.replace("by%20get", "by%20hook")
        assert http.ask("GET", f"{place.path}?{changed}").status == 403


def test_an_account_does_not_reach_another_s_queues(daemon: Daemon) -> None:
    one, two = sqs(daemon, ONE), sqs(daemon, TWO)
    url = one.create_queue(QueueName="mine")["QueueUrl"]
    assert url.endswith("/000000000000/mine")
    assert two.create_queue(QueueName="mine")["QueueUrl"].endswith("/111122223333/mine")
    with pytest.raises(ClientError) as raised:
        two.send_message(QueueUrl=url, MessageBody="x")
    assert raised.value.response["Error"]["Code"] == "AccessDenied"
    with pytest.raises(ClientError):
        two.get_queue_url(QueueName="mine", QueueOwnerAWSAccountId="000000000000")


def test_no_secret_and_no_signature_is_in_the_log(daemon: Daemon) -> None:
    said = str(daemon.log) + daemon.said
    for secret in (ONE[1], TWO[1], "a-wrong-secret"):
        assert secret not in said
