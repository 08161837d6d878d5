"""A real HTTP server on loopback that keeps what it is asked, and answers what it is told to."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web


class Asked:
    """One request."""

    def __init__(self, request: web.Request, body: bytes) -> None:
        self.method = request.method
        self.path = request.path_qs
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.body = body


class Server:
    """`answer` says what each request gets."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], web.Response] = lambda asked: web.Response(text="thanks")
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(Asked(request, await request.read()))
        return self.answer(self.asked[-1])

    def answers(self, status: int, text: str = "", **headers: str) -> None:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda asked: web.Response(status=status, text=text, headers=given)


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
