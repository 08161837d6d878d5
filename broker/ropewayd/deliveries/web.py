"""Requests to other servers: those that the settings name, and those that subscribers do.

What the settings name may be anywhere, on loopback too; what a subscriber names, only where the destinations
allow. What either answers is bounded, no redirect is followed, no proxy of the environment is used, and an
answer is not unpacked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from .delivery import DELIVERED, REFUSED, RETRY
from .destination import Destinations, Forbidden

if TYPE_CHECKING:
    import aiohttp

MAX_ANSWER: Final = 64 * 1024
"""Bytes of an answer that are read."""
TOO_EARLY: Final = frozenset((408, 425, 429))
"""Codes of 4xx that say nothing against the request itself."""
MAX_RETRY_AFTER: Final = 3600


class Unreachable(Exception):
    """No answer came, or none that could be read."""


class NotAllowed(Unreachable):
    """It is where nothing may be sent to, or nowhere at all. Another attempt would end alike."""


class Reply(msgspec.Struct, frozen=True):
    """What a server answered. The names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def outcome(self) -> str:
        """What the status says: done, final, or to be tried again."""
        if 200 <= self.status < 300:
            return DELIVERED
        return REFUSED if 300 <= self.status < 500 and self.status not in TOO_EARLY else RETRY

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def retry_after_ms(self) -> int | None:
        """How long the server asks to be left alone, where it says so in seconds."""
        said = self.headers.get("retry-after", "")
        return min(int(said), MAX_RETRY_AFTER) * 1000 if said.isascii() and said.isdigit() else None


class Web:
    """Connections to such servers. `timeout` is in seconds, for a request as a whole. `destinations` says
    where they may be; None: anywhere."""

    def __init__(self, timeout: float, connections: int, destinations: Destinations | None = None) -> None:
        self._timeout = timeout
        self._connections = connections
        self._destinations = destinations
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """Ask. Raises Unreachable, NotAllowed."""
        # These take a while to load: who asks nothing does not wait for them.
        import aiohttp  # noqa: PLC0415
        import yarl  # noqa: PLC0415

        if self._session is None:
            guard = self._destinations
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections)
                if guard is None
                else guard.connector(self._connections),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        sent = {"User-Agent": "Ropeway", "Accept-Encoding": "identity", **headers}
        try:
            exact = yarl.URL(url, encoded=True)  # as it is written, not as yarl would write it
            async with (
                asyncio.timeout(self._timeout),
                self._session.post(exact, data=content, headers=sent, allow_redirects=False) as response,
            ):
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        response.close()
                        break
                told = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status, told, bytes(body[:MAX_ANSWER]))
        except TimeoutError:
            raise Unreachable("the server took too long") from None
        except aiohttp.InvalidURL as wrong:
            raise NotAllowed(f"it is no URL that can be asked: {wrong.description or 'malformed'}") from None
        except (aiohttp.ClientError, OSError, ValueError) as wrong:
            if isinstance(wrong, aiohttp.ClientConnectorError) and isinstance(wrong.os_error, Forbidden):
                raise NotAllowed(str(wrong.os_error)) from None
            # What aiohttp says of a broken answer names the URL, and with it what is secret there.
            said = wrong.message if isinstance(wrong, aiohttp.ClientResponseError) else wrong
            raise Unreachable(f"{type(wrong).__name__}: {said}") from None

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
