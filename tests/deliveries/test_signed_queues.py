"""With topics.sign_queues what a queue gets in an envelope is signed, and a validator's check holds."""

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from ropeway import connect
from tests.daemon import Daemon
from tests.protocols.aws.clients import client as client_of
from tests.protocols.aws.test_sns import queue, received


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, "--topics-sign-queues", "on", http="127.0.0.1:0") as made:
        yield made


def check(told: dict[str, Any], version: str) -> None:
    """As a validator does."""
    assert told["SignatureVersion"] == version
    with urlopen(told["SigningCertURL"]) as response:  # the daemon's own
        key: Any = x509.load_pem_x509_certificate(response.read()).public_key()
    names = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    signed = "".join(f"{name}\n{told[name]}\n" for name in names if name in told)
    algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
    key.verify(base64.b64decode(told["Signature"]), signed.encode(), padding.PKCS1v15(), algorithm)


@pytest.mark.parametrize("version", ["1", "2"])
def test_an_envelope_in_a_queue_is_signed_once_for_all(daemon: Daemon, version: str) -> None:
    sns, sqs = client_of("sns", daemon.endpoint), client_of("sqs", daemon.endpoint)
    topic = sns.create_topic(Name="news", Attributes={"SignatureVersion": version})["TopicArn"]
    urls = {}
    for name, raw in {"one": "false", "two": "false", "raw": "true"}.items():
        urls[name], arn = queue(sqs, name)
        given = {"RawMessageDelivery": raw}
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=given)
    words = json.dumps({"default": "for all", "sqs": "für queues"})
    plain = sns.publish(TopicArn=topic, Message=words, MessageStructure="json", Subject="s")["MessageId"]
    entries = [{"Id": str(n), "Message": f"m{n}"} for n in range(2)]
    entries.append({"Id": "2", "Message": "no JSON", "MessageStructure": "json"})
    batch = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert [each["Id"] for each in batch["Failed"]] == ["2"]
    daemon.kill()
    port = daemon.endpoint
    daemon.start()
    sqs = client_of("sqs", daemon.endpoint)
    one, two = ([json.loads(each["Body"]) for each in received(sqs, urls[name])] for name in ("one", "two"))
    ids = [plain, *(each["MessageId"] for each in batch["Successful"])]
    assert [each["MessageId"] for each in one] == ids
    assert [each["Message"] for each in one] == ["für queues", "m0", "m1"]
    assert [each["Signature"] for each in one] == [each["Signature"] for each in two]
    for each in one:
        each["SigningCertURL"] = each["SigningCertURL"].replace(port, daemon.endpoint)
        assert list(each)[-4:] == ["SignatureVersion", "Signature", "SigningCertURL", "UnsubscribeURL"]
        check(each, version)
    assert [each["Body"] for each in received(sqs, urls["raw"])] == ["für queues", "m0", "m1"]


async def publish(daemon: Daemon, body: bytes) -> None:
    """By the binary protocol."""
    async with connect(daemon.url) as broker:
        await broker.topic("news").publish(body)


def test_bytes_are_signed_and_a_fifo_topic_s_messages_are_not(daemon: Daemon) -> None:
    sns, sqs = client_of("sns", daemon.endpoint), client_of("sqs", daemon.endpoint)
    fifo = {"FifoTopic": "true", "ContentBasedDeduplication": "true"}
    ordered = sns.create_topic(Name="ordered.fifo", Attributes=fifo)["TopicArn"]
    topic = sns.create_topic(Name="news")["TopicArn"]
    url, arn = queue(sqs, "readers")
    for each in (ordered, topic):
        sns.subscribe(TopicArn=each, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=ordered, Message="in order", MessageGroupId="g")
    [told] = [json.loads(each["Body"]) for each in received(sqs, url)]
    assert "Signature" not in told
    asyncio.run(publish(daemon, b"\xff\x00"))
    [told] = [json.loads(each["Body"]) for each in received(sqs, url)]
    assert told["Message"] == "/wA="
    check(told, "1")


def test_without_the_setting_there_is_no_signature(tmp_path: Path) -> None:
    with Daemon(tmp_path, http="127.0.0.1:0") as daemon:
        sns, sqs = client_of("sns", daemon.endpoint), client_of("sqs", daemon.endpoint)
        topic = sns.create_topic(Name="news")["TopicArn"]
        url, arn = queue(sqs, "readers")
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        sns.publish(TopicArn=topic, Message="hello")
        assert "Signature" not in json.loads(received(sqs, url)[0]["Body"])


def test_a_publish_that_cannot_be_signed_says_so(daemon: Daemon) -> None:
    sns, sqs = client_of("sns", daemon.endpoint), client_of("sqs", daemon.endpoint)
    topic = sns.create_topic(Name="news")["TopicArn"]
    url, arn = queue(sqs, "readers")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    (daemon.data_dir / "message-signing.pem").write_text("no key")
    with pytest.raises(ClientError) as raised:
        sns.publish(TopicArn=topic, Message="hello")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert received(sqs, url) == []
    assert daemon.events("a publish could not be signed")
