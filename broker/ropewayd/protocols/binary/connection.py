"""One connection: bytes in, actions to the kernel, answers out.

Rule 1  Nothing a peer does is unbounded. When its outstanding requests, their bytes, or the answers it has
        not taken reach their limit, it is not read any further until there is room; and a long poll of a
        peer that does not take its answers takes no message.
Rule 2  Answers leave as they are ready, in any order, and in one write for all that a turn of the loop
        brings.
Rule 3  What is not a frame of this protocol ends the connection, with a word of why. A request that is
        well-formed but wrong gets an error, and the connection goes on.
Rule 4  One timer a connection. It looks at all four deadlines (hello, frame, unsent answers, idleness) when
        the earliest may be over.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ropewayd.kernel.meter import Distribution
from ropewayd.kernel.wheel import Timer
from ropewayd.protocols.catalogue import ACTIONS
from ropewayd.protocols.merging import Merger
from ropewayd.vocabulary.action import decode
from ropewayd.vocabulary.errors import (
    AccessDenied,
    InvalidAction,
    InvalidParameterValue,
    MalformedRequest,
    OverLimit,
    RopewayError,
)
from ropewayd.vocabulary.fitting import explain

from .frame import HEADER, Frames, FrameTooLong
from .handshake import Handshake, Hello

if TYPE_CHECKING:
    from .server import BinaryServer

PROTOCOL = "binary"
"""What this protocol is called where things are counted."""
HELLO, PING = 0, 1
OK, ERROR = 0, 1
MAX_ID = (1 << 32) - 1
MAX_HELLO = 4096
"""Bytes of a frame before Hello is answered: nobody is trusted with more until then."""
TURN = 0.02
"""Seconds of work for one connection before the others have theirs."""
LINGER = 2_000
"""Milliseconds in which a peer that was told why can read it. What it still sends is thrown away: closing on
unread bytes would take the words back."""


class _Request(msgspec.Struct, array_like=True):
    id: int
    action: int
    params: msgspec.Raw = msgspec.Raw(b"\x80")


_requests = msgspec.msgpack.Decoder(_Request)
_hellos = msgspec.msgpack.Decoder(Hello)


class Encoder:
    """Frames of answers. `errors` counts those that are told, an entry's too."""

    def __init__(self, errors: Counter[tuple[str, str]]) -> None:
        self._errors = errors
        self._encode_into = msgspec.msgpack.Encoder(enc_hook=self._plain).encode_into

    def _plain(self, value: Any) -> Any:
        if isinstance(value, RopewayError):
            self._errors[PROTOCOL, value.code] += 1
            return (value.code, value.message, value.field)
        raise NotImplementedError(f"an answer holds a {type(value).__name__}")

    def __call__(self, request: int, answer: Any) -> bytearray:
        """The frame of one answer."""
        out = bytearray(HEADER)
        status = ERROR if isinstance(answer, RopewayError) else OK
        self._encode_into((request, status, answer), out, HEADER)
        out[:HEADER] = (len(out) - HEADER).to_bytes(HEADER, "big")
        return out


class Pending:
    """One request without an answer: the kernel's Reply."""

    __slots__ = ("connection", "id", "seconds", "since", "size")

    def __init__(self, connection: Connection, request: int, size: int, since: float) -> None:
        self.connection = connection
        self.id = request
        self.size = size
        self.since = since
        self.seconds: Distribution | None = None
        """Where to count how long it took; None for what is no action."""

    def prepare(self, answer: Any) -> bytearray:
        out = self.connection.encode(self.id, answer)
        self.connection.held += len(out)
        return out

    def deliver(self, prepared: bytearray) -> None:
        self.connection.answered(self, prepared)


