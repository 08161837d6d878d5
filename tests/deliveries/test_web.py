"""What is asked of servers that the settings name, and how little their answers can do."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from ropewayd.deliveries.delivery import DELIVERED, REFUSED, RETRY
from ropewayd.deliveries.web import MAX_ANSWER, Reply, Unreachable, Web
from tests.deliveries.web_server import Asked, Server


@pytest.fixture
async def client() -> AsyncIterator[Web]:
    made = Web(timeout=5, connections=2)
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, DELIVERED), (202, DELIVERED), (301, REFUSED), (400, REFUSED), (404, REFUSED), (408, RETRY),
     (429, RETRY), (500, RETRY), (503, RETRY)],
)  # fmt: skip
def test_the_status_says_whether_it_is_final(status: int, outcome: str) -> None:
    assert Reply(status, {}, b"").outcome == outcome


@pytest.mark.parametrize(
    ("said", "wait"), [("7", 7000), ("999999", 3_600_000), ("-1", None), ("Thu, 1", None), ("²", None)]
)
def test_how_long_to_wait_is_bounded(said: str, wait: int | None) -> None:
    assert Reply(503, {"retry-after": said}, b"").retry_after_ms == wait


async def test_no_redirect_is_followed(server: Server, client: Web) -> None:
    server.answers(307, Location=f"{server.url}/other")
    assert (await client.post(server.url, b"x", {})).status == 307
    assert [each.path for each in server.asked] == ["/"]


async def test_an_answer_is_cut(server: Server, client: Web) -> None:
    server.answers(200, "x" * (3 * MAX_ANSWER))
    assert len((await client.post(server.url, b"x", {})).body) == MAX_ANSWER
    server.answers(200, "y")
    assert (await client.post(server.url, b"x", {})).body == b"y"


async def test_no_proxy_of_the_environment_is_asked(
    server: Server, client: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert (await client.post(server.url, b"x", {})).status == 200


async def test_who_does_not_answer_is_unreachable(server: Server, client: Web) -> None:
    def hang(asked: Asked) -> web.Response:
        raise ConnectionAbortedError

    server.answer = hang
    assert (await client.post(server.url, b"x", {})).status == 500
    for url in ("http://127.0.0.1:1/", "nonsense"):
        with pytest.raises(Unreachable):
            await client.post(url, b"x", {})


async def test_what_is_said_of_a_broken_answer_holds_no_secret(client: Web) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 many thanks\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as babbling:
        port = babbling.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable) as failed:
            await client.post(f"http://me:s3cret@127.0.0.1:{port}/?token=s3cret", b"x", {})
    assert "ClientResponseError" in str(failed.value)
    assert "s3cret" not in str(failed.value)
