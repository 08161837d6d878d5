"""The protocol lambda: by the Invoke API, by a URL and by a program."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ropewayd.deliveries.delivery import DELIVERED, REFUSED, RETRY
from ropewayd.deliveries.function import Address, Functions, Program
from ropewayd.deliveries.web import Web
from tests.deliveries.making import ID, SUBSCRIPTION, TOPIC, delivery
from tests.deliveries.web_server import Server

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
EVENT = {
    "Records": [
        {
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": SUBSCRIPTION,
            "Sns": {
                "Type": "Notification",
                "MessageId": ID,
                "TopicArn": TOPIC,
                "Subject": None,
                "Message": "It rains.",
                "Timestamp": "2026-11-25T23:00:00.000Z",
                "UnsubscribeUrl": "http://127.0.0.1:4566/?Action=Unsubscribe&SubscriptionArn=s",
                "MessageAttributes": {"n": {"Type": "Number", "Value": "1"}},
            },
        }
    ]
}


@pytest.fixture
async def functions(server: Server, tmp_path: Path) -> AsyncIterator[Functions]:
    file = str(tmp_path / "kept")
    keep = f"import pathlib, sys; pathlib.Path({file!r}).write_text(sys.stdin.read()); print('done')"
    registry: dict[str, Address | Program] = {
        "hook": Address(f"{server.url}/hook"),
        "keep": Program((sys.executable, "-I", "-c", keep), 30),
        "fail": Program((sys.executable, "-I", "-c", "raise SystemExit('no')"), 30),
        "slow": Program((sys.executable, "-I", "-c", "import time; time.sleep(60)"), 0.2),
        "gone": Program(("/nowhere/at/all",), 30),
    }
    made = Functions(registry, server.url + "/", Web(5, 2), programs=2)
    yield made
    await made.close()


async def test_a_function_behind_the_invoke_api(server: Server, functions: Functions) -> None:
    server.answers(202)
    for name in ("resize", "resize:live"):
        sent = delivery("lambda", ARN + name, attributes={"n": ("Number", "1")})
        answer = await functions.send(sent)
        assert (answer.outcome, answer.code) == (DELIVERED, 202)
    first, second = server.asked
    assert (first.method, first.path) == ("POST", "/2015-03-31/functions/resize/invocations")
    assert second.path == "/2015-03-31/functions/resize/invocations?Qualifier=live"
    assert first.headers["x-amz-invocation-type"] == "Event"
    assert first.headers["content-type"] == "application/json"
    assert json.loads(first.body) == EVENT


@pytest.mark.parametrize(("status", "outcome"), [(404, REFUSED), (429, RETRY), (500, RETRY), (413, REFUSED)])
async def test_what_the_api_says_decides(
    server: Server, functions: Functions, status: int, outcome: str
) -> None:
    server.answers(status, "what it says", Retry_After="3")
    answer = await functions.send(delivery("lambda", ARN + "resize"))
    assert (answer.outcome, answer.code, answer.excerpt) == (outcome, status, "what it says")
    assert answer.retry_after_ms == 3000


async def test_an_emulator_that_says_that_the_function_failed(server: Server, functions: Functions) -> None:
    server.answers(200, "{}", X_Amz_Function_Error="Unhandled")
    assert (await functions.send(delivery("lambda", ARN + "resize"))).outcome == RETRY


async def test_a_url(server: Server, functions: Functions) -> None:
    answer = await functions.send(delivery("lambda", ARN + "hook", attributes={"n": ("Number", "1")}))
    assert (answer.outcome, answer.code, answer.excerpt) == (DELIVERED, 200, "thanks")
    [asked] = server.asked
    assert asked.path == "/hook"
    assert json.loads(asked.body) == EVENT


async def test_a_program(functions: Functions, tmp_path: Path) -> None:
    answer = await functions.send(delivery("lambda", ARN + "keep", attributes={"n": ("Number", "1")}))
    assert (answer.outcome, answer.code, answer.excerpt) == (DELIVERED, 0, "done")
    assert json.loads((tmp_path / "kept").read_text()) == EVENT
    failed = await functions.send(delivery("lambda", ARN + "fail"))
    assert (failed.outcome, failed.code, failed.excerpt) == (RETRY, 1, "no")
    for name in ("slow", "gone"):
        answer = await functions.send(delivery("lambda", ARN + name))
        assert (answer.outcome, answer.code) == (RETRY, None)


async def test_a_function_that_is_nowhere_refuses() -> None:
    functions = Functions({}, "", Web(5, 2), programs=2)
    assert (await functions.send(delivery("lambda", ARN + "resize"))).outcome == REFUSED


@pytest.mark.parametrize(
    "arn", ["resize", ARN, ARN + "../x", ARN + "a/b", ARN + "a?b", ARN + "a\n", ARN + "a:b:c"]
)
async def test_what_is_no_functions_arn_is_refused(server: Server, functions: Functions, arn: str) -> None:
    assert (await functions.send(delivery("lambda", arn))).outcome == REFUSED
    assert server.asked == []
