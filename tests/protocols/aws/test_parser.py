"""Bytes to requests: like another strict parser, however they are cut, and within bounds."""

import asyncio
import gc
import itertools
from typing import Any, cast

import pytest
from aiohttp.http import HttpRequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewayd.protocols.aws.incoming import Incoming
from ropewayd.protocols.aws.parser import CHUNKED_STEP, STEP, RequestParser
from ropewayd.protocols.aws.settings import HttpLimits

LIMITS = HttpLimits(max_header=1024, max_headers=20, max_body=10_000)
Read = tuple[str, str, list[tuple[bytes, bytes]], bytes]

POST = b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{"a":1}'
CHUNKED = (
    b"POST /q HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
)
GET = b"GET /?Action=ListQueues HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n"
OLD = b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
BAITS = [
    *(b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b",", b"\0", b"\xff", b"0", b"7", b"-", b"+", b"x", b";"),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n"),
    *(
        b"chunked",
        b"Host: y\r\n",
        b"Connection: close\r\n",
        b"Connection: upgrade\r\nUpgrade: h2c\r\n",
        b"HTTP/1.1",
    ),
    *(b"Expect: 100-continue\r\n", b"0\r\n\r\n", b"ffffffffffffffffff", b"GET / HTTP/1.1\r\n\r\n"),
]


def whole(found: list[Incoming]) -> list[Read]:
    """Those that have come to their ends."""
    return [(each.method, each.target, each.headers, each.body()) for each in found if each.whole]


def ours(data: bytes, cuts: list[int]) -> tuple[list[Read], RequestParser]:
    parser = RequestParser(LIMITS)
    found: list[Incoming] = []
    for start, end in itertools.pairwise([0, *sorted(cuts), len(data)]):
        found += parser.feed(data[start:end], 1000)
    return whole(found), parser


class Protocol:
    """What another parser's streams belong to."""

    _reading_paused = False

    def pause_reading(self) -> None: ...

    def resume_reading(self, resume_parser: bool = True) -> None: ...


async def theirs(data: bytes) -> list[Read] | None:
    """What aiohttp's parser reads; None: it refuses it."""
    parser = HttpRequestParser(
        cast(Any, Protocol()),
        asyncio.get_running_loop(),
        1 << 20,
        max_line_size=1024,
        max_field_size=1024,
        max_headers=20,
        auto_decompress=False,
    )
    try:
        messages, _, _ = parser.feed_data(data)
        return [
            (message.method, message.path, list(message.raw_headers), body.read_nowait())
            for message, body in messages
            if body.is_eof()
        ]
    except Exception:  # noqa: BLE001  # it gives what went wrong inside it as it is
        return None


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """Some requests, with a few things in places where they may not belong."""
    data = b"".join(draw(st.lists(st.sampled_from([POST, CHUNKED, GET, OLD]), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.sampled_from(BAITS)) + data[at + draw(st.sampled_from([0, 0, 1, 2])) :]
    return data


@settings(max_examples=2000, deadline=None)
@given(data=spoiled(), cuts=st.lists(st.integers(0, 400), max_size=5))
async def test_what_another_strict_parser_refuses_is_refused_and_all_else_is_read_alike(
    data: bytes, cuts: list[int]
) -> None:
    read, parser = ours(data, [min(cut, len(data)) for cut in cuts])
    at_once, same = ours(data, [])
    assert (read, parser.wrong is None, parser.upgrades) == (at_once, same.wrong is None, same.upgrades)
    their_own = await theirs(data)
    if their_own is None:
        assert parser.wrong is not None or parser.upgrades
    elif parser.wrong is None and not parser.upgrades:
        assert read == their_own
    else:  # it is stricter, but reads nothing else
        assert read == their_own[: len(read)]


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
ENDLESS = {
    "a header": HEAD + b"X: ",
    "a header's name": HEAD,
    "a target": b"GET /",
    "a method": b"",
    "empty lines": b"\r\n",
    "an extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;",
    "a chunk's size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    "a trailer": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ",
}


@pytest.mark.parametrize("begin", ENDLESS.values(), ids=ENDLESS)
@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_what_never_ends_is_refused_soon(begin: bytes, step: int) -> None:
    parser, came = RequestParser(LIMITS), 0
    parser.feed(begin, 1)
    more = (begin if begin == b"\r\n" else b"0") * step
    while parser.wrong is None:
        assert came <= 2 * (2 * LIMITS.max_header + STEP)
        parser.feed(more, 1)
        came += step


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(30)) + b"\r\n", "20 headers"),
        (HEAD + b"X: " + b"y" * 1024 + b"\r\n\r\n", "1024 bytes"),
        (b"GET /" + b"y" * 1024 + b" HTTP/1.1\r\n", "1024 bytes"),
        (HEAD + b"Host: y\r\n\r\n", "more than one header host"),
        (b"GET / HTTP/1.1\r\n\r\n", "no header Host"),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", "neither HTTP/1.0 nor HTTP/1.1"),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "not chunked alone"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n", "trailers"),
        (
            HEAD + b"Upgrade: h2c\r\nConnection: upgrade\r\nTransfer-Encoding: chunked\r\n\r\n",
            "asks for another",
        ),
    ],
)
def test_what_is_refused_is_told_why(data: bytes, why: str) -> None:
    read, parser = ours(GET + data + GET, [])
    assert len(read) == 1
    assert parser.wrong is not None
    assert why in str(parser.wrong)


@pytest.mark.parametrize("cuts", [[], [40], [95, 100], list(range(200))])
def test_a_request_for_another_protocol_is_read_to_its_end_and_is_the_last(cuts: list[int]) -> None:
    asks = HEAD + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 5\r\n\r\nabcde"
    data = asks + GET
    read, parser = ours(data, [min(cut, len(data)) for cut in cuts])
    assert [body for *_, body in read] == [b"abcde"]
    assert parser.upgrades
    assert not parser.holds


def test_it_stops_when_there_are_enough_and_goes_on_when_it_is_asked_to() -> None:
    parser, data = RequestParser(LIMITS), (POST + GET) * 20
    found = parser.feed(data, 3)
    assert (len(found), parser.holds) == (3, True)
    assert len(parser.feed(b"", 0)) == 0
    while parser.holds:
        found += parser.feed(b"", 4)
    assert len(whole(found)) == 40
    few = RequestParser(LIMITS)
    assert len(few.feed(CHUNKED + GET * 1000, 1)) <= 2 + CHUNKED_STEP // len(GET)


def test_a_body_that_is_too_large_is_not_kept() -> None:
    begin = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    for data in (HEAD + b"Content-Length: 20000\r\n\r\n" + b"x" * 9_000, begin + b"5000\r\n" + b"x" * 0x5000):
        [request] = RequestParser(LIMITS).feed(data, 1)
        assert request.too_large
        assert request.body() == b""


def test_what_was_read_is_not_kept() -> None:
    """A connection that is idle would keep its last request, however large."""
    parser = RequestParser(LIMITS)
    [request] = parser.feed(HEAD + b"X: y\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000, 1)
    assert request.whole
    del request
    gc.collect()
    kept = {type(each) for each in gc.get_referents(parser)} | {type(each) for each in gc.get_objects()}
    assert Incoming not in kept
    assert not parser._headers


def test_a_mistake_of_its_own_is_not_the_peers() -> None:
    class Broken(RequestParser):
        def on_body(self, piece: bytes) -> None:
            raise AssertionError

    with pytest.raises(AssertionError):
        Broken(LIMITS).feed(POST, 1)
