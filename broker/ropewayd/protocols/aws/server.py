"""Where the AWS face is listened for, and what all its connections share."""

from __future__ import annotations

from collections import deque
from typing import Final

from ropewayd.protocols.listening import Listening

from .connection import Connection
from .exchange import Exchange
from .gateway import Gateway
from .settings import HttpLimits
from .turns import Turns

PORTION: Final = 16
"""Requests that are served before the loop looks at what else has come to pass. As a rule that is the end of
a commit: the disk is not to wait until all of many requests that came at once are worked on."""


class HttpServer(Listening[Connection]):
    """See the module."""

    def __init__(self, gateway: Gateway, limits: HttpLimits) -> None:
        super().__init__(limits.max_connections, limits.header_timeout)
        self.gateway = gateway
        self.limits = limits
        self.turns = Turns(self.loop, lambda: bool(self._line) or gateway.busy)
        """Those of large requests."""
        self._line: deque[Exchange] = deque()

    def serve(self, exchange: Exchange) -> None:
        """Serve a request when those before it are. One that nobody waits for by then is not begun."""
        self._line.append(exchange)
        if len(self._line) == 1:
            self.loop.call_soon(self._serve_some)

    def _serve_some(self) -> None:
        for _ in range(min(PORTION, len(self._line))):
            exchange = self._line[0]
            if not exchange.abandoned:
                self.gateway.serve(exchange)
            self._line.popleft()
        self.gateway.flush()
        if self._line:
            self.loop.call_soon(self._serve_some)

    def connect(self) -> Connection:
        return Connection(self)
