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

    __slots__ = (
        *("_answer", "_gateway", "_respond", "_response"),
        *("abandoned", "began", "call", "operation", "request"),
    )

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
        self._answer: Any = None
        """The kernel's answer, while there is no response."""
        self._response: Response | None = None
        self.abandoned = False
        """Whether nobody waits for it any more."""

    def prepare(self, answer: Any) -> Response | Exchange:
        if self.operation is not None and self.operation.prepares_later:
            self._answer = answer
            self._gateway.prepare_later(self)
            return self
        return self._gateway.prepared(self, answer)

    def response(self) -> Response:
        """What is answered, made now if it was not yet."""
        if self._response is None:
            self._response = self._gateway.prepared(self, self._answer)
            self._answer = None
        return self._response

    def deliver(self, prepared: Response | Exchange) -> None:
        respond, self._respond = self._respond, None
        if respond is not None:
            response = prepared.response() if isinstance(prepared, Exchange) else prepared
            self._gateway.tell(self, response)
            respond(response)
