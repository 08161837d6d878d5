"""The queue service: what the kernel sees of it.

It owns the state of all queues and changes it by events alone. What is decided stands in decide.py, what
events do to one queue in queue.py, how state reaches records in spilling.py.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from ropewayd.kernel.service import Event, Gates, Outcome, Touch
from ropewayd.kernel.wheel import Wheel
from ropewayd.store.protocol import Corrupt, Key, Record, Space
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.names import Scope

from . import events as e
from . import movetask
from .actions import BringNear, Expire, Found, Move, Wake
from .attributes import shared
from .decide import deciders
from .deduplication import IDS, Forget
from .delays import Near, ahead
from .fanning import Fanning
from .hidden import attributes_of, is_hidden
from .message import OVERHEAD, sizes
from .meter import Meter
from .movetask import Pace
from .moving import arrived
from .queue import NO_SEQUENCES, Queue
from .records import CHUNKS, DELAYS, MESSAGES, QUEUES, WAITING
from .registry import Registry
from .remains import PIECE, Remains
from .settings import QueueLimits
from .spilling import Both, Ended, Own, Purged, Several, Spilling
from .throttle import Throttle

_EXPIRY_PACE = 100
"""Milliseconds between two pages of expired messages of one queue."""
_MORE = "more"
"""The payload of the timer that goes on with what was too much for one step."""
_FIRST_LOOKS, _FIRST_PACE = 32, 10
"""After a start so many queues are looked at in so many milliseconds."""
_BLOCKED_PACE = 60_000
"""Milliseconds between two looks at a FIFO queue all of whose groups are blocked."""


class Seen(NamedTuple):
    """A queue at one moment, for who watches. `oldest`: its oldest message's age in seconds, where known.
    `bytes`: its messages' bodies and attributes."""

    number: int
    account: str
    region: str
    name: str
    visible: int
    in_flight: int
    delayed: int
    bytes: int
    oldest: float | None
    meter: Meter


def _seconds(now: int, since: int | None) -> float | None:
    return None if since is None else max(0, now - since) / 1000


