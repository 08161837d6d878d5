"""One HTTP connection on a transport that is not there: order, what is held, and how it ends."""

import asyncio
import gzip
import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ropewayd.protocols.aws.connection import AHEAD, READ_AHEAD, Connection
from ropewayd.protocols.aws.gateway import Gateway
from ropewayd.protocols.aws.server import HttpServer
from ropewayd.protocols.aws.settings import HttpLimits
from ropewayd.protocols.aws.turns import PIECE
from tests.house import House, settle
from tests.protocols.transport import Transport

URL = "http://x/000000000000/jobs"


def post(action: str, *more: str, body: bytes | None = None, **parameters: Any) -> bytes:
    said = json.dumps(parameters).encode() if body is None else body
    lines = ["POST / HTTP/1.1", "Host: x", f"X-Amz-Target: AmazonSQS.{action}", *more]
    if not any(each.startswith("Transfer-Encoding") for each in more):
        lines.append(f"Content-Length: {len(said)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + said


def send(text: str, *more: str) -> bytes:
    return post("SendMessage", *more, QueueUrl=URL, MessageBody=text)


def chunked(text: str, size: int) -> bytes:
    said = json.dumps({"QueueUrl": URL, "MessageBody": text}).encode()
    pieces = [said[at : at + size] for at in range(0, len(said), size)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
    return post("SendMessage", "Transfer-Encoding: chunked", body=body)


RECEIVE = post("ReceiveMessage", QueueUrl=URL, WaitTimeSeconds=20)
LIST = post("ListQueues")
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n"


class Line:
    """A connection and its peer."""

    def __init__(self, house: House, max_body: int = 2 << 20) -> None:
        chosen = HttpLimits(max_body=max_body)
        gateway = Gateway(house.kernel, chosen, {}, "000000000000", "us-east-1")
        self.server = HttpServer(gateway, chosen)
        self.transport = Transport()
        self.connection: Connection = self.server.connect()
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]  # as much of one as is used

    async def say(self, data: bytes) -> None:
        self.connection.data_received(data)
        await settle()

    def heard(self) -> list[tuple[int, bytes]]:
        """Statuses and bodies that came since the last look."""
        data, found = bytes(self.transport.written), []
        self.transport.written.clear()
        while data:
            head, _, data = data.partition(b"\r\n\r\n")
            length = int(re.search(rb"Content-Length: (\d+)", head)[1]) if b"Length" in head else 0  # type: ignore[index]  # it is there
            if not data.startswith(b"HTTP/") or length == 0:
                found.append((int(head[9:12]), data[:length]))
                data = data[length:]
            else:
                found.append((int(head[9:12]), b""))  # the answer to HEAD
        return found


@pytest.fixture
async def line(house: House) -> Line:
    await house.create("jobs")
    return Line(house)


MIXED = [
    *(send("one"), GET, chunked("two" * 40, 7), HEAD, LIST, send("three"), post("Nothing"), GET),
    *(
        post("SendMessage", body=b"{"),
        b"GET /?Action=ListQueues HTTP/1.1\r\nHost: x\r\n\r\n",
        chunked("4", 1),
        post("SendMessageBatch", QueueUrl=URL, Entries=[{"Id": "a", "MessageBody": "x"}] * 2),
        post("SendMessageBatch", QueueUrl=URL, Entries=[{"Id": "a", "MessageBody": "x"}]),
    ),
]
STATUSES = [200, 200, 200, 200, 200, 200, 400, 200, 400, 200, 200, 400, 200]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(b"".join(MIXED))), max_size=12), garbage=st.booleans())
async def test_however_the_bytes_are_cut_each_request_is_answered_in_order(
    house: House, cuts: list[int], garbage: bool
) -> None:
    await house.create("jobs")
    line, data = Line(house), b"".join(MIXED)
    places = [0, *sorted(cuts), len(data)]
    for start, end in itertools.pairwise(places):
        await line.say(data[start:end])
    heard = line.heard()
    assert [status for status, _ in heard] == STATUSES
    assert heard[1] == heard[7] == (200, b'{"status":"ok"}')
    if garbage:
        await line.say(b"no HTTP\r\n\r\n")
        assert [status for status, _ in line.heard()] == [400]
        assert line.transport.ended
    else:
        assert not line.transport.fate()
    line.connection.connection_lost(None)


async def test_what_is_asked_ahead_of_a_long_poll_is_held_and_then_answered(line: Line) -> None:
    await line.say(RECEIVE + b"".join(send(str(n)) for n in range(3 * AHEAD)))
    assert line.heard() == []
    assert not line.transport.reading
    other = beside(line)
    await other.say(send("for the one who waits"))
    for _ in range(100):
        await settle()
    heard = line.heard()
    assert [status for status, _ in heard] == [200] * (3 * AHEAD + 1)
    assert b"for the one who waits" in heard[0][1]
    assert line.transport.reading


async def test_bytes_ahead_of_a_long_poll_have_a_limit(line: Line) -> None:
    await line.say(RECEIVE)
    assert line.transport.reading
    await line.say(send("x" * READ_AHEAD))
    assert not line.transport.reading


async def test_a_flood_of_small_requests_is_read_as_it_is_answered(line: Line) -> None:
    flood = GET * 2000
    for _ in range(300):
        if line.transport.reading:
            line.connection.data_received(flood)
        await asyncio.sleep(0)
        assert len(line.connection._parser._rest) <= READ_AHEAD


async def test_a_peer_that_does_not_take_its_answers_is_not_served(line: Line) -> None:
    line.connection.pause_writing()
    await line.say(send("one") + send("two"))
    assert line.heard() == []
    line.connection.resume_writing()
    await settle()
    assert [status for status, _ in line.heard()] == [200, 200]


