"""A program that was written for AWS works by its endpoint_url alone."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.daemon import Daemon
from tests.protocols.aws.clients import client as client_of


def test_a_message_is_sent_received_and_deleted(client: Any) -> None:
    url = client.create_queue(QueueName="life", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    attributes = {
        "text": {"DataType": "String.note", "StringValue": "ä"},
        "size": {"DataType": "Number", "StringValue": "1.50"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = client.send_message(QueueUrl=url, MessageBody="hello", MessageAttributes=attributes)

    [got] = client.receive_message(
        QueueUrl=url, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"]
    )["Messages"]

    assert (got["MessageId"], got["Body"]) == (sent["MessageId"], "hello")
    assert got["MD5OfBody"] == sent["MD5OfMessageBody"] == "5d41402abc4b2a76b9719d911017c592"
    assert got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert got["MessageAttributes"] == attributes
    assert got["Attributes"]["ApproximateReceiveCount"] == "1"
    assert "Messages" not in client.receive_message(QueueUrl=url)
    client.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    client.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    counts = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == counts["ApproximateNumberOfMessagesNotVisible"] == "0"
    assert counts["VisibilityTimeout"] == "60"


def test_batches_tell_each_entry_by_its_id(client: Any) -> None:
    url = client.create_queue(QueueName="batches")["QueueUrl"]
    entries = [{"Id": str(n), "MessageBody": f"body {n}"} for n in range(9)]
    entries.append({"Id": "bad", "MessageBody": "\x02"})

    sent = client.send_message_batch(QueueUrl=url, Entries=entries)

    assert [each["Id"] for each in sent["Successful"]] == [str(n) for n in range(9)]
    [failed] = sent["Failed"]
    assert (failed["Id"], failed["SenderFault"], failed["Code"]) == ("bad", True, "InvalidMessageContents")
    got = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [each["Body"] for each in got] == [f"body {n}" for n in range(9)]
    handles = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(got)]
    changed = client.change_message_visibility_batch(
        QueueUrl=url, Entries=[{**each, "VisibilityTimeout": 0} for each in handles]
    )
    assert len(changed["Successful"]) == 9
    assert "Failed" not in changed
    deleted = client.delete_message_batch(
        QueueUrl=url, Entries=[*handles, {"Id": "no", "ReceiptHandle": "garbage"}]
    )
    assert len(deleted["Successful"]) == 9
    assert [each["Code"] for each in deleted["Failed"]] == ["ReceiptHandleIsInvalid"]


def test_errors_are_the_exceptions_that_a_program_catches(client: Any) -> None:
    url = client.create_queue(QueueName="errors")["QueueUrl"]
    with pytest.raises(client.exceptions.QueueDoesNotExist) as gone:
        client.send_message(QueueUrl=url + "-not", MessageBody="x")
    assert gone.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    with pytest.raises(client.exceptions.QueueNameExists):
        client.create_queue(QueueName="errors", Attributes={"DelaySeconds": "7"})
    with pytest.raises(client.exceptions.ReceiptHandleIsInvalid):
        client.delete_message(QueueUrl=url, ReceiptHandle="garbage")
    with pytest.raises(client.exceptions.InvalidAttributeName):
        client.get_queue_attributes(QueueUrl=url, AttributeNames=["Nothing"])
    with pytest.raises(client.exceptions.TooManyEntriesInBatchRequest):
        client.send_message_batch(
            QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(11)]
        )
    with pytest.raises(ClientError) as range_error:
        client.receive_message(QueueUrl=url, MaxNumberOfMessages=11)
    assert range_error.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_queues_are_listed_in_pages(client: Any) -> None:
    names = [f"page-{n:02}" for n in range(25)]
    for name in names:
        client.create_queue(QueueName=name)

    pages = list(
        client.get_paginator("list_queues").paginate(
            QueueNamePrefix="page-", PaginationConfig={"PageSize": 10}
        )
    )

    assert [len(page["QueueUrls"]) for page in pages] == [10, 10, 5]
    found = [url.rpartition("/")[2] for page in pages for url in page["QueueUrls"]]
    assert found == names
    assert "QueueUrls" not in client.list_queues(QueueNamePrefix="none-such")


def test_the_caller_has_the_account_that_its_key_names(daemon: Daemon) -> None:
    for key, account in (("anyone", "000000000000"), ("123456789012", "123456789012")):
        sts = client_of("sts", daemon.endpoint, key=key)
        said = sts.get_caller_identity()
        assert (said["Account"], said["Arn"]) == (account, f"arn:aws:iam::{account}:root")
        sts.close()


def test_queues_of_one_name_in_two_accounts_or_regions_are_apart(daemon: Daemon) -> None:
    places = [("anyone", "us-east-1"), ("111122223333", "us-east-1"), ("anyone", "eu-central-1")]
    clients = [client_of("sqs", daemon.endpoint, key=key, region=region) for key, region in places]
    urls = [each.create_queue(QueueName="same")["QueueUrl"] for each in clients]
    for place, each, url in zip(places, clients, urls, strict=True):
        each.send_message(QueueUrl=url, MessageBody=repr(place))

    for place, each, url in zip(places, clients, urls, strict=True):
        got = each.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        assert [message["Body"] for message in got] == [repr(place)]
        account = "000000000000" if place[0] == "anyone" else place[0]
        assert url.endswith(f"/{account}/same")
        assert url in each.list_queues()["QueueUrls"]
        assert each.get_queue_url(QueueName="same")["QueueUrl"] == url
        arn = each.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        assert arn == f"arn:aws:sqs:{place[1]}:{account}:same"
        each.delete_queue(QueueUrl=url)
    for each in clients:
        each.close()
