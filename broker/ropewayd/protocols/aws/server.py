"""Where the AWS face is listened for, and what all its connections share."""

from __future__ import annotations

from ropewayd.protocols.listening import Listening

from .connection import Connection
from .gateway import Gateway
from .settings import HttpLimits
from .turns import Turns


class HttpServer(Listening[Connection]):
    """See the module."""

    def __init__(self, gateway: Gateway, limits: HttpLimits) -> None:
        super().__init__(limits.max_connections, limits.header_timeout)
        self.gateway = gateway
        self.limits = limits
        self.turns = Turns(self.loop)
        """Those of large requests."""

    def connect(self) -> Connection:
        return Connection(self)
