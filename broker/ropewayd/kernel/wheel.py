"""The hierarchical timing wheel: everything that waits, in one place.

It owns timers and their order, and nothing else. It never reads a clock, sleeps or calls back: time is
passed in, and `advance` gives what is due. So a test runs a year in an instant, and replay needs no clock.

Time is cut into ticks. A level is 256 slots; a slot of level n spans 256**n ticks. A timer lies on the
level of the highest digit (base 256) in which its tick differs from the current one, in the slot of that
digit. From this follow:

Rule 1  Every slot in use lies ahead of the current tick's digit on its level, within the same turn of the
        wheel. The lowest slot of the lowest level in use is therefore the next to look at, and there is no
        wrap to mind. (The one exception is the current slot of level 0: what was due before it was added
        lies there.)
Rule 2  Where a timer lies depends on its tick and the current tick alone. Timers of one tick share a slot
        at all times, in the order in which they were added.
Rule 3  A slot above level 0 is taken apart when time reaches its start: what is due leaves, the rest moves
        down.

A slot is a dict used as an ordered set, so cancelling is O(1) and returns the memory at once; one int a
level has a bit for each slot in use, so empty slots cost nothing. A timer knows the number of its slot, not
the slot: there are no reference cycles, and timers are out of the garbage collector's sight. The caller
keeps it so: a payload that holds its own timer is a cycle that nothing frees (refer to it by number).
"""

from __future__ import annotations

from operator import attrgetter
from typing import Final

import msgspec

LEVELS: Final = 6
SLOTS: Final = 256
HORIZON: Final = SLOTS**LEVELS
"""Ticks from the epoch that the wheel can tell apart: 89,000 years at 10 ms."""

_BITS: Final = tuple(1 << index for index in range(SLOTS))
_NOWHERE: Final = -1
_by_deadline = attrgetter("deadline")


class Timer(msgspec.Struct, gc=False, eq=False):
    """One entry. `deadline` is absolute, in ms; `owner` and `payload` are the caller's, untouched."""

    deadline: int
    owner: object
    payload: object
    slot: int = _NOWHERE
    """The wheel's own: where it lies, level * 256 + index; negative once it has fired or was cancelled."""

    @property
    def waiting(self) -> bool:
        """Whether it has neither fired nor been cancelled."""
        return self.slot >= 0


class Wheel:
    """Timers by deadline. All times are absolute, in ms on the caller's clock, and not negative."""

    __slots__ = ("_buckets", "_current", "_now", "_occupied", "_tick")

    def __init__(self, now: int, tick: int = 10) -> None:
        """`tick` is the resolution in ms: a timer is late by less than this, and never early."""
        assert tick >= 1, tick
        assert 0 <= now < HORIZON * tick, now
        self._tick = tick
        self._now = now
        self._current = now // tick
        self._buckets: list[dict[Timer, None] | None] = [None] * (LEVELS * SLOTS)
        self._occupied = [0] * LEVELS

    @property
    def now(self) -> int:
        """The latest time that it was told."""
        return self._now

    def add(self, deadline: int, owner: object, payload: object) -> Timer:
        """Wait until `deadline`. One that has passed is due at the next advance, whatever its time."""
        if deadline <= self._now:
            slot = self._current & 255
        else:
            # Rounded up, and so ahead of the current tick: never early.
            when = -(-deadline // self._tick)
            differ = when ^ self._current
            if differ < 65536:
                slot = when & 255 if differ < 256 else 256 | (when >> 8 & 255)
            else:
                slot = _slot(when, differ)
        timer = Timer(deadline, owner, payload, slot)
        bucket = self._buckets[slot]
        if bucket is None:
            self._buckets[slot] = {timer: None}
            self._occupied[slot >> 8] |= _BITS[slot & 255]
        else:
            bucket[timer] = None
        return timer

    def cancel(self, timer: Timer) -> None:
        """Forget a timer. Harmless if it has fired or was cancelled before."""
        slot = timer.slot
        if slot < 0:
            return
        timer.slot = _NOWHERE
        bucket = self._buckets[slot]
        assert bucket is not None, "a waiting timer lies in a slot in use"
        del bucket[timer]
        if not bucket:
            self._buckets[slot] = None
            self._occupied[slot >> 8] ^= _BITS[slot & 255]

    def advance(self, now: int) -> list[Timer]:
        """Everything due by `now`, in order of deadline, and of adding where deadlines are equal.

        Never early; late by less than a tick, in that a deadline within the tick that `now` cuts may wait for
        the next. Time does not go back: an earlier `now` counts as the latest one seen.
        """
        if now > self._now:
            assert now < HORIZON * self._tick, now
            self._now = now
        target = self._now // self._tick
        due: list[Timer] = []
        slot = self._first()
        while slot >= 0:
            start = self._start(slot)
            if start > target:
                break
            self._take(slot, start, target, due)
            slot = self._first()
        self._current = target
        if len(due) > 1:
            due.sort(key=_by_deadline)
        return due

    def next(self) -> int | None:
        """When to call `advance` next; None if nothing waits.

        Less than a tick after the earliest deadline, or before it: then that call only moves timers down a
        level, at most once a level and timer. Nothing is due before.
        """
        slot = self._first()
        return None if slot < 0 else self._start(slot) * self._tick

    def __len__(self) -> int:
        """How many wait. Counted on demand, some 20 microseconds: adding and cancelling do not pay."""
        return sum(map(len, filter(None, self._buckets)))

    def _first(self) -> int:
        """The slot in use that comes first in time, or a negative number."""
        for level, occupied in enumerate(self._occupied):
            if occupied:
                return level << 8 | (occupied & -occupied).bit_length() - 1
        return _NOWHERE

    def _start(self, slot: int) -> int:
        """The tick at which a slot in use begins."""
        shift = 8 * (slot >> 8)
        return (self._current >> shift + 8 << 8 | slot & 255) << shift

    def _take(self, slot: int, start: int, target: int, due: list[Timer]) -> None:
        """Empty a slot whose time has come: into `due`, or to where its timers belong as of its start."""
        bucket = self._buckets[slot]
        assert bucket, "a bit stands for a slot that holds something"
        self._buckets[slot] = None
        self._occupied[slot >> 8] ^= _BITS[slot & 255]
        if slot < SLOTS:
            for timer in bucket:
                timer.slot = _NOWHERE
            due.extend(bucket)
            return
        assert start > self._current, "what lies above level 0 lies ahead"
        self._current = start
        for timer in bucket:
            when = -(-timer.deadline // self._tick)
            if when <= target:
                timer.slot = _NOWHERE
                due.append(timer)
            else:
                self._place(timer, _slot(when, when ^ start))

    def _place(self, timer: Timer, slot: int) -> None:
        timer.slot = slot
        bucket = self._buckets[slot]
        if bucket is None:
            self._buckets[slot] = {timer: None}
            self._occupied[slot >> 8] |= _BITS[slot & 255]
        else:
            bucket[timer] = None


def _slot(when: int, differ: int) -> int:
    """Where tick `when` lies, `differ` being its exclusive or with the current tick."""
    level = max(differ.bit_length() - 1, 0) >> 3
    if level >= LEVELS:
        raise ValueError(f"a deadline of tick {when} is beyond the wheel's horizon")
    return level << 8 | (when >> 8 * level & 255)
