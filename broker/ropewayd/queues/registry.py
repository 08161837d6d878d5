"""Every queue of the daemon, by name and by number, and what was read from disk for them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ropewayd.kernel.wheel import Wheel
from ropewayd.store.protocol import Corrupt, Record
from ropewayd.vocabulary.errors import QueueDoesNotExist
from ropewayd.vocabulary.names import Scope, read_queue_arn

from . import hidden
from .actions import QueueAttributes
from .attributes import stored
from .deduplication import Ids
from .handle import Handles
from .memory import Memory
from .message import OVERHEAD
from .meter import Meters
from .queue import NO_SEQUENCES, Queue
from .ready import LET_GO
from .records import MAX_SEQUENCE, QueueRecord, split_row_key
from .remains import Remains
from .rows import Rows
from .segments import former
from .settings import QueueLimits
from .sources import Sources

_MAX_ABSENT = 10_000
_MAX_WINDOW = 8 << 20
_MIN_PAGE = 16 << 10


def missing(name: str) -> QueueDoesNotExist:
    """What to say of a queue that is not there."""
    return QueueDoesNotExist(f"There is no queue {name!r}. `CreateQueue` makes one.", "queue")


class Registry:
    """See the module."""

    def __init__(self, limits: QueueLimits, wheel: Wheel, owner: Any) -> None:
        self.limits = limits
        self.memory = Memory(limits.memory_bytes)
        self.meters = Meters()
        self.rows = Rows()
        self.home = Scope(limits.account, limits.region)
        self.by_name: dict[str, Queue] = {}
        """By what each is called here: see Scope.called. What is not found here may still be one's ARN: see
        `find`. In recovery nothing has a name yet."""
        self.by_number: dict[int, Queue] = {}
        self.names: dict[Scope, list[str]] = {}
        """In order, where there are any."""
        self.sources = Sources()
        self._settled = False
        self.next_number = 1
        self.handle_key: bytes | None = None
        self.full: set[int] = set()
        """Queues for which a long poll waits because too many messages are in flight."""
        self.ending: Mapping[int, AbstractSet[int]] = {}
        """Recovery: see Queue.ending, by queue number."""
        self._handles: Handles | None = None
        self.wheel = wheel
        self._owner = owner
        self._holders: dict[int, None] = {}
        """Queues that may hold in memory what the disk has too; those written or read last come last."""

    @property
    def handles(self) -> Handles:
        if self._handles is None:
            assert self.handle_key is not None, "the store has no key for receipt handles yet"
            self._handles = Handles(self.handle_key)
        return self._handles

    def window_bytes(self) -> int:
        """The head window of one queue where memory is short: a fair part of it, within reason."""
        part = self.limits.memory_bytes // (2 * max(1, len(self._holders)))
        return max(self.limits.min_window_bytes, min(part, _MAX_WINDOW))

    def page_bytes(self) -> int:
        """About how much is read of a queue at one time: less where many share the memory."""
        return min(self.limits.page_bytes, max(self.window_bytes(), _MIN_PAGE))

    def page_messages(self) -> int:
        """Likewise, in messages."""
        return min(self.limits.page_messages, max(1, self.page_bytes() // OVERHEAD))

    def find(self, called: str) -> Queue | None:
        """The queue of this name or ARN, the slow way: an ARN of one of the daemon's own is not in
        `by_name`."""
        scope, name = self.place(called)
        return self.by_name.get(scope.called(name, self.home))

    def called(self, queue: Queue) -> str:
        """What a queue is called here."""
        if hidden.is_hidden(queue.scope):
            return hidden.called(queue.number)
        return queue.scope.called(queue.name, self.home)

    def place(self, called: str) -> tuple[Scope, str]:
        """Where a queue of this name or ARN belongs, and its name there."""
        return read_queue_arn(called) or (self.home, called)

    def scope(self, account: str, region: str) -> Scope:
        """As an event or a record says it, which may be older than scopes: then it is the daemon's own."""
        home = self.home
        if (account or home.account) == home.account and (region or home.region) == home.region:
            return home
        scope = Scope(account or home.account, region or home.region)
        return next((s for s in self.names if s == scope), scope)

    def add(self, number: int, name: str, scope: Scope, attributes: QueueAttributes, at: int) -> Queue:
        queue = Queue(number, name, scope, attributes, at, self.wheel, self._owner, self.memory)
        self.by_number[number] = queue
        if self._settled:
            self.by_name[self.called(queue)] = queue
            if not hidden.is_hidden(scope):
                insort(self.names.setdefault(scope, []), name)
                self.sources.add(queue)
        else:
            queue.replaying = True
        return queue

    def remove(self, queue: Queue) -> Remains:
        """The queue is over; what it leaves to clear."""
        remains = queue.close()
        self._holders.pop(queue.number, None)
        del self.by_number[queue.number]
        if self._settled:
            del self.by_name[self.called(queue)]
            if hidden.is_hidden(queue.scope):
                return remains
            self.sources.discard(queue)
            names = self.names[queue.scope]
            del names[bisect_left(names, queue.name)]
            if not names:
                del self.names[queue.scope]
        return remains

    def settle(self) -> None:
        """Recovery is over: from now on queues have names. In a tail a name's old incarnation can come after
        the record of its new one."""
        self._settled = True
        by_name = self.by_name
        for queue in self.by_number.values():
            by_name[self.called(queue)] = queue
        seen = [queue for queue in by_name.values() if not hidden.is_hidden(queue.scope)]
        for queue in seen:
            self.names.setdefault(queue.scope, []).append(queue.name)
        for names in self.names.values():
            names.sort()
        self.sources.settle(seen)

    def restore(self, number: int, record: QueueRecord, lsn: int) -> None:
        """Recovery: a queue as its record says it."""
        scope = self.scope(record.account, record.region)
        queue = self.add(
            number,
            record.name,
            scope,
            stored(bytes(record.attributes), hidden.attributes_of(record.account)),
            record.created_at,
        )
        queue.modified_at = record.modified_at
        queue.tags = record.tags
        queue.next_sequence = record.next_sequence
        queue.live = record.live
        queue.bytes = record.bytes
        queue.floor = queue.paged_through = record.floor
        queue.spilled_through = record.spilled_through
        queue.mixed = record.mixed
        queue.tasks = list(record.tasks)
        segments = [*map(former, record.epochs), *record.segments]
        if segments:
            queue.ids = Ids(number)
            queue.ids.restore(segments)
        queue.stored = queue.changed = lsn

    def fill(self, number: int, first: int, limit: int, max_bytes: int, records: list[Record]) -> None:
        """A page that was read, of at most `limit` rows and about `max_bytes` from sequence `first` on."""
        queue = self.by_number.get(number)
        if queue is None:
            return
        # What memory has let go of since the read began may be on disk in another form than was read.
        lowest_gone = queue.lowest_gone
        queue.fill(m for m in map(self.rows.message, records) if m.sequence < lowest_gone)
        if records and queue.groups is not None:
            queue.sweep.looked(split_row_key(int(records[-1].key))[1], self.wheel.now)
        full = len(records) >= limit or sum(r.size for r in records) >= max_bytes
        end = split_row_key(int(records[-1].key))[1] if full else MAX_SEQUENCE
        if queue.paged_through < first - 1:
            return  # memory has let go of what is before the page since
        queue.paged_through = max(queue.paged_through, min(end, lowest_gone - 1))
        if queue.paged_through == MAX_SEQUENCE and queue.on_disk:
            raise Corrupt(
                f"queue {queue.name} (number {number}) counts {queue.on_disk} messages that are not on disk"
            )
        self._holders.pop(number, None)
        self._make_room()
        self._holders[number] = None

    def written(self, rows: Mapping[int, int]) -> None:
        """A slice is durable: so many rows of these queues. Where memory is short, each keeps a head window
        of what the disk has."""
        holders, memory = self._holders, self.memory
        for number in rows:
            holders.pop(number, None)
            holders[number] = None
        if memory.used <= memory.budget:
            return
        keep = self.window_bytes()
        for number, count in rows.items():
            queue = self.by_number.get(number)
            if queue is not None:
                queue.let_go(keep, count, memory.durable)
        self._make_room()

    def _make_room(self) -> None:
        """Where that is not enough, the queues that were written and read longest ago keep nothing."""
        holders, memory = self._holders, self.memory
        left = LET_GO
        while holders and memory.used > memory.budget and left > 0:
            number = next(iter(holders))
            queue = self.by_number.get(number)
            gone = 0
            if queue is not None:
                gone = queue.let_go(0, LET_GO, memory.durable)
                if memory.used > memory.budget and queue.ids is not None:
                    memory.used -= queue.ids.let_go(memory.durable)
            if gone < LET_GO:
                del holders[number]
            left -= gone + 1

    def recovered(self) -> None:
        """The tail is applied. What it left in memory may be on disk too."""
        self.ending = {}
        self._holders.update((number, None) for number, queue in self.by_number.items() if queue.messages)
        self._make_room()

    def fill_keys(self, number: int, sequences: Sequence[int], records: list[Record]) -> None:
        """Rows that were read by key. What was not there ended long ago, and never comes back."""
        queue = self.by_number.get(number)
        if queue is None:
            return
        found = sorted(map(self.rows.message, records), key=lambda m: m.sequence)
        if self.memory.short:  # who asks by key asks for no body
            for message in found:
                message.lighten()
        queue.fill(found)
        known = queue.absent if len(queue.absent) <= _MAX_ABSENT else NO_SEQUENCES
        queue.absent = known | (set(sequences) - {m.sequence for m in found})

    def fill_bodies(self, number: int, sequences: Sequence[int], records: list[Record]) -> None:
        """Rows of stubs. A stub that is still one has a row."""
        queue = self.by_number.get(number)
        if queue is None:
            return
        queue.complete(map(self.rows.message, records))
        for sequence in sequences:
            message = queue.messages.get(sequence)
            if message is not None and message.stub:
                raise Corrupt(
                    f"message {sequence} of queue {queue.name} (number {number}) is in flight or was, "
                    "but not on disk"
                )
