"""A queue, as seen from here: a name and the calls that concern it. It holds no state."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, Unpack

from ropeway.coalescing import Placed, Result
from ropeway.errors import BatchError, ProtocolError, RopewayError
from ropeway.message import Body, Message, MessageId, Outgoing, SendOptions, pack_entry
from ropeway.moves import MoveTask, read_task
from ropeway.paging import every, page
from ropeway.peek import Peeked, PeekOptions, read_page, wire_options
from ropeway.request import Request
from ropeway.stream import Stream
from ropeway.units import milliseconds, moment
from ropeway.wire import Action, pack, payload

if TYPE_CHECKING:
    from ropeway.broker import Broker
    from ropeway.link import Link

PEEK_PAGE = 1000
"""Messages that one request looks at."""
FIFO = ".fifo"
"""What the name of a FIFO queue ends with."""
LONGEST_WAIT = 20.0
"""Seconds that a receive may wait for a message."""


class RedrivePolicy(TypedDict):
    """When a message counts as a dead letter, and where it goes then."""

    dead_letter_target_arn: str
    """The dead-letter queue: its ARN, or its name."""
    max_receive_count: int
    """How often a message can be received before it goes there: 1 to 1,000."""


class RedriveAllowPolicy(TypedDict, total=False):
    """Which queues may name this one as their dead-letter queue."""

    redrive_permission: str
    """`allowAll`, `denyAll` or `byQueue`."""
    source_queue_arns: Sequence[str] | None
    """With `byQueue`: the ARNs (or names) of 1 to 10 queues."""


class QueueSettings(TypedDict, total=False):
    """What can be set on a queue. Durations are in seconds, sizes in bytes."""

    visibility_timeout: float
    """How long a received message stays hidden from others: 0 to 43,200; 30."""
    delay: float
    """How long a new message is hidden: 0 to 900; 0."""
    retention_period: float
    """How long a message is kept: 60 to 1,209,600; 345,600 (four days)."""
    receive_wait_time: float
    """How long a receive waits for a message unless it says: 0 to 20; 0."""
    maximum_message_size: int
    """Bytes of a body and its attributes: 1,024 to 1,048,576; 1,048,576."""
    redrive_policy: RedrivePolicy | None
    """Where messages go that were received too often; None: nowhere."""
    redrive_allow_policy: RedriveAllowPolicy | None
    """Which queues may send their dead letters here; None: all."""
    maximum_delay: float
    """The longest delay, of a message and of the queue: 900 to 1,209,600; 900."""
    policy: str
    """The access policy, JSON of up to 8,192 bytes; empty removes it; none."""
    kms_master_key_id: str
    """A KMS key's id; empty removes it; none."""
    kms_data_key_reuse_period: float
    """How long one data key of that is used: 60 to 86,400; 300."""
    sqs_managed_sse_enabled: bool
    """Encrypted with a key of the queue service; true."""
    fifo: bool
    """Whether it keeps order within message groups, and takes no duplicates. Only when it is made, and its
    name ends in .fifo exactly then; False."""
    content_based_deduplication: bool
    """FIFO: whether the SHA-256 of its body is the deduplication id of a message that has none; False."""
    deduplication_scope: Literal["queue", "messageGroup"]
    """FIFO: whether a deduplication id means the same message in the queue or in its group; "queue"."""
    fifo_throughput_limit: Literal["perQueue", "perMessageGroupId"]
    """FIFO: "perMessageGroupId", with the scope "messageGroup", is high throughput; "perQueue"."""


class QueueAttributes(QueueSettings, total=False):
    """What is known of a queue: its settings, where they are set or have a default, and these. The numbers
    are approximate."""

    arn: str
    created_at: datetime
    modified_at: datetime
    visible: int
    in_flight: int
    delayed: int


_DURATIONS = (
    "visibility_timeout",
    "delay",
    "retention_period",
    "receive_wait_time",
    "maximum_delay",
    "kms_data_key_reuse_period",
)
_MOMENTS = ("created_at", "modified_at")
_T = TypeVar("_T")


