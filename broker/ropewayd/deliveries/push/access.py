"""Access tokens: what a service gives for a credential, and takes with each notification until it is old.

A token is asked for once, however many wait for it, and again when it is about to be too old or when the
service did not take it. Credentials are kept only as hashes.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec

from ropewayd.deliveries.web import Unreachable, Web

EARLY: Final = 60
"""Seconds before its end from which a token is not used any more."""
MOST: Final = 10_000
"""Tokens that are kept; beyond it all are asked for again."""


class NoAccess(Exception):
    """There is no token: what the service said to that, with its code if it answered."""

    def __init__(self, code: int | None, said: str) -> None:
        super().__init__(said)
        self.code = code
        self.said = said


class Access:
    """Tokens from the service at `url`."""

    def __init__(self, url: str, web: Web) -> None:
        self._url = url
        self._web = web
        self._tokens: dict[str, tuple[str, float]] = {}
        self._turn = asyncio.Lock()

    async def token(self, asked: Mapping[str, str]) -> str:
        """The token for what is asked, a form. Raises NoAccess."""
        return await self.token_for(_key(asked), lambda: asked)

    async def token_for(self, key: str, form: Callable[[], Mapping[str, str]]) -> str:
        """The token known by `key`; the form that asks for it is made when it is needed. Raises NoAccess."""
        found = self._fresh(key)
        if found is not None:
            return found
        async with self._turn:
            found = self._fresh(key)
            if found is None:
                found, life = await self._ask(form())
                if len(self._tokens) >= MOST:
                    self._tokens.clear()
                self._tokens[key] = (found, time.monotonic() + life - EARLY)
            return found

    def forget(self, token: str) -> None:
        """Not to be used again: the service did not take it."""
        self._tokens = {key: kept for key, kept in self._tokens.items() if kept[0] != token}

    def _fresh(self, key: str) -> str | None:
        token, until = self._tokens.get(key, ("", 0.0))
        return token if token and time.monotonic() < until else None

    async def _ask(self, form: Mapping[str, str]) -> tuple[str, float]:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            reply = await self._web.post(self._url, urlencode(form).encode(), headers)
        except Unreachable as wrong:
            raise NoAccess(None, str(wrong)) from None
        try:
            said = msgspec.json.decode(reply.body, type=Given)
        except (ValueError, RecursionError):
            said = None
        if reply.status != 200 or said is None or not said.access_token.isascii():
            raise NoAccess(reply.status, f"no access token: {reply.text}")
        try:
            life = min(float(said.expires_in), 86_400.0)
        except ValueError:
            life = 0.0
        return said.access_token, life


class Given(msgspec.Struct):
    """What a service answers. WNS gives the time as a string."""

    access_token: str
    expires_in: float | str = 0.0


def _key(asked: Mapping[str, str]) -> str:
    return hashlib.sha256(urlencode(sorted(asked.items())).encode()).hexdigest()
