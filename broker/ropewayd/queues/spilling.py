"""How what lives in queues becomes records, and records become queues again.

A touch is (queue number, sequences) for messages, or names something larger: see the classes. A message is
written as of the slice's lsn in one of two forms: visible, as its row; invisible, as its row (once) and a
small record of its deadline. Either way all that the disk says of it is then right as of that lsn.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeGuard

import msgspec

from ropewayd.kernel.service import SliceBuilder
from ropewayd.store.protocol import Corrupt, Key, Record, Slice, Space

from .attempts import Attempts, said_of
from .deduplication import drop_all
from .delays import DelayRecord, Neared, is_far, read_delay
from .message import DELAYED, RECORD_VERSION, VISIBLE, Message, MessageRecord, System, WaitingRecord
from .queue import Queue, Sent
from .records import (
    CHUNKS,
    DELAYS,
    HANDLE_KEY,
    MAX_SEQUENCE,
    MESSAGES,
    NEXT_NUMBER,
    QUEUES,
    VERSION,
    WAITING,
    QueueRecord,
    chunk_key,
    queue_key,
    row_key,
    split_row_key,
    waiting_key,
)
from .registry import Registry
from .remains import PIECE, Remains
from .slices import Remembered

_encode = msgspec.msgpack.Encoder().encode
_ROW = 40
"""Bytes of a message in a journal row besides its body and attributes, about."""
_DEAD = 100
"""Bytes that memory takes to know that a message has ended, and is to lose its row."""
_AT_ONCE = 50
"""Queues of one event that are written before the slice's size is looked at again."""
_queues = msgspec.msgpack.Decoder(QueueRecord)
_waiting = msgspec.msgpack.Decoder(WaitingRecord)


class Ended(msgspec.Struct, gc=False, frozen=True):
    """An incarnation is over: every row goes, and its record when all small ones are gone."""

    number: int
    remains: Remains
    ids: bool = False
    """Whether it may have deduplication ids on disk."""
    chunks: bool = False
    """Whether it may have chunks of delayed messages."""


class Purged(msgspec.Struct, gc=False, frozen=True):
    """Rows up to `floor` go, and the small records of what remains."""

    number: int
    floor: int
    remains: Remains


class Own(msgspec.Struct, gc=False, frozen=True):
    """A queue's own record, and the next number, changed. Number 0: the key of the handles."""

    number: int


class Both(msgspec.Struct, gc=False, frozen=True):
    """One event changed two queues: the touch of each."""

    source: Any
    destination: Any


class Several(msgspec.Struct, gc=False):
    """One event changed many queues: the touch of each that is not written yet."""

    touches: list[Any]


