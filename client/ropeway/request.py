"""One request and what becomes of it: an answer, an error, or its deadline.

A request outlives connections: it is written, and written again on the next connection if that is safe. It is
settled once. Nobody may be waiting any more by then: a request that was written cannot be recalled, so its
answer still has to be taken in.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from ropeway.errors import RopewayError
from ropeway.wire import REPEATABLE, Action, payload


class Request(ABC):
    """What is asked; subclasses know who waits for it."""

    __slots__ = ("action", "attempts", "deadline", "done", "first_written_at", "size", "timer", "written_at")

    def __init__(self, action: Action) -> None:
        self.action = action
        self.done = False
        self.deadline = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.written_at: float | None = None
        """When it was last handed to a connection, or None if no byte of it can have left."""
        self.first_written_at: float | None = None
        """When it was handed to a connection for the first time, whether or not it is asked again."""
        self.size = 0
        """Bytes of its frame while it is outstanding."""
        self.attempts = 0

    @property
    def repeatable(self) -> bool:
        """Whether it may be written again when its answer was lost."""
        return self.action in REPEATABLE

    @property
    def patient(self) -> bool:
        """Whether it is asked again a little later where the daemon cannot take it now. A backup may take
        hours, so whoever asked for it is told."""
        return self.action is not Action.BackupStore

    @abstractmethod
    def payload(self) -> bytes:
        """The request without its id, as it is to be written now."""

    @abstractmethod
    def take(self, result: object) -> None:
        """Take in the daemon's result, waited for or not. Raises ProtocolError, having settled nobody."""

    @abstractmethod
    def refuse(self, error: RopewayError) -> None:
        """Hand an error to whoever waits."""

    def settle(self, result: object) -> None:
        """The daemon's answer. Raises ProtocolError for a result of the wrong shape."""
        self.take(result)
        self._finish()

    def fail(self, error: RopewayError) -> None:
        """The end without a result. Later answers are still taken in."""
        if not self.done:
            self._finish()
            self.refuse(error)

    def _finish(self) -> None:
        self.done = True
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Call(Request):
    """A request with one caller, who awaits `future`."""

    __slots__ = ("_payload", "future")

    def __init__(self, action: Action, params: dict[str, object], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(action)
        self._payload = payload(action, params)
        self.future: asyncio.Future[object] = loop.create_future()

    def payload(self) -> bytes:
        return self._payload

    def take(self, result: object) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def refuse(self, error: RopewayError) -> None:
        if not self.future.done():
            self.future.set_exception(error)
