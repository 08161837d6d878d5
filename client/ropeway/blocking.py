"""Queues, messages and streams for plain code: the same names, each call waiting for its result.

They hold the asynchronous object and the loop that it lives in, and nothing else. Any thread but the loop's
own may use them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self, Unpack

from ropeway import message as asynchronous
from ropeway.message import AttributeValue, Body, MessageId, Outgoing, SendOptions, TypedAttribute
from ropeway.moves import MoveTask
from ropeway.peek import Peeked, PeekOptions
from ropeway.portal import call
from ropeway.queue import PEEK_PAGE, QueueAttributes, QueueSettings
from ropeway.queue import Queue as AsyncQueue
from ropeway.stream import Stream as AsyncStream


def message(loop: asyncio.AbstractEventLoop, inner: asynchronous.Message) -> Message:
    """A message for plain code."""
    return Message(Queue(loop, inner.queue), inner)


class Message:
    """As `ropeway.Message`."""

    __slots__ = ("_inner", "_queue")

    def __init__(self, queue: Queue, inner: asynchronous.Message) -> None:
        self._queue = queue
        self._inner = inner

    def __repr__(self) -> str:
        return repr(self._inner)

    @property
    def inner(self) -> asynchronous.Message:
        """The asynchronous message."""
        return self._inner

    @property
    def queue(self) -> Queue:
        """Where it came from."""
        return self._queue

    @property
    def settled(self) -> bool:
        """Whether `delete` or `release` was called."""
        return self._inner.settled

    @property
    def released(self) -> bool:
        """Whether `release` was called."""
        return self._inner.released

    @property
    def id(self) -> str:
        """A UUID, the same for every receive of this message."""
        return self._inner.id

    @property
    def handle(self) -> bytes:
        """The receipt handle of this receive. Keep it out of logs."""
        return self._inner.handle

    @property
    def body(self) -> Body:
        """Text or bytes, as it was sent."""
        return self._inner.body

    @property
    def text(self) -> str:
        """The body as text; bytes are read as UTF-8. Raises UnicodeDecodeError."""
        return self._inner.text

    @property
    def sent_at(self) -> datetime:
        """When the daemon took it, in UTC."""
        return self._inner.sent_at

    @property
    def receive_count(self) -> int:
        """How often it was received, this time included."""
        return self._inner.receive_count

    @property
    def first_received_at(self) -> datetime:
        """When it was received for the first time, in UTC."""
        return self._inner.first_received_at

    @property
    def attributes(self) -> dict[str, AttributeValue]:
        """Its attributes as plain values."""
        return self._inner.attributes

    @property
    def typed_attributes(self) -> dict[str, TypedAttribute]:
        """Its attributes with their types, exactly as they were sent."""
        return self._inner.typed_attributes

    @property
    def trace_header(self) -> str | None:
        """The X-Ray trace header that it was sent with."""
        return self._inner.trace_header

    @property
    def source(self) -> str | None:
        """The ARN of the queue that it is a dead letter of."""
        return self._inner.source

    @property
    def group(self) -> str | None:
        """The message group that it was sent in."""
        return self._inner.group

    @property
    def deduplication_id(self) -> str | None:
        """Of a message of a FIFO queue: the id that a duplicate of it would have."""
        return self._inner.deduplication_id

    @property
    def sequence_number(self) -> str | None:
        """Of a message of a FIFO queue: its place there, 20 digits that rise with every message."""
        return self._inner.sequence_number

    def delete(self) -> None:
        """It is done: nobody will receive it again."""
        call(self._queue.loop, self._inner.delete)

    def extend(self, seconds: float) -> None:
        """Keep it invisible to others for this long from now."""
        call(self._queue.loop, lambda: self._inner.extend(seconds))

    def release(self, delay: float = 0) -> None:
        """Give it back: after `delay` seconds it can be received again."""
        call(self._queue.loop, lambda: self._inner.release(delay))


class Queue:
    """As `ropeway.Queue`."""

    __slots__ = ("inner", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, inner: AsyncQueue) -> None:
        self.loop = loop
        self.inner = inner

    def __repr__(self) -> str:
        return repr(self.inner)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Queue) and self.inner == other.inner

    def __hash__(self) -> int:
        return hash(self.inner)

    @property
    def name(self) -> str:
        """Its name."""
        return self.inner.name

    @property
    def exactly_once(self) -> bool:
        """As `ropeway.Queue.exactly_once`."""
        return self.inner.exactly_once

    def send(self, body: Body, **options: Unpack[SendOptions]) -> MessageId:
        """As `ropeway.Queue.send`."""
        return call(self.loop, lambda: self.inner.send(body, **options))

    def send_many(self, messages: Iterable[Body | Outgoing]) -> list[MessageId]:
        """As `ropeway.Queue.send_many`."""
        listed = list(messages)  # here, not in the loop: making them may take long, or call us
        return call(self.loop, lambda: self.inner.send_many(listed))

    def receive(
        self,
        max_messages: int = 1,
        *,
        wait: float | None = None,
        visibility_timeout: float | None = None,
    ) -> list[Message]:
        """As `ropeway.Queue.receive`. Messages that come when this was interrupted are released."""
        found = call(
            self.loop,
            lambda: self.inner.receive(max_messages, wait=wait, visibility_timeout=visibility_timeout),
            self.inner.give_back,
        )
        return [Message(self, each) for each in found]

    def peek(self, *, after: int = 0, **options: Unpack[PeekOptions]) -> Iterator[Peeked]:
        """As `ropeway.Queue.peek`, as an iterator."""
        following: int | None = after
        while following is not None:
            found, following = self.page_peek(after=following, limit=PEEK_PAGE, **options)
            yield from found

    def page_peek(
        self, *, after: int = 0, limit: int = 10, **options: Unpack[PeekOptions]
    ) -> tuple[list[Peeked], int | None]:
        """As `ropeway.Queue.page_peek`."""
        return call(self.loop, lambda: self.inner.page_peek(after=after, limit=limit, **options))

    def messages(self, *, prefetch: int = 100, visibility_timeout: float | None = None) -> Stream:
        """As `ropeway.Queue.messages`, as an iterator."""
        return Stream(self, self.inner.messages(prefetch=prefetch, visibility_timeout=visibility_timeout))

    def __iter__(self) -> Stream:
        return self.messages()

    def delete_many(self, messages: Iterable[Message]) -> None:
        """As `ropeway.Queue.delete_many`."""
        inner = [each.inner for each in messages]
        call(self.loop, lambda: self.inner.delete_many(inner))

    def release_many(self, messages: Iterable[Message], delay: float = 0) -> None:
        """As `ropeway.Queue.release_many`."""
        inner = [each.inner for each in messages]
        call(self.loop, lambda: self.inner.release_many(inner, delay))

    def delete_handles(self, handles: Sequence[bytes]) -> None:
        """As `ropeway.Queue.delete_handles`."""
        call(self.loop, lambda: self.inner.delete_handles(handles))

    def change_visibility(self, handles: Sequence[bytes], seconds: float) -> None:
        """As `ropeway.Queue.change_visibility`."""
        call(self.loop, lambda: self.inner.change_visibility(handles, seconds))

    def attributes(self) -> QueueAttributes:
        """As `ropeway.Queue.attributes`."""
        return call(self.loop, self.inner.attributes)

    def set(self, **settings: Unpack[QueueSettings]) -> None:
        """As `ropeway.Queue.set`."""
        call(self.loop, lambda: self.inner.set(**settings))

    def purge(self) -> None:
        """As `ropeway.Queue.purge`."""
        call(self.loop, self.inner.purge)

    def tag(self, tags: Mapping[str, str]) -> None:
        """As `ropeway.Queue.tag`."""
        call(self.loop, lambda: self.inner.tag(tags))

    def untag(self, keys: Iterable[str]) -> None:
        """As `ropeway.Queue.untag`."""
        call(self.loop, lambda: self.inner.untag(keys))

    def tags(self) -> dict[str, str]:
        """As `ropeway.Queue.tags`."""
        return call(self.loop, self.inner.tags)

    def add_permission(self, label: str, accounts: Iterable[str], actions: Iterable[str]) -> None:
        """As `ropeway.Queue.add_permission`."""
        call(self.loop, lambda: self.inner.add_permission(label, accounts, actions))

    def remove_permission(self, label: str) -> None:
        """As `ropeway.Queue.remove_permission`."""
        call(self.loop, lambda: self.inner.remove_permission(label))

    def dead_letter_sources(self) -> list[Queue]:
        """As `ropeway.Queue.dead_letter_sources`."""
        return [Queue(self.loop, each) for each in call(self.loop, self.inner.dead_letter_sources)]

    def page_dead_letter_sources(
        self, after: str | None = None, limit: int | None = None
    ) -> tuple[list[Queue], str | None]:
        """As `ropeway.Queue.page_dead_letter_sources`."""
        found, following = call(self.loop, lambda: self.inner.page_dead_letter_sources(after, limit))
        return [Queue(self.loop, each) for each in found], following

    def start_move(self, destination: Queue | str | None = None, *, rate: int | None = None) -> bytes:
        """As `ropeway.Queue.start_move`."""
        target = destination.inner if isinstance(destination, Queue) else destination
        return call(self.loop, lambda: self.inner.start_move(target, rate=rate))

    def cancel_move(self, task: bytes) -> int:
        """As `ropeway.Queue.cancel_move`."""
        return call(self.loop, lambda: self.inner.cancel_move(task))

    def list_moves(self, limit: int = 1) -> list[MoveTask]:
        """As `ropeway.Queue.list_moves`."""
        return call(self.loop, lambda: self.inner.list_moves(limit))

    def delete(self) -> None:
        """As `ropeway.Queue.delete`."""
        call(self.loop, self.inner.delete)


class Stream:
    """As `ropeway.Stream`, for `for` and `with`."""

    __slots__ = ("_inner", "_queue")

    def __init__(self, queue: Queue, inner: AsyncStream) -> None:
        self._queue = queue
        self._inner = inner

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        queue = self._queue
        try:
            found = call(queue.loop, self._inner.__anext__, lambda unused: queue.inner.give_back([unused]))
        except StopAsyncIteration:
            raise StopIteration from None
        return Message(queue, found)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration, and give back what was fetched and not taken."""
        call(self._queue.loop, self._inner.aclose)
