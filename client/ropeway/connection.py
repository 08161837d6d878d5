"""One connection: the handshake, the requests that are out, flow control.

Rule 1: a request is handed to the transport only while the transport holds no unsent byte, so whatever was
never handed over has certainly not left. Rule 2: never more requests or bytes out than the daemon's greeting
allows. Rule 3: bytes that are not the protocol end the connection at once. It never reconnects and never
repeats; `link.py` does.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import socket
from typing import Protocol, cast

from ropeway.address import Address
from ropeway.errors import (
    AccessDenied,
    ConnectionFailed,
    DaemonError,
    InvalidParameterValue,
    ProtocolError,
    RopewayError,
)
from ropeway.request import Call, Request
from ropeway.wire import (
    FRAME_OVERHEAD,
    GREETING_LIMIT,
    VERSION,
    Action,
    Cutter,
    Greeting,
    Limits,
    frame,
    proof,
    read_answer,
    read_greeting,
    unpack,
)

CHUNK = 64 * 1024
"""Small frames are joined up to this size before they are written."""
LAST_ID = 2**32 - 1


class Owner(Protocol):
    """Who is told what happens on a connection."""

    def answered(self, request: Request, result: object, error: DaemonError | None) -> None:
        """An answer came. May raise ProtocolError."""

    def roomy(self) -> None:
        """There may be room for more requests."""

    def lost(self, connection: Connection, requests: list[Request], error: RopewayError | None) -> None:
        """The connection is gone, and these requests had no answer. `error` is the reason, if one is
        known."""


class Connection(asyncio.Protocol):
    """Made by `open_connection`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._owner: Owner | None = None
        self._transport: asyncio.Transport | None = None
        self._cutter = Cutter(GREETING_LIMIT)
        self._out: dict[int, Request] = {}
        self._out_bytes = 0
        self._last_id = 0
        self._paused = False
        self._error: RopewayError | None = None
        self.limits = Limits()
        self.heard_at = loop.time()
        self.over = False
        """Nothing can be written any more."""
        self.greeting: asyncio.Future[Greeting] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = transport = cast(asyncio.Transport, transport)
        # Any byte that the socket did not take pauses us, and it resumes when all are gone: rule 1.
        transport.set_write_buffer_limits(high=1, low=0)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        if self.over:
            return
        self.heard_at = self._loop.time()
        try:
            for each in self._cutter.feed(data):
                self._take(unpack(each))
        except RopewayError as error:
            self.abort(error)
        if self._owner is not None:
            self._owner.roomy()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._owner is not None:
            self._owner.roomy()

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True
        if self._error is None and exc is not None:
            self._error = ConnectionFailed(f"the connection broke: {exc}")
        requests, self._out = list(self._out.values()), {}
        ended = self._error or ConnectionFailed("the daemon closed the connection")
        if not self.greeting.done():
            self.greeting.set_exception(ended)
            self.greeting.exception()  # the handshake may have been given up; then nobody retrieves it
        if not self.gone.done():
            self.gone.set_result(None)
        if self._owner is not None:
            self._owner.lost(self, requests, self._error)
        else:
            for request in requests:
                request.fail(ended)

    # What the link calls.

    @property
    def idle(self) -> bool:
        """Whether no request is out."""
        return not self._out

    def adopt(self, owner: Owner) -> None:
        """Tell `owner` from now on. The handshake is over."""
        self._owner = owner

    def write(self, requests: list[Request]) -> int:
        """Hand over as many of these as there is room for, in order; how many is returned.

        A request that could never fit fails, and counts as handed over.
        """
        assert self._transport is not None
        now = self._loop.time()
        count, chunk, held = 0, [], 0
        for request in requests:
            if self.over or self._paused or len(self._out) >= self.limits.requests:
                break
            body = request.payload()
            if len(body) + FRAME_OVERHEAD > self.limits.request:
                request.fail(
                    InvalidParameterValue(
                        f"the request is over the {self.limits.request} bytes that the daemon takes at once"
                    )
                )
                count += 1
                continue
            if self._out_bytes + len(body) + FRAME_OVERHEAD > self.limits.bytes:
                break
            request_id = self._next_id()
            data = frame(request_id, body)
            request.size, request.written_at = len(data), now
            if request.first_written_at is None:
                request.first_written_at = now
            self._out[request_id] = request
            self._out_bytes += len(data)
            chunk.append(data)
            held += len(data)
            count += 1
            if held >= CHUNK:
                self._transport.write(b"".join(chunk))
                chunk, held = [], 0
        if chunk:
            self._transport.write(b"".join(chunk))
        return count

    def abort(self, error: RopewayError | None = None) -> None:
        """End at once; what is unsent is dropped."""
        if not self.over:
            self.over = True
            self._error = self._error or error
        if self._transport is not None:
            self._transport.abort()

    async def close(self, patience: float) -> None:
        """Send what was written and end; after `patience` seconds at once."""
        self.over = True
        if self._transport is None:
            return
        try:
            self._transport.close()
            await asyncio.wait([self.gone], timeout=patience)
        finally:
            if not self.gone.done():
                self._transport.abort()
        await self.gone

    async def introduce(self, key: str | None, secret: str | None, client: str) -> Greeting:
        """The handshake."""
        greeting = await self.greeting
        params: dict[str, object] = {"version": VERSION, "client": client}
        nonce = os.urandom(32)
        if key is not None and secret is not None:
            said = proof("client", secret, key, greeting.nonce, nonce)
            params |= {"key": key, "nonce": nonce, "proof": said}
        elif greeting.keys:
            raise AccessDenied("the daemon asks for an access key, and none was given")
        hello = Call(Action.Hello, params, self._loop)
        self.write([hello])
        answer = await hello.future
        if not isinstance(answer, dict) or answer.get("version") != VERSION:
            raise ProtocolError("the daemon's answer to Hello is not of this protocol")
        if key is not None and secret is not None:
            shown = answer.get("proof")
            expected = proof("server", secret, key, nonce, greeting.nonce)
            if not isinstance(shown, bytes) or not hmac.compare_digest(shown, expected):
                why = "" if greeting.keys else ": it requires no keys; is it the right one?"
                raise AccessDenied(f"the daemon did not prove that it knows the secret of this key{why}")
        self.limits = greeting.limits
        self._cutter.limit = greeting.limits.frame
        return greeting

    # Inside.

    def _take(self, value: object) -> None:
        if not self.greeting.done():
            self.greeting.set_result(read_greeting(value))
            return
        request_id, result, error = read_answer(value)
        if request_id == 0:
            raise error or ProtocolError("the daemon greeted twice")
        request = self._out.pop(request_id, None)
        if request is None:
            raise ProtocolError("the daemon answered a request that was not asked")
        self._out_bytes -= request.size
        if self._owner is not None:
            self._owner.answered(request, result, error)
        elif error is not None:
            request.fail(error)
        else:
            request.settle(result)

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id + 1 if self._last_id < LAST_ID else 1
            if self._last_id not in self._out:
                return self._last_id


async def open_connection(address: Address, client: str, patience: float) -> Connection:
    """Connect and shake hands within `patience` seconds.

    Raises ConnectionFailed, ProtocolError, or what the daemon says (AccessDenied, OverLimit,
    ServiceUnavailable).
    """
    loop = asyncio.get_running_loop()
    connection = Connection(loop)
    try:
        async with asyncio.timeout(patience):
            if address.path is not None:
                await loop.create_unix_connection(lambda: connection, address.path)
            else:
                await loop.create_connection(lambda: connection, address.host, address.port, ssl=address.tls)
            await connection.introduce(address.key, address.secret, client)
    except TimeoutError:
        connection.abort()
        raise ConnectionFailed(f"no daemon answered at {address} within {patience:g} s") from None
    except ConnectionFailed as error:
        connection.abort()
        raise ConnectionFailed(f"{address}: {error}") from error.__cause__
    except OSError as error:
        connection.abort()
        raise ConnectionFailed(f"cannot connect to {address}: {error}") from error
    except BaseException:
        connection.abort()
        raise
    if connection.over:
        raise ConnectionFailed(f"{address}: the daemon closed the connection")
    return connection
