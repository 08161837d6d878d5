"""The access log: a line a call at level debug, slow calls as warnings, and one id in answer and log."""

from pathlib import Path

from ropewayd.protocols.aws.sqs.messages import ReceiveMessage, SendMessage
from tests.daemon import Daemon
from tests.protocols.aws.raw import Http


def test_each_call_has_a_line_with_the_id_of_its_answer(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, "--log-level", "debug", http="127.0.0.1:0") as daemon,
        Http(daemon.endpoint) as http,
    ):
        good = http.json("CreateQueue", {"QueueName": "logged"})
        bad = http.query("DeleteQueue", QueueUrl="nothing")
        http.json("SendMessage", {"QueueUrl": "logged", "MessageBody": "a secret"})
        daemon.wait_for(lambda: len(daemon.events("call")) == 3)
    first, second, third = daemon.events("call")
    assert (first["request"], first["action"], first["status"]) == (
        good.headers["x-amzn-requestid"],
        "CreateQueue",
        200,
    )
    assert (second["request"], second["protocol"], second["status"]) == (
        bad.headers["x-amzn-requestid"],
        "query",
        400,
    )
    assert third["milliseconds"] >= 0
    assert "a secret" not in str(daemon.log)


def test_slow_calls_are_told(tmp_path: Path) -> None:
    flags = ["--http-slow-call", "0.001"]
    with Daemon(tmp_path, *flags, http="127.0.0.1:0") as daemon, Http(daemon.endpoint) as http:
        http.json("CreateQueue", {"QueueName": "slow"})
        while not daemon.events("slow call"):  # a commit seldom takes less than a millisecond
            http.json("SendMessage", {"QueueUrl": "slow", "MessageBody": "x"})
    assert {line["level"] for line in daemon.events("slow call")} == {"warning"}


def test_a_long_poll_is_no_slow_call_for_its_wait() -> None:
    assert ReceiveMessage(wait_time_seconds=7).patience() == 7
    assert ReceiveMessage().patience() == 20
    assert SendMessage(message_body="x").patience() == 0
