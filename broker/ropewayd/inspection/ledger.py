"""What the queues' records and the journal's tail say there must be, held against what is there.

It counts without the services, so that it is a second opinion on them: a message is live if it has a row or
was sent in the tail, and did not end in the tail, by itself or with all before it. No lsn is asked: what ends
once never comes back.

Rule 1  First the queues' records, then the tail in order, then the waiting records and the rows.
Rule 2  Memory goes with the tail and with what is in flight, never with the backlog.
Rule 3  What hangs in the air because a record or a part of the tail could not be read is no finding of its
        own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union

import msgspec

from ropewayd.inspection.findings import Findings
from ropewayd.kernel import batch
from ropewayd.kernel.wheel import Wheel
from ropewayd.mobile.service import Mobile
from ropewayd.queues import events as e
from ropewayd.queues.records import VERSION, QueueRecord, row_key, split_row_key
from ropewayd.queues.service import Queues
from ropewayd.store.protocol import Newer
from ropewayd.store.ranges import Ranges
from ropewayd.texting.service import Texting
from ropewayd.topics.service import Topics
from ropewayd.vocabulary.names import Scope


class Account(msgspec.Struct):
    """One incarnation of a queue. `floor` is as of the end of the tail; `sent` and `ended` are the tail's."""

    number: int
    name: str = ""
    record: QueueRecord | None = None
    over: bool = False
    floor: int = 0
    next_sequence: int = 1
    sent: set[int] = msgspec.field(default_factory=set)
    ended: set[int] = msgspec.field(default_factory=set)
    rows: int = 0
    """Live messages that have a row."""
    remains: int = 0
    """Rows of messages that have ended."""
    beyond: int = 0
    """Rows with a sequence that the queue's record does not know of."""

    @property
    def known(self) -> bool:
        """Whether it is there, as of the end of the tail."""
        return bool(self.name) and not self.over

    @property
    def live(self) -> int:
        """Messages, when all rows have been counted."""
        return self.rows + len(self.sent)

    def __str__(self) -> str:
        return f"queue {self.name} (number {self.number})" if self.name else f"queue number {self.number}"


