"""The Query protocol on the wire, as old SDKs and curl speak it."""

from urllib.parse import urlencode

import pytest

from tests.protocols.aws.raw import Http

NAMESPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"


@pytest.fixture
def path(http: Http, request: pytest.FixtureRequest) -> str:
    name = request.node.name.replace("[", "-").replace("]", "").replace(".", "")[:80]
    said = http.query("CreateQueue", QueueName=name)
    url = said.xml.findtext(f"{NAMESPACE}CreateQueueResult/{NAMESPACE}QueueUrl")
    assert url is not None, said.body
    return "/" + url.split("/", 3)[3]


def test_a_result_is_wrapped_and_has_the_request_s_id(http: Http, path: str) -> None:
    said = http.query("SendMessage", path, MessageBody="hello")

    assert said.status == 200
    assert said.headers["content-type"].startswith("text/xml")
    root = said.xml
    assert root.tag == f"{NAMESPACE}SendMessageResponse"
    result, metadata = root
    assert result.tag == f"{NAMESPACE}SendMessageResult"
    assert result.findtext(f"{NAMESPACE}MD5OfMessageBody") == "5d41402abc4b2a76b9719d911017c592"
    assert metadata.findtext(f"{NAMESPACE}RequestId") == said.headers["x-amzn-requestid"]


def test_empty_results(http: Http, path: str) -> None:
    assert "<ReceiveMessageResult/>" in http.query("ReceiveMessage", path).text
    purged = http.query("PurgeQueue", path)
    assert [child.tag for child in purged.xml] == [f"{NAMESPACE}ResponseMetadata"]


def test_an_error_has_an_empty_detail(http: Http, path: str) -> None:
    said = http.query("SendMessage", path + "-gone", MessageBody="x")

    assert said.status == 400
    error = said.xml[0]
    assert [child.tag.removeprefix(NAMESPACE) for child in error] == ["Type", "Code", "Message", "Detail"]
    assert [child.text for child in error] == [
        "Sender",
        "AWS.SimpleQueueService.NonExistentQueue",
        "The specified queue does not exist for this wsdl version.",
        None,
    ]
    assert "<Detail/>" in said.text


def code(http: Http, *arguments: str, **parameters: str) -> tuple[int, str, str]:
    said = http.query(*arguments, **parameters)
    error = said.xml[0]
    return said.status, error[1].text or "", error[2].text or ""


def test_what_belongs_to_no_queue_fails_on_a_queue_s_path(http: Http, path: str) -> None:
    for action in ("CreateQueue", "ListQueues", "Nothing"):
        assert code(http, action, path, QueueName="x") == (
            400,
            "InvalidAction",
            f"The action {action} is not valid for this endpoint.",
        )
    assert http.query("GetQueueUrl", path, QueueName=path.rpartition("/")[2]).status == 200
    assert code(http, "Nothing")[1] == "InvalidAction"


@pytest.mark.parametrize("accept", ["application/xml", "application/json"])
def test_no_action_at_all(http: Http, accept: str) -> None:
    said = http.ask("GET", "/", {"Accept": accept})
    assert said.status == 404
    assert b"<UnknownOperationException/>" in said.body


def test_what_is_missing(http: Http, path: str) -> None:
    assert code(http, "SendMessage", path) == (
        400,
        "MissingParameter",
        "The request must contain the parameter MessageBody.",
    )


def test_a_queue_url_given_wins_over_the_path(http: Http, path: str) -> None:
    http.query("CreateQueue", QueueName="other")
    http.query("SendMessage", path, MessageBody="x", QueueUrl="http://any/000000000000/other")
    assert "<Body>x</Body>" in http.query("ReceiveMessage", "/000000000000/other").text
    assert "<ReceiveMessageResult/>" in http.query("ReceiveMessage", path).text


def test_flattened_lists_and_maps(http: Http, path: str) -> None:
    said = http.query(
        "SendMessageBatch",
        path,
        **{
            "SendMessageBatchRequestEntry.1.Id": "one",
            "SendMessageBatchRequestEntry.1.MessageBody": "1 < 2 & \r\n",
            "SendMessageBatchRequestEntry.1.MessageAttribute.1.Name": "n",
            "SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType": "Binary",
            "SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.BinaryValue": "AP8=",
            "SendMessageBatchRequestEntry.3.Id": "three",
            "SendMessageBatchRequestEntry.3.MessageBody": "third",
            "SendMessageBatchRequestEntry.3.DelaySeconds": "901",
        },
    )
    result = said.xml[0]
    assert [child.tag.removeprefix(NAMESPACE) for child in result] == [
        "SendMessageBatchResultEntry",
        "BatchResultErrorEntry",
    ]
    assert result[1].findtext(f"{NAMESPACE}SenderFault") == "true"
    got = http.query(
        "ReceiveMessage",
        path,
        **{"MessageAttributeName.1": "All", "AttributeName.1": "All", "MaxNumberOfMessages": "10"},
    )
    message = got.xml[0][0]
    assert message.findtext(f"{NAMESPACE}Body") == "1 < 2 & \r\n"
    attribute = message.find(f"{NAMESPACE}MessageAttribute")
    assert attribute is not None
    assert attribute.findtext(f"{NAMESPACE}Name") == "n"
    assert attribute.findtext(f"{NAMESPACE}Value/{NAMESPACE}BinaryValue") == "AP8="
    names = [each.findtext(f"{NAMESPACE}Name") for each in message.findall(f"{NAMESPACE}Attribute")]
    assert "SentTimestamp" in names


def test_a_call_may_be_a_get(http: Http, path: str) -> None:
    parameters = urlencode({"Action": "SendMessage", "MessageBody": "by get +%&", "Version": "2012-11-05"})
    assert http.ask("GET", f"{path}?{parameters}").status == 200
    assert "<Body>by get +%&amp;</Body>" in http.ask("GET", f"{path}?Action=ReceiveMessage").text


def test_answers_in_json_where_the_client_accepts_that(http: Http, path: str) -> None:
    said = http.query("SendMessage", path, accept="application/json", MessageBody="x").json
    assert set(said["SendMessageResponse"]) == {"SendMessageResult", "ResponseMetadata"}
    error = http.query("SendMessage", path, accept="application/json").json["Error"]
    assert error["Code"] == "MissingParameter"


def test_a_number_that_is_none(http: Http, path: str) -> None:
    status, what, text = code(http, "ReceiveMessage", path, MaxNumberOfMessages="many")
    assert (status, what) == (400, "InvalidParameterValue")
    assert "MaxNumberOfMessages" in text


def test_sts_says_who_calls(http: Http) -> None:
    said = http.ask("POST", "/", {}, b"Action=GetCallerIdentity&Version=2011-06-15")
    namespace = "{https://sts.amazonaws.com/doc/2011-06-15/}"
    result = said.xml.find(f"{namespace}GetCallerIdentityResult")
    assert result is not None
    assert result.findtext(f"{namespace}Account") == "000000000000"


@pytest.mark.parametrize("host", ["sqs.eu-west-1.localhost", "eu-west-1.queue.example:80"])
def test_an_unsigned_call_s_region_may_be_in_the_host(http: Http, host: str) -> None:
    body = b"Action=CreateQueue&QueueName=there"
    http.ask("POST", "/", {"Host": host}, body)
    asked = b"Action=GetQueueAttributes&AttributeName.1=QueueArn"
    said = http.ask("POST", "/queue/eu-west-1/000000000000/there", {}, asked)
    assert "arn:aws:sqs:eu-west-1:000000000000:there" in said.text
