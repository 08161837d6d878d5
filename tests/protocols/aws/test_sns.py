"""A program that was written for SNS and SQS works by its endpoint_url alone."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.daemon import Daemon
from tests.protocols.aws.clients import client as client_of
from tests.protocols.aws.raw import Http


@pytest.fixture
def sns(daemon: Daemon) -> Iterator[Any]:
    made = client_of("sns", daemon.endpoint)
    yield made
    made.close()


def queue(client: Any, name: str, **attributes: str) -> tuple[str, str]:
    """Make a queue; its URL and its ARN."""
    url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    said = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, said["Attributes"]["QueueArn"]


def received(client: Any, url: str) -> list[Any]:
    """All that a queue holds, each with its attributes."""
    found: list[Any] = []
    while more := client.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
    ).get("Messages"):
        found += more
    return found


def error(call: Any, **given: Any) -> tuple[str, str, int]:
    """Code, text and status of what goes wrong."""
    with pytest.raises(ClientError) as raised:
        call(**given)
    said = raised.value.response
    return said["Error"]["Code"], said["Error"]["Message"], said["ResponseMetadata"]["HTTPStatusCode"]


def test_what_is_published_arrives_in_the_queue(sns: Any, client: Any) -> None:
    arn = sns.create_topic(Name="news", Tags=[{"Key": "team", "Value": "a"}])["TopicArn"]
    assert arn == "arn:aws:sns:us-east-1:000000000000:news"
    url, queue_arn = queue(client, "readers")
    raw_url, raw_arn = queue(client, "raw-readers")
    subscription = sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)["SubscriptionArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=raw_arn, Attributes={"RawMessageDelivery": "true"})
    attributes = {
        "text": {"DataType": "String", "StringValue": "ä<&"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = sns.publish(TopicArn=arn, Message="hellö", Subject="greeting", MessageAttributes=attributes)

    [got] = received(client, url)
    told = json.loads(got["Body"])
    assert told.pop("Timestamp").endswith("Z")
    unsubscribe = told.pop("UnsubscribeURL")
    assert unsubscribe.endswith(f"/?Action=Unsubscribe&SubscriptionArn={subscription}")
    assert told == {
        "Type": "Notification",
        "MessageId": sent["MessageId"],
        "TopicArn": arn,
        "Subject": "greeting",
        "Message": "hellö",
        "MessageAttributes": {
            "text": {"Type": "String", "Value": "ä<&"},
            "raw": {"Type": "Binary", "Value": "AP8="},
        },
    }
    [got] = received(client, raw_url)
    assert (got["Body"], got["MessageAttributes"]) == ("hellö", attributes)
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "a"}]


def test_the_unsubscribe_url_ends_the_subscription(sns: Any, client: Any, http: Http) -> None:
    arn = sns.create_topic(Name="leaving")["TopicArn"]
    url, queue_arn = queue(client, "leavers")
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
    sns.publish(TopicArn=arn, Message="a")
    address = json.loads(received(client, url)[0]["Body"])["UnsubscribeURL"]
    assert http.ask("GET", f"/?{address.partition('/?')[2]}").status == 200
    assert sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"] == []
    sns.publish(TopicArn=arn, Message="b")
    assert received(client, url) == []


def test_a_topic_is_made_once_and_told(sns: Any) -> None:
    arn = sns.create_topic(
        Name="attributes", Attributes={"DisplayName": "D"}, Tags=[{"Key": "a", "Value": "b"}]
    )["TopicArn"]
    assert sns.create_topic(Name="attributes")["TopicArn"] == arn
    assert sns.create_topic(Name="attributes", Attributes={"DisplayName": "D"})["TopicArn"] == arn
    assert error(sns.create_topic, Name="attributes", Attributes={"DisplayName": "E"}) == (
        "InvalidParameter",
        "Invalid parameter: Attributes Reason: Topic already exists with different attributes",
        400,
    )
    assert error(sns.create_topic, Name="attributes", Tags=[{"Key": "a", "Value": "c"}]) == (
        "InvalidParameter",
        "Invalid parameter: Tags Reason: Topic already exists with different tags",
        400,
    )
    sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="F")
    sns.set_topic_attributes(TopicArn=arn, AttributeName="SQSSuccessFeedbackSampleRate", AttributeValue="7")
    said = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert json.loads(said.pop("Policy"))["Id"] == "__default_policy_ID"
    assert (
        json.loads(said.pop("EffectiveDeliveryPolicy"))["http"]["defaultHealthyRetryPolicy"]["numRetries"]
        == 3
    )
    assert said == {
        "Owner": "000000000000",
        "TopicArn": arn,
        "DisplayName": "F",
        "SubscriptionsPending": "0",
        "SubscriptionsConfirmed": "0",
        "SubscriptionsDeleted": "0",
        "SQSSuccessFeedbackSampleRate": "7",
    }
    role = {"AttributeName": "HTTPFailureFeedbackRoleArn", "AttributeValue": "arn:aws:iam::0:role/r"}
    sns.set_topic_attributes(TopicArn=arn, **role)
    said = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert said["SQSSuccessFeedbackSampleRate"] == "7"
    assert said["HTTPFailureFeedbackRoleArn"] == "arn:aws:iam::0:role/r"
    given = {"SQSSuccessFeedbackSampleRate": "7"}
    assert sns.create_topic(Name="attributes", Attributes=given)["TopicArn"] == arn
    wrong = "HTTPSuccessFeedbackSampleRate must be an integer from 0 to 100"
    for rate in ("101", "-1", "1.5", "many"):
        given = {"AttributeName": "HTTPSuccessFeedbackSampleRate", "AttributeValue": rate}
        assert error(sns.set_topic_attributes, TopicArn=arn, **given) == (
            "InvalidParameter",
            f"Invalid parameter: Attributes Reason: {wrong}",
            400,
        )
    given = {"AttributeName": "SQSSuccessFeedbackSampleRate", "AttributeValue": ""}
    sns.set_topic_attributes(TopicArn=arn, **given)
    assert "SQSSuccessFeedbackSampleRate" not in sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "c", "Value": ""}])
    sns.untag_resource(ResourceArn=arn, TagKeys=["a", "z"])
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "c", "Value": ""}]
    sns.delete_topic(TopicArn=arn)
    sns.delete_topic(TopicArn=arn)
    assert error(sns.get_topic_attributes, TopicArn=arn) == ("NotFound", "Topic does not exist", 404)
    assert error(sns.list_tags_for_resource, ResourceArn=arn) == (
        "ResourceNotFound",
        "Resource does not exist",
        404,
    )


def test_subscriptions_are_made_once_and_told(sns: Any, client: Any) -> None:
    arn = sns.create_topic(Name="subscriptions")["TopicArn"]
    _, queue_arn = queue(client, "subscriber")
    given = {"FilterPolicy": '{"a": ["b"]}', "RawMessageDelivery": "true"}
    asked = {"TopicArn": arn, "Protocol": "sqs", "Endpoint": queue_arn}
    subscription = sns.subscribe(**asked, Attributes=given)["SubscriptionArn"]
    assert sns.subscribe(**asked, Attributes=given)["SubscriptionArn"] == subscription
    assert sns.subscribe(**asked)["SubscriptionArn"] == subscription
    assert error(sns.subscribe, **asked, Attributes={"RawMessageDelivery": "false"}) == (
        "InvalidParameter",
        "Invalid parameter: Attributes Reason: Subscription already exists with different attributes",
        400,
    )
    letters = json.dumps({"deadLetterTargetArn": queue_arn + "-dead"})
    sns.set_subscription_attributes(
        SubscriptionArn=subscription, AttributeName="RedrivePolicy", AttributeValue=letters
    )
    said = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert json.loads(said.pop("RedrivePolicy")) == json.loads(letters)
    assert said == {
        "SubscriptionArn": subscription,
        "TopicArn": arn,
        "Protocol": "sqs",
        "Endpoint": queue_arn,
        "Owner": "000000000000",
        "PendingConfirmation": "false",
        "ConfirmationWasAuthenticated": "true",
        "RawMessageDelivery": "true",
        "FilterPolicy": '{"a": ["b"]}',
        "FilterPolicyScope": "MessageAttributes",
        "SubscriptionPrincipal": "arn:aws:iam::000000000000:root",
    }
    listed = {
        "SubscriptionArn": subscription,
        "Owner": "000000000000",
        "Protocol": "sqs",
        "Endpoint": queue_arn,
        "TopicArn": arn,
    }
    assert sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"] == [listed]
    assert listed in sns.list_subscriptions()["Subscriptions"]
    sns.unsubscribe(SubscriptionArn=subscription)
    sns.unsubscribe(SubscriptionArn=subscription)
    assert error(sns.get_subscription_attributes, SubscriptionArn=subscription) == (
        "NotFound",
        "Subscription does not exist",
        404,
    )


def test_lists_come_in_pages_of_a_hundred(sns: Any) -> None:
    names = [f"page-{n:03}" for n in range(150)]
    arns = [sns.create_topic(Name=name)["TopicArn"] for name in names]
    for n in range(120):
        sns.subscribe(TopicArn=arns[0], Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:000000000000:q{n}")
    pages = list(sns.get_paginator("list_topics").paginate())
    found = [each["TopicArn"] for page in pages for each in page["Topics"]]
    assert [arn for arn in found if ":page-" in arn] == arns
    assert max(len(page["Topics"]) for page in pages) == 100
    for paginator, asked in (
        ("list_subscriptions_by_topic", {"TopicArn": arns[0]}),
        ("list_subscriptions", {}),
    ):
        pages = list(sns.get_paginator(paginator).paginate(**asked))
        endpoints = {
            s["Endpoint"] for page in pages for s in page["Subscriptions"] if s["TopicArn"] == arns[0]
        }
        assert len(endpoints) == 120
        assert len(pages[0]["Subscriptions"]) == 100
    for arn in arns:
        sns.delete_topic(TopicArn=arn)


ARN = "arn:aws:sns:us-east-1:000000000000:wrong"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:q"
NUMBER = {"n": {"DataType": "Number", "StringValue": "x"}}


@pytest.mark.parametrize(
    ("call", "given", "code", "text"),
    [
        ("create_topic", {"Name": "a b"}, "InvalidParameter", "Invalid parameter: Topic Name"),
        ("create_topic", {"Name": "a.fifo"}, "InvalidParameter", "Invalid parameter: Topic Name"),
        (
            "create_topic",
            {"Name": "a", "Attributes": {"FifoTopic": "true"}},
            "InvalidParameter",
            (
                "Invalid parameter: Fifo Topic names must end with .fifo and must be made up of only "
                "uppercase and lowercase ASCII letters, numbers, underscores, and hyphens, and must be "
                "between 1 and 256 characters long."
            ),
        ),
        (
            "create_topic",
            {"Name": "a", "Attributes": {"No": "x"}},
            "InvalidParameter",
            "Invalid parameter: AttributeName",
        ),
        (
            "publish",
            {"TopicArn": "nonsense", "Message": "x"},
            "InvalidParameter",
            "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1",
        ),
        ("publish", {"TopicArn": ARN + "-not", "Message": "x"}, "NotFound", "Topic does not exist"),
        ("publish", {"TopicArn": ARN, "Message": ""}, "InvalidParameter", "Invalid parameter: Empty message"),
        (
            "publish",
            {"TopicArn": ARN, "Message": "x", "Subject": ""},
            "InvalidParameter",
            "Invalid parameter: Subject",
        ),
        (
            "publish",
            {"TopicArn": ARN, "Message": "x", "Subject": "a\nb"},
            "InvalidParameter",
            "Invalid parameter: Subject",
        ),
        (
            "publish",
            {"TopicArn": ARN, "Message": "x" * 262_145},
            "InvalidParameter",
            "Invalid parameter: Message too long",
        ),
        (
            "publish",
            {"TopicArn": ARN, "Message": "{}", "MessageStructure": "json"},
            "InvalidParameter",
            "Invalid parameter: Message Structure - No default entry in JSON message body",
        ),
        (
            "publish",
            {"TopicArn": ARN, "Message": "x", "MessageDeduplicationId": "d"},
            "InvalidParameter",
            (
                "Invalid parameter: MessageDeduplicationId Reason: The request includes "
                "MessageDeduplicationId parameter that is not valid for this topic type"
            ),
        ),
        (
            "publish",
            {"TopicArn": ARN, "Message": "x", "MessageAttributes": NUMBER},
            "ParameterValueInvalid",
            "Could not cast message attribute 'n' value to number.",
        ),
        (
            "subscribe",
            {"TopicArn": ARN, "Protocol": "carrier-pigeon", "Endpoint": QUEUE},
            "InvalidParameter",
            "Invalid parameter: Amazon SNS does not support this protocol string: carrier-pigeon",
        ),
        (
            "subscribe",
            {"TopicArn": ARN, "Protocol": "sqs", "Endpoint": "http://127.0.0.1:4566/000000000000/q"},
            "InvalidParameter",
            "Invalid parameter: SQS endpoint ARN",
        ),
        (
            "subscribe",
            {"TopicArn": ARN, "Protocol": "sqs", "Endpoint": QUEUE + ".fifo"},
            "InvalidParameter",
            (
                "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be "
                "subscribed to standard SNS topics"
            ),
        ),
        (
            "subscribe",
            {"TopicArn": ARN, "Protocol": "https", "Endpoint": "http://example.com/"},
            "InvalidParameter",
            "Invalid parameter: Endpoint must match the specified protocol",
        ),
        (
            "subscribe",
            {
                "TopicArn": ARN,
                "Protocol": "sqs",
                "Endpoint": QUEUE,
                "Attributes": {"FilterPolicy": '{"a": []}'},
            },
            "InvalidParameter",
            "Invalid parameter: FilterPolicy: Empty arrays are not allowed",
        ),
        (
            "unsubscribe",
            {"SubscriptionArn": "pending confirmation"},
            "InvalidParameter",
            "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 1",
        ),
        (
            "confirm_subscription",
            {"TopicArn": ARN, "Token": "x"},
            "InvalidParameter",
            "Invalid parameter: Token",
        ),
    ],
)
def test_errors_have_the_codes_and_texts_of_aws(
    sns: Any, call: str, given: Any, code: str, text: str
) -> None:
    assert sns.create_topic(Name="wrong")["TopicArn"] == ARN
    assert error(getattr(sns, call), **given)[:2] == (code, text)


def test_permissions_are_statements_of_the_policy(sns: Any) -> None:
    arn = sns.create_topic(Name="permissions")["TopicArn"]
    given = {"TopicArn": arn, "Label": "all", "AWSAccountId": ["111122223333"], "ActionName": ["Publish"]}
    sns.add_permission(**given)
    policy = json.loads(sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])
    assert policy["Statement"][1] == {
        "Sid": "all",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "SNS:Publish",
        "Resource": arn,
    }
    assert error(sns.add_permission, **given)[:2] == (
        "InvalidParameter",
        "Invalid parameter: Label Reason: Statement already exists",
    )
    sns.remove_permission(TopicArn=arn, Label="all")
    policy = json.loads(sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])
    assert [each["Sid"] for each in policy["Statement"]] == ["__default_statement_ID"]


def test_topics_of_another_region_are_apart(daemon: Daemon, sns: Any) -> None:
    there = client_of("sns", daemon.endpoint, region="eu-central-1")
    arn = there.create_topic(Name="there")["TopicArn"]
    assert arn == "arn:aws:sns:eu-central-1:000000000000:there"
    assert error(sns.publish, TopicArn=arn, Message="x")[0] == "InvalidParameter"
    assert arn not in [each["TopicArn"] for each in sns.list_topics()["Topics"]]
    there.close()


def test_a_batch_tells_each_entry_by_its_id(sns: Any, client: Any) -> None:
    arn = sns.create_topic(Name="batches", Attributes={"MaximumMessageSize": "2048"})["TopicArn"]
    url, queue_arn = queue(client, "batch-reader")
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"})
    entries = [{"Id": str(n), "Message": f"body {n}"} for n in range(9)]
    entries.insert(4, {"Id": "bad", "Message": ""})

    sent = sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)

    assert [each["Id"] for each in sent["Successful"]] == [str(n) for n in range(9)]
    assert sent["Failed"] == [
        {
            "Id": "bad",
            "Code": "InvalidParameter",
            "Message": "Invalid parameter: Empty message",
            "SenderFault": True,
        }
    ]
    assert [each["Body"] for each in received(client, url)] == [f"body {n}" for n in range(9)]
    one = {"Id": "a", "Message": "x" * 1500}
    for wrong, code in (
        ([], "EmptyBatchRequest"),
        ([{**one, "Id": str(n), "Message": "x"} for n in range(11)], "TooManyEntriesInBatchRequest"),
        ([one, {**one, "Message": "y"}], "BatchEntryIdsNotDistinct"),
        ([{**one, "Id": "a b"}], "InvalidBatchEntryId"),
        ([one, {**one, "Id": "b"}], "BatchRequestTooLong"),
    ):
        assert error(sns.publish_batch, TopicArn=arn, PublishBatchRequestEntries=wrong)[0] == code
    assert received(client, url) == []


def test_a_fifo_topic_keeps_order_and_delivers_once(sns: Any, client: Any) -> None:
    arn = sns.create_topic(
        Name="orders.fifo", Attributes={"FifoTopic": "true", "ContentBasedDeduplication": "false"}
    )["TopicArn"]
    fifo_url, fifo_arn = queue(client, "orders.fifo", FifoQueue="true")
    plain_url, plain_arn = queue(client, "orders")
    for endpoint in (fifo_arn, plain_arn):
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=endpoint)
    asked = {"TopicArn": arn, "MessageGroupId": "g"}
    first = sns.publish(**asked, Message="a", MessageDeduplicationId="1")
    again = sns.publish(**asked, Message="a", MessageDeduplicationId="1")
    second = sns.publish(**asked, Message="b", MessageDeduplicationId="2")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    assert second["SequenceNumber"] > first["SequenceNumber"]
    for url in (fifo_url, plain_url):
        got = received(client, url)
        assert [json.loads(each["Body"])["Message"] for each in got] == ["a", "b"]
        assert json.loads(got[1]["Body"])["SequenceNumber"] == second["SequenceNumber"]
        system = got[0]["Attributes"]
        named = (system.get("MessageGroupId"), system.get("MessageDeduplicationId"))
        assert named == (("g", "1") if url == fifo_url else (None, None))
    assert error(sns.publish, TopicArn=arn, Message="x")[:2] == (
        "InvalidParameter",
        "Invalid parameter: The MessageGroupId parameter is required for FIFO topics",
    )
    missing = (
        "InvalidParameter",
        (
            "Invalid parameter: The topic should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly"
        ),
    )
    assert error(sns.publish, **asked, Message="x")[:2] == missing
    entries = [
        {"Id": "1", "Message": "c", "MessageGroupId": "g", "MessageDeduplicationId": "3"},
        {"Id": "2", "Message": "d", "MessageGroupId": "g"},
    ]
    assert error(sns.publish_batch, TopicArn=arn, PublishBatchRequestEntries=entries)[:2] == missing
    assert received(client, plain_url) == []
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert (attributes["FifoTopic"], attributes["ContentBasedDeduplication"]) == ("true", "false")


def replayed(sns: Any, subscription: str) -> str:
    """Wait for a replay's end; its status."""
    while True:
        said = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
        if said["ReplayStatus"] != "In progress":
            return str(said["ReplayStatus"])


