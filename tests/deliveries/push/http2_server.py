"""A real server of HTTP/2, and of nothing else, that keeps what it is asked."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded


class Asked:
    """One request."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers
        self.body = b""


class Http2Server:
    """`status`, `text` and `told` are what each request is answered."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        self.status = 200
        self.text = b""
        self.told: dict[str, str] = {}
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        streams: dict[int, Asked] = {}
        writer.write(connection.data_to_send())
        while data := await reader.read(65_536):
            for event in connection.receive_data(data):
                if isinstance(event, RequestReceived):
                    assert event.stream_id is not None
                    headers = {_text(name): _text(value) for name, value in event.headers or []}
                    streams[event.stream_id] = Asked(headers)
                elif isinstance(event, DataReceived):
                    assert event.stream_id is not None
                    streams[event.stream_id].body += event.data or b""
                    connection.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
                elif isinstance(event, StreamEnded):
                    assert event.stream_id is not None
                    self.asked.append(streams.pop(event.stream_id))
                    self._answer(connection, event.stream_id)
            writer.write(connection.data_to_send())
        writer.close()

    def _answer(self, connection: H2Connection, stream: int) -> None:
        connection.send_headers(stream, [(":status", str(self.status)), *self.told.items()])
        connection.send_data(stream, self.text, end_stream=True)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[Http2Server]:
    server = Http2Server()
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        await server.handle(reader, writer)

    listening = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    scheme = "https" if context else "http"
    server.url = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await asyncio.wait_for(asyncio.gather(*talks, return_exceptions=True), 10)
        await listening.wait_closed()