class Connection(asyncio.Protocol):
    """See the module."""

    def __init__(self, server: BinaryServer) -> None:
        self._server = server
        self.encode = server.encode
        self._limits = server.limits
        self._frames = Frames(min(MAX_HELLO, server.limits.max_frame))
        self._handshake: Handshake | None = server.handshake()
        self.key: str | None = None
        """The access key that was proven, if any is asked for."""
        self._transport: asyncio.Transport | None = None
        self._merger = Merger(server.submit, counted=server.kernel.gated)
        self._outstanding: set[Pending] = set()
        self._bytes = 0
        self.held = 0
        """Bytes of answers that wait for their commit."""
        self._out: list[bytes | bytearray] = []
        self._timer: Timer | None = None
        self._opened = self._asked = server.now()
        self._frame_since = 0
        self._unsent_since = 0
        self._since = monotonic()
        """When what is being taken came."""
        self._written = self._taken = 0
        """Bytes given to the transport, and how many of them the peer had taken at the last look."""
        self._stopped = False
        """Whether it is not read, because a limit is reached."""
        self._leaving = False

    # The transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self._limits.max_unsent)
        if not self._server.admit(self):
            most = self._server.connections
            self._write(self.encode(0, OverLimit(f"There are {most} connections, and that is the limit.")))
            self.close()
            return
        assert self._handshake is not None
        self._write(self.encode(0, self._handshake.greeting()))
        self._watch(self._opened + self._limits.handshake_timeout)

    def data_received(self, data: bytes) -> None:
        if not self._leaving:
            self._frames.feed(data)
            if not self._stopped:
                self._pump()

    def eof_received(self) -> bool:
        return False  # a peer that sends no more waits for nothing: close

    def connection_lost(self, exc: Exception | None) -> None:
        self._leaving = True
        self._transport = None
        self._out.clear()
        if self._timer is not None:
            self._server.wheel.cancel(self._timer)
        for pending in list(self._outstanding):
            self._server.kernel.abandon(pending)
        self._outstanding.clear()
        self._server.dismiss(self)

    def pause_writing(self) -> None:
        self._unsent_since = self._server.now()
        self._taken = self._taken_now()
        self._watch(self._unsent_since + self._limits.write_timeout)
        self._hold()
        for pending in list(self._outstanding):
            self._server.kernel.hurry(pending)

    def resume_writing(self) -> None:
        self._unsent_since = 0
        self._resume()

    # In

    def _pump(self) -> None:
        """Take frames as long as there is room for what they may bring."""
        self._since = monotonic()
        end, over = self._since + TURN, False
        try:
            for payload in self._frames.cut():
                self._frame_since = 0
                self._take(payload)
                over = monotonic() > end
                if over or self._full() or self._leaving:
                    break
        except FrameTooLong as error:
            self._leave(MalformedRequest(f"This is not a frame: {error}."))
            return
        finally:
            self._merger.flush()
        if self._leaving:
            return
        if self._full():
            self._hold()
        elif over:
            self._hold()
            self._server.loop.call_soon(self._resume)
        elif self._frames.partial:
            if not self._frame_since:
                self._frame_since = self._server.now()
                self._watch(self._frame_since + self._limits.frame_timeout)
            return
        self._frame_since = 0

    def _full(self) -> bool:
        limits = self._limits
        return (
            len(self._outstanding) >= limits.max_requests
            or self._bytes >= limits.max_request_bytes
            or self.held >= limits.max_unsent
            or self._unsent_since > 0
        )

    def _hold(self) -> None:
        if not self._stopped and self._transport is not None and not self._leaving:
            self._stopped = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._stopped and not self._full() and self._transport is not None and not self._leaving:
            self._stopped = False
            self._pump()
            if not self._stopped and not self._leaving:
                self._transport.resume_reading()

    def _take(self, payload: bytes) -> None:
        try:
            request = _requests.decode(payload)
        except (msgspec.DecodeError, RecursionError) as error:
            self._leave(MalformedRequest(f"A request is [id, action, parameters]; this is not one: {error}."))
            return
        if not 0 < request.id <= MAX_ID:
            self._leave(MalformedRequest(f"A request's id lies between 1 and {MAX_ID}."))
            return
        if self._handshake is not None:
            self._hello(request)
            return
        pending = Pending(self, request.id, len(payload), self._since)
        self._outstanding.add(pending)
        self._bytes += pending.size
        kind = ACTIONS.get(request.action)
        if kind is None:
            self._refuse(pending, request.action)
            return
        pending.seconds = self._server.seconds[request.action]
        try:
            action = decode(kind, request.params)
        except RopewayError as error:
            pending.deliver(pending.prepare(error))
            return
        if kind.local and not self._local():
            here = AccessDenied(f"{kind.__name__} is for callers on the daemon's own machine alone.")
            pending.deliver(pending.prepare(here))
        else:
            self._merger.add(action, pending)

    def _local(self) -> bool:
        """Whether the peer is on this machine: it came over a Unix socket or the loopback."""
        assert self._transport is not None
        name = self._transport.get_extra_info("peername")
        if not isinstance(name, tuple):
            return name is not None  # of a Unix socket it is a text, or bytes
        address = ip_address(name[0].partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return bool((mapped or address).is_loopback)

    def _refuse(self, pending: Pending, action: int) -> None:
        answer: Any = {}
        if action == HELLO:
            answer = InvalidAction("Hello (0) is the first request of a connection, and comes once.")
        elif action != PING:
            answer = InvalidAction(f"There is no action {action}.")
        pending.deliver(pending.prepare(answer))

    def _hello(self, request: _Request) -> None:
        assert self._handshake is not None
        if request.action != HELLO:
            self._leave(MalformedRequest("The first request is Hello (0)."), request.id)
            return
        try:
            answer = self._handshake.answer(_hellos.decode(request.params))
        except RopewayError as error:
            self._leave(error, request.id)
        except msgspec.ValidationError as error:
            self._leave(explain(error), request.id)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._leave(InvalidParameterValue(f"The parameters are not valid: {error}."), request.id)
        else:
            self.key = self._handshake.key
            self._handshake = None
            self._frames.limit = self._limits.max_frame
            self._asked = self._server.now()
            self._watch(self._asked + self._limits.idle_timeout)
            self._write(self.encode(request.id, answer))

    # Out

    def answered(self, pending: Pending, prepared: bytearray) -> None:
        self.held -= len(prepared)
        self._outstanding.discard(pending)
        self._bytes -= pending.size
        if pending.seconds is not None:
            pending.seconds.add(monotonic() - pending.since)
        self._write(prepared)

    def _write(self, data: bytes | bytearray) -> None:
        if self._leaving:
            return
        if not self._out:
            self._server.loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        if self._out and self._transport is not None:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            self._written += len(data)
            self._transport.write(data)
        if not self._outstanding:
            self._asked = self._server.now()
        if self._stopped:
            self._resume()

    # Leaving

    def _leave(self, error: RopewayError, request: int = 0) -> None:
        """Say why, and close when the peer has read it, or has had the time to."""
        if self._transport is None or self._leaving:
            return
        self._write(self.encode(request, error))
        self._leaving = True
        self._flush()
        if not self._transport.can_write_eof():
            self.close()
            return
        self._watch(self._server.now() + (self._limits.write_timeout if self._unsent_since else LINGER))
        self._transport.write_eof()
        if self._stopped:
            self._transport.resume_reading()

    def close(self) -> None:
        """Send what is ready, and close."""
        if self._transport is None:
            return
        if not self._leaving:
            self._leaving = True
            self._flush()
        self._watch(self._server.now() + self._limits.write_timeout)
        self._transport.close()

    def _watch(self, deadline: int) -> None:
        """See to it that the timer looks at this time, or before."""
        if self._timer is not None:
            if self._timer.waiting and self._timer.deadline <= deadline:
                return
            self._server.wheel.cancel(self._timer)
        self._timer = self._server.wheel.add(deadline, self._server, self)
        self._server.kernel.alarm()

    def look(self, now: int) -> None:
        """The timer fired: end what is over, and look again when the next thing may be."""
        limits, transport = self._limits, self._transport
        self._timer = None
        if transport is None:
            return
        if self._unsent_since and self._taken_now() > self._taken:
            self._taken = self._taken_now()
            self._unsent_since = now
        if self._leaving or (self._unsent_since and now >= self._unsent_since + limits.write_timeout):
            transport.abort()
            return
        if self._handshake is not None and now >= self._opened + limits.handshake_timeout:
            self._leave(MalformedRequest(f"Hello did not come within {limits.handshake_timeout} ms."))
        elif self._frame_since and now >= self._frame_since + limits.frame_timeout:
            self._leave(MalformedRequest(f"A frame did not end within {limits.frame_timeout} ms."))
        elif not self._busy() and now >= self._asked + limits.idle_timeout:
            self.close()
        else:
            self._watch(self._next_look(now))

    def _busy(self) -> bool:
        """Whether there is a request without an answer, or an answer that this turn of the loop sends."""
        return bool(self._outstanding or self._out)

    def _taken_now(self) -> int:
        assert self._transport is not None
        return self._written - self._transport.get_write_buffer_size()

    def _next_look(self, now: int) -> int:
        limits = self._limits
        times = [(now if self._busy() else self._asked) + limits.idle_timeout]
        if self._handshake is not None:
            times.append(self._opened + limits.handshake_timeout)
        if self._frame_since:
            times.append(self._frame_since + limits.frame_timeout)
        if self._unsent_since:
            times.append(self._unsent_since + limits.write_timeout)
        return min(times)
