"""A limit on the backlog, as the clients of both protocols are told of it."""

from pathlib import Path

import botocore.exceptions
import pytest

import ropeway
import ropeway.sync
from tests.daemon import Daemon
from tests.protocols.aws.clients import sqs


def test_bytes_of_a_queue_are_limited_for_both_protocols(tmp_path: Path) -> None:
    limit = {"ROPEWAY_QUEUES_MAX_QUEUE_BYTES": "1000"}
    with (
        Daemon(tmp_path, http="127.0.0.1:0", environ=limit) as daemon,
        ropeway.sync.connect(daemon.url) as broker,
    ):
        jobs = broker.create_queue("jobs")
        jobs.send("x" * 900)
        with pytest.raises(ropeway.OverLimit, match=r"queues\.max_queue_bytes"):
            jobs.send("x" * 101)
        aws = sqs(daemon.endpoint)
        url = aws.get_queue_url(QueueName="jobs")["QueueUrl"]
        with pytest.raises(botocore.exceptions.ClientError, match=r"queues\.max_queue_bytes") as raised:
            aws.send_message(QueueUrl=url, MessageBody="x" * 101)
        assert raised.value.response["Error"]["Code"] == "OverLimit"
        entries = [{"Id": str(n), "MessageBody": "x" * 60} for n in range(2)]
        with pytest.raises(botocore.exceptions.ClientError, match=r"queues\.max_queue_bytes"):
            aws.send_message_batch(QueueUrl=url, Entries=entries)
        aws.send_message(QueueUrl=url, MessageBody="x" * 100)
        jobs.purge()
        jobs.send("x" * 1000)
