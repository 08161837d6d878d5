"""APNs against a server of HTTP/2 that checks what it gets."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from ropewayd.deliveries.answering import Attempt
from ropewayd.deliveries.delivery import DELIVERED, REFUSED, RETRY, Delivery
from ropewayd.deliveries.push.apns import Apns, Http2
from ropewayd.deliveries.push.device import Application, Device, Outcome
from tests.certificate import self_signed
from tests.deliveries.making import ID, delivery
from tests.deliveries.push.http2_server import Http2Server, serving

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
ARN = "arn:aws:sns:us-east-1:000000000000:endpoint/APNS/app/1"
TEAM = {"ApplePlatformTeamID": "TEAM123456", "ApplePlatformBundleID": "org.example.app"}


def device(**changed: Any) -> Device:
    known: dict[str, Any] = {
        "platform": "APNS",
        "principal": "KEY1234567",
        "credential": PEM,
        "attributes": TEAM,
    }
    token = changed.pop("token", "abcdef0123456789")
    return Device(arn=ARN, token=token, application=Application(arn="app", **known | changed))


@pytest.fixture
async def server() -> AsyncIterator[Http2Server]:
    async with serving() as running:
        yield running


@pytest.fixture
async def apns(server: Http2Server) -> AsyncIterator[Apns]:
    made = Apns(server.url + "/", server.url + "/sandbox", Http2(5, 2))
    yield made
    await made.close()


async def push(apns: Apns, to: Device | None = None, **changed: Any) -> Outcome:
    return await apns.push(Attempt(), to or device(), message(**changed))


def message(**changed: Any) -> Delivery:
    return delivery("application", ARN, **changed)


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def test_a_notification_as_apple_wants_it(server: Http2Server, apns: Apns) -> None:
    outcome = await push(apns)
    assert (outcome.answer.outcome, outcome.answer.code, outcome.gone) == (DELIVERED, 200, False)
    [asked] = server.asked
    assert (asked.headers[":method"], asked.headers[":path"]) == ("POST", "/3/device/abcdef0123456789")
    assert json.loads(asked.body) == {"aps": {"alert": "It rains."}}
    assert asked.headers["apns-id"] == ID
    assert asked.headers["apns-topic"] == "org.example.app"
    assert asked.headers["apns-push-type"] == "alert"
    scheme, _, token = asked.headers["authorization"].partition(" ")
    head, claims, signature = token.split(".")
    assert scheme == "bearer"
    assert json.loads(decoded(head)) == {"alg": "ES256", "kid": "KEY1234567"}
    assert json.loads(decoded(claims)).keys() == {"iss", "iat"}
    assert json.loads(decoded(claims))["iss"] == "TEAM123456"
    r, s = decoded(signature)[:32], decoded(signature)[32:]
    pair = utils.encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
    KEY.public_key().verify(pair, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))


async def test_a_token_and_a_connection_serve_for_many(server: Http2Server, apns: Apns) -> None:
    await asyncio.gather(*(push(apns) for _ in range(20)))
    await push(apns)
    assert len({each.headers["authorization"] for each in server.asked}) == 1
    assert len(server.asked) == 21
    assert server.connections <= 2


async def test_what_the_message_says_itself(server: Http2Server, apns: Apns) -> None:
    body = '{"aps": {"content-available": 1}, "more": 2}'
    told = {
        "AWS.SNS.MOBILE.APNS.PRIORITY": ("String", "5"),
        "AWS.SNS.MOBILE.APNS.COLLAPSE_ID": ("String", "weather"),
        "AWS.SNS.MOBILE.APNS.TTL": ("String", "0"),
        "AWS.SNS.MOBILE.APNS.TOPIC": ("String", "bad\r\nx: y"),
    }
    await push(apns, body=body, attributes=told)
    [asked] = server.asked
    assert asked.body == body.encode()
    sent = {name: value for name, value in asked.headers.items() if name.startswith("apns-")}
    assert sent == {
        "apns-id": ID,
        "apns-push-type": "background",
        "apns-priority": "5",
        "apns-collapse-id": "weather",
        "apns-expiration": "0",
    }


async def test_the_sandbox_is_another_server(server: Http2Server, apns: Apns) -> None:
    await push(apns, device(platform="APNS_SANDBOX"))
    assert server.asked[0].headers[":path"] == "/sandbox/3/device/abcdef0123456789"


@pytest.mark.parametrize(
    ("status", "reason", "outcome", "gone"),
    [
        (410, "Unregistered", REFUSED, True),
        (400, "BadDeviceToken", REFUSED, True),
        (400, "DeviceTokenNotForTopic", REFUSED, True),
        (400, "BadTopic", REFUSED, False),
        (413, "PayloadTooLarge", REFUSED, False),
        (403, "ExpiredProviderToken", RETRY, False),
        (429, "TooManyRequests", RETRY, False),
        (503, "ServiceUnavailable", RETRY, False),
    ],
)
async def test_what_apple_says(
    server: Http2Server, apns: Apns, status: int, reason: str, outcome: str, gone: bool
) -> None:
    server.status, server.text = status, json.dumps({"reason": reason}).encode()
    found = await push(apns)
    assert (found.answer.outcome, found.answer.code, found.answer.excerpt) == (outcome, status, reason)
    assert found.gone == gone


async def test_what_cannot_be_sent_is_not(server: Http2Server, apns: Apns) -> None:
    for wrong in (device(token="../x"), device(token="abcdef0123456789\n"), device(token="")):
        outcome = await push(apns, wrong)
        assert (outcome.answer.outcome, outcome.gone) == (REFUSED, True)
    for credential in ("nonsense", PEM[:-60]):
        outcome = await push(apns, device(credential=credential))
        assert (outcome.answer.outcome, outcome.gone) == (REFUSED, False)
    assert (await push(apns, body="x" * 4097)).answer.outcome == REFUSED
    assert server.asked == []


async def test_a_server_that_is_not_there_or_speaks_no_http2() -> None:
    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(old, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    apns = Apns(url, url, Http2(5, 2))
    assert (await push(apns)).answer.outcome == RETRY
    server.close()
    await server.wait_closed()
    assert (await push(apns)).answer.outcome == RETRY
    await apns.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Of 127.0.0.1, signed by itself."""
    return self_signed(tmp_path, "IP:127.0.0.1")


@pytest.mark.needs("openssl")
async def test_over_tls_the_servers_certificate_is_checked(certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols(["h2"])
    async with serving(context) as server:
        strange = Apns(server.url, server.url, Http2(5, 2))
        assert (await push(strange)).answer.outcome == RETRY
        assert server.asked == []
        await strange.close()
        known = Apns(server.url, server.url, Http2(5, 2, ssl.create_default_context(cafile=certificate[0])))
        assert (await push(known)).answer.outcome == DELIVERED
        assert len(server.asked) == 1
        await known.close()