class Spilling:
    """See the module."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._memory = registry.memory
        self._loading: dict[tuple[int, int], tuple[WaitingRecord, int]] = {}
        self._chunks: list[tuple[int, int, DelayRecord, int]] = []
        self._writers: dict[type[Any], Callable[[Any, SliceBuilder], Any]] = {
            Sent: self._sent,
            Own: self._own,
            Remembered: self._remembered,
            Both: self._both,
            Several: self._several,
            Neared: self._neared,
            Purged: self._end,
            Ended: self._end,
        }
        self._weighed, self._weights = 0, Counter[int]()
        """A journal row, and the bytes of each queue's messages in it."""
        self._leaving: deque[tuple[int, int, int, list[int]]] = deque()
        """(lsn, queue number, chunk, sequences) of chunks in slices that are not durable yet."""

    # Out

    def spill(self, touch: Any, into: SliceBuilder) -> Any:
        """Gives the touch again where it was too much for one piece of a slice."""
        if type(touch) is tuple:
            queue = self._registry.by_number.get(touch[0])
            if queue is not None:
                self._messages(queue, touch[1], into)
            return None
        return self._writers[type(touch)](touch, into)

    def _sent(self, touch: Sent, into: SliceBuilder) -> None:
        queue = self._registry.by_number.get(touch.number)
        if queue is not None:
            self._messages(queue, touch.sequences, into, kept=self._is_kept(queue, into))

    def _both(self, touch: Both, into: SliceBuilder) -> None:
        for each in (touch.source, touch.destination):
            if each is not None:
                self.spill(each, into)

    def _several(self, touch: Several, into: SliceBuilder) -> Any:
        for _ in range(min(len(touch.touches), _AT_ONCE)):
            self.spill(touch.touches[-1], into)
            touch.touches.pop()  # not before: it is weighed with the others
        return touch if touch.touches else None

    def _neared(self, touch: Neared, into: SliceBuilder) -> None:
        into.drop(CHUNKS, row_key(touch.number, touch.chunk))
        into.drop(DELAYS, chunk_key(touch.number, touch.chunk))
        queue = self._registry.by_number.get(touch.number)
        if queue is not None:
            self._messages(queue, touch.sequences, into)

    def _end(self, touch: Purged | Ended, into: SliceBuilder) -> Any:
        """All of a queue's messages ended, or all up to a floor."""
        number, remains = touch.number, touch.remains
        if isinstance(touch, Purged):
            into.drop_range(MESSAGES, row_key(number, 0), row_key(number, touch.floor))
            if remains.chunks:
                into.drop_range(CHUNKS, row_key(number, 0), row_key(number, max(remains.chunks)))
            self._own(Own(number), into)
            return touch if self._drop_waiting(number, remains, into) else None
        into.drop_range(MESSAGES, row_key(number, 0), row_key(number, MAX_SEQUENCE))
        if touch.ids:
            drop_all(number, into)
        if touch.chunks:
            into.drop_range(CHUNKS, row_key(number, 0), row_key(number, MAX_SEQUENCE))
        if self._drop_waiting(number, remains, into):
            return touch
        into.drop(QUEUES, queue_key(number))
        return None

    def _remembered(self, touch: Remembered, into: SliceBuilder) -> None:
        queue = self._registry.by_number.get(touch.number)
        if queue is None or queue.ids is None:
            return
        self._memory.durable = min(self._memory.durable, into.lsn - 1)
        if queue.ids.spill(touch, into):
            into.at_end(queue, lambda end: self._put_queue(queue, end))

    def _drop_waiting(self, number: int, remains: Remains, into: SliceBuilder) -> bool:
        """The small records of what remains, some of them. Whether there are more."""
        remains.clear()
        for _ in range(min(len(remains.waiting), PIECE)):
            into.drop(WAITING, waiting_key(number, remains.waiting.pop()))
        for _ in range(min(len(remains.chunks), PIECE)):
            into.drop(DELAYS, chunk_key(number, remains.chunks.pop()))
        return bool(remains or remains.waiting or remains.chunks)

    def _own(self, touch: Own, into: SliceBuilder) -> None:
        number = touch.number
        if not number:
            key = self._registry.handle_key
            assert key is not None
            into.put(QUEUES, HANDLE_KEY, key)
            return
        into.at_end(NEXT_NUMBER, self._put_next)
        queue = self._registry.by_number.get(number)
        if queue is not None and queue.stored < queue.changed:
            into.at_end(queue, lambda end: self._put_queue(queue, end))

    def _put_next(self, into: SliceBuilder) -> None:
        into.put(QUEUES, NEXT_NUMBER, _encode(self._registry.next_number))

    def _put_queue(self, queue: Queue, into: SliceBuilder) -> None:
        record = QueueRecord(
            VERSION,
            queue.name,
            msgspec.Raw(_encode(queue.attributes)),
            queue.created_at,
            queue.modified_at,
            queue.next_sequence,
            queue.live,
            queue.floor,
            queue.spilled_through,
            *queue.scope,
            queue.mixed,
            queue.tags,
            queue.tasks,
            [],
            queue.bytes,
            queue.ids.segments if queue.ids is not None else [],
        )
        into.put(QUEUES, queue_key(queue.number), _encode(record))
        queue.stored = into.lsn

    def _is_kept(self, queue: Queue, into: SliceBuilder) -> bool:
        """Whether the journal row that is being spilled stays for this queue's messages that it says. Those
        of a FIFO queue are read by key, in the order that their groups let them go: each has its own row."""
        if queue.groups is not None or into.row_size < self._registry.limits.kept_bytes:
            return False
        if self._weighed != into.part:
            self._weighed, self._weights = into.part, Counter()
            for _, touch in into.touches:
                self._weigh(touch)
        weight = self._weights[queue.number]
        return weight >= self._registry.limits.kept_bytes and weight >= into.row_size // 4

    def _weigh(self, touch: Any) -> None:
        """Add up the messages of each queue that the row says and that are nowhere else on disk."""
        if type(touch) is Sent:
            queue = self._registry.by_number.get(touch.number)
            # Most of what comes here has ended: that is seen at once.
            if queue is not None and not queue.messages.keys().isdisjoint(touch.sequences):
                found = map(queue.messages.get, touch.sequences)
                self._weights[touch.number] += sum([m.size + _ROW for m in found if _is_as_sent(m)])
        elif type(touch) is Both:
            self._weigh(touch.source)
        elif type(touch) is Several:
            for each in touch.touches:
                self._weigh(each)

    def _keep(self, queue: Queue, sequences: Iterable[int], into: SliceBuilder) -> list[int]:
        """The journal row stays for those of these that are as they were sent. Gives the others: what was
        received has a row of its own, which knows of it."""
        keys: list[int] = []
        others: list[int] = []
        number, lsn, messages = queue.number, into.lsn, queue.messages
        for sequence in sequences:
            m = messages.get(sequence)
            if _is_as_sent(m):
                m.stored = lsn
                keys.append(row_key(number, sequence))
            else:
                others.append(sequence)
        if keys:
            into.keep(MESSAGES, keys)
            queue.spilled_through = max(queue.spilled_through, keys[-1] & MAX_SEQUENCE)
        return others

    def _messages(
        self, queue: Queue, sequences: Iterable[int], into: SliceBuilder, *, kept: bool = False
    ) -> None:
        # Until this slice is durable. One as of the same lsn may have been so before.
        self._memory.durable = min(self._memory.durable, into.lsn - 1)
        messages, dead = queue.messages, queue.dead
        before = queue.spilled_through
        if kept:
            sequences = self._keep(queue, sequences, into)
        for sequence in sequences:
            message = messages.get(sequence)
            if message is not None:
                if message.stored < into.part:
                    self._message(queue, message, into)
            elif sequence in dead:
                into.drop(MESSAGES, row_key(queue.number, sequence))
                if dead[sequence]:
                    into.drop(WAITING, waiting_key(queue.number, sequence))
        queue.rest()
        unsaid = queue.stored < queue.changed and queue.stored < into.part
        if unsaid or queue.spilled_through != before:
            into.at_end(queue, lambda end: self._put_queue(queue, end))

    def _cut(self, queue: Queue, into: SliceBuilder) -> None:
        """The far messages of a slice become chunks."""
        assert queue.delays is not None
        for chunk, sequences in queue.delays.cut(into):
            self._leaving.append((into.lsn, queue.number, chunk, sequences))

    def _message(self, queue: Queue, m: Message, into: SliceBuilder) -> None:
        if m.state == DELAYED:
            if m.lease is None:
                return  # it is on its way to the disk, in a chunk
            if not m.stored and self._is_put_off(queue, m):
                if queue.put_off(m, into):
                    into.at_end(queue.delays, lambda end: self._cut(queue, end))
                return
        number, sequence = queue.number, m.sequence
        visible, stub = m.state == VISIBLE, m.stub
        if not m.stored or (visible and not stub):
            row = MessageRecord(
                RECORD_VERSION,
                m.id,
                m.body,
                m.attributes,
                m.sent_at,
                m.receive_count,
                m.first_received_at,
                m.system,
            )
            into.put(MESSAGES, row_key(number, sequence), _encode(row))
            m.row_count = m.receive_count
            queue.spilled_through = max(queue.spilled_through, sequence)
        # A stub's row cannot be written again here. It need not be, if there was no receive since it was.
        waits = not visible or m.receive_count != m.row_count
        if waits:
            into.put(WAITING, waiting_key(number, sequence), _encode(_waiting_of(m)))
        elif m.waits:
            into.drop(WAITING, waiting_key(number, sequence))
        m.waits = waits
        m.stored = into.lsn

    def _is_put_off(self, queue: Queue, m: Message) -> bool:
        """Whether a delayed message is left to a chunk. On a FIFO queue what came from other queues, and is
        visible, would have to wait behind it: there only where memory is short, and nothing comes so."""
        apart = queue.groups is None or (self._memory.short and not queue.mixed)
        return apart and is_far(m, queue.wheel.now, self._memory)

    def weight(self, touch: Any) -> int:
        """What ends has a row to lose as long as it is in `dead`. While a queue has such messages, what
        touches it is counted as if it were of them."""
        if type(touch) is tuple:
            queue = self._registry.by_number.get(touch[0])
            if queue is not None and queue.dead:
                return _DEAD * len(touch[1])
        elif type(touch) is Sent:
            return self.weight((touch.number, touch.sequences))
        elif type(touch) is Both:
            return self.weight(touch.source)
        return 0

    def spilled(self, slice: Slice) -> None:
        """Dropped rows need no remembering any more, and memory need not hold what the disk has."""
        by_number = self._registry.by_number
        for space, key in slice.drops:
            if space is MESSAGES:
                assert type(key) is int
                number, sequence = split_row_key(key)
                queue = by_number.get(number)
                if queue is not None:
                    queue.dead.pop(sequence, None)
                    queue.rest()
        memory = self._memory
        lsn = slice.puts[0].lsn if slice.puts else slice.passages[0].lsn if slice.passages else 0
        memory.durable = max(memory.durable, lsn)
        self._leave(lsn)
        if memory.short:
            self._lighten(slice.puts)
        written = Counter(split_row_key(r.key)[0] for r in slice.puts if type(r.key) is int)
        for passage in slice.passages:
            written[split_row_key(passage.keys[0])[0]] += len(passage.keys)
        # A row can be right again without being written: what it did not know is dropped.
        written.update(_place(key)[0] for space, key in slice.drops if space is WAITING)
        self._registry.written(written)

    def _leave(self, lsn: int) -> None:
        """Chunks as of lsns up to this one are durable."""
        leaving = self._leaving
        while leaving and leaving[0][0] <= lsn:
            _, number, chunk, sequences = leaving.popleft()
            queue = self._registry.by_number.get(number)
            if queue is not None:
                queue.left(chunk, sequences)

    def _lighten(self, written: Sequence[Record]) -> None:
        """What is invisible leaves its body to its row."""
        for record in written:
            if record.space is WAITING:
                number, sequence = _place(record.key)
                queue = self._registry.by_number.get(number)
                message = None if queue is None else queue.messages.get(sequence)
                if queue is not None and message is not None and message.state != VISIBLE:
                    queue.lighten(message)

    # In

    def load(self, records: Iterable[Record]) -> None:
        for record in records:
            self._memory.durable = max(self._memory.durable, record.lsn)
            if record.space is MESSAGES or record.space == MESSAGES:
                self._load_row(record)
            elif record.space == WAITING:
                self._loading[_place(record.key)] = (_waiting.decode(record.value), record.lsn)
            elif record.space == DELAYS:
                self._chunks.append((*read_delay(record), record.lsn))
            elif record.key == NEXT_NUMBER:
                self._registry.next_number = msgspec.msgpack.decode(record.value, type=int)
            elif record.key == HANDLE_KEY:
                self._registry.handle_key = record.value
            else:
                assert type(record.key) is bytes
                number = int.from_bytes(record.key[1:], "big")
                self._registry.restore(number, _queues.decode(record.value), record.lsn)

    def _load_row(self, record: Record) -> None:
        assert type(record.key) is int
        number, sequence = split_row_key(record.key)
        queue = self._registry.by_number.get(number)
        if queue is None:
            return
        if sequence <= queue.floor:
            # Purged, and the small record not dropped yet: the purge is in the tail, and is to name it.
            if (number, sequence) in self._loading:
                queue.dead[sequence] = True
            return
        message = self._registry.rows.message(record)
        if self._memory.short:
            message.lighten()
        waiting = self._loading.pop((number, sequence), None)
        if waiting is not None:
            said, lsn = waiting
            message.state = said.state
            message.deadline = said.deadline
            message.receive_count = said.receive_count
            message.first_received_at = said.first_received_at
            message.waits = True
            message.stored = max(message.stored, lsn)
            _resume(queue, message, said)
        queue.restore(message)

    def named(
        self, named: Iterable[tuple[int, Iterable[int]]], ended: Iterable[tuple[int, Iterable[int]]]
    ) -> Iterator[tuple[Space, Key]]:
        """The rows of messages that these (queue number, sequences) name and that can be on disk. A message
        that is invisible needs none, and one that ends in the tail is not looked at again."""
        over: dict[int, set[int]] = {}
        for number, sequences in ended:
            over.setdefault(number, set()).update(sequences)
        self._registry.ending = over
        for number, gone in over.items():
            queue = self._registry.by_number.get(number)
            if queue is not None:
                queue.ending = gone
        self._restore(over)
        wanted = dict.fromkeys(row_key(number, sequence) for number, sequence in self._loading)
        for number, sequences in named:
            queue = self._registry.by_number.get(number)
            if queue is not None:
                floor, through = queue.floor, queue.spilled_through
                stubs, ending = queue.messages, queue.ending
                here = (s for s in sequences if floor < s <= through and s not in ending and s not in stubs)
                wanted.update(dict.fromkeys(row_key(number, s) for s in here))
        for key in sorted(wanted):
            yield MESSAGES, key

    def _restore(self, over: Mapping[int, AbstractSet[int]]) -> None:
        """What the small records say is all that memory needs of what is invisible."""
        self._restore_chunks()
        loading, self._loading = self._loading, {}
        for place, (said, lsn) in loading.items():
            number, sequence = place
            queue = self._registry.by_number.get(number)
            if sequence in over.get(number, ()):
                continue
            if queue is None or not said.id:
                self._loading[place] = said, lsn
            elif sequence <= queue.floor:
                # Purged, and the small record not dropped yet: the purge is in the tail, and is to name it.
                queue.dead[sequence] = True
            else:
                stub = _stub(sequence, said, lsn)
                _resume(queue, stub, said)
                queue.restore(stub)

    def _restore_chunks(self) -> None:
        chunks, self._chunks = self._chunks, []
        for number, chunk, said, lsn in chunks:
            queue = self._registry.by_number.get(number)
            if queue is not None:
                if queue.delays is None:
                    queue.chunked().through = queue.spilled_through
                queue.chunked().restore(chunk, said, lsn)
                queue.delayed += said.count

    def check_loaded(self) -> None:
        """Every small record had its row."""
        for number, sequence in self._loading:
            queue = self._registry.by_number.get(number)
            if queue is not None and sequence > queue.floor:
                raise Corrupt(
                    f"message {sequence} of queue {queue.name} (number {number}) is in flight but not on disk"
                )
        self._loading.clear()


