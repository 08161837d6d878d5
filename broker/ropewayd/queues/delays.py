"""Delayed messages whose time is far: on disk alone, in chunks, until it comes near.

Rule 1  What is far when its part of the journal is to go is written in chunks, whole messages in order of
        deadline, and one small record a chunk says when its first message is due. Memory keeps that alone.
Rule 2  A delayed message was never received, so nothing can happen to it before its time but the end of all
        (a purge, or the queue's end).
Rule 3  A chunk that comes near is read, and an event takes all of it into memory. The event holds the
        messages, as that of a send does: from then on they are in the journal, until they are spilled anew.
        The slice that spills them drops the chunk. So a chunk whose small record is there is as of before
        that event, and one whose record is not there is after it.
Rule 4  A chunk's number is never used again while the journal's tail may name it.
Rule 5  On a FIFO queue a new delay counts for what is delayed already. So its chunks say when their messages
        were sent, and `delay` is added to all that they say. Nothing behind the first message of a chunk can
        be received before that chunk is in memory: it may be of the same group.

A message may be written some times on its way, if its deadline is far and others' are between: each time its
chunk spans a smaller time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from ropewayd.kernel.service import Needs, SliceBuilder
from ropewayd.kernel.wheel import Timer
from ropewayd.store.protocol import Corrupt, Record

from .events import MessagesNeared
from .memory import Memory
from .message import Message, System
from .records import CHUNKS, DELAYS, MAX_SEQUENCE, VERSION, chunk_key, row_key, split_row_key

_FAR: Final = 60_000
"""Milliseconds from which on a deadline is far, ..."""
_FAR_SHORT: Final = 2_000
"""... and where memory is short."""
_AHEAD: Final = 5_000
"""Milliseconds before its first deadline a chunk is read, if memory is not short."""
_CHUNK_MESSAGES: Final = 256
_CHUNK_BYTES: Final = 64 << 10
"""What one chunk holds at most, or one larger message."""
_READ: Final = 16
"""Chunks that are read at one time."""

_encode = msgspec.msgpack.Encoder().encode


class DelayedMessage(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One message of a chunk. On a FIFO queue `deadline` is without the queue's delay."""

    sequence: int
    deadline: int
    id: bytes
    body: Any
    attributes: Any
    sent_at: int
    system: System | None = None


