"""WNS: its channels are URLs that a stranger says, so most of this is about where it does not connect to."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from ropewayd.deliveries.answering import Attempt
from ropewayd.deliveries.delivery import DELIVERED, REFUSED, RETRY
from ropewayd.deliveries.push.device import Application, Device
from ropewayd.deliveries.push.wns import Wns, notification
from ropewayd.deliveries.web import Web
from tests.deliveries.making import delivery
from tests.deliveries.web_server import Asked, Server

ARN = "arn:aws:sns:us-east-1:000000000000:endpoint/WNS/app/1"


@pytest.fixture
async def wns(server: Server) -> AsyncIterator[Wns]:
    host = server.url.removeprefix("http://")
    made = Wns(("notify.windows.com", host), f"{server.url}/accesstoken.srf", Web(5, 2))
    yield made
    await made.close()


def device(channel: str) -> Device:
    return Device(
        arn=ARN,
        token=channel,
        application=Application(arn="app", platform="WNS", principal="ms-app://s-1", credential="s3cret"),
    )


def answering(server: Server, status: int) -> None:
    def answer(asked: Asked) -> web.Response:
        if asked.path == "/accesstoken.srf":
            return web.json_response(
                {"access_token": "access", "expires_in": "86400", "token_type": "bearer"}
            )
        return web.Response(status=status, headers={"X-WNS-Status": "received"})

    server.answer = answer


async def test_a_notification_as_microsoft_wants_it(server: Server, wns: Wns) -> None:
    answering(server, 200)
    channel = device(f"{server.url}/?token=a%2Fb")
    outcome = await wns.push(Attempt(), channel, delivery("application", ARN, body="a<b"))
    assert (outcome.answer.outcome, outcome.answer.excerpt) == (DELIVERED, "received")
    sent = server.asked[1]
    assert sent.path == "/?token=a%2Fb"
    assert sent.headers["authorization"] == "Bearer access"
    assert (sent.headers["x-wns-type"], sent.headers["content-type"]) == ("wns/toast", "text/xml")
    assert b"<toast>" in sent.body
    assert b"a&lt;b" in sent.body


@pytest.mark.parametrize(
    ("status", "outcome", "gone"),
    [(410, REFUSED, True), (404, REFUSED, True), (403, REFUSED, False),
     (401, RETRY, False), (406, RETRY, False), (503, RETRY, False)],
)  # fmt: skip
async def test_what_microsoft_says(server: Server, wns: Wns, status: int, outcome: str, gone: bool) -> None:
    answering(server, status)
    found = await wns.push(Attempt(), device(f"{server.url}/?token=1"), delivery("application", ARN))
    assert (found.answer.outcome, found.answer.code, found.gone) == (outcome, status, gone)


@pytest.mark.parametrize(
    "channel",
    [
        "https://db5p.notify.windows.com/?token=a",
        "https://notify.windows.com:443/",
        "https://A.Notify.Windows.com/x",
    ],
)
def test_a_channel_is_at_microsoft(wns: Wns, channel: str) -> None:
    assert wns.allows(channel)


@pytest.mark.parametrize(
    "channel",
    ["", "x", "http://db5p.notify.windows.com/", "https://notify.windows.com.example.com/", "https://127.0.0.1/",
     "https://evilnotify.windows.com/", "https://notify.windows.com:8443/", "https://notify.windows.com@127.0.0.1/",
     "https://127.0.0.1\\@notify.windows.com/", "https://127.0.0.1/?notify.windows.com", "file:///notify.windows.com",
     "https://notify.windows.com:x/", "https://a@notify.windows.com/", "https://notify.windows.com\r\nX: y",
     "https://[::1]/notify.windows.com", "https://127.0.0.1#.notify.windows.com/", "https://notify.windows.com。evil/",
     "https://127.0.0.1:4566/", "//notify.windows.com/", "https://a.notify.windows.com\t/"],
)  # fmt: skip
async def test_nothing_else_is(server: Server, wns: Wns, channel: str) -> None:
    outcome = await wns.push(Attempt(), device(channel), delivery("application", ARN))
    assert (outcome.answer.outcome, outcome.gone) == (REFUSED, True)
    assert server.asked == []


def test_what_the_message_says_itself() -> None:
    told = {
        "AWS.SNS.MOBILE.WNS.Type": ("String", "wns/raw"),
        "AWS.SNS.MOBILE.WNS.CachePolicy": ("String", "cache"),
        "AWS.SNS.MOBILE.WNS.Tag": ("String", "a\r\nX: y"),
        "AWS.SNS.MOBILE.WNS.TTL": ("String", "60"),
    }
    headers, content = notification(delivery("application", ARN, body="raw", attributes=told))
    assert headers == {
        "X-WNS-Type": "wns/raw",
        "Content-Type": "application/octet-stream",
        "X-WNS-RequestForStatus": "true",
        "X-WNS-Cache-Policy": "cache",
        "X-WNS-TTL": "60",
    }
    assert content == b"raw"