class Queues:
    """See the module. `entropy(n)` gives n unguessable bytes; a simulation gives its own."""

    name = "queues"
    spaces: Sequence[Space] = (QUEUES, WAITING, MESSAGES, IDS, CHUNKS, DELAYS)

    def __init__(
        self, wheel: Wheel, limits: QueueLimits | None = None, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._registry = Registry(limits or QueueLimits(), wheel, self)
        self._deciders = deciders(self._registry, entropy)
        self._throttle = Throttle(self._registry)
        self._spilling = Spilling(self._registry)
        self._replaying = True
        self._due: deque[Any] = deque()
        self._remains: deque[Remains] = deque()
        self._going_on = False
        self.fanning = Fanning(self._registry, entropy)
        """For who sends to many queues at once."""
        self.meters = self._registry.meters
        self.spill = self._spilling.spill
        self.spilled = self._spilling.spilled
        self.weight = self._spilling.weight

    def deciders(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return self._deciders

    def gates(self) -> Gates:
        """What may not happen as often as one likes."""
        return self._throttle.gates()

    def appliers(self) -> Mapping[type[Event], Callable[[Any, int], Touch]]:
        return {
            e.QueueCreated: self._created,
            e.QueueDeleted: self._deleted,
            e.AttributesSet: self._attributes_set,
            e.QueuePurged: self._purged,
            e.MessagesSent: self._sent,
            e.MessagesReceived: self._received,
            e.MessagesDeleted: self._ended,
            e.MessagesExpired: self._ended,
            e.VisibilityChanged: self._visibility_changed,
            e.MessagesReturned: self._returned,
            e.MessagesNeared: self._neared,
            e.StoreFounded: self._founded,
            e.MessagesMoved: self._moved,
            e.QueueTagged: self._tagged,
            e.MoveStarted: self._move_started,
            e.MoveEnded: self._move_ended,
            e.MessagesFanned: self._fanned,
        }

    def feeds(self, event: Any) -> Iterable[object]:
        if type(event) in _FEEDING:
            return (event.number,)
        if self._registry.full and type(event) in _FREEING and event.number in self._registry.full:
            self._registry.full.discard(event.number)
            return (event.number,)
        if type(event) is e.MessagesMoved:
            return (event.destination,)
        if type(event) is e.MessagesFanned:
            return event.numbers
        if type(event) in _UNBLOCKING:
            queue = self._registry.by_number.get(event.number)
            if queue is not None and queue.groups is not None:
                return (event.number,)
        return ()

    def due(self, payloads: list[Any], now: int) -> Iterable[Action]:
        """Very much can be due at one time: it is done in pieces, and the loop turns between them."""
        self._due.extend(p for p in payloads if p is not _MORE)
        self._going_on = self._going_on and _MORE not in payloads
        yield from self._do(self._piece(), now)

    def _piece(self) -> list[Any]:
        """What is done now of all that is due."""
        due, piece, work = self._due, [], 0
        if self._remains:
            self._remains[0].clear()
            work = PIECE
            if not self._remains[0]:
                self._remains.popleft()
        while due and work < 2 * PIECE:
            payload = due.popleft()
            work += len(payload[1]) if type(payload) is tuple else 1
            piece.append(payload)
        self._go_on()
        return piece

    def _go_on(self) -> None:
        """See to it that what is left is done soon."""
        if (self._due or self._remains) and not self._going_on:
            self._going_on = True
            self._registry.wheel.add(0, self, _MORE)

    def _clear(self, remains: Remains) -> Remains:
        """What ended at once leaves memory, in pieces if it is much."""
        remains.clear()
        while self._replaying and remains:
            remains.clear()
        if remains:
            self._remains.append(remains)
            self._go_on()
        return remains

    def _do(self, payloads: list[Any], now: int) -> Iterator[Action]:
        queues = [p for p in payloads if type(p) is int]
        if len(queues) < len(payloads):
            moves = [p for p in payloads if type(p) is Pace]
            if len(queues) + len(moves) < len(payloads):
                waking = [p for p in payloads if type(p) is tuple]
                if waking:
                    yield Wake(due=waking)
                self._forget([p for p in payloads if type(p) is Forget], now)
                yield from self._near([p for p in payloads if type(p) is Near], now)
            yield from self._paced(moves)
        for number in queues:
            queue = self._registry.by_number.get(number)
            if queue is None:
                continue
            queue.expiry = None
            oldest = queue.foremost(1)
            if not oldest and queue.groups is not None and queue.in_flight + queue.delayed:
                queue.expire_at(now + _BLOCKED_PACE)  # there may be some behind what is invisible
                continue
            if not oldest and not queue.on_disk:
                continue  # what is invisible is asked when it wakes
            if oldest and oldest[0].sequence <= queue.known_through:
                if queue.mixed:
                    oldest = queue.foremost(self._registry.limits.page_messages)
                at = min(m.sent_at for m in oldest) + queue.attributes.retention_period
                if at > now:
                    queue.expire_at(at)
                    continue
            # Some are due, or the oldest are on disk, and nobody has seen yet how old they are.
            queue.expire_at(now + _EXPIRY_PACE)
            yield Expire(number=number)

    def _paced(self, moves: list[Pace]) -> Iterator[Action]:
        for pace in moves:
            queue = self._registry.by_number.get(pace.number)
            if queue is not None:
                queue.pace = None
                yield Move(number=pace.number)

    def _near(self, due: Iterable[Near], now: int) -> Iterator[Action]:
        for each in due:
            queue = self._registry.by_number.get(each.number)
            if queue is None or queue.delays is None:
                continue
            queue.delays.timer = None
            if queue.delays.due(now + ahead(queue.memory)):
                yield BringNear(number=each.number)
            else:
                queue.look_ahead()

    def _forget(self, due: Iterable[Forget], now: int) -> None:
        for each in due:
            queue = self._registry.by_number.get(each.number)
            if queue is not None:
                queue.forget(now)

    # Events

    def _created(self, event: e.QueueCreated, lsn: int) -> Touch:
        registry = self._registry
        registry.next_number = max(registry.next_number, event.number + 1)
        if event.number not in registry.by_number:
            scope = registry.scope(event.account, event.region)
            attributes = shared(msgspec.convert(event.attributes, attributes_of(event.account)))
            queue = registry.add(event.number, event.name, scope, attributes, event.at)
            queue.tags = event.tags or None
            queue.changed = lsn
            queue.ending = registry.ending.get(event.number, NO_SEQUENCES)
        return Own(event.number)

    def _deleted(self, event: e.QueueDeleted, lsn: int) -> Touch:
        queue = self._registry.by_number.get(event.number)
        if queue is None:
            return None
        remains = self._registry.remove(queue)
        self.meters.forget(event.number)
        return Ended(event.number, self._clear(remains), queue.ids is not None, queue.delays is not None)

    def _attributes_set(self, event: e.AttributesSet, lsn: int) -> Touch:
        queue = self._registry.by_number.get(event.number)
        if queue is None:
            return None
        if lsn > queue.stored:
            self._registry.sources.discard(queue)
            before = msgspec.to_builtins(queue.attributes)
            queue.attributes = shared(
                msgspec.convert({**before, **event.attributes}, attributes_of(queue.scope.account))
            )
            self._registry.sources.add(queue)
            queue.redelay()
            queue.modified_at = event.at
            queue.changed = lsn
            if queue.expiry is not None:
                queue.expire_at(0)
        return Own(event.number)

    def _tagged(self, event: e.QueueTagged, lsn: int) -> Touch:
        queue = self._registry.by_number.get(event.number)
        if queue is None:
            return None
        if lsn > queue.stored:
            queue.tags = event.tags or None
            queue.changed = lsn
        return Own(event.number)

    def _purged(self, event: e.QueuePurged, lsn: int) -> Touch:
        queue = self._registry.by_number.get(event.number)
        if queue is None:
            return None
        return Purged(event.number, event.floor, self._clear(queue.purged(event.floor, lsn)))

    def _sent(self, event: e.MessagesSent, lsn: int) -> Touch:
        queue = self._registry.by_number.get(event.number)
        if queue is None:
            return None
        before = self._registry.memory.used
        touch = queue.sent(event, lsn)
        if not self._replaying:
            count = len(event.bodies)
            meter = self.meters.of(event.number)
            meter.sent += count
            meter.bill(count, self._registry.memory.used - before - OVERHEAD * count)
        return touch if event.digests is None else Both(touch, queue.remember(event))

    def _fanned(self, event: e.MessagesFanned, lsn: int) -> Touch:
        touches = [touch for each in event.sent() if (touch := self._sent(each, lsn)) is not None]
        touches.reverse()  # the first is popped from the end: a queue that is there twice is spilled in order
        return Several(touches)

    def _received(self, event: e.MessagesReceived, lsn: int) -> Touch:
        queue = self._registry.by_number.get(event.number)
        if queue is None:
            return None
        if not self._replaying:
            meter = self.meters.of(event.number)
            meter.received += len(event.sequences)
            messages = queue.messages
            meter.bill(len(event.sequences), sum([messages[s].size for s in event.sequences]))
        return queue.received(event, lsn)

    def _ended(self, event: e.MessagesDeleted | e.MessagesExpired, lsn: int) -> Touch:
        queue = self._registry.by_number.get(event.number)
        if queue is None:
            return None
        if not self._replaying:
            count, meter = len(event.sequences), self.meters.of(event.number)
            if type(event) is e.MessagesDeleted:
                meter.deleted += count
                meter.bill(count)
            else:
                meter.expired += count
        return queue.ended(event.sequences, event.size, lsn)

    def _visibility_changed(self, event: e.VisibilityChanged, lsn: int) -> Touch:
        queue = self._registry.by_number.get(event.number)
        return None if queue is None else queue.visibility_changed(event, lsn)

    def _returned(self, event: e.MessagesReturned, lsn: int) -> Touch:
        queue = self._registry.by_number.get(event.number)
        return None if queue is None else queue.returned(event.sequences, lsn)

    def _neared(self, event: e.MessagesNeared, lsn: int) -> Touch:
        queue = self._registry.by_number.get(event.number)
        return None if queue is None else queue.neared(event)

    def _moved(self, event: e.MessagesMoved, lsn: int) -> Touch:
        source = self._registry.by_number.get(event.number)
        destination = self._registry.by_number.get(event.destination)
        if not self._replaying and not event.task:
            self.meters.of(event.number).dead_lettered += len(event.sequences)
        if source is not None and event.task:
            movetask.moved(source, event, lsn, self._registry)
        return Both(
            None
            if source is None
            else source.ended(event.sequences, sizes(event.bodies, event.attributes), lsn),
            None if destination is None else arrived(destination, event, lsn),
        )

    def _move_started(self, event: e.MoveStarted, lsn: int) -> Touch:
        queue = self._registry.by_number.get(event.number)
        return None if queue is None else movetask.started(queue, event, lsn)

    def _move_ended(self, event: e.MoveEnded, lsn: int) -> Touch:
        queue = self._registry.by_number.get(event.number)
        return None if queue is None else movetask.ended(queue, event, lsn)

    def _founded(self, event: e.StoreFounded, lsn: int) -> Touch:
        self._registry.handle_key = event.key
        return Own(0)

    # Recovery

    def load(self, records: Iterable[Record]) -> None:
        self._spilling.load(records)

    def named(self, events: Iterable[Any]) -> Iterable[tuple[Space, Key]]:
        events = list(events)
        ended = ((event.number, event.sequences) for event in events if type(event) in _ENDING)
        return self._spilling.named((each for event in events for each in _named(event)), ended)

    def recovered(self, now: int) -> None:
        self._spilling.check_loaded()
        self._replaying = False
        self._registry.settle()
        looked_at = 0
        for queue in self._registry.by_number.values():
            queue.recovered()
            if queue.tasks:
                movetask.go_on(queue)
            if queue.on_disk < 0:
                raise Corrupt(
                    f"queue {queue.name} (number {queue.number}) counts fewer messages than there are"
                )
            if queue.live:
                # A look at the oldest message can cost a read, and there may be very many queues.
                queue.expire_at(now + _FIRST_PACE * (looked_at // _FIRST_LOOKS))
                looked_at += 1
        self._registry.recovered()

    def opening(self) -> Iterable[Action]:
        return (Found(),)

    # Looking in

    def counts(self) -> tuple[int, int]:
        """(queues, messages in them)."""
        queues: Iterable[Queue] = self._registry.by_number.values()
        return len(self._registry.by_number), sum(queue.live for queue in queues)

    def scopes(self) -> list[Scope]:
        """The accounts and regions that have queues."""
        return sorted(self._registry.names)

    def hidden(self) -> dict[str, str]:
        """What the hidden queues are called, by the ARN that their scope and name would give."""
        every = (q for q in self._registry.by_number.values() if is_hidden(q.scope))
        return {q.scope.queue_arn(q.name): self._registry.called(q) for q in every}

    @property
    def memory_used(self) -> int:
        """Bytes of messages in memory."""
        return self._registry.memory.used

    @property
    def memory_limit(self) -> int:
        """What they should not exceed."""
        return self._registry.limits.memory_bytes

    def seen(self, most: int, now: int) -> tuple[list[Seen], int]:
        """At most so many queues as who watches sees them, and how many more there are."""
        every = (q for q in self._registry.by_name.values() if not is_hidden(q.scope))
        queues: Iterable[Queue] = islice(every, most)
        found = [
            Seen(
                *(q.number, q.scope.account, q.scope.region, q.name),
                *(q.visible, q.in_flight, q.delayed, q.bytes),
                oldest=_seconds(now, q.oldest()),
                meter=copy(self.meters.seen(q.number)),
            )
            for q in queues
        ]
        return found, sum(map(len, self._registry.names.values())) - len(found)

    def tagged(self, key: str) -> dict[str, str]:
        """Every queue that carries this tag, by its ARN, with the tag's value."""
        return {
            queue.arn: queue.tags[key]
            for queue in self._registry.by_name.values()
            if queue.tags is not None and key in queue.tags
        }

    def held(self) -> dict[str, int]:
        """How many queues and messages there are, and where."""
        queues, messages = self.counts()
        in_memory = sum(len(queue.messages) for queue in self._registry.by_number.values())
        return {
            "queues": queues,
            "messages": messages,
            "messages_in_memory": in_memory,
            "messages_on_disk": messages - in_memory,
            "memory_bytes": self._registry.memory.used,
        }

    def snapshot(self) -> dict[str, Any]:
        """The state that is in memory, as plain objects."""
        return {
            "next_number": self._registry.next_number,
            "handle_key": self._registry.handle_key,
            "queues": {number: queue.snapshot() for number, queue in self._registry.by_number.items()},
        }


_FEEDING = frozenset((e.MessagesSent, e.MessagesReturned, e.VisibilityChanged, e.QueueDeleted))
_UNBLOCKING = frozenset((e.MessagesDeleted, e.MessagesExpired))
"""On a FIFO queue they open the group of what ended."""

_ENDING = frozenset((e.MessagesDeleted, e.MessagesExpired, e.MessagesMoved))

_FREEING = frozenset((e.MessagesDeleted, e.MessagesExpired, e.QueuePurged))


def _named(event: Any) -> Iterator[tuple[int, Iterable[int]]]:
    """Of which queues it names which messages."""
    if type(event) is e.MessagesSent:
        yield event.number, range(event.first, event.first + len(event.bodies))
        return
    if type(event) is e.MessagesFanned:
        yield from event.ranges()
        return
    yield getattr(event, "number", 0), getattr(event, "sequences", ())
    if type(event) is e.MessagesMoved:
        yield event.destination, range(event.first, event.first + len(event.bodies))