class ChunkRecord(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A chunk: its messages in order of deadline."""

    version: int
    messages: list[DelayedMessage]


class DelayRecord(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """The small record of a chunk: when its first message is due (on a FIFO queue without the delay), how
    many there are, and the lowest and the highest of their sequences."""

    version: int
    earliest: int
    count: int
    first: int
    last: int


_chunks = msgspec.msgpack.Decoder(ChunkRecord)
_delays = msgspec.msgpack.Decoder(DelayRecord)


class Near(msgspec.Struct, gc=False, frozen=True):
    """What the wheel gives back when a chunk of a queue may be near."""

    number: int


class Neared(msgspec.Struct, gc=False, frozen=True):
    """The touch of messages that a chunk gave back: it is dropped when they are spilled anew."""

    number: int
    chunk: int
    sequences: Sequence[int]


class Chunk(msgspec.Struct, gc=False, frozen=True):
    """What memory keeps of a chunk, of which the disk is right as of `lsn`."""

    said: DelayRecord
    lsn: int


class Delays:
    """The chunks of one queue."""

    __slots__ = (
        "_firsts",
        "_heap",
        "_leaving",
        "_next",
        "_pending",
        "alone",
        "chunks",
        "delay",
        "number",
        "read",
        "through",
        "timer",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.delay = 0
        """Milliseconds that are added to what chunks say: of a FIFO queue its delay."""
        self.chunks: dict[int, Chunk] = {}
        self.alone = 0
        """Messages that are in chunks and not in memory."""
        self.read: dict[int, list[DelayedMessage]] = {}
        """Chunks that were read and not taken yet."""
        self.through = 0
        """Recovery: of what was sent up to this sequence the records know all that lives."""
        self.timer: Timer | None = None
        self._heap: list[tuple[int, int]] = []
        self._firsts: list[tuple[int, int]] = []
        self._leaving: set[int] = set()
        self._next = 1
        self._pending: list[tuple[int, int, bytes]] = []

    # Out

    def put_off(self, message: Message, into: SliceBuilder) -> bool:
        """Write it with the others of this slice. True for the first of them: then `cut` is to be called at
        the slice's end."""
        deadline = message.deadline - self.delay
        row = DelayedMessage(
            message.sequence,
            deadline,
            message.id,
            message.body,
            message.attributes,
            message.sent_at,
            message.system,
        )
        encoded = _encode(row)
        self._pending.append((deadline, message.sequence, encoded))
        into.size += len(encoded)
        return len(self._pending) == 1

    def cut(self, into: SliceBuilder) -> list[tuple[int, list[int]]]:
        """The chunks of a slice: the number of each, and its sequences."""
        pending, self._pending = sorted(self._pending), []
        made = []
        begin = size = 0
        for end in range(1, len(pending) + 1):
            size += len(pending[end - 1][2])
            full = end - begin == _CHUNK_MESSAGES or size >= _CHUNK_BYTES
            if full or end == len(pending):
                made.append(self._chunk(pending[begin:end], into))
                begin, size = end, 0
        return made

    def _chunk(self, rows: list[tuple[int, int, bytes]], into: SliceBuilder) -> tuple[int, list[int]]:
        number, self._next = self._next, self._next + 1
        sequences = [sequence for _, sequence, _ in rows]
        said = DelayRecord(VERSION, rows[0][0], len(rows), min(sequences), max(sequences))
        value = _encode((VERSION, [msgspec.Raw(encoded) for _, _, encoded in rows]))
        into.put(CHUNKS, row_key(self.number, number), value)
        into.put(DELAYS, chunk_key(self.number, number), _encode(said))
        self.chunks[number] = Chunk(said, into.lsn)
        self._leaving.add(number)
        return number, sequences

    def left(self, number: int) -> None:
        """This chunk is durable, and memory has let go of its messages."""
        self._leaving.discard(number)
        said = self.chunks[number].said
        self.alone += said.count
        heapq.heappush(self._heap, (said.earliest, number))
        heapq.heappush(self._firsts, (said.first, number))

    # In

    def restore(self, number: int, said: DelayRecord, lsn: int) -> None:
        """Recovery: a chunk as its small record says it."""
        self.chunks[number] = Chunk(said, lsn)
        self.left(number)
        self.named(number)

    def named(self, number: int) -> None:
        """This number is not to be used again."""
        self._next = max(self._next, number + 1)

    @property
    def earliest(self) -> int | None:
        """When the first message is due that is in no memory."""
        heap = self._heap
        while heap and heap[0][1] not in self.chunks:
            heapq.heappop(heap)
        return heap[0][0] + self.delay if heap else None

    @property
    def first(self) -> int:
        """The lowest sequence that is in no memory; where there is none, one that no message can have."""
        firsts = self._firsts
        while firsts and firsts[0][1] not in self.chunks:
            heapq.heappop(firsts)
        return firsts[0][0] if firsts else MAX_SEQUENCE + 1

    def due(self, until: int) -> list[int]:
        """Chunks that hold something that is due by then, those that are due first: at most so many as are
        read at one time."""
        found: list[tuple[int, int]] = []
        while len(found) < _READ and (earliest := self.earliest) is not None and earliest <= until:
            found.append(heapq.heappop(self._heap))
        for place in found:
            heapq.heappush(self._heap, place)
        return [number for _, number in found]

    def fill(self, asked: Iterable[int], records: Iterable[Record]) -> None:
        """These chunks were asked for, and read."""
        for record in records:
            number = split_row_key(int(record.key))[1]
            if number in self.chunks:
                self.read[number] = messages_of(record)
        for number in asked:
            if number in self.chunks and number not in self.read:
                raise Corrupt(f"chunk {number} of delayed messages of queue number {self.number} is missing")

    def take(self, number: int) -> int:
        """The messages of this chunk are in memory from now on; how many it had. 0: the records know that
        already."""
        self.named(number)
        self.read.pop(number, None)
        chunk = self.chunks.pop(number, None)
        if chunk is None:
            return 0
        self.alone -= chunk.said.count
        return chunk.said.count

    def clear(self, lsn: int) -> list[int]:
        """All that is older than `lsn` ended; gives the numbers of those chunks."""
        gone = [number for number, chunk in self.chunks.items() if chunk.lsn < lsn]
        for number in gone:
            chunk = self.chunks.pop(number)
            if number not in self._leaving:
                self.alone -= chunk.said.count
            self.read.pop(number, None)
        self._leaving.difference_update(gone)
        return gone

    def between(self, after: int, end: int) -> list[int]:
        """Chunks that may hold sequences behind `after`, up to `end`, and none of which is in memory; those
        that begin first come first."""
        found = [
            (chunk.said.first, number)
            for number, chunk in self.chunks.items()
            if chunk.said.last > after and chunk.said.first <= end and number not in self._leaving
        ]
        return [number for _, number in sorted(found)]


def is_far(message: Message, now: int, memory: Memory) -> bool:
    """Whether a delayed message is to be left to the disk."""
    return message.deadline - now > (_FAR_SHORT if memory.short else _FAR)


def ahead(memory: Memory) -> int:
    """How many milliseconds ahead of need a chunk is read."""
    return 0 if memory.short else _AHEAD


def read_delay(record: Record) -> tuple[int, int, DelayRecord]:
    """(queue number, chunk, what the small record says)."""
    assert type(record.key) is bytes
    return *split_row_key(int.from_bytes(record.key, "big")), _delays.decode(record.value)


def messages_of(record: Record) -> list[DelayedMessage]:
    """The messages of a chunk."""
    chunk = _chunks.decode(record.value)
    assert chunk.version == VERSION
    return chunk.messages


def reading(delays: Delays, chunks: list[int], fill: Any) -> Needs:
    """What must be read to have these chunks."""
    keys = [row_key(delays.number, number) for number in chunks]
    return Needs(key=(delays.number, "near"), space=CHUNKS, fill=fill, keys=keys)


def neared(delays: Delays, chunk: int) -> MessagesNeared:
    """The event that takes a chunk, which was read, into memory."""
    messages = delays.read[chunk]
    systems = [m.system for m in messages]
    attributes = [m.attributes for m in messages]
    return MessagesNeared(
        delays.number,
        chunk,
        [m.sequence for m in messages],
        [m.deadline + delays.delay for m in messages],
        b"".join(m.id for m in messages),
        [m.body for m in messages],
        [m.sent_at for m in messages],
        attributes if any(each is not None for each in attributes) else None,
        systems if any(each is not None for each in systems) else None,
    )
