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

LATELY: Final = 0.01
"""Seconds from when on nobody waits for the disk, as a rule, who was served before."""


class HttpServer(Listening[Connection]):
    """See the module."""

    def __init__(self, gateway: Gateway, limits: HttpLimits) -> None:
        super().__init__(limits.max_connections, limits.header_timeout)
        self.gateway = gateway
        self.limits = limits
        self.turns = Turns(self.loop, self._busy)
        """Those of large requests."""
        self._line: deque[Exchange] = deque()
        self._served_at = 0.0
        """When others were served last."""

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
        self._served_at = self.loop.time()
        if self._line:
            self.loop.call_soon(self._serve_some)

    def _busy(self) -> bool:
        """Whether somebody with a small request is served, or waits for the disk. What waits for it may be
        a large one's own, if nobody was served for long."""
        if self._line:
            return True
        return self.gateway.busy and self.loop.time() < self._served_at + LATELY

    def connect(self) -> Connection:
        return Connection(self)
