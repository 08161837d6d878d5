"""FCM: a token for a signed claim, and messages as version 1 has them."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ropewayd.deliveries.answering import Attempt
from ropewayd.deliveries.delivery import DELIVERED, REFUSED, RETRY
from ropewayd.deliveries.push.device import Application, Device, Outcome
from ropewayd.deliveries.push.fcm import SCOPE, Fcm, message
from ropewayd.deliveries.web import Web
from tests.deliveries.making import delivery
from tests.deliveries.web_server import Asked, Server

KEY = rsa.generate_private_key(65_537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
ACCOUNT = {
    "type": "service_account",
    "project_id": "proj-1",
    "private_key_id": "kid1",
    "private_key": PEM,
    "client_email": "svc@proj-1.example.com",
    "token_uri": "http://127.0.0.1:1/never/asked",
}
ARN = "arn:aws:sns:us-east-1:000000000000:endpoint/GCM/app/1"


def device(credential: str | None = None) -> Device:
    credential = json.dumps(ACCOUNT) if credential is None else credential
    return Device(
        arn=ARN, token="t:0", application=Application(arn="app", platform="GCM", credential=credential)
    )


class Google:
    """Answers as the two services do."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.given = 0
        self.status = 200
        self.said: Any = {"name": "projects/proj-1/messages/1"}
        server.answer = self.answer

    def answer(self, asked: Asked) -> web.Response:
        if asked.path == "/token":
            self.given += 1
            return web.json_response({"access_token": f"access{self.given}", "expires_in": 3599})
        return web.json_response(self.said, status=self.status)

    @property
    def sent(self) -> list[Asked]:
        return [each for each in self.server.asked if each.path != "/token"]


@pytest.fixture
def google(server: Server) -> Google:
    return Google(server)


@pytest.fixture
async def fcm(server: Server) -> AsyncIterator[Fcm]:
    made = Fcm(server.url, f"{server.url}/token", Web(5, 2))
    yield made
    await made.close()


async def push(fcm: Fcm, to: Device | None = None, **changed: Any) -> Outcome:
    return await fcm.push(Attempt(), to or device(), delivery("application", ARN, **changed))


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def test_a_notification_as_google_wants_it(google: Google, fcm: Fcm) -> None:
    for _ in range(2):
        outcome = await push(fcm)
        assert (outcome.answer.outcome, outcome.answer.code, outcome.gone) == (DELIVERED, 200, False)
    assert google.given == 1
    form = parse_qs(google.server.asked[0].body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    head, claims, signature = form["assertion"][0].split(".")
    assert json.loads(decoded(head)) == {"alg": "RS256", "typ": "JWT", "kid": "kid1"}
    said = json.loads(decoded(claims))
    assert (said["iss"], said["scope"]) == ("svc@proj-1.example.com", SCOPE)
    assert said["aud"] == f"{google.server.url}/token"
    assert said["exp"] == said["iat"] + 3600
    KEY.public_key().verify(
        decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    sent = google.sent[0]
    assert sent.path == "/v1/projects/proj-1/messages:send"
    assert sent.headers["authorization"] == "Bearer access1"
    assert json.loads(sent.body) == {"message": {"token": "t:0", "notification": {"body": "It rains."}}}


@pytest.mark.parametrize(
    ("body", "made"),
    [
        (
            {"fcmV1Message": {"message": {"topic": "all", "token": "other", "data": {"a": "b"}}}},
            {"data": {"a": "b"}},
        ),
        (
            {
                "notification": {"title": "T", "body": "B", "sound": "s", "android_channel_id": "c"},
                "data": {"n": 1, "s": "x"},
                "priority": "high",
                "time_to_live": 60,
                "collapse_key": "k",
                "to": "other",
            },
            {
                "notification": {"title": "T", "body": "B"},
                "data": {"n": "1", "s": "x"},
                "android": {
                    "notification": {"sound": "s", "channel_id": "c"},
                    "ttl": "60s",
                    "priority": "HIGH",
                    "collapse_key": "k",
                },
            },
        ),
        ({"anything": [1]}, {"data": {"anything": "[1]"}}),
    ],
)
def test_what_a_message_is_written_as(body: Any, made: Any) -> None:
    assert message(device(), delivery("application", ARN, body=json.dumps(body))) == {"token": "t:0", **made}


def test_how_long_a_message_lives() -> None:
    told = {"AWS.SNS.MOBILE.GCM.TTL": ("String", "99999999")}
    assert message(device(), delivery("application", ARN, attributes=told))["android"] == {"ttl": "2419200s"}


def error(code: str) -> Any:
    return {"error": {"details": [{"@type": "other"}, {"errorCode": code}]}}


@pytest.mark.parametrize(
    ("status", "said", "outcome", "gone"),
    [
        (404, error("UNREGISTERED"), REFUSED, True),
        (403, error("SENDER_ID_MISMATCH"), REFUSED, True),
        (400, error("INVALID_ARGUMENT"), REFUSED, False),
        (404, {"error": "strange"}, REFUSED, False),
        (429, error("QUOTA_EXCEEDED"), RETRY, False),
        (503, error("UNAVAILABLE"), RETRY, False),
    ],
)
async def test_what_google_says(
    google: Google, fcm: Fcm, status: int, said: Any, outcome: str, gone: bool
) -> None:
    google.status, google.said = status, said
    found = await push(fcm)
    assert (found.answer.outcome, found.answer.code, found.gone) == (outcome, status, gone)


async def test_a_token_that_is_not_taken_is_asked_for_again(google: Google, fcm: Fcm) -> None:
    google.status = 401
    assert (await push(fcm)).answer.outcome == RETRY
    google.status = 200
    assert (await push(fcm)).answer.outcome == DELIVERED
    assert google.sent[-1].headers["authorization"] == "Bearer access2"


@pytest.mark.parametrize(
    "credential",
    ["an old server key", "[]", json.dumps({**ACCOUNT, "private_key": "x"}),
     json.dumps({**ACCOUNT, "project_id": "../../x"}), json.dumps({**ACCOUNT, "project_id": "x?y"})],
)  # fmt: skip
async def test_what_is_no_service_account_is_refused(google: Google, fcm: Fcm, credential: str) -> None:
    outcome = await push(fcm, device(credential))
    assert (outcome.answer.outcome, outcome.gone) == (REFUSED, False)
    assert google.server.asked == []


async def test_no_token_no_message(google: Google, fcm: Fcm) -> None:
    google.server.answers(400, '{"error": "invalid_grant"}')
    outcome = await push(fcm)
    assert (outcome.answer.outcome, outcome.answer.code, outcome.gone) == (RETRY, 400, False)
    assert google.sent == []
