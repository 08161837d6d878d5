"""What functions, streams and mailboxes get is signed, and whoever has the certificate can check it."""

import base64
import email
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from ropewayd.deliveries.email import Email
from ropewayd.deliveries.firehose import StreamFiles
from ropewayd.deliveries.function import Address, Functions
from ropewayd.deliveries.outbox import Outbox, OutboxLimits
from ropewayd.deliveries.rolling_file import RollingLimits
from ropewayd.deliveries.seal import Seal
from ropewayd.deliveries.signing import Signer
from ropewayd.deliveries.web import Web
from tests.deliveries.making import delivery
from tests.deliveries.web_server import Server

HERE = "http://127.0.0.1:4566"
STREAM = "arn:aws:firehose:us-east-1:000000000000:deliverystream/news"


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path)


@pytest.fixture
def seal(signer: Signer) -> Seal:
    return Seal(signer, lambda: HERE)


def written(folder: Path, pattern: str) -> str:
    """What the one file of this kind holds."""
    [file] = folder.rglob(pattern)
    return file.read_text()


async def check(
    signer: Signer, told: dict[str, Any], version: str = "1", url: str = "SigningCertURL"
) -> None:
    """As a validator does."""
    assert told["SignatureVersion"] == version
    assert told[url].startswith(HERE)
    certificate = await signer.certificate_at(told[url].removeprefix(HERE))
    assert certificate is not None
    names = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    signed = "".join(f"{name}\n{told[name]}\n" for name in names if told.get(name) is not None)
    algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
    key: Any = x509.load_pem_x509_certificate(certificate).public_key()
    key.verify(base64.b64decode(told["Signature"]), signed.encode(), padding.PKCS1v15(), algorithm)


@pytest.mark.parametrize("subject", [None, "weather"])
async def test_a_function_gets_version_1_in_the_words_of_events(
    signer: Signer, seal: Seal, server: Server, subject: str | None
) -> None:
    server.answers(200)
    functions = Functions({"hook": Address(f"{server.url}/hook")}, "", Web(5, 2), 2, seal)
    arn = "arn:aws:lambda:us-east-1:000000000000:function:hook"
    await functions.send(delivery("lambda", arn, settings={"signature_version": "2"}, subject=subject))
    [record] = json.loads(server.asked[0].body)["Records"]
    assert "SigningCertURL" not in record["Sns"]
    await check(signer, record["Sns"], url="SigningCertUrl")
    await functions.close()


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_stream_gets_the_topic_s_version(
    signer: Signer, seal: Seal, tmp_path: Path, version: str
) -> None:
    files = StreamFiles(tmp_path / "streams", RollingLimits(), 2, seal)
    settings = {"signature_version": version}
    await files.send(delivery("firehose", STREAM, settings=settings, attributes={"n": ("Number", "1")}))
    await files.send(delivery("firehose", STREAM, settings=settings, raw=True))
    first, second = written(tmp_path, "*.ndjson").splitlines()
    told = json.loads(first)
    assert list(told)[-2:] == ["UnsubscribeURL", "MessageAttributes"]
    await check(signer, told, version)
    assert second == "It rains."
    await files.close()


async def test_a_mailbox_of_email_json_gets_what_a_web_hook_does(
    signer: Signer, seal: Seal, tmp_path: Path
) -> None:
    mail = Email(Outbox(tmp_path / "outbox", ".eml", OutboxLimits()), "ropeway@example.com", seal)
    await mail.send(delivery("email-json", "ann@example.org", settings={}))
    letter: Any = email.message_from_string(written(tmp_path, "*.eml"))
    await check(signer, json.loads(letter.get_payload(decode=True)))
    await mail.close()