async def test_a_peer_that_is_gone_waits_no_more(house: House, line: Line) -> None:
    await line.say(RECEIVE + send("never asked"))
    assert house.kernel.polls == 1
    line.connection.connection_lost(None)
    assert house.kernel.polls == 0
    assert line.server.connections == 0
    await settle()
    assert line.heard() == []


async def test_a_wrong_request_does_not_undo_those_before_it(line: Line) -> None:
    await line.say(RECEIVE)
    await line.say(b"no HTTP\r\n\r\n")
    await line.say(send("not read any more"))
    assert line.heard() == []
    line.connection.close()
    assert not line.transport.fate()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (send("x", "Connection: close"), b"Connection: close"),
        (b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"Connection: keep-alive"),
        (b"GET /health HTTP/1.0\r\n\r\n", b"Connection: close"),
        (
            b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            b"Connection: close",
        ),
        (send("x"), None),
    ],
)
async def test_what_an_answer_says_of_the_connection(line: Line, request_: bytes, said: bytes | None) -> None:
    await line.say(request_)
    written = bytes(line.transport.written)
    assert written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (said in written) if said else (b"Connection:" not in written)
    assert line.transport.closed == (said == b"Connection: close")


async def test_an_answer_with_a_stop_behind_it_says_so(house: House, line: Line) -> None:
    await line.say(RECEIVE)
    line.connection.close()
    assert not line.transport.closed
    await house.kernel.stop()
    assert b"Connection: close" in bytes(line.transport.written)
    assert line.transport.closed


async def test_a_body_that_is_too_large_ends_the_connection(house: House) -> None:
    await house.create("jobs")
    for data in (send("x" * 5000), chunked("x" * 5000, 1), send("x" * 5000)[:200]):
        line = Line(house, max_body=4000)
        await line.say(data)
        assert [status for status, _ in line.heard()] == [413]
        assert line.transport.ended
        await line.say(send("thrown away"))
        assert line.heard() == []
        line.connection.connection_lost(None)


async def test_a_body_of_many_small_chunks_is_one_body(line: Line) -> None:
    await line.say(chunked("x" * 200_000, 1))
    assert [status for status, _ in line.heard()] == [200]


async def test_a_page_of_metrics_that_fails_is_an_answer_too(line: Line) -> None:
    async def broken() -> bytes:
        raise ValueError

    line.server.gateway.metrics = broken
    await line.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
    assert [status for status, _ in line.heard()] == [500, 200]


async def test_nobody_is_told_to_go_on_who_did_not_wait(line: Line) -> None:
    whole = send("x", "Expect: 100-continue")
    await line.say(whole)
    assert [status for status, _ in line.heard()] == [200]
    head, _, body = whole.partition(b"\r\n\r\n")
    await line.say(head + b"\r\n\r\n")
    assert bytes(line.transport.written) == b"HTTP/1.1 100 Continue\r\n\r\n"
    line.transport.written.clear()
    await line.say(body)
    assert [status for status, _ in line.heard()] == [200]


def large(text: str) -> bytes:
    """A form of more than one piece, with escapes."""
    body = f"Action=SendMessage&QueueUrl=jobs&MessageBody={text}".encode() + b"%41" * PIECE
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def beside(line: Line) -> Line:
    """Another connection to the same server."""
    other = Line.__new__(Line)
    other.__dict__.update(line.__dict__, transport=Transport(), connection=line.server.connect())
    other.connection.connection_made(other.transport)  # type: ignore[arg-type]  # as above
    return other


async def answered(line: Line) -> None:
    """Wait for what a large request gets."""
    while not line.transport.written:  # noqa: ASYNC110  # nothing tells when a transport is written to
        await asyncio.sleep(0.001)


async def test_a_small_request_is_answered_while_large_ones_take_turns(line: Line) -> None:
    others = [line, beside(line), beside(line)]
    for other in others:
        other.connection.data_received(large("large"))
    small = beside(line)
    small.connection.data_received(send("small"))
    while not small.transport.written:  # noqa: ASYNC110  # what passes are rounds of the loop
        await asyncio.sleep(0)
    assert [status for status, _ in small.heard()] == [200]
    assert others[-1].heard() == []
    for other in others:
        await answered(other)
    assert [status for other in others for status, _ in other.heard()] == [200] * 3


async def test_a_large_request_of_a_peer_that_is_gone_sends_nothing(house: House, line: Line) -> None:
    other = beside(line)
    line.connection.data_received(large("gone"))
    other.connection.data_received(large("here"))
    line.connection.connection_lost(None)
    await answered(other)
    assert [status for status, _ in other.heard()] == [200]
    [body] = await house.bodies()
    assert body == "here" + "A" * PIECE


async def test_a_large_request_that_is_wrong_is_told_so(line: Line) -> None:
    line.connection.data_received(large("wrong").replace(b"%41", b"%zz"))
    await answered(line)
    [(status, said)] = line.heard()
    assert (status, b"begins no escape" in said) == (400, True)


async def test_a_large_body_is_read_by_turns(line: Line) -> None:
    request_ = large("large")
    half = len(request_) // 2
    reading = []
    line.connection.data_received(request_[:half])
    reading.append(line.transport.reading)
    await settle()
    reading.append(line.transport.reading)
    assert reading == [False, True]
    await line.say(request_[half:])
    assert [status for status, _ in line.heard()] == [200]


async def test_what_is_packed_takes_turns_however_small(line: Line) -> None:
    said = gzip.compress(b'{"QueueUrl":"jobs","MessageBody":"' + b"x" * PIECE + b'"}')
    line.connection.data_received(post("SendMessage", "Content-Encoding: gzip", body=said))
    assert line.heard() == []
    await settle()
    assert [status for status, _ in line.heard()] == [200]
