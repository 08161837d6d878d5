"""Messages as the disk says them: a row of its own for each, or the journal row that it was sent with."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import msgspec

from ropewayd.kernel.batch import events_of
from ropewayd.store.protocol import Corrupt, Record

from .events import MessagesFanned, MessagesSent
from .message import Message, MessageRecord, size_of
from .records import MAX_SEQUENCE, VERSION, row_key, split_row_key

_rows = msgspec.msgpack.Decoder(MessageRecord)
_sent = msgspec.msgpack.Decoder(MessagesSent | MessagesFanned)
_TAGS = {MessagesSent.__struct_config__.tag, MessagesFanned.__struct_config__.tag}


class Rows:
    """Reads them. What a journal row says is kept until another one is asked for: its messages are mostly
    read one after the other."""

    def __init__(self) -> None:
        self._row = b""
        self._sends: dict[int, tuple[list[int], list[MessagesSent]]] = {}
        """Of that row, by queue number: the first sequence of each send, and the send."""
        self._first = self._end = 0
        """The keys of the messages of `_send`, the one that was asked for last."""
        self._send: MessagesSent | None = None

    def message(self, record: Record) -> Message:
        """A visible message as its record says it."""
        if not record.share:
            return message_of(record)
        if record.value is not self._row:
            self._read(record.value)
        key = record.key
        assert type(key) is int
        if self._send is None or not self._first <= key < self._end:
            self._send = self._find(key)
            self._first = row_key(self._send.number, self._send.first)
            self._end = self._first + len(self._send.bodies)
        return sent_message(self._send, key - self._first, record.lsn)

    def _read(self, row: bytes) -> None:
        self._row, self._sends, self._send = row, {}, None
        for send in sends_of(row):
            firsts, sends = self._sends.setdefault(send.number, ([], []))
            firsts.append(send.first)
            sends.append(send)

    def _find(self, key: int) -> MessagesSent:
        number, sequence = split_row_key(key)
        firsts, sends = self._sends.get(number, ([], []))
        place = bisect_right(firsts, sequence) - 1
        if place < 0 or sequence >= firsts[place] + len(sends[place].bodies):
            raise Corrupt(
                f"Message {sequence} of queue number {number} is not in the journal row of its record."
            )
        return sends[place]


def sends_of(row: bytes) -> Iterator[MessagesSent]:
    """The sends that a journal row says, those of a fan-out one by one."""
    for event in events_of(row):
        if _tag(event) in _TAGS:
            send = _sent.decode(event)
            if type(send) is MessagesSent:
                yield send
            else:
                yield from send.sent()


def _tag(event: msgspec.Raw) -> int:
    """An event is an array, and its first element the tag."""
    head = memoryview(event)
    at = 1 if head[0] >> 4 == 9 else 3
    return head[at] if head[at] < 0x80 else head[at + 1]


def sent_message(send: MessagesSent, at: int, lsn: int) -> Message:
    """The message at this place of a send, visible, and on disk as of this lsn."""
    body = send.bodies[at]
    attributes = send.attributes[at] if send.attributes is not None else None
    return Message(
        send.first + at,
        send.ids[16 * at : 16 * at + 16],
        body,
        attributes,
        send.at,
        size_of(body, attributes),
        system=send.systems[at] if send.systems is not None else None,
        stored=lsn,
    )


def message_of(record: Record) -> Message:
    """A visible message as its own row says it."""
    row = _rows.decode(record.value)
    assert row.version == VERSION
    assert type(record.key) is int
    body, attributes, receives = row.body, row.attributes, row.receive_count
    plain = attributes is None and (type(body) is bytes or body.isascii())
    return Message(
        record.key & MAX_SEQUENCE,
        row.id,
        body,
        attributes,
        row.sent_at,
        len(body) if plain else size_of(body, attributes),
        receives,
        row.first_received_at,
        system=row.system,
        stored=record.lsn,
        row_count=receives,
    )