def wire_settings(settings: QueueSettings) -> dict[str, object]:
    """Settings in the wire's units. What is not known here is passed on: the daemon may be newer."""
    found: dict[str, Any] = dict(settings)
    return {name: milliseconds(value, name) if name in _DURATIONS else value for name, value in found.items()}


def _read_attributes(result: object) -> QueueAttributes:
    if not isinstance(result, dict):
        raise ProtocolError("the daemon's queue attributes are no map")
    found: Any = dict(result)
    for name in _DURATIONS + _MOMENTS:
        value = found.get(name)
        if isinstance(value, int):
            found[name] = value / 1000 if name in _DURATIONS else moment(value)
    attributes: QueueAttributes = found
    return attributes


class Poll(Request):
    """A receive. Messages that come when nobody waits any more are given back to the queue."""

    __slots__ = ("_ends_at", "_params", "_queue", "future")

    def __init__(
        self, queue: Queue, max_messages: int, wait: float | None, visibility_timeout: float | None
    ) -> None:
        super().__init__(Action.ReceiveMessage)
        loop = queue.broker.link.loop
        self._queue = queue
        self._params: dict[str, object] = {"queue": queue.name, "max_messages": max_messages}
        if queue.name.endswith(FIFO):
            # Asked again after a lost connection, the receive gives what it gave before.
            self._params["attempt"] = uuid.uuid4().hex
        self._ends_at: float | None = None
        if visibility_timeout is not None:
            self._params["visibility_timeout"] = milliseconds(visibility_timeout, "visibility_timeout")
        if wait is not None:
            self._params["wait"] = milliseconds(wait, "wait")
            self._ends_at = loop.time() + wait
        self.future: asyncio.Future[list[Message]] = loop.create_future()

    @property
    def link(self) -> Link:
        """What it goes over."""
        return self._queue.broker.link

    def payload(self) -> bytes:
        if self._ends_at is not None:
            # Asked again after a lost connection, it waits for what is left of its time.
            self._params["wait"] = round(max(0.0, self._ends_at - self.link.loop.time()) * 1000)
        return payload(self.action, self._params)

    def take(self, result: object) -> None:
        if not isinstance(result, tuple):
            raise ProtocolError("the daemon's answer to ReceiveMessage is no list")
        messages = [Message(self._queue, each if isinstance(each, tuple) else ()) for each in result]
        if self.future.done():
            self._queue.give_back(messages)
        else:
            self.future.set_result(messages)

    def refuse(self, error: RopewayError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Queue:
    """Made by `Broker.queue` and `Broker.create_queue`.

    Every call raises QueueDoesNotExist where there is no such queue, DeadlineExceeded where no answer came in
    time, and BrokerClosed after the broker was closed.
    """

    __slots__ = ("broker", "exactly_once", "name")

    def __init__(self, broker: Broker, name: str, *, exactly_once: bool = False) -> None:
        self.broker = broker
        self.name = name
        self.exactly_once = exactly_once or name.endswith(FIFO)
        """Whether each message is sent with something by which the daemon recognises it, so that a send is
        repeated when its answer was lost. A FIFO queue always is so."""

    def __repr__(self) -> str:
        return f"<Queue {self.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Queue) and other.broker is self.broker and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    # Messages.

    async def send(self, body: Body, **options: Unpack[SendOptions]) -> MessageId:
        """Send one message; its id is returned when it is on disk. The options are those of `Outgoing`.

        `delay` in seconds, 0 to 900; without it the queue's. Sends that are made at the same time travel
        together. Raises ConnectionLost if the connection broke before the answer: the message may or may not
        have been accepted. Not so where `exactly_once` holds: then it is sent again, and accepted once.
        """
        once = self.exactly_once
        entry = pack_entry(Outgoing(body, **options), exactly_once=once)
        [result] = await self.broker.coalescer.add(Action.SendMessage, self.name, [entry], exactly_once=once)
        return read_message_id(_or_raise(result))

    async def send_many(self, messages: Iterable[Body | Outgoing]) -> list[MessageId]:
        """Send any number of messages, in as few requests as they fit; their ids, in order.

        Raises BatchError if some were not accepted, with the result of each; if the whole of it was refused
        for one reason, such as QueueDoesNotExist, that reason.
        """
        once = self.exactly_once
        outgoing = (each if isinstance(each, Outgoing) else Outgoing(each) for each in messages)
        entries = [pack_entry(each, exactly_once=once) for each in outgoing]
        results = await self._all(Action.SendMessage, entries, exactly_once=once)
        ids = [each if isinstance(each, RopewayError) else read_message_id(each) for each in results]
        return [each for each in all_or_raise(ids) if isinstance(each, MessageId)]

    async def receive(
        self,
        max_messages: int = 1,
        *,
        wait: float | None = None,
        visibility_timeout: float | None = None,
    ) -> list[Message]:
        """Up to `max_messages` (1 to 1,000) messages; an empty list if there are none.

        `wait` is how many seconds to wait for the first one, 0 to 20; without it the queue's. The messages
        are hidden from others for `visibility_timeout` seconds, 0 to 43,200; without it the queue's. If this
        call is cancelled, messages that arrive all the same are released at once.
        """
        poll = self.poll(max_messages, wait=wait, visibility_timeout=visibility_timeout)
        try:
            return await poll.future
        except asyncio.CancelledError:
            self.abandon(poll)
            raise

    async def peek(self, *, after: int = 0, **options: Unpack[PeekOptions]) -> AsyncIterator[Peeked]:
        """Look at the messages without receiving them, in the order of sending, fetched in pages as needed.

        Nothing about them changes. `after` begins behind that sequence. Only those are shown that are in one
        of `states` (visible, in_flight, delayed), of `group`, and between `min_age` and `max_age` seconds
        old; `bodies=False` leaves bodies and attributes away. It is no snapshot of a queue that is in use.
        """
        following: int | None = after
        while following is not None:
            found, following = await self.page_peek(after=following, limit=PEEK_PAGE, **options)
            for each in found:
                yield each

    async def page_peek(
        self, *, after: int = 0, limit: int = 10, **options: Unpack[PeekOptions]
    ) -> tuple[list[Peeked], int | None]:
        """As `peek`, but one page: up to `limit` (1 to 1,000) messages, and the sequence to go on after, if
        any. It can have fewer, or none, though there are more."""
        found, following = read_page(
            await self._call(Action.PeekMessages, after=after, limit=limit, **wire_options(options))
        )
        if following is not None and following <= after:
            raise ProtocolError("the daemon's look at the queue does not advance")
        return found, following

    def messages(self, *, prefetch: int = 100, visibility_timeout: float | None = None) -> Stream:
        """Messages for ever, by long polls, as an asynchronous iterator; `async for message in queue` is the
        same.

        It fetches ahead, at most `prefetch` (1 to 1,000), only as fast as messages are taken. Closing it, or
        leaving the loop, releases those that were not taken.
        """
        return Stream(self, prefetch, visibility_timeout)

    def __aiter__(self) -> Stream:
        return self.messages()

    async def delete_many(self, messages: Iterable[Message]) -> None:
        """Delete messages of this queue together. Raises BatchError, as `send_many` does."""
        messages = list(messages)
        for message in messages:
            message.settled = True
        await self.delete_handles([message.handle for message in messages])

    async def release_many(self, messages: Iterable[Message], delay: float = 0) -> None:
        """Give messages of this queue back together. Raises BatchError, as `send_many` does."""
        messages = list(messages)
        for message in messages:
            message.settled = message.released = True
        await self.change_visibility([message.handle for message in messages], delay)

    async def delete_handles(self, handles: Sequence[bytes]) -> None:
        """As `delete_many`, by receipt handles. One handle alone raises its own error."""
        _none_or_raise(await self._all(Action.DeleteMessage, [pack(handle) for handle in handles]))

    async def change_visibility(self, handles: Sequence[bytes], seconds: float) -> None:
        """Let these become visible so many seconds from now, by receipt handles; errors as
        `delete_handles`."""
        _none_or_raise(await self._all(Action.ChangeMessageVisibility, _visibility_entries(handles, seconds)))

    # The queue itself.

    async def attributes(self) -> QueueAttributes:
        """Its settings and numbers; durations in seconds, times as aware datetimes."""
        return _read_attributes(await self._call(Action.GetQueueAttributes))

    async def set(self, **settings: Unpack[QueueSettings]) -> None:
        """Change settings; those not named stay. Raises InvalidAttributeName, InvalidAttributeValue."""
        await self._call(Action.SetQueueAttributes, attributes=wire_settings(settings))

    async def purge(self) -> None:
        """Delete all its messages, those in flight and delayed too. Raises PurgeQueueInProgress where the
        daemon is set to allow it only so often."""
        await self._call(Action.PurgeQueue)

    async def tag(self, tags: Mapping[str, str]) -> None:
        """Put tags on it, up to 50; a key that it has already gets the new value."""
        await self._call(Action.TagQueue, tags=dict(tags))

    async def untag(self, keys: Iterable[str]) -> None:
        """Take these tags from it; one that it does not have is fine."""
        await self._call(Action.UntagQueue, keys=list(keys))

    async def tags(self) -> dict[str, str]:
        """Its tags."""
        match await self._call(Action.ListQueueTags):
            case dict() as found:
                return {str(key): str(value) for key, value in found.items()}
        raise ProtocolError("the daemon's answer to ListQueueTags is no map")

    async def add_permission(self, label: str, accounts: Iterable[str], actions: Iterable[str]) -> None:
        """Allow other accounts (twelve digits) these actions, as `SendMessage` or `*`: a statement called
        `label` in its policy. Raises InvalidParameterValue if there is one of this label."""
        await self._call(Action.AddPermission, label=label, accounts=list(accounts), actions=list(actions))

    async def remove_permission(self, label: str) -> None:
        """Take back what was allowed by this label. Raises InvalidParameterValue if there is none."""
        await self._call(Action.RemovePermission, label=label)

    # Dead letters.

    async def dead_letter_sources(self) -> list[Queue]:
        """The queues whose dead letters come here, in order of their names."""
        return [each async for each in every(self.page_dead_letter_sources)]

    async def page_dead_letter_sources(
        self, after: str | None = None, limit: int | None = None
    ) -> tuple[list[Queue], str | None]:
        """Up to `limit` (1 to 1,000) of them that come after the name `after`, and the name to go on after,
        if any."""
        names, following = await page(
            self.broker.link,
            Action.ListDeadLetterSourceQueues,
            "queues",
            {"queue": self.name, "after": after, "limit": limit},
            called="dead-letter sources",
        )
        return [Queue(self.broker, str(name)) for name in names], following

    async def start_move(self, destination: Queue | str | None = None, *, rate: int | None = None) -> bytes:
        """Begin to move this dead-letter queue's messages back to the queues that they came from, or to
        `destination` (a queue, its name or its ARN), at most `rate` a second. Gives what `cancel_move` takes.

        They become new messages there, with new ids. Those in flight stay. Raises ResourceNotFoundException
        where a queue is missing, InvalidParameterValue where nobody has this one for its dead-letter queue,
        UnsupportedOperation while another such task of this queue is running.
        """
        params: dict[str, object] = {"source": self.name}
        if destination is not None:
            params["destination"] = destination.name if isinstance(destination, Queue) else destination
        if rate is not None:
            params["max_messages_per_second"] = rate
        match await self.broker.link.call(Action.StartMessageMoveTask, params):
            case {"task": bytes(task)}:
                return task
        raise ProtocolError("the daemon's answer to StartMessageMoveTask has the wrong shape")

    async def cancel_move(self, task: bytes) -> int:
        """End a move task that is running; how many messages it has moved, which stay where they are. Raises
        ResourceNotFoundException, UnsupportedOperation (it is over)."""
        match await self.broker.link.call(Action.CancelMessageMoveTask, {"task": task}):
            case {"moved": int(moved)}:
                return moved
        raise ProtocolError("the daemon's answer to CancelMessageMoveTask has the wrong shape")

    async def list_moves(self, limit: int = 1) -> list[MoveTask]:
        """The last `limit` (1 to 10) move tasks of this queue, the newest first."""
        match await self.broker.link.call(Action.ListMessageMoveTasks, {"source": self.name, "limit": limit}):
            case {"tasks": tuple(tasks)}:
                return [read_task(each) for each in tasks]
        raise ProtocolError("the daemon's answer to ListMessageMoveTasks has the wrong shape")

    async def delete(self) -> None:
        """Delete the queue and all that is in it."""
        await self._call(Action.DeleteQueue)

    # For the rest of the library.

    def poll(self, max_messages: int, *, wait: float | None, visibility_timeout: float | None) -> Poll:
        """Start a receive; its future has the messages."""
        poll = Poll(self, max_messages, wait, visibility_timeout)
        link = self.broker.link
        link.submit(poll, (LONGEST_WAIT if wait is None else wait) + link.timeout)
        return poll

    def abandon(self, poll: Poll) -> None:
        """Nobody waits for this receive any more: what it brings, or has just brought, is given back."""
        poll.future.cancel()
        if not poll.future.cancelled() and poll.future.exception() is None:
            self.give_back(poll.future.result())
        self.broker.link.forget(poll)

    def give_back(self, messages: Iterable[Message]) -> None:
        """Release messages without waiting for the answer."""
        handles = [message.handle for message in messages]
        entries = _visibility_entries(handles, 0)
        self.broker.coalescer.errand(Action.ChangeMessageVisibility, self.name, entries)

    def change_soon(
        self, handles: Sequence[bytes], seconds: float
    ) -> Iterator[tuple[asyncio.Future[list[Result]], int]]:
        """As `change_visibility`: a future of results, and of how many, for each request."""
        coalescer = self.broker.coalescer
        for run in coalescer.split(_visibility_entries(handles, seconds)):
            yield coalescer.add(Action.ChangeMessageVisibility, self.name, run), len(run)

    async def _call(self, action: Action, **params: object) -> object:
        return await self.broker.link.call(action, {"queue": self.name, **params})

    async def _all(
        self, action: Action, entries: Sequence[bytes], *, exactly_once: bool = False
    ) -> list[Result]:
        """The results of any number of entries; a request that failed as a whole is the result of each of its
        own."""
        coalescer = self.broker.coalescer
        runs = list(coalescer.split(entries))
        futures: list[asyncio.Future[list[Result]]] = []
        try:
            for run in runs:
                futures.append(coalescer.add(action, self.name, run, exactly_once=exactly_once))
                if self.name.endswith(FIFO) and action is Action.SendMessage:
                    # One may have to wait where the next would pass it: they go one after the other.
                    await asyncio.wait(futures[-1:])
            await asyncio.gather(*futures, return_exceptions=True)
        finally:
            for future in futures:
                future.cancel()
        results: list[Result] = []
        for run, future in zip(runs, futures, strict=True):
            error = future.exception()
            if error is None:
                results += future.result()
            elif isinstance(error, RopewayError):
                results += [error] * len(run)
            else:
                raise error
        return results


def _visibility_entries(handles: Iterable[bytes], seconds: float) -> list[bytes]:
    timeout = milliseconds(seconds, "visibility_timeout")
    return [pack({"handle": handle, "visibility_timeout": timeout}) for handle in handles]


def read_message_id(result: bytes | Placed | None) -> MessageId:
    """What the daemon says that a message has become. Raises ProtocolError."""
    raw, sequence_number = result if isinstance(result, tuple) else (result, None)
    if raw is None or len(raw) != 16:
        raise ProtocolError("the daemon sent a message id that is not 16 bytes long")
    return MessageId(uuid.UUID(bytes=raw), sequence_number)


def _or_raise(result: _T | RopewayError) -> _T:
    if isinstance(result, RopewayError):
        raise result
    return result


def all_or_raise(results: Sequence[_T | RopewayError]) -> Sequence[_T | RopewayError]:
    """These results if all are good. One reason for all is raised itself, else BatchError."""
    errors = [each for each in results if isinstance(each, RopewayError)]
    if not errors:
        return results
    first = errors[0]
    if len(errors) == len(results) and all(_same(each, first) for each in errors):
        raise first
    raise BatchError(results)


def _same(one: RopewayError, other: RopewayError) -> bool:
    return type(one) is type(other) and one.message == other.message


def _none_or_raise(results: Sequence[Result]) -> None:
    all_or_raise(results)
