"""One HTTP connection: bytes in, requests to the gateway, their answers out in the order they came.

parser.py cuts the bytes. All else of HTTP is here, so that a request costs a few function calls: no task, no
future, no timer of its own.

Rule 1  Nothing a peer does is unbounded. A request's headers come to their end within header_timeout of their
        first byte, its body within body_timeout of that; a connection without a request is closed after
        idle_timeout; a peer that does not take its answers within write_timeout is cut off. Bodies end at
        max_body, and what a peer asks ahead of its answers is read only up to READ_AHEAD.
Rule 2  One request at a time is with the gateway. A client that goes away while it is takes no message.
Rule 3  What is no HTTP is answered as any other mistake is, and ends the connection.
Rule 4  One timer a connection. It looks at all deadlines when the earliest may be over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, cast

from ropewayd.vocabulary.errors import RopewayError

from .body import too_large
from .errors import RequestTimeout
from .exchange import Exchange
from .incoming import Incoming
from .parser import RequestParser
from .request import Peer, Request
from .response import Response
from .turns import PIECE

if TYPE_CHECKING:
    from .server import HttpServer

AHEAD: Final = 32
"""Requests that are cut ahead of the one that is answered."""
READ_AHEAD: Final = 256 << 10
"""Bytes that are read ahead of it."""
LINGER: Final = 2.0
"""Seconds in which a peer that was told why can read it. What it still sends is thrown away: closing on
unread bytes would take the words back."""


class Connection(asyncio.Protocol):
    """See the module."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._gateway = server.gateway
        self._limits = limits = server.limits
        self._loop = server.loop
        self._transport: asyncio.Transport | None = None
        self._parser = RequestParser(limits)
        self._peer = Peer()
        self._line: deque[Incoming] = deque()
        """Requests that were cut and are not yet with the gateway. The last one's body may be incomplete."""
        self._awaited = False
        """Whether it is the body of the first in line that is waited for."""
        self._exchange: Exchange | None = None
        """The request that is with the gateway."""
        self._ahead = 0
        """Bytes that came while a request was with the gateway."""
        self._held = False
        """Whether it is not read, because that is READ_AHEAD."""
        self._waits = False
        """Whether it is not read, because a large body takes turns."""
        self._partial = False
        """Whether a request has begun whose headers are not all there."""
        self._pumping = False
        self._leaving = False
        """Whether no other request is taken."""
        self._since = server.loop.time()
        """When what is waited for now began: silence, headers, a body."""
        self._unsent_since = 0.0
        """Since when the peer has not taken its answers; 0 while it does."""
        self._ends_at = 0.0
        """When a connection that is closed is closed the hard way; 0 while it is open."""
        self._timer: asyncio.TimerHandle | None = None

    # The transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._server.admit(self):
            self._leaving = True
            self._transport.close()
            return
        self._peer = Peer(_is_local(transport), transport.get_extra_info("sslcontext") is not None)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leaving = True
        self._transport = None
        self._line.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._exchange is not None:
            self._gateway.abandon(self._exchange)
            self._exchange = None
        self._parser.close()
        self._server.dismiss(self)

    def data_received(self, data: bytes) -> None:
        if self._leaving or self._parser.wrong is not None or self._parser.upgrades:
            return
        ahead = self._exchange is not None or self._unsent_since > 0
        self._cut(data)
        if ahead:
            self._ahead += len(data)
        else:
            self._pump()
        if (self._parser.holds or self._ahead >= READ_AHEAD) and not self._held and not self._leaving:
            assert self._transport is not None
            self._held = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        return False  # a peer that sends no more waits for nothing: close

    def pause_writing(self) -> None:
        self._unsent_since = self._loop.time()
        self._watch()

    def resume_writing(self) -> None:
        self._unsent_since = 0.0
        self._pump()

    # In

    def _cut(self, data: bytes) -> None:
        """Requests out of bytes."""
        found = self._parser.feed(data, AHEAD - len(self._line))
        self._line.extend(found)
        if found:
            self._partial = False
        elif not self._line and not self._partial and data:
            self._partial = True
            self._since = self._loop.time()
            self._watch()

    def _pump(self) -> None:
        """Hand on what is there, as long as each is answered at once."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._exchange is None and not self._leaving and not self._unsent_since and self._next():
                pass
        finally:
            self._pumping = False
        if self._exchange is None and not self._leaving and not self._parser.holds:
            self._ahead = 0
            if self._held and self._transport is not None:
                self._held = False
                self._transport.resume_reading()

    def _next(self) -> bool:
        """Hand on the next request, if it is whole; whether there may be another one behind it."""
        parser = self._parser
        if self._line:
            incoming = self._line[0]
            if incoming.too_large:
                self._refuse(too_large(self._limits.max_body))
            elif incoming.whole:
                self._take(incoming)
                return True
            elif parser.wrong is not None:
                self._refuse(parser.wrong)
            else:
                self._await(incoming)
        elif parser.wrong is not None:
            self._refuse(parser.wrong)
        elif parser.holds:
            # Others have their turn before more of this one's requests are cut.
            self._loop.call_soon(self._go_on)
        return False

    def _go_on(self) -> None:
        if not self._leaving:
            self._cut(b"")
            if self._exchange is None:
                self._pump()

    def _await(self, incoming: Incoming) -> None:
        """Some of its body is still to come."""
        if not self._awaited:
            self._awaited = True
            self._since = self._loop.time()
            self._watch()
            if any(value.lower() == b"100-continue" for value in incoming.fields.get("expect", ())):
                assert self._transport is not None
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if incoming.size > PIECE:
            self._read_by_turns()

    def _read_by_turns(self) -> None:
        """Nothing more of a large body is read before others have had their turn."""
        if self._transport is not None and not self._waits:
            self._waits = True
            self._transport.pause_reading()
            self._server.turns.take(self._read_on())

    def _read_on(self) -> Iterator[None]:
        self._waits = False
        if self._transport is not None and not self._held:
            self._transport.resume_reading()
        yield

    def _take(self, incoming: Incoming) -> None:
        self._line.popleft()
        self._awaited = False
        body = incoming.body()
        request = self._request(incoming, body)
        if not incoming.keeps:
            request.connection = "close"
        elif not incoming.modern:
            request.connection = "keep-alive"
        exchange = self._exchange = Exchange(self._gateway, request, self._loop.time(), self._answer)
        if len(body) > PIECE or "content-encoding" in request.fields:
            self._server.turns.take(self._gateway.serve_by_turns(exchange))
        else:
            self._server.serve(exchange)

    def _request(self, incoming: Incoming, body: bytes) -> Request:
        return Request(
            incoming.method, incoming.target, incoming.headers, body, self._peer, fields=incoming.fields
        )

    def _refuse(self, error: RopewayError) -> None:
        """End with an error, in the form that was asked for where that is known."""
        request = Request("POST", "/", (), b"", self._peer)
        if self._line:
            request = self._request(self._line.popleft(), b"")
        self._exchange = Exchange(self._gateway, request, self._loop.time(), self._answer)
        self._gateway.refuse(self._exchange, error)

    # Out

    def _answer(self, response: Response) -> None:
        exchange, transport = self._exchange, self._transport
        if exchange is None or transport is None:
            return  # the peer is gone
        self._exchange = None
        self._since = self._loop.time()
        request = exchange.request
        lingers = response.ends
        if self._leaving:
            response.end()
        transport.write(response.encode(request))
        if lingers:
            self._linger()
        elif self._leaving or request.connection == "close":
            self._end()
        elif self._line or self._held or self._parser.holds or self._parser.wrong is not None:
            self._pump()

    # Leaving

    def close(self) -> None:
        """Close when what is with the gateway is answered: now, if nothing is."""
        self._leaving = True
        if self._exchange is None:
            self._end()

    def _end(self) -> None:
        """Send what is ready, and close."""
        self._leaving = True
        if self._transport is not None:
            self._ends_at = self._loop.time() + self._limits.write_timeout / 1000
            self._transport.close()
            self._watch()

    def _linger(self) -> None:
        """Close when the peer has read its answer, or has had the time to."""
        self._leaving = True
        transport = self._transport
        if transport is None or not transport.can_write_eof():
            self._end()
            return
        self._ends_at = self._loop.time() + LINGER
        transport.write_eof()
        if self._held:
            transport.resume_reading()
        self._watch()

    # Rule 4

    def _deadline(self) -> float:
        """When what is waited for now is over."""
        limits = self._limits
        if self._ends_at:
            at = self._ends_at
        elif self._exchange is not None or (self._line and not self._awaited):
            at = self._loop.time() + limits.idle_timeout / 1000  # it is not the peer that is waited for
        elif self._awaited:
            at = self._since + limits.body_timeout / 1000
        elif self._partial:
            at = self._since + limits.header_timeout / 1000
        else:
            at = self._since + limits.idle_timeout / 1000
        return min(at, self._unsent_since + limits.write_timeout / 1000) if self._unsent_since else at

    def _watch(self) -> None:
        """See to it that the timer looks at the next deadline, or before."""
        at = self._deadline()
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        """The timer fired: end what is over, and look again when the next thing may be."""
        self._timer = None
        now, transport = self._loop.time(), self._transport
        if transport is None:
            return
        if now < self._deadline():
            self._watch()
        elif self._ends_at or self._unsent_since:
            transport.abort()
        elif self._awaited:
            self._refuse(RequestTimeout("The body did not come to its end in time."))
            self._watch()
        else:
            self._end()


def _is_local(transport: asyncio.BaseTransport) -> bool:
    """Whether the peer is on this machine: it came over a Unix socket or the loopback."""
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return True
    address = ip_address(name[0].partition("%")[0])
    return bool((getattr(address, "ipv4_mapped", None) or address).is_loopback)
