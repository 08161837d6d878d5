"""The protocol firehose: into files, and to a server as Firehose delivers."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from ropewayd.deliveries.delivery import DELIVERED, REFUSED, RETRY
from ropewayd.deliveries.firehose import StreamFiles, StreamServer, one_line
from ropewayd.deliveries.rolling_file import RollingLimits
from ropewayd.deliveries.web import Web
from tests.deliveries.making import ID, TOPIC, delivery
from tests.deliveries.web_server import Asked, Server

ARN = "arn:aws:firehose:us-east-1:000000000000:deliverystream/news"
ENVELOPE = {
    "Type": "Notification",
    "MessageId": ID,
    "TopicArn": TOPIC,
    "Message": "It rains.",
    "Timestamp": "2026-11-25T23:00:00.000Z",
    "UnsubscribeURL": "http://127.0.0.1:4566/?Action=Unsubscribe&SubscriptionArn=s",
}


def written(folder: Path) -> set[str]:
    return {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}


async def test_records_are_lines_of_a_file(tmp_path: Path) -> None:
    files = StreamFiles(tmp_path / "firehose", RollingLimits(), most=2)
    assert (await files.send(delivery("firehose", ARN))).outcome == DELIVERED
    assert (await files.send(delivery("firehose", ARN, raw=True))).outcome == DELIVERED
    assert written(tmp_path) == {"firehose/000000000000/us-east-1/news-000001.ndjson"}
    first, second = (tmp_path / written(tmp_path).pop()).read_text().splitlines()
    assert (json.loads(first), second) == (ENVELOPE, "It rains.")
    await files.close()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'{"a":  1}', b'{"a":  1}'),
        (b'{"a":\n  1}', b'{"a":1}'),
        (b"one\r\ntwo", b'"one\\r\\ntwo"'),
        (b"[" * 100_000 + b"\n", b'"' + b"[" * 100_000 + b'\\n"'),
    ],
)
def test_a_record_of_several_lines_is_one_of_json(content: bytes, line: bytes) -> None:
    assert one_line(content) == line


async def test_streams_are_bounded_and_their_names_checked(tmp_path: Path) -> None:
    files = StreamFiles(tmp_path, RollingLimits(), most=2)
    for name, outcome in (("..", DELIVERED), ("b", DELIVERED), ("c", RETRY), ("b", DELIVERED)):
        sent = delivery("firehose", f"arn:aws:firehose:us-east-1:000000000000:deliverystream/{name}")
        assert (await files.send(sent)).outcome == outcome
    for name in ("news", ARN + "/../../x", ARN + "\n", ARN.replace("us-east-1", "../..")):
        assert (await files.send(delivery("firehose", name))).outcome == REFUSED
    assert written(tmp_path) == {f"000000000000/us-east-1/{name}-000001.ndjson" for name in ("..", "b")}


async def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "000000000000").write_bytes(b"a file")
    answer = await StreamFiles(tmp_path, RollingLimits(), most=2).send(delivery("firehose", ARN))
    assert answer.outcome == RETRY


@pytest.fixture
async def stream(server: Server) -> AsyncIterator[StreamServer]:
    made = StreamServer(f"{server.url}/in", "k3y", Web(5, 2))
    yield made
    await made.close()


def echo(asked: Asked) -> web.Response:
    return web.json_response({"requestId": json.loads(asked.body)["requestId"], "timestamp": 1})


async def test_a_server_gets_what_firehose_posts(server: Server, stream: StreamServer) -> None:
    server.answer = echo
    for _ in range(2):
        answer = await stream.send(delivery("firehose", ARN))
        assert (answer.outcome, answer.code) == (DELIVERED, 200)
    first, again = server.asked
    sent = json.loads(first.body)
    assert set(sent) == {"requestId", "timestamp", "records"}
    assert [json.loads(base64.b64decode(each["data"])) for each in sent["records"]] == [ENVELOPE]
    assert isinstance(sent["timestamp"], int)
    assert first.path == "/in"
    assert first.headers["content-type"] == "application/json"
    assert first.headers["x-amz-firehose-protocol-version"] == "1.0"
    assert first.headers["x-amz-firehose-request-id"] == sent["requestId"]
    assert first.headers["x-amz-firehose-source-arn"] == ARN
    assert first.headers["x-amz-firehose-access-key"] == "k3y"
    assert json.loads(again.body)["requestId"] == sent["requestId"]


@pytest.mark.parametrize(
    ("status", "text", "outcome"),
    [
        (200, "thanks", RETRY),
        (200, '{"requestId": "another"}', RETRY),
        (200, "[" * 50_000, RETRY),
        (202, '{"requestId": "another"}', RETRY),
        (413, '{"errorMessage": "too large"}', REFUSED),
        (400, '{"errorMessage": "no"}', RETRY),
        (500, "", RETRY),
    ],
)
async def test_the_answer_is_checked(
    server: Server, stream: StreamServer, status: int, text: str, outcome: str
) -> None:
    server.answers(status, text)
    answer = await stream.send(delivery("firehose", ARN))
    assert (answer.outcome, answer.code) == (outcome, status)
