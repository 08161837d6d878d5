"""aiohttp's own empty POST handler: what HTTP by itself costs in this process's place.

    python -m bench.nothing

It prints the port that it listens on. Each POST is answered with an empty 200.
"""

from __future__ import annotations

import asyncio

import uvloop
from aiohttp import web


async def nothing(_request: web.BaseRequest) -> web.StreamResponse:
    """The handler."""
    return web.Response()


async def serve() -> None:
    """Serves on the loopback for ever."""
    application = web.Application()
    application.router.add_post("/", nothing)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"listening {runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
