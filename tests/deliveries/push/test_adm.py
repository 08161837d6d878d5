"""ADM: a token for the client, and messages with their versions."""

import json
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from ropewayd.deliveries.answering import Attempt
from ropewayd.deliveries.delivery import DELIVERED, REFUSED, RETRY
from ropewayd.deliveries.push.adm import Adm, message
from ropewayd.deliveries.push.device import Application, Device
from ropewayd.deliveries.web import Web
from tests.deliveries.making import delivery
from tests.deliveries.web_server import Asked, Server

ARN = "arn:aws:sns:us-east-1:000000000000:endpoint/ADM/app/1"
DEVICE = Device(
    arn=ARN,
    token="amzn1.adm/x?y",
    application=Application(arn="app", platform="ADM", principal="client", credential="s3cret"),
)


@pytest.fixture
async def adm(server: Server) -> AsyncIterator[Adm]:
    made = Adm(server.url, f"{server.url}/auth/o2/token", Web(5, 2))
    yield made
    await made.close()


def answering(server: Server, status: int, text: str) -> None:
    def answer(asked: Asked) -> web.Response:
        if asked.path == "/auth/o2/token":
            return web.json_response({"access_token": "access", "expires_in": 3600})
        return web.Response(status=status, text=text)

    server.answer = answer


async def test_a_notification_as_amazon_wants_it(server: Server, adm: Adm) -> None:
    answering(server, 200, '{"registrationID": "amzn1.adm"}')
    outcome = await adm.push(Attempt(), DEVICE, delivery("application", ARN))
    assert (outcome.answer.outcome, outcome.gone) == (DELIVERED, False)
    first, sent = server.asked
    assert parse_qs(first.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["messaging:push"],
        "client_id": ["client"],
        "client_secret": ["s3cret"],
    }
    assert sent.path == "/messaging/registrations/amzn1.adm%2Fx%3Fy/messages"
    assert sent.headers["authorization"] == "Bearer access"
    assert sent.headers["x-amzn-type-version"] == "com.amazon.device.messaging.ADMMessage@1.0"
    assert sent.headers["x-amzn-accept-type"] == "com.amazon.device.messaging.ADMSendResult@1.0"
    assert json.loads(sent.body) == {"data": {"default": "It rains."}}


@pytest.mark.parametrize(
    ("status", "reason", "outcome", "gone"),
    [
        (400, "Unregistered", REFUSED, True),
        (400, "InvalidRegistrationId", REFUSED, True),
        (400, "InvalidData", REFUSED, False),
        (401, "AccessTokenExpired", RETRY, False),
        (429, "MaxRateExceeded", RETRY, False),
        (503, "", RETRY, False),
    ],
)
async def test_what_amazon_says(
    server: Server, adm: Adm, status: int, reason: str, outcome: str, gone: bool
) -> None:
    answering(server, status, json.dumps({"reason": reason}))
    found = await adm.push(Attempt(), DEVICE, delivery("application", ARN))
    assert (found.answer.outcome, found.answer.code, found.gone) == (outcome, status, gone)


def test_what_a_message_is_written_as() -> None:
    told = {"AWS.SNS.MOBILE.ADM.TTL": ("String", "60")}
    body = '{"data": {"a": "b"}, "consolidationKey": "k"}'
    sent = delivery("application", ARN, body=body, attributes=told)
    assert message(sent) == {"data": {"a": "b"}, "consolidationKey": "k", "expiresAfter": 60}
