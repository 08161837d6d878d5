"""One incarnation of a queue: its messages and what events do to them.

Rule 1  Every live message is in exactly one place: visible (in `ready`), in flight, delayed, on disk alone,
        or delayed for long and on disk alone, in a chunk of `delays`. A FIFO queue has `groups` in the place
        of `ready`, which hold the invisible ones too.
Rule 2  `live` counts all of them, and `bytes` theirs. Both follow from events and the queue's own record,
        never from what is in memory.
Rule 3  What is on disk alone is visible: whatever is invisible is in memory, or in a chunk. Up to
        `paged_through` nothing is on disk alone.
Rule 4  A message whose row is still on disk after it ended is in `dead`, until a slice has dropped the row.
        Up to `floor` everything has ended.

Each event method skips what a loaded record already knows (`lsn` at or below it), so run time and recovery
share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

import msgspec

from ropewayd.kernel.service import SliceBuilder
from ropewayd.kernel.wheel import Timer, Wheel
from ropewayd.vocabulary.names import Scope

from .actions import QueueAttributes
from .attempts import Attempts
from .deduplication import Forget, Ids
from .delays import Delays, Near, Neared, ahead
from .events import MessagesNeared, MessagesReceived, MessagesSent, VisibilityChanged
from .fairness import Fair, tenant
from .groups import Groups
from .memory import Memory
from .message import DELAYED, IN_FLIGHT, OVERHEAD, VISIBLE, Attempt, Lease, Message, size_of, sizes
from .ready import Ready
from .records import MAX_SEQUENCE, MoveTask
from .remains import Remains
from .slices import Remembered
from .sweeping import Sweep

_TICK = 10
"""Milliseconds: the wheel's own."""
_SHARED = 1000
"""Messages of one lease, at most."""
NO_SEQUENCES: AbstractSet[int] = frozenset()
"""One for all: an empty set takes 216 bytes, and a queue has two."""
_NONE_GONE = MAX_SEQUENCE + 1
_NO_SWEEP = Sweep()
"""That of all standard queues, which need none."""


class Sent(msgspec.Struct, gc=False, frozen=True):
    """The touch of a send: its journal row has all of these messages."""

    number: int
    sequences: range