def _is_as_sent(m: Message | None) -> TypeGuard[Message]:
    """Whether the journal row that it came with says all of it, and nothing else on disk does."""
    return m is not None and m.state == VISIBLE and not m.receive_count and not m.stored


def _place(key: Key) -> tuple[int, int]:
    """(queue number, sequence) of the small record of an invisible message."""
    assert type(key) is bytes
    return split_row_key(int.from_bytes(key, "big"))


def _waiting_of(m: Message) -> WaitingRecord:
    return WaitingRecord(
        RECORD_VERSION,
        m.state,
        m.deadline,
        m.receive_count,
        m.first_received_at,
        m.id,
        m.sent_at,
        m.weight,
        m.row_count,
        None if m.system is None else m.system.group,
        None if m.attempt is None else said_of(m.attempt, m.sequence),
    )


def _resume(queue: Queue, message: Message, said: WaitingRecord) -> None:
    """The receive that holds a message can be asked for again, if it could before."""
    if said.attempt is not None:
        if queue.attempts is None:
            queue.attempts = Attempts()
        message.attempt = queue.attempts.restore(said.attempt, message.sequence)


def _stub(sequence: int, said: WaitingRecord, lsn: int) -> Message:
    return Message(
        sequence,
        said.id,
        said.size,
        None,
        said.sent_at,
        0,
        said.receive_count,
        said.first_received_at,
        said.state,
        said.deadline,
        system=None if said.group is None else System(said.group),
        stored=lsn,
        waits=True,
        row_count=said.row_count,
    )
