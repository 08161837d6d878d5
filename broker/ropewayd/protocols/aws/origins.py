"""Web origins: which pages may call from a browser, and what a browser is told.

Without access keys, being able to connect is all that a call takes, and every page in a local browser can. So
a page reaches this daemon only from an origin of this machine, or from one that the settings name.

A name of the outside world can be made to lead here. A page from there is then of the same origin, for which
browsers say no Origin with a GET. So what a GET shows without a signature is shown under a name that nobody
outside can give: an address, a name without dots, one in .localhost, or one that the settings name.
"""

from __future__ import annotations

import re
from typing import Final

from ropewayd.vocabulary.errors import AccessDenied

from .request import Request
from .response import Response
from .settings import HttpLimits

METHODS: Final = "GET, POST, HEAD, OPTIONS"
_LOCAL: Final = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?\Z")
_ADDRESS: Final = re.compile(r"\d{1,3}(\.\d{1,3}){3}\Z|\[[0-9A-Fa-f:.]+\]\Z")


class Origins:
    """See the module."""

    def __init__(self, limits: HttpLimits) -> None:
        self._allowed = limits.origins
        self._hosts = {_name(limits.public_url.partition("://")[2]), *map(str.lower, limits.hosts)}

    def check(self, request: Request, *, keys: bool) -> None:
        """Raises AccessDenied for a call that a page may have made that may not."""
        if "origin" in request.fields:
            origin = request.get("origin")
            if not self._may(origin):
                raise AccessDenied(
                    f"The web origin {origin[:200]} may not call this daemon: see http.origins."
                )
        if request.method == "GET" and not keys:
            self.check_host(request)

    def check_host(self, request: Request) -> None:
        """Raises AccessDenied where the name that leads here may be another's."""
        host = request.get("host")
        name = _name(host)
        if "." not in name or name.endswith(".localhost") or _ADDRESS.match(name) or name in self._hosts:
            return
        raise AccessDenied(
            f"Without a signature, nothing is shown under the name {host[:200]}: see http.hosts."
        )

    def preflight(self, request: Request) -> Response:
        """The answer to a browser's question beforehand."""
        response = Response(200)
        if self._may(request.get("origin")):
            response.add("Access-Control-Allow-Methods", METHODS)
            asked = request.get("access-control-request-headers", "*")
            response.add("Access-Control-Allow-Headers", asked)
            response.add("Access-Control-Max-Age", "600")
        self.tell(request, response)
        return response

    def tell(self, request: Request, response: Response) -> None:
        """Let the page see the answer, if it may. Only where there is an origin."""
        origin = request.get("origin")
        if "origin" in request.fields and self._may(origin):
            response.add("Access-Control-Allow-Origin", origin)
            response.add("Access-Control-Expose-Headers", "x-amzn-RequestId, x-amzn-query-error, Date")
            response.add("Vary", "Origin")

    def _may(self, origin: str) -> bool:
        return "*" in self._allowed or origin in self._allowed or _LOCAL.match(origin) is not None


def _name(host: str) -> str:
    """A Host header without its port."""
    return (host if host.endswith("]") else host.rpartition(":")[0] or host).lower()