class Ledger:
    """See the module."""

    def __init__(self, findings: Findings) -> None:
        self.accounts: dict[int, Account] = {}
        self.next_number = 1
        self.founded = False
        self._findings = findings
        self._waiting: set[int] = set()
        self._delays: dict[int, int] = {}
        self._complete = True
        queues = Queues(Wheel(0))
        fanning = queues.fanning
        kinds = (
            *queues.appliers(),
            *Topics(Wheel(0), fanning).appliers(),
            *Texting(fanning).appliers(),
            *Mobile(fanning).appliers(),
        )
        rows: Any = tuple[int, int, list[Union[kinds]]]  # type: ignore[valid-type]  # noqa: UP007 - known at run time
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(rows)
        self._tell: Mapping[type[Any], Callable[[Any], None]] = {
            e.QueueCreated: self._created,
            e.QueueDeleted: self._deleted,
            e.AttributesSet: lambda _: None,
            e.QueuePurged: self._purged,
            e.MessagesSent: self._sent,
            e.MessagesReceived: lambda _: None,
            e.MessagesDeleted: self._ended,
            e.VisibilityChanged: lambda _: None,
            e.MessagesReturned: lambda _: None,
            e.MessagesNeared: lambda _: None,
            e.MessagesExpired: self._ended,
            e.StoreFounded: self._founded,
            e.MessagesMoved: self._moved,
            e.QueueTagged: lambda _: None,
            e.MoveStarted: lambda _: None,
            e.MoveEnded: lambda _: None,
            e.MessagesFanned: self._fanned,
        }

    def account(self, number: int) -> Account:
        """That of a queue's number; a new one if it was never heard of."""
        return self.accounts.setdefault(number, Account(number))

    # What must be there

    def queue(self, number: int, value: bytes) -> None:
        """A queue's own record. Raises msgspec.DecodeError, Newer."""
        record = msgspec.msgpack.decode(value, type=QueueRecord)
        known(record.version, VERSION)
        account = self.account(number)
        account.name, account.record = _called(record), record
        account.floor, account.next_sequence = record.floor, record.next_sequence

    def journal_row(self, row: bytes) -> None:
        """The next row of the tail. Raises msgspec.DecodeError, Newer."""
        version, _, events = self._decoder.decode(row)
        known(version, batch.VERSION)
        for event in events:
            tell = self._tell.get(type(event))
            if tell is not None:  # else it is another service's, which has no messages
                tell(event)

    def said_by(self, row: bytes) -> Ranges:
        """The keys of all messages that were sent with a journal row. Raises msgspec.DecodeError, Newer."""
        version, _, events = self._decoder.decode(row)
        known(version, batch.VERSION)
        said = Ranges()
        for event in events:
            if isinstance(event, e.MessagesSent):
                sent = [(event.number, range(event.first, event.first + len(event.bodies)))]
            elif isinstance(event, e.MessagesFanned):
                sent = list(event.ranges())
            else:
                continue
            for number, sequences in sent:
                if sequences:
                    said.add(row_key(number, sequences[0]), row_key(number, sequences[-1]))
        return said

    def _created(self, event: e.QueueCreated) -> None:
        self.account(event.number).name = _called(event)
        self.next_number = max(self.next_number, event.number + 1)

    def _deleted(self, event: e.QueueDeleted) -> None:
        self.account(event.number).over = True

    def _purged(self, event: e.QueuePurged) -> None:
        account = self.account(event.number)
        account.floor = max(account.floor, event.floor)

    def _sent(self, event: e.MessagesSent) -> None:
        self._arrived(event.number, event.first, len(event.bodies))

    def _fanned(self, event: e.MessagesFanned) -> None:
        for number, sequences in event.ranges():
            self._arrived(number, sequences.start, len(sequences))

    def _arrived(self, number: int, first: int, count: int) -> None:
        account = self.account(number)
        end = first + count
        account.sent.update(range(first, end))
        account.next_sequence = max(account.next_sequence, end)

    def _moved(self, event: e.MessagesMoved) -> None:
        self.account(event.number).ended.update(event.sequences)
        self._arrived(event.destination, event.first, len(event.bodies))

    def _ended(self, event: e.MessagesDeleted | e.MessagesExpired) -> None:
        self.account(event.number).ended.update(event.sequences)

    def _founded(self, event: e.StoreFounded) -> None:
        self.founded = True

    def waiting(self, key: int) -> None:
        """The record of a message that is invisible, by the key of its row."""
        self._waiting.add(key)

    def delay(self, key: int, last: int) -> None:
        """The small record of a chunk of delayed messages, by the chunk's key; `last`: its highest
        sequence."""
        self._delays[key] = last

    def settle(self, *, complete: bool) -> None:
        """The tail is through: what was sent in it and still lives. `complete`: all of it could be read, and
        all small records."""
        self._complete = complete
        for account in self.accounts.values():
            account.sent = {s for s in account.sent - account.ended if s > account.floor}
            if complete and account.record is not None and account.number >= self.next_number:
                self._findings.add(
                    f"{account} has a number that the next new queue would get ({self.next_number})."
                )

    # What is there

    def row(self, key: int) -> None:
        """A message's row, damaged or not, or its place in a passage."""
        self._waiting.discard(key)
        number, sequence = split_row_key(key)
        account = self.account(number)
        record = account.record
        if record is None or not sequence <= record.spilled_through < account.next_sequence:
            account.beyond += 1
        if account.over or sequence <= account.floor or sequence in account.ended:
            account.remains += 1
        else:
            account.rows += 1
            account.sent.discard(sequence)

    def chunk(self, key: int, sequences: Iterable[int]) -> None:
        """A chunk of delayed messages. Without its small record a purge is not over, or the queue's end."""
        number = split_row_key(key)[0]
        self._delays.pop(key, None)
        for sequence in sequences:
            self.row(row_key(number, sequence))

    def close(self) -> None:
        """All rows have been told."""
        if not self._complete:
            return
        for account in self.accounts.values():
            if account.beyond and not (account.over and account.record is None):
                said = "has message records that it does not know of"
                if not account.name:
                    said = "does not exist, but has message records"
                self._findings.add(f"{account} {said}: {account.beyond}.")
        for key in sorted(self._waiting):
            number, sequence = split_row_key(key)
            account = self.account(number)
            if account.known and sequence > account.floor:
                self._findings.add(f"Message {sequence} of {account} is invisible, but it has no row.")
        for key, last in self._delays.items():
            number, chunk = split_row_key(key)
            account = self.account(number)
            if account.known and last > account.floor:
                self._findings.add(f"Chunk {chunk} of the delayed messages of {account} is missing.")

    def compare(self, counts: Mapping[str, int]) -> None:
        """Hold the number of messages that each queue would tell against what is there."""
        known = {account.name: account for account in self.accounts.values() if account.known}
        for name in sorted(known.keys() | counts.keys()):
            account, said = known.get(name), counts.get(name)
            if account is None or said is None:
                self._findings.add(f"Queue {name} is in the {'records' if said is None else 'state'} alone.")
            elif account.live != said:
                self._findings.add(f"{account} counts {said} messages, but {account.live} are there.")


def _called(queue: QueueRecord | e.QueueCreated) -> str:
    """As a daemon calls it whose account and region are the default ones."""
    home = Scope()
    return Scope(queue.account or home.account, queue.region or home.region).called(queue.name, home)


def known(found: int, version: int) -> None:
    """Raise Newer unless a form is the one that this code reads."""
    if found != version:
        raise Newer(f"it has version {found}, and this Ropeway reads {version}")
