"""Calls made in one turn of the event loop become one request a queue.

Nothing waits for company: what was asked during a turn is sent at its end. Rule 1: a caller's entries stay
together and in order. Rule 2: callers do not see one another: each gets its own results, one that is
cancelled takes nothing from the others, and where the daemon refuses a request as a whole for what is in it,
the callers are asked apart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence

from ropeway.errors import (
    InvalidParameterValue,
    MalformedRequest,
    MissingParameter,
    ProtocolError,
    RopewayError,
    renewed,
)
from ropeway.link import Link
from ropeway.request import Request
from ropeway.wire import Action, batch_payload, read_error

logger = logging.getLogger("ropeway")

Placed = tuple[bytes, str]
"""A message id and a sequence number: of a send to a FIFO queue."""
Result = bytes | Placed | None | RopewayError
"""What became of one entry: a message id (of a send), None (of the others), or its error."""

FIELDS = {
    Action.SendMessage: "entries",
    Action.DeleteMessage: "handles",
    Action.ChangeMessageVisibility: "entries",
}
REQUEST_BYTES = 2 * 1024 * 1024
"""Entries are added to a request up to this size; a single larger one goes alone."""


RECOGNISED = 240.0
"""Seconds after which what was sent is not sent again: the daemon remembers it for five minutes."""
HEADER_BYTES = 256
"""The most that a request has beside its entries: id, action, the name of the queue."""


class Part:
    """The entries of one caller, packed, and the future of their results."""

    __slots__ = ("entries", "future", "size")

    def __init__(self, entries: Sequence[bytes], future: asyncio.Future[list[Result]]) -> None:
        self.entries = entries
        self.size = sum(map(len, entries))
        self.future = future


class Batch(Request):
    """One request for several callers."""

    __slots__ = ("_exactly_once", "_link", "_parts", "_payload", "_queue")

    def __init__(
        self, link: Link, action: Action, queue: str, parts: list[Part], *, exactly_once: bool = False
    ) -> None:
        super().__init__(action)
        self._exactly_once = exactly_once
        self._link = link
        self._queue = queue
        self._parts = parts
        self._payload: bytes | None = None

    @property
    def repeatable(self) -> bool:
        """A send may be repeated if the daemon recognises each entry, which it does for five minutes."""
        if not self._exactly_once:
            return super().repeatable
        return self.first_written_at is None or self._link.loop.time() < self.first_written_at + RECOGNISED

    def payload(self) -> bytes:
        if self._payload is None:
            entries = [entry for part in self._parts for entry in part.entries]
            self._payload = batch_payload(self.action, self._queue, FIELDS[self.action], entries)
        return self._payload

    def take(self, result: object) -> None:
        if not isinstance(result, tuple) or len(result) != sum(len(part.entries) for part in self._parts):
            raise ProtocolError(f"the daemon's answer to {self.action.name} does not match its entries")
        results: list[Result] = [
            each if each is None or isinstance(each, bytes) else self._other(each, index)
            for index, each in enumerate(result)
        ]
        wanted = (bytes, tuple) if self.action is Action.SendMessage else (type(None),)
        if not all(isinstance(each, (*wanted, RopewayError)) for each in results):
            raise ProtocolError(f"the daemon's answer to {self.action.name} has results of the wrong type")
        first = 0
        for part in self._parts:
            after = first + len(part.entries)
            if not part.future.done():
                part.future.set_result(results[first:after])
            first = after

    def refuse(self, error: RopewayError) -> None:
        blame = isinstance(error, (InvalidParameterValue, MissingParameter, MalformedRequest))
        if blame and len(self._parts) > 1:
            half = len(self._parts) // 2
            for parts in (self._parts[:half], self._parts[half:]):
                batch = Batch(self._link, self.action, self._queue, parts, exactly_once=self._exactly_once)
                self._link.submit(batch, self._time_left())
            return
        for part in self._parts:
            if not part.future.done():
                part.future.set_exception(renewed(error))

    def _other(self, value: object, index: int) -> Placed | RopewayError:
        match value:
            case (bytes() as message_id, str() as sequence_number):
                return message_id, sequence_number
        return self._entry_error(value, index)

    def _entry_error(self, value: object, index: int) -> RopewayError:
        """An entry's error, without the entry's place: the caller knows its own, not that in this request."""
        error = read_error(value)
        place = f"{FIELDS[self.action]}[{index}]"
        for old, new in ((f"{place}.", ""), (place, "handle" if place.startswith("handles") else "entry")):
            error.message = error.message.replace(old, new)
            error.field = error.field.replace(old, new) if error.field else error.field
        error.args = (error.message,)
        return error

    def _time_left(self) -> float:
        return max(0.0, self.deadline - self._link.loop.time())


class Coalescer:
    """Collects parts during a turn of the loop and submits them at its end."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._open: dict[tuple[Action, str, bool], list[Part]] = {}
        self._errands: set[asyncio.Future[list[Result]]] = set()

    def split(self, entries: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        """Cut entries into runs that fit one request each, of which there are as few as can be."""
        most_bytes = self._most_bytes
        first = size = 0
        for index, entry in enumerate(entries):
            if index > first and (index - first >= self._most_entries or size + len(entry) > most_bytes):
                yield entries[first:index]
                first, size = index, 0
            size += len(entry)
        if first < len(entries):
            yield entries[first:]

    def add(
        self, action: Action, queue: str, entries: Sequence[bytes], *, exactly_once: bool = False
    ) -> asyncio.Future[list[Result]]:
        """The results of these entries, one run of `split`. Cancel the future to no longer want them.
        `exactly_once`: the daemon recognises each of them if it is sent again."""
        assert entries
        future: asyncio.Future[list[Result]] = self._link.loop.create_future()
        if not self._open:
            self._link.loop.call_soon(self.flush)
        self._open.setdefault((action, queue, exactly_once), []).append(Part(entries, future))
        return future

    def errand(self, action: Action, queue: str, entries: Sequence[bytes]) -> None:
        """As `add`, but nobody waits: a failure is logged. Any number of entries."""
        for run in self.split(entries):
            future = self.add(action, queue, run)
            self._errands.add(future)
            future.add_done_callback(self._errand_done)

    def flush(self) -> None:
        """Submit what was collected."""
        collected, self._open = self._open, {}
        most_bytes = self._most_bytes
        for (action, queue, exactly_once), parts in collected.items():
            held: list[Part] = []
            count = size = 0
            for part in parts:
                if part.future.done():
                    continue
                full = count + len(part.entries) > self._most_entries or size + part.size > most_bytes
                if held and full:
                    self._link.submit(Batch(self._link, action, queue, held, exactly_once=exactly_once))
                    held, count, size = [], 0, 0
                held.append(part)
                count += len(part.entries)
                size += part.size
            if held:
                self._link.submit(Batch(self._link, action, queue, held, exactly_once=exactly_once))

    async def settle(self, patience: float) -> None:
        """Send everything off, and wait at most this many seconds for what nobody else waits for."""
        self.flush()
        if self._errands and self._link.connected:
            await asyncio.wait(list(self._errands), timeout=patience)

    @property
    def _most_entries(self) -> int:
        return self._link.limits.batch

    @property
    def _most_bytes(self) -> int:
        return min(REQUEST_BYTES, self._link.limits.request - HEADER_BYTES)

    def _errand_done(self, future: asyncio.Future[list[Result]]) -> None:
        self._errands.discard(future)
        if future.cancelled():
            return
        error = future.exception()
        if error is not None:
            logger.debug("releasing messages failed: %s", error)
