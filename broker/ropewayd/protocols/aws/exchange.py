"""One request on its way to its answer: what a connection hands to the gateway, and the kernel's Reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .call import Call, Operation
from .request import Request
from .response import Response

if TYPE_CHECKING:
    from .gateway import Gateway


class Exchange:
    """See the module. `respond` gets the response, once; `began` is when the request had come."""

    __slots__ = ("_gateway", "_respond", "abandoned", "began", "call", "operation", "request")

    def __init__(
        self, gateway: Gateway, request: Request, began: float, respond: Callable[[Response], None]
    ) -> None:
        self._gateway = gateway
        self._respond: Callable[[Response], None] | None = respond
        self.request = request
        self.began = began
        self.call: Call = gateway.blank(request)
        self.operation: Operation | None = None
        """None until it is known what is asked."""
        self.abandoned = False
        """Whether nobody waits for it any more."""

    def prepare(self, answer: Any) -> Response:
        return self._gateway.prepared(self, answer)

    def deliver(self, prepared: Response) -> None:
        respond, self._respond = self._respond, None
        if respond is not None:
            self._gateway.tell(self, prepared)
            respond(prepared)
