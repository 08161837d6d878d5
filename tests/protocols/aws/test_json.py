"""JSON 1.0 on the wire: what is compared here are bytes and headers, not what an SDK makes of them."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.protocols.aws.raw import JSON, Http
from tests.service.wire import Wire


@pytest.fixture
def url(http: Http, request: pytest.FixtureRequest) -> str:
    name = re.sub("[^A-Za-z0-9]+", "-", request.node.name)[:80]
    made: str = http.json("CreateQueue", {"QueueName": name}).json["QueueUrl"]
    return made


def test_a_success_without_output_is_an_empty_object(http: Http, url: str) -> None:
    said = http.json("PurgeQueue", {"QueueUrl": url})

    assert (said.status, said.body) == (200, b"{}")
    assert said.headers["content-type"] == JSON
    assert said.headers["x-amzn-requestid"]
    assert said.headers["date"]


def test_what_is_empty_is_an_absent_key(http: Http, url: str) -> None:
    assert http.json("ReceiveMessage", {"QueueUrl": url}).body == b"{}"
    assert http.json("GetQueueAttributes", {"QueueUrl": url}).body == b"{}"
    assert http.json("ListQueues", {"QueueNamePrefix": "no-such-queue"}).body == b"{}"
    sent = http.json("SendMessageBatch", {"QueueUrl": url, "Entries": [{"Id": "a", "MessageBody": "x"}]})
    assert list(sent.json) == ["Successful"]


def test_an_error_has_its_type_its_text_and_its_query_code(http: Http, url: str) -> None:
    said = http.json("SendMessage", {"QueueUrl": url + "-gone", "MessageBody": "x"})

    assert said.status == 400
    assert said.json == {
        "__type": "com.amazonaws.sqs#QueueDoesNotExist",
        "message": "The specified queue does not exist.",
    }
    assert said.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"


def test_statuses_are_those_of_query_only_where_the_client_asks_for_that(http: Http, url: str) -> None:
    for query_mode, status in ((True, 404), (False, 400)):
        said = http.json(
            "DeleteMessage", {"QueueUrl": url, "ReceiptHandle": "garbage"}, query_mode=query_mode
        )
        assert (said.status, said.json["__type"]) == (status, "com.amazonaws.sqs#ReceiptHandleIsInvalid")
        assert said.json["message"] == 'The input receipt handle "garbage" is not a valid receipt handle.'


def test_a_call_may_come_on_the_queue_s_own_path(http: Http, url: str) -> None:
    path = "/" + url.split("/", 3)[3]
    assert http.json("SendMessage", {"QueueUrl": url, "MessageBody": "there"}, target=path).status == 200
    # Without a QueueUrl the path says which queue it is.
    [got] = http.json("ReceiveMessage", {}, target=path).json["Messages"]
    assert got["Body"] == "there"


@pytest.mark.parametrize(
    "called",
    [
        "{name}",
        "/000000000000/{name}",
        "http://elsewhere:1234/000000000000/{name}",
        "https://sqs.us-east-1.amazonaws.com/000000000000/{name}",
        "http://elsewhere/queue/us-east-1/000000000000/{name}",
        "http://elsewhere/000000000000/{name}/",
    ],
)
def test_a_queue_is_known_by_account_and_name_whatever_the_host(http: Http, called: str) -> None:
    http.json("CreateQueue", {"QueueName": "called"})
    said = http.json("SendMessage", {"QueueUrl": called.format(name="called"), "MessageBody": "x"})
    assert said.status == 200, said.body


@pytest.mark.parametrize(
    ("headers", "begin"),
    [
        ({"Host": "queues.example:8080"}, "http://queues.example:8080/"),
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "sqs.example"}, "https://sqs.example/"),
        ({"Host": "inner", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "8443"}, "https://inner:8443/"),
        ({"Host": "inner", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"}, "https://inner/"),
        ({"Host": "sqs.us-east-1.localhost:4566"}, "http://sqs.us-east-1.localhost:4566/"),
    ],
)
def test_a_queue_url_leads_where_the_client_called(http: Http, headers: dict[str, str], begin: str) -> None:
    http.json("CreateQueue", {"QueueName": "echo"})
    said = http.json("GetQueueUrl", {"QueueName": "echo"}, headers=headers)
    assert said.json["QueueUrl"] == f"{begin}000000000000/echo"


@pytest.mark.parametrize(
    ("action", "parameters", "kind", "message"),
    [
        (
            "ReceiveMessage",
            {"MaxNumberOfMessages": 0},
            "InvalidParameterValueException",
            (
                "Value 0 for parameter MaxNumberOfMessages is invalid. "
                "Reason: Must be between 1 and 10, if provided."
            ),
        ),
        (
            "ReceiveMessage",
            {"WaitTimeSeconds": 21},
            "InvalidParameterValueException",
            "Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
        ),
        (
            "SendMessage",
            {},
            "MissingRequiredParameterException",
            "The request must contain the parameter MessageBody.",
        ),
        (
            "SendMessage",
            {"MessageBody": "x" * (1 << 20) + "x"},
            "InvalidParameterValueException",
            "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
        ),
        (
            "SetQueueAttributes",
            {"Attributes": {"Colour": "blue"}},
            "InvalidAttributeName",
            "Unknown Attribute Colour.",
        ),
        (
            "SendMessageBatch",
            {"Entries": []},
            "EmptyBatchRequest",
            "There should be at least one SendMessageBatchRequestEntry in the request.",
        ),
        (
            "SendMessageBatch",
            {"Entries": [{"Id": str(n), "MessageBody": "x"} for n in range(20)]},
            "TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10. You have sent 20.",
        ),
        (
            "SendMessageBatch",
            {
                "Entries": [
                    {"Id": "a", "MessageBody": "x" * (1 << 19)},
                    {"Id": "b", "MessageBody": "x" * ((1 << 19) + 1)},
                ]
            },
            "BatchRequestTooLong",
            "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.",
        ),
        (
            "SendMessageBatch",
            {"Entries": [{"Id": "a", "MessageBody": "x"}, {"Id": "a", "MessageBody": "x"}]},
            "BatchEntryIdsNotDistinct",
            "Id a repeated.",
        ),
        (
            "DeleteMessageBatch",
            {"Entries": [{"Id": "a b", "ReceiptHandle": "x"}]},
            "InvalidBatchEntryId",
            (
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long."
            ),
        ),
        (
            "SendMessage",
            {"MessageBody": "a\x00"},
            "InvalidMessageContents",
            None,
        ),
    ],
)
def test_mistakes_are_told_in_aws_s_words(
    http: Http, url: str, action: str, parameters: dict[str, object], kind: str, message: str | None
) -> None:
    said = http.json(action, {"QueueUrl": url} | parameters)

    assert (said.status, said.json["__type"]) == (400, f"com.amazonaws.sqs#{kind}")
    if message is not None:
        assert said.json["message"] == message


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b'{"QueueUrl": 7}',
        b'{"QueueUrl": "\xff"}',
        b'{"QueueUrl":' * 5000,
        b"\x00" * 100,
    ],
)
def test_what_is_no_json_of_the_right_types_cannot_be_read(http: Http, body: bytes) -> None:
    said = http.json("ReceiveMessage", body)

    assert (said.status, said.json["__type"]) == (400, "com.amazon.coral.service#SerializationException")


def test_an_operation_that_there_is_not(http: Http) -> None:
    for target in ("AmazonSQS.Nothing", "AmazonSNS.ListQueues", "Nothing", ""):
        said = http.ask("POST", "/", {"Content-Type": JSON, "X-Amz-Target": target}, b"{}")
        assert (said.status, said.json["__type"]) == (
            400,
            "com.amazon.coral.service#UnknownOperationException",
        )


def test_digests_are_over_what_is_returned(http: Http, url: str) -> None:
    attributes = {name: {"DataType": "String", "StringValue": name} for name in ("a.one", "a.two", "b")}
    sent = http.json(
        "SendMessage", {"QueueUrl": url, "MessageBody": "x", "MessageAttributes": attributes}
    ).json
    digests = {}
    for wanted in ([], ["All"], ["a.*"], ["a.one", "no such", "!"], ["b"], [".*"], ["*"]):
        [got] = http.json(
            "ReceiveMessage", {"QueueUrl": url, "MessageAttributeNames": wanted, "VisibilityTimeout": 0}
        ).json["Messages"]
        digests[tuple(wanted)] = got.get("MD5OfMessageAttributes"), list(got.get("MessageAttributes", ()))

    assert digests[()] == (None, [])
    whole = sent["MD5OfMessageAttributes"], ["a.one", "a.two", "b"]
    assert digests["All",] == digests[".*",] == digests["*",] == whole
    assert digests["a.*",][1] == ["a.one", "a.two"]
    assert digests["a.one", "no such", "!"][1] == ["a.one"]
    assert len({digest for digest, _ in digests.values()}) == 5


def test_a_body_of_bytes_that_is_no_text_comes_in_base64_and_says_so(
    daemon: Daemon, http: Http, url: str
) -> None:
    queue = url.rpartition("/")[2]
    with Wire(daemon.addresses[0]) as binary:
        for body in (b"text", b"\xff\x00", "a\x00"):
            binary.call(20, {"queue": queue, "entries": [{"body": body}]})

    got = http.json("ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": 10}).json["Messages"]

    assert [message["Body"] for message in got] == ["text", "/wA=", "YQA="]
    encoded = {"Ropeway.BodyEncoding": {"StringValue": "base64", "DataType": "String"}}
    assert [message.get("MessageAttributes") for message in got] == [None, encoded, encoded]


def test_a_trace_header_is_a_system_attribute_or_the_request_s_own_header(http: Http, url: str) -> None:
    trace = "Root=1-3152b799-8954dae64eda91bc9a23a7e8;Parent=7fa8c0f79203be72;Sampled=1"
    given = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
    sent = http.json(
        "SendMessage", {"QueueUrl": url, "MessageBody": "x", "MessageSystemAttributes": given}
    ).json
    said = b"".join(
        len(each).to_bytes(4, "big") + each if each != b"\x01" else each
        for each in (b"AWSTraceHeader", b"String", b"\x01", trace.encode())
    )
    assert sent["MD5OfMessageSystemAttributes"] == hashlib.md5(said).hexdigest()
    assert "MD5OfMessageAttributes" not in sent
    http.json("SendMessage", {"QueueUrl": url, "MessageBody": "y"}, headers={"X-Amzn-Trace-Id": trace})

    asked = {"QueueUrl": url, "MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["AWSTraceHeader"]}
    got = http.json("ReceiveMessage", asked).json["Messages"]

    assert [message["Attributes"] for message in got] == [{"AWSTraceHeader": trace}] * 2


def test_a_redrive_policy_is_json_and_comes_back_as_it_was_given(http: Http, url: str) -> None:
    def attributes(of: str) -> Any:
        return http.json("GetQueueAttributes", {"QueueUrl": of, "AttributeNames": ["All"]}).json["Attributes"]

    def put(**given: str) -> Any:
        return http.json("SetQueueAttributes", {"QueueUrl": url, "Attributes": given}).json

    dead = http.json("CreateQueue", {"QueueName": "dead"}).json["QueueUrl"]
    arn = attributes(dead)["QueueArn"]
    for count in (3, "3"):
        policy = {"deadLetterTargetArn": arn, "maxReceiveCount": count}
        assert put(RedrivePolicy=json.dumps(policy)) == {}
        assert json.loads(attributes(url)["RedrivePolicy"]) == policy | {"maxReceiveCount": 3}
    for wrong in (
        "{",
        "[]",
        "{}",
        json.dumps({"deadLetterTargetArn": arn}),
        json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "many"}),
        json.dumps({"deadLetterTargetArn": arn + "-not", "maxReceiveCount": 3}),
        json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3, "colour": "blue"}),
    ):
        said = put(RedrivePolicy=wrong)
        assert said["__type"] == "com.amazonaws.sqs#InvalidParameterValueException", wrong
        assert said["message"].startswith(f"Value {wrong} for parameter RedrivePolicy is invalid. Reason: ")
    assert put(RedrivePolicy="") == {}
    assert "RedrivePolicy" not in attributes(url)


def test_a_dead_letter_says_where_it_comes_from(http: Http, url: str) -> None:
    dead = http.json("CreateQueue", {"QueueName": "letters"}).json["QueueUrl"]
    policy = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:letters", "maxReceiveCount": 1}
    given = {"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "0"}
    http.json("SetQueueAttributes", {"QueueUrl": url, "Attributes": given})
    sent = http.json("SendMessage", {"QueueUrl": url, "MessageBody": "x"}).json

    assert http.json("ReceiveMessage", {"QueueUrl": url}).json["Messages"]
    assert http.json("ReceiveMessage", {"QueueUrl": url}).json == {}
    [got] = http.json("ReceiveMessage", {"QueueUrl": dead, "AttributeNames": ["All"]}).json["Messages"]
    assert got["MessageId"] == sent["MessageId"]
    assert got["Attributes"]["ApproximateReceiveCount"] == "2"
    assert got["Attributes"]["DeadLetterQueueSourceArn"] == url.replace(
        url.rpartition("/")[0] + "/", "arn:aws:sqs:us-east-1:000000000000:"
    )


def test_a_queue_that_is_there_with_another_value(http: Http, url: str) -> None:
    said = http.json(
        "CreateQueue", {"QueueName": url.rpartition("/")[2], "Attributes": {"DelaySeconds": "5"}}
    )
    assert said.json == {
        "__type": "com.amazonaws.sqs#QueueNameExists",
        "message": "A queue already exists with the same name and a different value for attribute "
        "DelaySeconds",
    }
    assert said.headers["x-amzn-query-error"] == "QueueAlreadyExists;Sender"


def test_a_fifo_queue_on_the_wire(http: Http) -> None:
    given = {"FifoQueue": "True", "ContentBasedDeduplication": "true"}
    url = http.json("CreateQueue", {"QueueName": "wire.fifo", "Attributes": given}).json["QueueUrl"]
    attributes = http.json("GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["All"]}).json[
        "Attributes"
    ]
    assert {name: attributes[name] for name in ("FifoQueue", "ContentBasedDeduplication")} == {
        "FifoQueue": "true",
        "ContentBasedDeduplication": "true",
    }
    assert (attributes["DeduplicationScope"], attributes["FifoThroughputLimit"]) == ("queue", "perQueue")

    sent = http.json("SendMessage", {"QueueUrl": url, "MessageBody": "x", "MessageGroupId": "g"}).json
    assert len(sent["SequenceNumber"]) == 20
    again = http.json("SendMessage", {"QueueUrl": url, "MessageBody": "x", "MessageGroupId": "g"}).json
    assert again == sent
    asked = {"QueueUrl": url, "AttributeNames": ["All"], "VisibilityTimeout": 0}
    [got] = http.json("ReceiveMessage", asked).json["Messages"]
    assert got["Attributes"]["MessageGroupId"] == "g"
    assert got["Attributes"]["MessageDeduplicationId"] == hashlib.sha256(b"x").hexdigest()
    assert got["Attributes"]["SequenceNumber"] == sent["SequenceNumber"]
    said = http.json("DeleteMessage", {"QueueUrl": url, "ReceiptHandle": got["ReceiptHandle"]}).json
    assert said == {
        "__type": "com.amazonaws.sqs#InvalidParameterValueException",
        "message": f"Value {got['ReceiptHandle']} for parameter ReceiptHandle is invalid. "
        "Reason: The receipt handle has expired.",
    }


@pytest.mark.parametrize(
    ("queue", "parameters", "kind", "message"),
    [
        (
            "f.fifo",
            {},
            "MissingRequiredParameterException",
            "The request must contain the parameter MessageGroupId.",
        ),
        (
            "f.fifo",
            {"MessageGroupId": "g"},
            "InvalidParameterValueException",
            (
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
                "provided explicitly"
            ),
        ),
        (
            "f.fifo",
            {"MessageGroupId": "a b", "MessageDeduplicationId": "d"},
            "InvalidParameterValueException",
            (
                "Value a b for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include "
                "alphanumeric and punctuation characters. 1 to 128 in length."
            ),
        ),
        (
            "f.fifo",
            {"MessageGroupId": "g", "MessageDeduplicationId": "d", "DelaySeconds": 3},
            "InvalidParameterValueException",
            (
                "Value 3 for parameter DelaySeconds is invalid. Reason: The request include parameter that "
                "is not valid for this queue type."
            ),
        ),
        (
            "s",
            {"MessageDeduplicationId": "d"},
            "InvalidParameterValueException",
            (
                "Value d for parameter MessageDeduplicationId is invalid. Reason: The request include "
                "parameter that is not valid for this queue type."
            ),
        ),
    ],
)
def test_mistakes_with_groups_and_deduplication(
    http: Http, queue: str, parameters: dict[str, object], kind: str, message: str
) -> None:
    given = {"FifoQueue": "true"} if queue.endswith(".fifo") else {}
    url = http.json("CreateQueue", {"QueueName": queue, "Attributes": given}).json["QueueUrl"]
    said = http.json("SendMessage", {"QueueUrl": url, "MessageBody": "x"} | parameters)
    assert said.json == {"__type": f"com.amazonaws.sqs#{kind}", "message": message}
    if not parameters:
        entries = [{"Id": "a", "MessageBody": "x", "MessageGroupId": "g"}, {"Id": "b", "MessageBody": "x"}]
        said = http.json("SendMessageBatch", {"QueueUrl": url, "Entries": entries})
        assert said.json == {"__type": "com.amazonaws.sqs#InvalidParameterValueException", "message": message}


def test_a_queue_s_type_and_name_go_together(http: Http) -> None:
    for name, given in (("x.fifo", {}), ("x", {"FifoQueue": "true"}), ("a/b", {}), ("n" * 81, {}), ("", {})):
        said = http.json("CreateQueue", {"QueueName": name, "Attributes": given})
        assert said.status == 400
        assert said.json["__type"] == "com.amazonaws.sqs#InvalidParameterValueException"
        assert said.json["message"].startswith(f"Value {name} for parameter QueueName is invalid. Reason: ")
    said = http.json("CreateQueue", {"QueueName": "s", "Attributes": {"DeduplicationScope": "queue"}})
    assert said.json == {
        "__type": "com.amazonaws.sqs#InvalidAttributeName",
        "message": "You can specify the DeduplicationScope only when FifoQueue is set to true.",
    }


def test_tags_and_permissions(http: Http, url: str) -> None:
    def call(action: str, **given: Any) -> Any:
        return http.json(action, {"QueueUrl": url} | given).json

    assert call("ListQueueTags") == {}
    assert call("TagQueue", Tags={"a": "1", "b": ""}) == {}
    assert call("UntagQueue", TagKeys=["b", "c"]) == {}
    assert call("ListQueueTags") == {"Tags": {"a": "1"}}
    allowed = {"Label": "them", "AWSAccountIds": ["111122223333"], "Actions": ["SendMessage"]}
    assert call("AddPermission", **allowed) == {}
    policy = json.loads(call("GetQueueAttributes", AttributeNames=["Policy"])["Attributes"]["Policy"])
    assert policy["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}
    assert call("AddPermission", **allowed)["message"] == (
        "Value them for parameter Label is invalid. Reason: Already exists."
    )
    assert call("RemovePermission", Label="them") == {}
    assert call("GetQueueAttributes", AttributeNames=["Policy"]) == {}
    assert call("RemovePermission", Label="them")["message"] == (
        "Value them for parameter Label is invalid. Reason: can't find label."
    )


def test_encryption_s_attributes(http: Http, url: str) -> None:
    names = ["KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"]

    def attributes() -> Any:
        return http.json("GetQueueAttributes", {"QueueUrl": url, "AttributeNames": names}).json["Attributes"]

    def put(**given: str) -> Any:
        return http.json("SetQueueAttributes", {"QueueUrl": url, "Attributes": given}).json

    assert attributes() == {"SqsManagedSseEnabled": "true"}
    assert put(KmsMasterKeyId="alias/mine", KmsDataKeyReusePeriodSeconds="600") == {}
    assert attributes() == {
        "KmsMasterKeyId": "alias/mine",
        "KmsDataKeyReusePeriodSeconds": "600",
        "SqsManagedSseEnabled": "false",
    }
    assert put(SqsManagedSseEnabled="true")["message"].startswith("You can use one type of server-side")
    assert put(KmsMasterKeyId="", KmsDataKeyReusePeriodSeconds="300") == {}
    assert attributes() == {"SqsManagedSseEnabled": "false"}


def test_move_tasks(http: Http, url: str) -> None:
    name = url.rpartition("/")[2]
    dead = http.json("CreateQueue", {"QueueName": "moves"}).json["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:000000000000:"
    policy = json.dumps({"deadLetterTargetArn": arn + "moves", "maxReceiveCount": 1})
    given = {"RedrivePolicy": policy, "VisibilityTimeout": "0"}
    http.json("SetQueueAttributes", {"QueueUrl": url, "Attributes": given})
    http.json("SendMessage", {"QueueUrl": url, "MessageBody": "x"})
    for _ in range(2):
        http.json("ReceiveMessage", {"QueueUrl": url})
    assert http.json("ListDeadLetterSourceQueues", {"QueueUrl": dead}).json == {"queueUrls": [url]}
    assert http.json("ListDeadLetterSourceQueues", {"QueueUrl": url}).json == {"queueUrls": []}

    started = http.json("StartMessageMoveTask", {"SourceArn": arn + "moves"}).json
    assert started["TaskHandle"]
    got: list[Any] = []
    while not got:
        got = http.json("ReceiveMessage", {"QueueUrl": url, "WaitTimeSeconds": 1}).json.get("Messages", [])
    assert got[0]["Body"] == "x"
    [task] = http.json("ListMessageMoveTasks", {"SourceArn": arn + "moves"}).json["Results"]
    assert task["SourceArn"] == arn + "moves"
    assert (task["ApproximateNumberOfMessagesMoved"], task["Status"]) in [(1, "RUNNING"), (1, "COMPLETED")]
    assert "DestinationArn" not in task
    said = http.json("StartMessageMoveTask", {"SourceArn": arn + name})
    assert said.json["message"] == "Source queue must be configured as a Dead Letter Queue."
    for parameters in (
        {"SourceArn": arn + "nowhere"},
        {"SourceArn": arn + "moves", "DestinationArn": arn + "nowhere"},
    ):
        said = http.json("StartMessageMoveTask", parameters)
        parameter = list(parameters)[-1]
        assert (said.status, said.json["__type"]) == (404, "com.amazonaws.sqs#ResourceNotFoundException")
        assert said.json["message"] == (
            f"The resource that you specified for the {parameter} parameter doesn't exist."
        )
    said = http.json("CancelMessageMoveTask", {"TaskHandle": "garbage"})
    assert said.json["message"] == "Value for parameter TaskHandle is invalid."


def test_an_entry_that_is_too_long_fails_alone_in_words_of_its_own(http: Http, url: str) -> None:
    http.json("SetQueueAttributes", {"QueueUrl": url, "Attributes": {"MaximumMessageSize": "1024"}})
    entries = [{"Id": "long", "MessageBody": "x" * 1025}]
    # Together they are over the queue's limit, each is not, and that is fine.
    entries += [{"Id": str(n), "MessageBody": "x" * 1024} for n in range(3)]
    said = http.json("SendMessageBatch", {"QueueUrl": url, "Entries": entries}).json
    assert [each["Id"] for each in said["Successful"]] == ["0", "1", "2"]
    assert said["Failed"] == [
        {
            "Id": "long",
            "SenderFault": True,
            "Code": "InvalidParameterValue",
            "Message": "One or more parameters cannot be validated. "
            "Reason: Message must be shorter than 1024 bytes.",
        }
    ]
    said = http.json("SendMessage", {"QueueUrl": url, "MessageBody": "x" * 1025}).json
    assert said["message"] == (
        "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"DataType": "String", "StringValue": ""},
            "Message (user) attribute 'a' must contain a non-empty value of type 'String'.",
        ),
        (
            {"DataType": "Binary"},
            "Message (user) attribute 'a' must contain a non-empty value of type 'Binary'.",
        ),
        ({"DataType": "Number", "StringValue": "many"}, None),
        ({"DataType": "Colour", "StringValue": "blue"}, None),
    ],
)
def test_mistakes_with_message_attributes(
    http: Http, url: str, value: dict[str, str], message: str | None
) -> None:
    said = http.json("SendMessage", {"QueueUrl": url, "MessageBody": "x", "MessageAttributes": {"a": value}})
    assert (said.status, said.json["__type"]) == (400, "com.amazonaws.sqs#InvalidParameterValueException")
    if message is not None:
        assert said.json["message"] == message


def test_what_is_wrong_with_a_change_of_visibility(http: Http, url: str) -> None:
    http.json("SendMessage", {"QueueUrl": url, "MessageBody": "x"})
    [got] = http.json("ReceiveMessage", {"QueueUrl": url}).json["Messages"]
    handle = got["ReceiptHandle"]

    def change(timeout: int) -> Any:
        asked = {"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": timeout}
        return http.json("ChangeMessageVisibility", asked).json

    while (said := change(43_200)) == {}:  # within the same millisecond it is not too long yet
        pass
    assert said["message"] == (
        "Value 43200 for parameter VisibilityTimeout is invalid. "
        "Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]"
    )
    assert change(43_201)["message"].startswith("Value 43201 for parameter VisibilityTimeout is invalid.")
    assert change(0) == {}
    http.json("DeleteMessage", {"QueueUrl": url, "ReceiptHandle": handle})
    assert change(1)["__type"] == "com.amazonaws.sqs#InvalidParameterValueException"
    assert change(1)["message"] == (
        f"Value {handle} for parameter ReceiptHandle is invalid. "
        "Reason: Message does not exist or is not available for visibility timeout change."
    )


def test_what_aws_has_one_wait_for(tmp_path: Path) -> None:
    flags = ["--queues-purge-interval", "60", "--queues-recreate-interval", "60"]
    with Daemon(tmp_path, *flags, http="127.0.0.1:0") as daemon, Http(daemon.endpoint) as http:
        http.json("CreateQueue", {"QueueName": "again"})
        assert http.json("PurgeQueue", {"QueueUrl": "again"}).status == 200
        said = http.json("PurgeQueue", {"QueueUrl": "again"})
        assert (said.status, said.json) == (
            403,
            {
                "__type": "com.amazonaws.sqs#PurgeQueueInProgress",
                "message": "Only one PurgeQueue operation on again is allowed every 60 seconds.",
            },
        )
        assert http.json("DeleteQueue", {"QueueUrl": "again"}).status == 200
        said = http.json("CreateQueue", {"QueueName": "again"})
        assert (said.status, said.headers["x-amzn-query-error"], said.json["message"]) == (
            400,
            "AWS.SimpleQueueService.QueueDeletedRecently;Sender",
            (
                "You must wait 60 seconds after deleting a queue before you can create another with the same "
                "name."
            ),
        )


def test_a_receive_can_be_asked_for_again(http: Http) -> None:
    given = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = http.json("CreateQueue", {"QueueName": "attempt.fifo", "Attributes": given}).json["QueueUrl"]
    for body in ("one", "two"):
        http.json("SendMessage", {"QueueUrl": url, "MessageBody": body, "MessageGroupId": "g"})
    asked = {"QueueUrl": url, "ReceiveRequestAttemptId": "mine"}
    first = http.json("ReceiveMessage", asked).json["Messages"]
    assert [message["Body"] for message in first] == ["one"]
    assert http.json("ReceiveMessage", asked).json["Messages"] == first
    assert http.json("ReceiveMessage", asked | {"ReceiveRequestAttemptId": "yours"}).json == {}
    assert http.json("ReceiveMessage", asked | {"ReceiveRequestAttemptId": "a b"}).json["message"] == (
        "Value a b for parameter ReceiveRequestAttemptId is invalid. Reason: ReceiveRequestAttemptId can "
        "only include alphanumeric and punctuation characters. 1 to 128 in length."
    )


def test_a_group_on_a_standard_queue_is_told_with_the_message(http: Http, url: str) -> None:
    http.json("SendMessage", {"QueueUrl": url, "MessageBody": "x", "MessageGroupId": "tenant"})
    [got] = http.json("ReceiveMessage", {"QueueUrl": url, "AttributeNames": ["All"]}).json["Messages"]
    assert got["Attributes"]["MessageGroupId"] == "tenant"
    assert "SequenceNumber" not in got["Attributes"]
