"""Where the binary protocol is listened for, and what all its connections share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ropewayd.kernel.batch import Reply
from ropewayd.kernel.kernel import Kernel
from ropewayd.protocols.catalogue import ACTIONS
from ropewayd.protocols.listening import Listening
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.names import DEFAULT_ACCOUNT, DEFAULT_REGION

from .connection import PROTOCOL, Connection, Encoder
from .handshake import Handshake
from .settings import BinaryLimits


class BinaryServer(Listening[Connection]):
    """See the module. `keys` maps access key ids to secrets; empty lets anyone in. `submit` takes the calls,
    if that is not the kernel."""

    def __init__(
        self,
        kernel: Kernel,
        limits: BinaryLimits | None = None,
        keys: Mapping[str, str] | None = None,
        account: str = DEFAULT_ACCOUNT,
        region: str = DEFAULT_REGION,
        submit: Callable[[Action, Reply], None] | None = None,
    ) -> None:
        self.limits = limits or BinaryLimits()
        super().__init__(self.limits.max_connections, self.limits.handshake_timeout)
        self.kernel = kernel
        self.submit = submit or kernel.submit
        self.wheel = kernel.wheel
        self.now = kernel.clock.now
        self.encode = Encoder(kernel.meter.errors)
        self.seconds = {code: kernel.meter.calls(PROTOCOL, kind.__name__) for code, kind in ACTIONS.items()}
        """Where it is counted how long each action takes."""
        self._keys = dict(keys or {})
        self._account = account
        self._region = region

    def connect(self) -> Connection:
        return Connection(self)

    def handshake(self) -> Handshake:
        return Handshake(self.limits, self._keys, self._account, self._region)

    def change_keys(self, keys: Mapping[str, str]) -> None:
        """These are the access keys now. Connections whose key is gone, or has another secret, end."""
        before = dict(self._keys)
        self._keys.clear()  # handshakes that are under way look into it
        self._keys.update(keys)
        for connection in list(self._open):
            key = connection.key
            if key is not None and self._keys.get(key) != before[key]:
                connection.close()

    def due(self, payloads: list[Any], now: int) -> None:
        """Connections whose timer fired."""
        for connection in payloads:
            connection.look(now)
