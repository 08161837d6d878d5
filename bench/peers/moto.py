"""moto's SQS, the emulator that most test suites use, behind aiohttp.

    python -m bench.peers.moto

Its own server closes the connection after each answer, which would measure connects. So its application is
served here as the yardstick's handler is, on kept connections; a call at a time, since threads would take
turns at the interpreter. It keeps everything in memory, verifies no signature, and looks through all that it
holds for each call. This prints the port that it listens on.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable
from typing import Any

import uvloop
from aiohttp import web
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app


class Gateway:
    """An application of WSGI as a handler of aiohttp."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        head: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], _error: object = None) -> None:
            head[:] = [int(status.split(" ", 1)[0]), headers]

        said: Iterable[bytes] = self._application(described(request, await request.read()), start)
        body = b"".join(said)
        status, headers = head
        return web.Response(status=status, headers=headers, body=body)


def described(request: web.BaseRequest, body: bytes) -> dict[str, Any]:
    """A request as WSGI has it."""
    headers = {f"HTTP_{name.upper().replace('-', '_')}": said for name, said in request.headers.items()}
    return {
        **headers,
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query_string,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": request.host.rpartition(":")[2],
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


async def serve() -> None:
    """Serves on the loopback for ever."""
    server = web.Server(Gateway(DomainDispatcherApplication(create_backend_app)), access_log=None)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening {runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
