"""The way to the daemon: one connection at a time, made anew when it is lost, and what is to be asked over
it.

Rule 1: every request is settled by its deadline. Rule 2: a request is written again only if no byte of it
left, or if its action may be repeated. Rule 3: no connection is sought while nobody waits for one. Rule 4:
after `close` there is no task, timer or socket.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import OrderedDict

from ropeway.address import Address
from ropeway.backoff import Backoff
from ropeway.connection import Connection, open_connection
from ropeway.errors import (
    BrokerClosed,
    ConnectionFailed,
    ConnectionLost,
    DaemonError,
    DeadlineExceeded,
    ProtocolError,
    RequestThrottled,
    RopewayError,
    ServiceUnavailable,
    renewed,
)
from ropeway.request import Call, Request
from ropeway.wire import Action, Limits

logger = logging.getLogger("ropeway")

PASSING = (ServiceUnavailable, RequestThrottled)
"""Answers after which a request is made again a little later: the daemon did nothing."""
CONNECT_PATIENCE = 10.0
"""Seconds for one try to connect and shake hands, if calls have longer than that."""
CLOSE_PATIENCE = 1.0
"""Seconds for the last bytes to leave when the link is closed."""
RECONNECT = Backoff(first=0.05, factor=2.0, longest=5.0, jitter=0.5)
UNAVAILABLE = Backoff(first=0.05, factor=2.0, longest=2.0, jitter=0.5)


class Link:
    """Requests go in by `submit`, or `call` for one that is awaited. Belongs to one event loop."""

    def __init__(self, address: Address, client: str, timeout: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.address = address
        self.timeout = timeout
        self.limits = Limits()
        self.closed = False
        self._client = client
        self._waiting: OrderedDict[Request, None] = OrderedDict()
        self._resting: dict[Request, asyncio.TimerHandle] = {}
        self._out: set[Request] = set()
        self._connection: Connection | None = None
        self._connector: asyncio.Task[None] | None = None
        self._writing = False
        self._failures = 0
        self._last_failure: RopewayError | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection that was not seen to end."""
        return self._connection is not None and not self._connection.over

    async def open(self) -> None:
        """Connect. Raises as `open_connection` does; there is no second try."""
        self._adopt(await open_connection(self.address, self._client, self._connect_patience))

    def submit(self, request: Request, patience: float | None = None) -> None:
        """Have this asked, within `patience` seconds (or the link's timeout)."""
        if self.closed:
            request.fail(BrokerClosed("the broker is closed"))
            return
        allowed = self.timeout if patience is None else patience
        request.deadline = self.loop.time() + allowed
        request.timer = self.loop.call_at(request.deadline, self._expire, request, allowed)
        self._waiting[request] = None
        self.roomy()

    async def call(self, action: Action, params: dict[str, object], patience: float | None = None) -> object:
        """Ask, and await the result, `patience` seconds at the most (or the link's timeout)."""
        request = Call(action, params, self.loop)
        self.submit(request, patience)
        try:
            return await request.future
        finally:
            self.forget(request)

    def forget(self, request: Request) -> None:
        """Nobody waits for this one any more. If no byte of it has left, none will."""
        if not request.done:
            self._waiting.pop(request, None)
            resting = self._resting.pop(request, None)
            if resting is not None:
                resting.cancel()
            request.fail(BrokerClosed("the caller no longer waits"))

    async def close(self) -> None:
        """End. Whoever still waits gets BrokerClosed."""
        self.closed = True
        for timer in self._resting.values():
            timer.cancel()
        for request in [*self._waiting, *self._resting, *self._out]:
            request.fail(BrokerClosed("the broker was closed"))
        self._waiting.clear()
        self._resting.clear()
        connection, self._connection = self._connection, None
        connector, self._connector = self._connector, None
        try:
            if connector is not None:
                connector.cancel()
                await asyncio.wait([connector])
        finally:
            if connection is not None:
                await connection.close(CLOSE_PATIENCE)

    # What the connection calls.

    def answered(self, request: Request, result: object, error: DaemonError | None) -> None:
        self._out.discard(request)
        self._failures = 0
        self._last_failure = None
        if error is None:
            try:
                request.settle(result)
            except ProtocolError as bad:
                request.fail(bad)
                raise
        elif isinstance(error, PASSING) and request.patient and not request.done and self._rest(request):
            self._last_failure = error
        else:
            request.fail(error)

    def roomy(self) -> None:
        if not self._waiting or self._writing:
            return
        if self._connection is None:
            if self._connector is None and not self.closed:
                self._connector = self.loop.create_task(self._connect(), name="ropeway-connect")
            return
        # A request that is refused in here may submit others: this loop takes them, not a call inside it.
        self._writing = True
        try:
            while self._waiting and self._write(self._connection):
                pass
        finally:
            self._writing = False

    def lost(self, connection: Connection, requests: list[Request], error: RopewayError | None) -> None:
        if self._connection is connection:
            self._connection = None
        fatal = isinstance(error, DaemonError) and not error.retryable
        self._last_failure = error or ConnectionFailed("the daemon closed the connection")
        if requests:
            self._failures += 1
        for request in reversed(requests):
            self._out.discard(request)
            if request.done:
                continue
            if not request.repeatable:
                lost = ConnectionLost(
                    f"the connection was lost before {request.action.name} was answered;"
                    " it may or may not have taken effect"
                )
                lost.__cause__ = error
                request.fail(lost)
            elif fatal and error is not None:
                request.fail(renewed(error))
            else:
                request.written_at = None
                self._waiting[request] = None
                self._waiting.move_to_end(request, last=False)
        self.roomy()

    # Inside.

    def _write(self, connection: Connection) -> int:
        """Hand over what there is room for; how many requests that was."""
        batch = list(itertools.islice(self._waiting, self.limits.requests))
        count = connection.write(batch)
        for request in batch[:count]:
            self._waiting.pop(request, None)
            if not request.done:
                self._out.add(request)
        return count

    @property
    def _connect_patience(self) -> float:
        return min(CONNECT_PATIENCE, self.timeout)

    def _adopt(self, connection: Connection) -> None:
        self._connection = connection
        self.limits = connection.limits
        connection.adopt(self)

    async def _connect(self) -> None:
        """Try until there is a connection, nobody waits for one any more, or the daemon will not have us."""
        warned = False
        try:
            while self._waiting:
                if self._failures:
                    await asyncio.sleep(RECONNECT.delay(self._failures))
                try:
                    self._adopt(await open_connection(self.address, self._client, self._connect_patience))
                    break
                except RopewayError as error:
                    self._failures += 1
                    self._last_failure = error
                    if not isinstance(error, ConnectionFailed) and not getattr(error, "retryable", False):
                        self._refuse_all(error)
                        break
                    if not warned:
                        logger.warning("no connection to %s, trying on: %s", self.address, error)
                        warned = True
        finally:
            self._connector = None
        self.roomy()

    def _refuse_all(self, error: RopewayError) -> None:
        waiting, self._waiting = self._waiting, OrderedDict()
        for request in waiting:
            request.fail(renewed(error))

    def _rest(self, request: Request) -> bool:
        """Ask again a little later, if its deadline allows that."""
        request.attempts += 1
        delay = UNAVAILABLE.delay(request.attempts)
        if self.loop.time() + delay >= request.deadline:
            return False
        self._resting[request] = self.loop.call_later(delay, self._wake, request)
        return True

    def _wake(self, request: Request) -> None:
        del self._resting[request]
        request.written_at = None
        self._waiting[request] = None
        self.roomy()

    def _expire(self, request: Request, allowed: float) -> None:
        self._waiting.pop(request, None)
        resting = self._resting.pop(request, None)
        if resting is not None:
            resting.cancel()
        text = f"no answer to {request.action.name} within {allowed:g} s"
        if request.written_at is not None and not request.repeatable:
            text += "; it may or may not have taken effect"
        elif self._last_failure is not None:
            text += f"; last failure: {self._last_failure}"
        error = DeadlineExceeded(text)
        error.__cause__ = self._last_failure
        request.fail(error)
        connection = self._connection
        if request in self._out and connection is not None:
            assert request.written_at is not None
            if connection.heard_at < request.written_at:
                # Not a sign of life since: later calls had better not wait for it too.
                connection.abort(ConnectionFailed("the daemon did not answer in time"))
