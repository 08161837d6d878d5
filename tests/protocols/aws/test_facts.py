"""What AWS was seen to do and no model states, on the wire: the client hides nothing."""

import itertools
import json
import threading
import time
from typing import Any

import pytest

from tests.daemon import PATIENCE, Daemon
from tests.protocols.aws.raw import Http

_numbers = itertools.count()


class Queue:
    """A queue of its own."""

    def __init__(self, http: Http, **attributes: str) -> None:
        self._http = http
        suffix = ".fifo" if "FifoQueue" in attributes else ""
        self.name = f"fact-{next(_numbers)}{suffix}"
        made = http.json("CreateQueue", {"QueueName": self.name, "Attributes": attributes})
        self.url = made.json["QueueUrl"]
        self.arn = f"arn:aws:sqs:us-east-1:000000000000:{self.name}"

    def call(self, action: str, **given: Any) -> Any:
        return self._http.json(action, {"QueueUrl": self.url} | given).json

    def send(self, body: str, **given: Any) -> Any:
        return self.call("SendMessage", MessageBody=body, **given)

    def receive(self, most: int = 10, **given: Any) -> list[Any]:
        found: list[Any] = self.call("ReceiveMessage", MaxNumberOfMessages=most, **given).get("Messages", [])
        return found

    def bodies(self, most: int = 10, **given: Any) -> list[str]:
        return [each["Body"] for each in self.receive(most, **given)]

    def visibility(self, handle: str, seconds: int) -> Any:
        return self.call("ChangeMessageVisibility", ReceiptHandle=handle, VisibilityTimeout=seconds)

    def delete(self, handle: str) -> Any:
        return self.call("DeleteMessage", ReceiptHandle=handle)

    def attributes(self, *names: str) -> Any:
        return self.call("GetQueueAttributes", AttributeNames=list(names or ["All"])).get("Attributes", {})

    def set(self, **attributes: str) -> Any:
        return self.call("SetQueueAttributes", Attributes=attributes)


@pytest.fixture
def standard(http: Http) -> Queue:
    return Queue(http)


@pytest.fixture
def fifo(http: Http) -> Queue:
    return Queue(http, FifoQueue="true", ContentBasedDeduplication="true")


def fill(queue: Queue, *named: str) -> None:
    """Messages whose group is the first letter of their body."""
    for each in named:
        assert "MessageId" in queue.send(each, MessageGroupId=each[0])


# Queues


def test_only_attributes_that_are_given_are_compared_and_with_what_they_are_now(http: Http) -> None:
    queue = Queue(http, DelaySeconds="5", VisibilityTimeout="40")
    assert queue.set(DelaySeconds="6") == {}

    def again(**attributes: str) -> int:
        return http.json("CreateQueue", {"QueueName": queue.name, "Attributes": attributes}).status

    assert (again(), again(VisibilityTimeout="40"), again(DelaySeconds="6")) == (200, 200, 200)
    assert again(DelaySeconds="5") == 400
    assert http.json("CreateQueue", {"QueueName": queue.name, "tags": {"a": "b"}}).status == 200


def test_the_policy_that_permissions_make(standard: Queue) -> None:
    for label, accounts in (("one", ["111122223333"]), ("many", ["111122223333", "444455556666"])):
        given = {"Label": label, "AWSAccountIds": accounts, "Actions": ["SendMessage", "ReceiveMessage"]}
        assert standard.call("AddPermission", **given) == {}
    policy = json.loads(standard.attributes("Policy")["Policy"])
    assert (policy["Version"], policy["Id"]) == ("2008-10-17", f"{standard.arn}/SQSDefaultPolicy")
    one, many = policy["Statement"]
    root = "arn:aws:iam::{}:root"
    assert one == {
        "Sid": "one",
        "Effect": "Allow",
        "Principal": {"AWS": root.format("111122223333")},
        "Action": ["SQS:SendMessage", "SQS:ReceiveMessage"],
        "Resource": standard.arn,
    }
    assert many["Principal"] == {"AWS": [root.format("111122223333"), root.format("444455556666")]}
    for label in ("one", "many"):
        assert standard.call("RemovePermission", Label=label) == {}
    assert standard.attributes("Policy") == {}