def test_an_archive_is_replayed_through_kill_9(tmp_path: Any) -> None:
    arguments = ("--topics-replay-rate", "200", "--queues-memory-bytes", "1048576")
    with Daemon(tmp_path, *arguments, http="127.0.0.1:0") as running:
        sns, sqs = (client_of(name, running.endpoint) for name in ("sns", "sqs"))
        fifo = {"FifoTopic": "true", "ContentBasedDeduplication": "true"}
        policy = {"ArchivePolicy": '{"MessageRetentionPeriod":"30"}'}
        arn = sns.create_topic(Name="kept.fifo", Attributes={**fifo, **policy})["TopicArn"]
        sent = [
            sns.publish(TopicArn=arn, Message=f"{n:04}{'x' * 50_000}", MessageGroupId="g") for n in range(60)
        ]
        said = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        assert said["ArchivePolicy"] == policy["ArchivePolicy"]
        url, queue_arn = queue(sqs, "late.fifo", FifoQueue="true")
        replay = {"PointType": "Timestamp", "StartingPoint": said["BeginningArchiveTime"]}
        subscription = sns.subscribe(
            TopicArn=arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"ReplayPolicy": json.dumps(replay)}
        )["SubscriptionArn"]
        told = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
        assert (json.loads(told["ReplayPolicy"]), told["ReplayStatus"]) == (replay, "In progress")
        running.kill()
        running.start()
        sns, sqs = (client_of(name, running.endpoint) for name in ("sns", "sqs"))
        assert replayed(sns, subscription) == "Completed"
        got: list[Any] = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            got += [json.loads(each["Body"]) for each in messages]
            for each in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        assert [each["MessageId"] for each in got] == [each["MessageId"] for each in sent]
        assert [each["SequenceNumber"] for each in got] == [each["SequenceNumber"] for each in sent]
        assert got[0]["MessageAttributes"] == {"Replayed": {"Type": "String", "Value": "true"}}
        assert said["BeginningArchiveTime"] <= got[0]["Timestamp"] <= got[-1]["Timestamp"]
        code, text, http = error(sns.delete_topic, TopicArn=arn)
        assert (code, http) == ("InvalidState", 400)
        assert "ArchivePolicy" in text
        sns.set_topic_attributes(TopicArn=arn, AttributeName="ArchivePolicy", AttributeValue="{}")
        assert "ArchivePolicy" not in sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        sns.delete_topic(TopicArn=arn)


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ("{", "ReplayPolicy: failed to parse JSON."),
        ('{"PointType":"Sequence","StartingPoint":"2026-01-01T00:00:00Z"}', "PointType must be Timestamp"),
        ('{"PointType":"Timestamp"}', "StartingPoint must be a timestamp"),
        ('{"PointType":"Timestamp","StartingPoint":"soon"}', "StartingPoint must be a timestamp"),
        (
            '{"PointType":"Timestamp","StartingPoint":"2026-01-02T00:00:00Z","EndingPoint":"2026-01-01T00:00:00Z"}',
            "EndingPoint must be after StartingPoint",
        ),
        ('{"PointType":"Timestamp","Until":""}', "unknown field Until"),
    ],
)
def test_a_wrong_replay_policy_is_told(sns: Any, client: Any, policy: str, text: str) -> None:
    attributes = {"FifoTopic": "true", "ArchivePolicy": '{"MessageRetentionPeriod":1}'}
    arn = sns.create_topic(Name="replays.fifo", Attributes=attributes)["TopicArn"]
    _, queue_arn = queue(client, "replays.fifo", FifoQueue="true")
    subscription = sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)["SubscriptionArn"]
    code, said, http = error(
        sns.set_subscription_attributes,
        SubscriptionArn=subscription,
        AttributeName="ReplayPolicy",
        AttributeValue=policy,
    )
    assert (code, http) == ("InvalidParameter", 400)
    assert said.startswith("Invalid parameter: ReplayPolicy: ")
    assert text in said