class Queue:
    """See the module. Times are carried milliseconds."""

    __slots__ = (
        "absent",
        "attempts",
        "attributes",
        "bytes",
        "changed",
        "created_at",
        "dead",
        "delayed",
        "delaying",
        "delays",
        "ending",
        "expiry",
        "fetching",
        "floor",
        "groups",
        "ids",
        "in_flight",
        "live",
        "lowest_gone",
        "memory",
        "messages",
        "mixed",
        "modified_at",
        "name",
        "near",
        "next_sequence",
        "number",
        "owner",
        "pace",
        "paged_through",
        "ready",
        "replaying",
        "scope",
        "spilled_through",
        "stored",
        "sweep",
        "tags",
        "tasks",
        "tenants",
        "wheel",
    )

    def __init__(
        self,
        number: int,
        name: str,
        scope: Scope,
        attributes: QueueAttributes,
        at: int,
        wheel: Wheel,
        owner: Any,
        memory: Memory,
    ) -> None:
        self.number = number
        self.name = name
        self.scope = scope
        self.attributes = attributes
        self.tags: dict[str, str] | None = None
        self.created_at = self.modified_at = at
        self.next_sequence = 1
        self.live = 0
        self.bytes = 0
        """Of the bodies and attributes of all that live."""
        self.floor = 0
        self.in_flight = self.delayed = 0
        self.delaying: Lease | None = None
        """The lease that delayed messages share now."""
        self.delays: Delays | None = None
        """Those whose time is far, if there ever were any."""
        self.messages: dict[int, Message] = {}
        self.ready = Ready()
        self.tenants: Fair | None = None
        """`ready`, if messages of this standard queue have groups. See fairness.py."""
        self.groups = Groups() if attributes.fifo else None
        self.ids: Ids | None = None
        """What is remembered of messages that were accepted with a deduplication id."""
        self.attempts: Attempts | None = None
        """Receives that can be asked for again."""
        self.dead: dict[int, bool] = {}
        self.absent = NO_SEQUENCES
        self.expiry: Timer | None = None
        self.paged_through = 0
        self.lowest_gone = _NONE_GONE
        self.spilled_through = 0
        self.stored = 0
        self.changed = 0
        self.sweep = _NO_SWEEP if self.groups is None else Sweep()
        self.near = 0
        """Of a FIFO queue, about how many of the next messages have been seen to have their bodies here; 0
        where nobody has had to wait for one."""
        self.fetching = False
        """Whether bodies of the next messages are being read."""
        self.mixed = False
        """Whether messages came from other queues: then their ages are in no order."""
        self.tasks: list[MoveTask] = []
        """The last move tasks that empty it, oldest first. See movetask.py."""
        self.pace: Timer | None = None
        self.replaying = False
        self.ending = NO_SEQUENCES
        """Recovery: what ends later in the tail, and so need not come to be."""
        self.wheel = wheel
        self.owner = owner
        self.memory = memory

    @property
    def arn(self) -> str:
        return self.scope.queue_arn(self.name)

    @property
    def visible(self) -> int:
        return self.live - self.in_flight - self.delayed

    @property
    def on_disk(self) -> int:
        """Messages that are on disk alone, but for those that are in chunks."""
        alone = self.live - len(self.messages)
        return alone if self.delays is None else alone - self.delays.alone

    @property
    def grouped(self) -> bool:
        """Whether messages of it have groups, whatever that means here."""
        return self.groups is not None or self.tenants is not None

    @property
    def known_through(self) -> int:
        """Up to this sequence nothing is on disk alone; of a FIFO queue not in a chunk either."""
        known = self.paged_through if self.on_disk else MAX_SEQUENCE
        return known if self.groups is None or self.delays is None else min(known, self.delays.first - 1)

    @property
    def has_page(self) -> bool:
        """Whether the next page from disk may hold what can be received."""
        return self.on_disk > 0 and self.paged_through <= self.known_through

    def oldest(self) -> int | None:
        """When the oldest message was sent, about; None where there is none, or it is on disk alone."""
        # What has waited longest in memory may be in flight; what has come back from disk stands in front.
        known = [*self.foremost(1), *islice(self.messages.values(), 1)]
        return min((m.sent_at for m in known if m.sequence <= self.known_through), default=None)

    def foremost(self, count: int) -> list[Message]:
        """The first visible messages that are known, at most `count`; of a FIFO queue the oldest that is not
        blocked."""
        if self.groups is None:
            return self.ready.first(count)
        oldest = self.groups.oldest()
        return [] if oldest is None else [oldest]

    # Events

    def sent(self, event: MessagesSent, lsn: int) -> Sent | None:
        first, bodies = event.first, event.bodies
        count = len(bodies)
        if lsn > self.stored:
            self.follow(first, count)
            self.live += count
            self.changed = lsn
        touched = range(first, first + count)
        fresh: Sequence[int] = touched
        if self.replaying:
            if lsn > self.stored:
                self.bytes += sizes(bodies, event.attributes)
            fresh = self.missing(touched)
            self._put(event, fresh)
        else:
            self.bytes += self._put(event, fresh)
        return Sent(self.number, touched) if fresh or lsn > self.stored else None

    def follow(self, first: int, count: int) -> None:
        """So many messages come, with the next sequences: with others they would take the place of some."""
        assert self.replaying or first == self.next_sequence, (
            f"messages come to {self.name} as {first}, {self.next_sequence} is next"
        )
        self.next_sequence = first + count

    def missing(self, sequences: Iterable[int]) -> list[int]:
        """Recovery: those that are to come to be."""
        floor, messages, ending = self.floor, self.messages, self.ending
        if self.delays is not None:
            floor = max(floor, self.delays.through)
        return [s for s in sequences if s not in ending and s > floor and s not in messages]

    def _put(self, event: MessagesSent, fresh: Sequence[int]) -> int:
        """Gives the bytes of their bodies and attributes."""
        first, at, ids, bodies = event.first, event.at, event.ids, event.bodies
        groups = self.groups
        if event.systems is not None and groups is None and self.tenants is None:
            self.divide(system is not None and system.group for system in event.systems)
        came: list[Message] = []
        messages, add = self.messages, self.ready.adding() if groups is None else came.append
        visible_at, attributes, systems = event.visible_at, event.attributes, event.systems
        plain = visible_at is None and attributes is None
        held = 0
        for sequence in fresh:
            index = sequence - first
            body = bodies[index]
            extra = attributes[index] if attributes is not None else None
            if extra is None and (type(body) is bytes or body.isascii()):
                size = len(body)
            else:
                size = size_of(body, extra)
            message = Message(sequence, ids[16 * index : 16 * index + 16], body, extra, at, size)
            if systems is not None:
                message.system = systems[index]
            messages[sequence] = message
            held += size
            if plain or visible_at is None or visible_at[index] <= at:
                add(message)
            else:
                self._hold(
                    message, DELAYED, visible_at[index], self._shared_lease(message, visible_at[index])
                )
                if groups is not None:
                    came.append(message)
        if groups is not None and self.replaying:  # there may be later ones
            for message in came:
                groups.add(message)
        elif groups is not None:
            groups.append(came)
        self.memory.used += held + OVERHEAD * len(fresh)
        if self.expiry is None:
            self.expire_at(at + self.attributes.retention_period)
        return held

    def remember(self, event: MessagesSent) -> Remembered:
        """The deduplication ids of messages that were accepted."""
        assert event.digests is not None
        if self.ids is None:
            self.ids = Ids(self.number)
        ids = self.ids
        send = Remembered(self.number, event.first, event.at, event.ids, event.digests)
        self.memory.used += ids.remember(send)
        if ids.timer is None:
            self.forget(event.at)
        return send

    def forget(self, now: int) -> None:
        """Let go of deduplication ids that are over, and look again when others are."""
        ids = self.ids
        if ids is not None:
            self.memory.used -= ids.forget(now)
            over_at = ids.over_at
            ids.timer = None if over_at is None else self.wheel.add(over_at, self.owner, Forget(self.number))

    def received(self, event: MessagesReceived, lsn: int) -> tuple[int, Sequence[int]]:
        at, deadline, sequences = event.at, event.deadline, event.sequences
        messages = self.messages
        if self.replaying:
            taken = self._retaken(sequences, lsn)
        else:
            taken = [messages[s] for s in sequences]
            if self.groups is None:
                self.ready.take(taken)
        hold = deadline > at
        lease = self._lease(deadline, sequences, len(taken)) if hold and taken else None
        if self.attempts is not None or event.attempt is not None:
            self._attempted(event, taken)
        short = self.memory.short
        for message in taken:
            message.changed = lsn
            message.receive_count += 1
            if not message.first_received_at:
                message.first_received_at = at
            if short and message.stored:
                self.lighten(message)
            if hold:
                message.state = IN_FLIGHT
                message.deadline = deadline
                message.lease = lease
            elif self.groups is None:
                self.ready.put_back(message)
        if hold:
            self.in_flight += len(taken)
            if self.tenants is not None:
                self.tenants.fly(taken, at)
        if self.groups is not None:
            self.groups.touch(taken)
        return self.number, sequences

    def _retaken(self, sequences: Sequence[int], lsn: int) -> list[Message]:
        """Recovery: those of which the records do not know this receive."""
        found = [m for m in map(self.messages.get, sequences) if m is not None and lsn > m.stored]
        for message in found:
            # The record of one that ends later in the tail may be older than the tail, and then says that it
            # is invisible: how it became visible was trimmed when it had ended already.
            if message.state != VISIBLE:
                self._release(message)
                message.state = VISIBLE
        return found

    def _attempted(self, event: MessagesReceived, taken: Iterable[Message]) -> None:
        """They are held by this receive, which may be asked for again."""
        if self.attempts is None:
            self.attempts = Attempts()
        attempt: Attempt | None = None
        if event.attempt is not None and event.deadline > event.at:
            attempt = self.attempts.add(event.attempt, event.attempted_at or event.at, event.sequences)
        for message in taken:
            message.attempt = attempt

    def ended(self, sequences: Sequence[int], size: int, lsn: int) -> tuple[int, Sequence[int]]:
        """Deleted, expired or moved: `size` bytes of bodies and attributes."""
        messages = self.messages
        if lsn > self.stored:
            self.live -= len(sequences)
            # An older version's events did not say a size: where all is gone, nothing is left of that.
            self.bytes = self.bytes - size if self.live else 0
            self.changed = lsn
        freed = 0
        gone: list[Message] | None = None if self.groups is None else []
        for sequence in sequences:
            message = messages.pop(sequence, None)
            if message is None:
                continue
            freed += message.size + OVERHEAD
            if message.state != VISIBLE:
                self._release(message)
            elif gone is None:
                self.ready.remove(message)
            message.leave()
            if gone is not None:
                gone.append(message)
            if message.stored:
                self.dead[sequence] = message.waits
        if self.replaying:
            # The rows of what ends in the tail are not loaded: whatever may have one is to lose it.
            through = self.spilled_through
            self.dead.update((s, True) for s in sequences if self.floor < s <= through)
        self.memory.used -= freed
        if self.groups is not None and gone:
            self.groups.look(gone)
        return self.number, sequences

    def returned(self, sequences: Sequence[int], lsn: int) -> tuple[int, Sequence[int]]:
        for sequence in sequences:
            message = self.messages.get(sequence)
            if message is not None and lsn > message.stored and message.state != VISIBLE:
                message.changed = lsn
                self._release(message)
                self._show(message)
        return self.number, sequences

    def visibility_changed(self, event: VisibilityChanged, lsn: int) -> tuple[int, Sequence[int]]:
        for sequence, deadline in zip(event.sequences, event.deadlines, strict=True):
            message = self.messages.get(sequence)
            if message is None or lsn <= message.stored:
                continue
            if message.state == DELAYED and message.lease is None:
                continue  # it is on its way into a chunk, which goes by the new delay
            message.changed = lsn
            if not event.attempt:
                message.attempt = None
            state = DELAYED if message.state == DELAYED else IN_FLIGHT
            if message.state != VISIBLE:
                self._release(message)
            elif self.groups is None:
                self.ready.remove(message)
            if deadline > event.at:
                self._hold(message, state, deadline, None)
                if self.groups is not None:
                    self.groups.look((message,))
            else:
                self._show(message)
        return self.number, event.sequences

    def purged(self, floor: int, lsn: int) -> Remains:
        """Everything up to `floor` ended. What is left of it in memory is for others to clear."""
        if lsn > self.stored:
            self.live = self.bytes = 0
            self.floor = max(self.floor, floor)
            self.changed = lsn
        gone, self.messages = self.messages, {}
        if self.replaying:  # a record that is newer than the purge may be here
            self.messages = {s: m for s, m in gone.items() if s > floor}
            gone = {s: m for s, m in gone.items() if s <= floor}
        remains = Remains(gone, self.dead, self.memory, self.wheel, self.groups)
        self.dead = {}
        states = [m.state for m in self.messages.values()]
        self.in_flight, self.delayed = states.count(IN_FLIGHT), states.count(DELAYED)
        if self.delays is not None:
            remains.chunks = self.delays.clear(lsn)
            self.delayed += self.delays.alone
        if self.ids is not None:
            self.memory.used -= self.ids.clear(floor)
        self.sweep.stop()
        self.settle()
        self.paged_through = max(self.paged_through, floor)
        return remains

    def close(self) -> Remains:
        """The incarnation ended: nothing of it waits any more, but what is left to clear."""
        if self.expiry is not None:
            self.wheel.cancel(self.expiry)
            self.expiry = None
        if self.ids is not None:
            self.memory.used -= self.ids.clear(MAX_SEQUENCE)
            if self.ids.timer is not None:
                self.wheel.cancel(self.ids.timer)
        if self.pace is not None:
            self.wheel.cancel(self.pace)
            self.pace = None
        remains = Remains(self.messages, self.dead, self.memory, self.wheel, self.groups)
        self.messages, self.dead = {}, {}
        if self.delays is not None:
            remains.chunks = list(self.delays.chunks)
            if self.delays.timer is not None:
                self.wheel.cancel(self.delays.timer)
        return remains

    def expire_at(self, when: int) -> None:
        """Look for messages past their retention at this time; 0 is at the next tick."""
        if self.expiry is not None:
            self.wheel.cancel(self.expiry)
        self.expiry = self.wheel.add(when, self.owner, self.number)

    def _show(self, message: Message) -> None:
        """It is visible again. It may be older than the one for which the next look at retention was set."""
        message.state = VISIBLE
        if self.groups is None:
            self.ready.put_back(message)
        else:
            self.groups.look((message,))
        expires_at = message.sent_at + self.attributes.retention_period
        if self.expiry is None or expires_at < self.expiry.deadline:
            self.expire_at(expires_at)

    # Invisible messages

    def _lease(self, deadline: int, sequences: Sequence[int], count: int) -> Lease:
        return Lease(self.wheel.add(deadline, self.owner, (self.number, sequences)), count)

    def _shared_lease(self, message: Message, deadline: int) -> Lease:
        """Those that become visible within one tick share a timer: a backlog of delayed messages has few."""
        when = -(-deadline // _TICK) * _TICK
        lease = self.delaying
        if (
            lease is None
            or lease.timer.deadline != when
            or not lease.timer.waiting
            or len(lease.timer.payload[1]) == _SHARED  # type: ignore[index]  # as it was made below
        ):
            lease = self.delaying = self._lease(when, [], 0)
        lease.timer.payload[1].append(message.sequence)  # type: ignore[index]  # likewise
        lease.left += 1
        return lease

    def _hold(self, message: Message, state: int, deadline: int, lease: Lease | None) -> None:
        message.state = state
        message.deadline = deadline
        message.lease = lease or self._lease(deadline, [message.sequence], 1)
        if state == IN_FLIGHT:
            self.in_flight += 1
            if self.tenants is not None:
                self.tenants.fly((message,), self.wheel.now)
        else:
            self.delayed += 1

    def _release(self, message: Message) -> None:
        """It is invisible no more: its lease has one less to care for."""
        if message.state == IN_FLIGHT:
            self.in_flight -= 1
            if self.tenants is not None:
                self.tenants.land(message, self.wheel.now)
        else:
            self.delayed -= 1
        lease = message.lease
        assert lease is not None
        message.lease = None
        message.deadline = 0
        lease.left -= 1
        if not lease.left:
            self.wheel.cancel(lease.timer)

    # Messages whose time is far (see delays.py)

    def chunked(self) -> Delays:
        """Where they are; there may be some from now on."""
        if self.delays is None:
            self.delays = Delays(self.number)
            self.redelay()
        return self.delays

    def redelay(self) -> None:
        """The attributes are others."""
        if self.delays is not None and self.groups is not None:
            self.delays.delay = self.attributes.delay
            if not self.replaying:
                self.look_ahead()

    def put_off(self, message: Message, into: SliceBuilder) -> bool:
        """Leave a delayed message to a chunk of this slice. True for the first of them."""
        delays = self.chunked()
        lease = message.lease
        assert lease is not None
        message.lease = None
        lease.left -= 1
        if not lease.left:
            self.wheel.cancel(lease.timer)
        message.stored = into.lsn
        self.spilled_through = max(self.spilled_through, message.sequence)
        return delays.put_off(message, into)

    def left(self, chunk: int, sequences: Iterable[int]) -> None:
        """A chunk is durable: its messages leave memory, unless all of that is over."""
        delays = self.delays
        if delays is None or chunk not in delays.chunks:
            return
        self._leave([self.messages[sequence] for sequence in sequences])
        delays.left(chunk)
        self.look_ahead()

    def look_ahead(self) -> None:
        """See to it that the next chunk is read in time."""
        delays = self.delays
        if delays is None or (earliest := delays.earliest) is None:
            return
        when = earliest - ahead(self.memory)
        timer = delays.timer
        if timer is None or not timer.waiting or when < timer.deadline:
            if timer is not None:
                self.wheel.cancel(timer)
            delays.timer = self.wheel.add(when, self.owner, Near(self.number))

    def neared(self, event: MessagesNeared) -> Neared | None:
        """A chunk's messages are in memory again, if they were not."""
        taken = self.chunked().take(event.chunk)
        if not taken:
            return None
        self.delayed -= taken
        if event.systems is not None and self.groups is None and self.tenants is None:
            self.divide(system is not None and system.group for system in event.systems)
        for index, sequence in enumerate(event.sequences):
            if sequence in self.ending:
                continue
            body = event.bodies[index]
            attributes = event.attributes[index] if event.attributes is not None else None
            size = size_of(body, attributes)
            message = Message(
                sequence,
                event.ids[16 * index : 16 * index + 16],
                body,
                attributes,
                event.sent_at[index],
                size,
                system=event.systems[index] if event.systems is not None else None,
            )
            self.messages[sequence] = message
            self.memory.used += size + OVERHEAD
            deadline = event.deadlines[index]
            self._hold(message, DELAYED, deadline, self._shared_lease(message, deadline))
            if self.groups is not None:
                self.groups.add(message)
        if not self.replaying:
            self.look_ahead()
        return Neared(self.number, event.chunk, event.sequences)

    # What comes from disk

    def settle(self) -> None:
        """Make the order of the visible ones anew from the messages themselves."""
        if self.groups is not None:
            self.groups = Groups(self.messages.values())
            return
        visible = [m for m in self.messages.values() if m.state == VISIBLE]
        visible.sort(key=lambda m: m.sequence)
        self.ready, self.tenants = Ready(visible), None
        self.divide(tenant(message) for message in self.messages.values())

    def divide(self, groups: Iterable[object]) -> None:
        """From now on it has tenants, if one of these is a group."""
        if any(groups):
            flying = (m for m in self.messages.values() if m.state == IN_FLIGHT)
            self.ready = self.tenants = Fair(self.ready, flying, self.wheel.now)

    def recovered(self) -> None:
        """The tail is applied. A stub whose row says all need not be here."""
        self.replaying, self.ending = False, NO_SEQUENCES
        if self.delays is not None:
            self.delays.through = 0
            self.look_ahead()
        lsn = self.memory.durable
        for message in [m for m in self.messages.values() if m.stub and m.on_disk(lsn)]:
            del self.messages[message.sequence]
            self.memory.used -= OVERHEAD
        if self.messages or self.grouped or self.ready.used:
            self.settle()

    def rest(self) -> None:
        """Nothing lives here: give back what was taken to hold more."""
        if not (self.live or self.messages or self.dead):
            self.messages, self.dead, self.ready, self.absent = {}, {}, Ready(), NO_SEQUENCES
            self.tenants = None

    def begin_page(self) -> None:
        """A page is being read: what memory lets go of from now on may not be in it."""
        self.lowest_gone = _NONE_GONE

    def let_go(self, keep_bytes: int, written: int, lsn: int) -> int:
        """Leave to the disk what it has as of `lsn`: all but a head window of about `keep_bytes`, and what
        memory alone knows. Not all at once where that is much: gives how many it were."""
        if self.groups is None:
            gone = self.ready.let_go(keep_bytes, self.known_through, written, lsn)
        else:
            gone = self.sweep.go_on(self.messages, keep_bytes, written, self.memory, lsn, self.wheel.now)
        if not gone:
            return 0
        lowest = min(message.sequence for message in gone)
        self.paged_through = min(self.paged_through, lowest - 1) if self.on_disk else lowest - 1
        self.lowest_gone = min(self.lowest_gone, lowest)
        self._leave(gone)
        return len(gone)

    def _leave(self, gone: Sequence[Message]) -> None:
        """Memory lets go of these, which are on disk."""
        for message in gone:
            message.leave()
            del self.messages[message.sequence]
            self.memory.used -= message.size + OVERHEAD
        if self.groups is not None:
            self.groups.look(gone)

    def lighten(self, message: Message) -> None:
        """Leave its body to its row, if memory is short and the row is durable."""
        memory = self.memory
        if memory.short and 0 < message.stored <= memory.durable and not message.stub:
            memory.used -= message.lighten()

    def complete(self, rows: Iterable[Message]) -> None:
        """Rows of stubs were read. One that has ended since, or has its body again, is left as it is."""
        for row in rows:
            message = self.messages.get(row.sequence)
            if message is not None and message.stub:
                self.memory.used += message.complete(row)

    def restore(self, message: Message) -> None:
        """Recovery: a message that records know. `state` and `deadline` are theirs."""
        self.messages[message.sequence] = message
        self.memory.used += message.size + OVERHEAD
        if message.state != VISIBLE:
            self._hold(message, message.state, message.deadline, None)
        elif self.groups is None:
            self.ready.put_back(message)
        if self.groups is not None:
            self.groups.add(message)

    def fill(self, messages: Iterable[Message]) -> None:
        """Rows that were read, in order of sequence: what memory knows better is skipped."""
        known, dead, floor, memory = self.messages, self.dead, self.floor, self.memory
        came: list[Message] = []
        for message in messages:
            sequence = message.sequence
            if sequence > floor and sequence not in known and sequence not in dead:
                if self.groups is not None:
                    if memory.used > memory.budget:
                        message.lighten()
                    self.groups.add(message)
                known[sequence] = message
                memory.used += message.size + OVERHEAD
                came.append(message)
        if self.groups is None:
            self.ready.put_page(came)
            if self.tenants is None:
                self.divide(m.system is not None and m.system.group for m in came)

    def snapshot(self) -> dict[str, Any]:
        """Everything that is state, as plain objects."""
        return {
            "name": self.name,
            "scope": self.scope,
            "attributes": self.attributes,
            "tags": self.tags,
            "created_at": self.created_at,
            "modified_at": self.modified_at,
            "next_sequence": self.next_sequence,
            "live": self.live,
            "bytes": self.bytes,
            "floor": self.floor,
            "mixed": self.mixed,
            "tasks": list(self.tasks),
            "in_flight": self.in_flight,
            "delayed": self.delayed,
            "ready": [m.sequence for m in (self.ready if self.groups is None else self.groups)],
            "messages": {
                m.sequence: (
                    m.id,
                    m.body,
                    m.attributes,
                    m.system,
                    m.sent_at,
                    m.receive_count,
                    m.first_received_at,
                    m.state,
                    m.deadline,
                )
                for m in self.messages.values()
            },
        }