def test_messages_behind_others_of_their_group_count_as_visible(fifo: Queue) -> None:
    fill(fifo, "a1", "a2", "b1")
    assert fifo.bodies(1) == ["a1"]
    counts = fifo.attributes("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    assert counts == {"ApproximateNumberOfMessages": "2", "ApproximateNumberOfMessagesNotVisible": "1"}


def test_delayed_messages_do_not(standard: Queue) -> None:
    standard.send("later", DelaySeconds=900)
    standard.send("now", DelaySeconds=0)
    counts = standard.attributes("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed")
    assert counts == {"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesDelayed": "1"}


def test_times_are_seconds_in_text(standard: Queue) -> None:
    for name in ("CreatedTimestamp", "LastModifiedTimestamp"):
        assert abs(int(standard.attributes(name)[name]) - time.time()) < PATIENCE


# Messages


def test_only_the_entry_that_aws_would_not_take_fails(standard: Queue) -> None:
    entries = [{"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "\x02"}]
    said = standard.call("SendMessageBatch", Entries=entries)
    assert [each["Id"] for each in said["Successful"]] == ["good"]
    [failed] = said["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "InvalidMessageContents", True)


def test_where_every_entry_fails_nothing_is_said_of_success(standard: Queue) -> None:
    said = standard.call("DeleteMessageBatch", Entries=[{"Id": "a", "ReceiptHandle": "garbage"}])
    assert list(said) == ["Failed"]


def test_both_lists_of_system_attributes_count(standard: Queue) -> None:
    standard.send("x")
    [got] = standard.receive(
        AttributeNames=["SentTimestamp"], MessageSystemAttributeNames=["ApproximateReceiveCount", "SenderId"]
    )
    assert set(got["Attributes"]) == {"SentTimestamp", "ApproximateReceiveCount", "SenderId"}
    assert got["Attributes"]["SenderId"] == "000000000000"
    assert len(got["Attributes"]["SentTimestamp"]) == 13  # milliseconds
    assert all(isinstance(each, str) for each in got["Attributes"].values())


def test_the_sender_is_the_queue_s_account_whoever_receives(http: Http, standard: Queue) -> None:
    standard.send("x")
    credential = "Credential=111122223333/20261125/us-east-1/sqs/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"}
    asked = {"QueueUrl": standard.url, "MessageSystemAttributeNames": ["SenderId"]}
    [got] = http.json("ReceiveMessage", asked, headers=headers).json["Messages"]
    assert got["Attributes"] == {"SenderId": "000000000000"}


def test_numbers_are_kept_as_they_were_sent(standard: Queue) -> None:
    given = {"n": {"DataType": "Number.x", "StringValue": "+01.50"}}
    sent = standard.send("x", MessageAttributes=given)
    [got] = standard.receive(MessageAttributeNames=["n"])
    assert got["MessageAttributes"] == given
    assert got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]


@pytest.mark.parametrize("name", ["AWS.x", "amazon.x", ".x", "x.", "x..y", "x y", "", "x" * 257])
def test_names_of_attributes_that_are_none(standard: Queue, name: str) -> None:
    given = {name: {"DataType": "String", "StringValue": "v"}}
    said = standard.send("x", MessageAttributes=given)
    assert said["__type"] == "com.amazonaws.sqs#InvalidParameterValueException"


def test_what_is_empty_is_absent_in_xml_as_well(http: Http, standard: Queue) -> None:
    path = "/" + standard.url.split("/", 3)[3]
    for action in ("ListQueueTags", "GetQueueAttributes", "ReceiveMessage"):
        said = http.query(action, path)
        assert (said.status, next(len(result) for result in said.xml)) == (200, 0), action


# Handles and visibility


def test_an_old_handle_of_a_standard_message_still_acts(standard: Queue) -> None:
    standard.send("x")
    handles = [standard.receive(VisibilityTimeout=0)[0]["ReceiptHandle"] for _ in range(3)]
    assert len(set(handles)) == 3
    # Its visibility is over, and the message was received again: it is still there to be changed.
    assert standard.visibility(handles[0], 30) == {}
    assert standard.receive() == []
    assert standard.visibility(handles[1], 0) == {}
    assert standard.delete(handles[2]) == {}
    assert standard.delete(handles[2]) == {}
    assert standard.receive() == []


def test_a_change_of_visibility_is_for_this_receive_alone(http: Http) -> None:
    queue = Queue(http, VisibilityTimeout="0")
    queue.send("x")
    [got] = queue.receive(VisibilityTimeout=30)
    assert queue.receive() == []
    queue.visibility(got["ReceiptHandle"], 0)
    assert queue.bodies() == queue.bodies() == ["x"]  # as the queue says again


def test_a_long_poll_ends_with_the_first_message(daemon: Daemon, standard: Queue) -> None:
    with Http(daemon.endpoint) as other:

        def later() -> None:
            other.json("SendMessage", {"QueueUrl": standard.url, "MessageBody": "first"})

        sending = threading.Timer(0.2, later)
        sending.start()
        assert standard.bodies(WaitTimeSeconds=20) == ["first"]
        sending.join()


def test_a_wait_of_nothing_wins_over_the_queue_s(http: Http) -> None:
    queue = Queue(http, ReceiveMessageWaitTimeSeconds="20")
    began = time.monotonic()
    assert queue.receive(WaitTimeSeconds=0) == []
    assert time.monotonic() - began < 20


def test_an_extension_keeps_a_fifo_handle_good(fifo: Queue) -> None:
    fill(fifo, "a1")
    [got] = fifo.receive(VisibilityTimeout=1)
    assert fifo.visibility(got["ReceiptHandle"], 60) == {}
    end = time.monotonic() + 1.1
    while time.monotonic() < end:  # the first second is over, and what counts is the extension
        assert fifo.bodies(WaitTimeSeconds=1) == []
    assert fifo.delete(got["ReceiptHandle"]) == {}


def test_a_purge_takes_what_is_in_flight_and_what_is_remembered_of_duplicates(fifo: Queue) -> None:
    fill(fifo, "a1", "b1")
    assert fifo.bodies(1) == ["a1"]
    assert fifo.call("PurgeQueue") == {}
    fill(fifo, "a1")
    assert fifo.bodies() == ["a1"]


# Groups and duplicates


def test_what_was_received_and_deleted_is_still_a_duplicate(fifo: Queue) -> None:
    first = fifo.send("x", MessageGroupId="a")
    [got] = fifo.receive()
    fifo.delete(got["ReceiptHandle"])
    assert fifo.send("x", MessageGroupId="a") == first
    assert fifo.receive() == []


@pytest.mark.parametrize("scope", ["queue", "messageGroup"])
def test_the_scope_of_duplicates(http: Http, scope: str) -> None:
    queue = Queue(http, FifoQueue="true", DeduplicationScope=scope)
    for group in ("a", "b", "a"):
        queue.send(group, MessageGroupId=group, MessageDeduplicationId="same")
    assert queue.bodies() == (["a"] if scope == "queue" else ["a", "b"])


def test_no_delay_is_a_delay_that_a_fifo_message_may_say(fifo: Queue) -> None:
    assert "MessageId" in fifo.send("x", MessageGroupId="a", DelaySeconds=0)


def test_a_receive_takes_as_many_of_a_group_as_it_can(fifo: Queue) -> None:
    fill(fifo, "a1", "b1", "a2", "a3", "b2")
    assert fifo.bodies(4) == ["a1", "a2", "a3", "b1"]
    assert fifo.receive() == []


@pytest.mark.parametrize(("extended", "back"), [(0, []), (1, ["a0"]), (2, ["a0", "a1"])])
def test_an_invisible_message_blocks_all_behind_it(fifo: Queue, extended: int, back: list[str]) -> None:
    fill(fifo, "a0", "a1", "a2")
    handles = [each["ReceiptHandle"] for each in fifo.receive()]
    for number, handle in enumerate(handles):
        fifo.visibility(handle, 60 if number == extended else 0)
    assert fifo.bodies() == back


def test_a_message_that_is_given_back_comes_after_other_groups(fifo: Queue) -> None:
    fill(fifo, "a1", "a2", "b1")
    handles = [each["ReceiptHandle"] for each in fifo.receive(2)]
    fifo.visibility(handles[0], 0)
    assert fifo.bodies() == ["b1", "a1"]


def test_groups_that_a_receive_touched_come_behind_the_others(fifo: Queue) -> None:
    fill(fifo, "1a", "2a", "2b", "3a", "1b")
    assert fifo.bodies(3, VisibilityTimeout=0) == ["1a", "1b", "2a"]
    assert fifo.bodies(10, VisibilityTimeout=0) == ["3a", "1a", "1b", "2a", "2b"]


def test_a_group_on_a_standard_queue_has_the_same_letters(standard: Queue) -> None:
    said = standard.send("x", MessageGroupId="a b")
    assert said["message"].startswith("Value a b for parameter MessageGroupId is invalid. Reason: ")
    assert "SequenceNumber" not in standard.send("x", MessageGroupId="a")


# Dead letters


def test_messages_of_several_sources_go_back_each_to_its_own(http: Http) -> None:
    dead = Queue(http)
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1})
    sources = [Queue(http, RedrivePolicy=policy, VisibilityTimeout="0") for _ in range(2)]
    for source in sources:
        source.send(source.name)
        assert source.bodies() == [source.name]
        assert source.bodies() == []
    said = http.json("StartMessageMoveTask", {"SourceArn": dead.arn, "MaxNumberOfMessagesPerSecond": 100})
    assert said.status == 200
    for source in sources:
        assert source.bodies(WaitTimeSeconds=20, VisibilityTimeout=60) == [source.name]

    def tasks(**given: int) -> Any:
        return http.json("ListMessageMoveTasks", {"SourceArn": dead.arn} | given).json["Results"]

    [task] = tasks()
    assert task["MaxNumberOfMessagesPerSecond"] == 100
    assert "DestinationArn" not in task
    end = time.monotonic() + PATIENCE
    while tasks()[0]["Status"] == "RUNNING":
        assert time.monotonic() < end
    said = http.json("StartMessageMoveTask", {"SourceArn": dead.arn, "DestinationArn": sources[0].arn})
    assert said.status == 200
    [newest] = tasks()
    assert newest["DestinationArn"] == sources[0].arn
    assert "MaxNumberOfMessagesPerSecond" not in newest
    assert len(tasks(MaxResults=10)) == 2