@pytest.mark.parametrize(
    "policy", ["{", '{"MessageRetentionPeriod":"0"}', '{"MessageRetentionPeriod":366}', '{"Days":1}']
)
def test_a_wrong_archive_policy_is_told(sns: Any, policy: str) -> None:
    attributes = {"FifoTopic": "true", "ArchivePolicy": policy}
    code, said, http = error(sns.create_topic, Name="wrong.fifo", Attributes=attributes)
    assert (code, http) == ("InvalidParameter", 400)
    assert said.startswith("Invalid parameter: Attributes Reason: ArchivePolicy: ")


def test_what_was_published_survives_kill_9(tmp_path: Any) -> None:
    with Daemon(tmp_path, http="127.0.0.1:0") as daemon:
        sns, sqs = (client_of(name, daemon.endpoint) for name in ("sns", "sqs"))
        arn = sns.create_topic(Name="news")["TopicArn"]
        urls = []
        for n in range(20):
            url, queue_arn = queue(sqs, f"q{n}")
            urls.append(url.rpartition("/")[2])
            sns.subscribe(
                TopicArn=arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"}
            )
        for n in range(10):
            sns.publish(TopicArn=arn, Message=str(n))
        daemon.kill()
        daemon.start()
        sns, sqs = (client_of(name, daemon.endpoint) for name in ("sns", "sqs"))
        sns.publish(TopicArn=arn, Message="10")
        for url in urls:
            assert sorted(int(each["Body"]) for each in received(sqs, url)) == list(range(11))


def test_without_keys_queues_of_any_account_and_region_are_subscribed(sns: Any, daemon: Daemon) -> None:
    arn = sns.create_topic(Name="across")["TopicArn"]
    theirs = client_of("sqs", daemon.endpoint, key="111122223333", region="eu-west-1")
    url, queue_arn = queue(theirs, "theirs")
    assert queue_arn == "arn:aws:sqs:eu-west-1:111122223333:theirs"
    made = sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)["SubscriptionArn"]
    assert made.startswith(arn + ":")
    sns.publish(TopicArn=arn, Message="hello")
    [got] = received(theirs, url)
    assert json.loads(got["Body"])["Message"] == "hello"
    theirs.close()
