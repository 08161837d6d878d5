"""What a service is to the kernel, and what the two say to each other.

Rule 1  `decide` looks at state and gives an Outcome. It changes nothing that a restart could notice.
Rule 2  `apply` changes state by one event. It never decides, never fails, and is the same function at run
        time and in recovery: an event at or below the lsn of a record that is already loaded is skipped for
        that record.
Rule 3  What `apply` gives back, its touch, is the kernel's to keep until that part of the journal is to go.
        Then `spill` writes what the touch names and what still lives.
Rule 4  No I/O, no clock, no randomness of its own. Time and entropy come in, and are in the events.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from ropewayd.store.checks import is_near
from ropewayd.store.protocol import Claim, Key, KeyRange, Passage, Record, Slice, Space, Store
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import RopewayError

Event = msgspec.Struct
"""An array-like Struct with an integer tag of its own, unique in the whole daemon."""

Touch = Any
"""Opaque to the kernel. None: the event left nothing to spill."""


class Decision(msgspec.Struct, gc=False):
    """Done: these events happen, and this is the answer once they are durable."""

    answer: Any
    events: tuple[Event, ...] = ()
    ahead: Needs | None = None
    """What the next call of this kind will need from disk: read it now, and let nobody wait for it."""


class Wait(msgspec.Struct, gc=False):
    """Nothing yet: ask again when an event feeds `key`, at most until `until`; then the answer is
    `answer`."""

    key: object
    until: int
    answer: Any
    events: tuple[Event, ...] = ()
    """What happens already, however long it waits. They do not feed `key`."""
    others: tuple[object, ...] = ()
    """More keys: it is asked again when an event feeds any of them."""


class Needs(msgspec.Struct, gc=False):
    """What must be seen is on disk. The kernel reads it, calls `fill` with the records, and decides again.

    Either `keys`, or `ranges`, or a page (`first`, `last`, `limit`, `max_bytes`). Calls that need the same
    `key` share one read. With none of them nothing is read: `events` were enough for one step, and the call
    goes on when others have had their turn.
    """

    key: object
    space: Space
    fill: Callable[[list[Record]], None]
    keys: Sequence[Key] = ()
    ranges: Sequence[KeyRange] = ()
    """All records of these, which are few."""
    first: int = 0
    last: int = 0
    limit: int = 0
    max_bytes: int = 0
    begin: Callable[[], None] | None = None
    """Called when the read begins: from then until `fill`, memory may know better than what is read."""
    events: tuple[Event, ...] = ()
    """What happens already, whatever will be read."""


class Errand(msgspec.Struct, gc=False):
    """Something that takes its time beside the journal, and changes no state (a backup, say). `run` is given
    the store and the claim, and gives the answer or a RopewayError; a StoreError of its own ends the kernel.
    Where the kernel ends first it is cancelled."""

    run: Callable[[Store, Claim], Coroutine[Any, Any, Any]]
    events: tuple[()] = ()


Outcome = Decision | Wait | Needs | Errand | RopewayError


Gates = Mapping[type[Action], Callable[[Any, int], RopewayError | None]]
"""For some actions: whether one may happen now, given the action and the time; or the error that says no."""


_KEPT = 128
"""What a record that a journal row says counts for in a slice, whose size bounds the time to make it."""


class SliceBuilder:
    """A slice in the making: what the spilling of touches adds up to."""

    __slots__ = (
        "_at_end",
        "_kept",
        "drop_ranges",
        "drops",
        "lsn",
        "part",
        "puts",
        "row_size",
        "size",
        "touches",
    )

    def __init__(self, lsn: int) -> None:
        self.lsn = lsn
        self.part = 0
        """The lsn of the journal row whose touches are being spilled: what is stored as of it needs
        nothing."""
        self.row_size = 0
        """The bytes of that journal row, and ..."""
        self.touches: Sequence[tuple[Any, Touch]] = ()
        """... its touches that are left to spill, with their services; the last is the one that is being
        spilled."""
        self._kept: list[tuple[Space, list[int], int]] = []
        self._at_end: dict[object, Callable[[SliceBuilder], None]] = {}
        self.puts: list[Record] = []
        self.drops: list[tuple[Space, Key]] = []
        self.drop_ranges: list[KeyRange] = []
        self.size = 0

    def put(self, space: Space, key: Key, value: bytes) -> None:
        """Write a record that says the state as of this slice's lsn."""
        self.puts.append(Record(space, key, self.lsn, value))
        self.size += len(value) + 64

    def keep(self, space: Space, keys: list[int]) -> None:
        """The journal row that is being spilled says the records of these new keys, given in order, and is to
        stay for them: nothing is written again."""
        last = self._kept[-1] if self._kept else None
        if last is not None and last[0] is space and last[2] == self.part and is_near(last[1], keys):
            last[1].extend(keys)
        else:
            self._kept.append((space, keys, self.part))
        self.size += _KEPT * len(keys)

    def drop(self, space: Space, key: Key) -> None:
        self.drops.append((space, key))
        self.size += 64

    def drop_range(self, space: Space, first: int, last: int) -> None:
        self.drop_ranges.append(KeyRange(space, first, last))
        self.size += 64

    def at_end(self, key: object, write: Callable[[SliceBuilder], None]) -> None:
        """Call `write` once, when the slice is cut, however often this is asked for the same key."""
        self._at_end[key] = write

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.size or self._at_end)

    def cut(self, trim_to: int) -> Slice:
        for write in self._at_end.values():
            write(self)
        passages = [Passage(space, keys, self.lsn, source) for space, keys, source in self._kept]
        return Slice(self.puts, self.drops, self.drop_ranges, trim_to, passages)


@runtime_checkable
class Waiting(Protocol):
    """Whoever adds timers to the wheel and is called when they are due."""

    def due(self, payloads: list[Any], now: int) -> Iterable[Action] | None:
        """These timers' payloads are due; the actions that follow from them, if any."""


class Service(Protocol):
    """A family of actions with one state. See the module's rules."""

    name: str
    spaces: Sequence[Space]
    """The record spaces that are this service's own."""

    def deciders(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        """For each action, the function that decides it, given the action and the time."""

    def appliers(self) -> Mapping[type[Event], Callable[[Any, int], Touch]]:
        """For each event, the function that applies it, given the event and its lsn."""

    def feeds(self, event: Event) -> Iterable[object]:
        """The keys (see Wait) whose waiting calls may be served after this event."""

    def due(self, payloads: list[Any], now: int) -> Iterable[Action]:
        """Timers of this service that are due; the actions that follow from them."""

    def load(self, records: Iterable[Record]) -> None:
        """Recovery, first: every record of the small spaces, then those of `named`."""

    def named(self, events: Iterable[Event]) -> Iterable[tuple[Space, Key]]:
        """Recovery, second: the records on disk that the loaded ones and these events of the tail name."""

    def recovered(self, now: int) -> None:
        """Recovery, last: the tail is applied; derive what is not in records or events."""

    def opening(self) -> Iterable[Action]:
        """Actions to run as soon as recovery is done."""

    def spill(self, touch: Touch, into: SliceBuilder) -> Touch:
        """Write what the touch names and what still lives, unless the disk has it as of a later lsn. Gives a
        touch for what is left to write, if that is too much for one time."""

    def weight(self, touch: Touch) -> int:
        """Bytes of memory, about, that are held until this touch is spilled, whatever lives then: a part of
        the journal with much of it goes sooner."""

    def spilled(self, slice: Slice) -> None:
        """This slice is durable: memory may let go."""

    def snapshot(self) -> Any:
        """The whole state in memory as plain objects, to be compared."""
