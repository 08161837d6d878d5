"""The wheel against a sorted list: never early, never lost, late by less than a tick, cancelled exactly."""

from __future__ import annotations

import gc
import random
import weakref

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ropewayd.kernel.wheel import HORIZON, Timer, Wheel

EPOCH = 1_700_000_000_000
YEAR = 365 * 86_400_000

# Durations that lie in a tick, at the edges of slots and levels, and anywhere up to three years.
_edges = [
    edge * tick + off
    for tick in (1, 7, 10)
    for edge in (1, 255, 256, 257, 65535, 65536, 65537, 2**24)
    for off in (-1, 0, 1)
]
durations = st.one_of(
    st.integers(0, 40), st.sampled_from(_edges), st.integers(0, 100_000), st.integers(0, 3 * YEAR)
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.one_of(durations, durations, st.integers(-5_000, 0))),
        st.tuples(st.just("cancel"), st.integers(0, 1_000)),
        st.tuples(st.just("advance"), st.one_of(durations, st.integers(-5_000, 0))),
        st.tuples(st.just("next"), st.just(0)),
    ),
    max_size=60,
)


class Model:
    """What the wheel must do, by way of a list that is searched from end to end."""

    def __init__(self, now: int, tick: int) -> None:
        self.tick = tick
        self.now = now
        self.wheel = Wheel(now, tick)
        self.waiting: list[tuple[int, int, int, Timer]] = []  # deadline, number, due at the latest by, timer
        self.added = 0
        self.gone: list[Timer] = []

    def add(self, deadline: int) -> None:
        timer = self.wheel.add(deadline, "owner", self.added)
        assert (timer.deadline, timer.owner, timer.payload) == (deadline, "owner", self.added)
        # A deadline that has passed is due at once, any other within a tick.
        latest = self.now if deadline <= self.now else deadline + self.tick - 1
        self.waiting.append((deadline, self.added, latest, timer))
        self.added += 1

    def cancel(self, pick: int) -> None:
        if self.waiting:
            *_, timer = self.waiting.pop(pick % len(self.waiting))
            self.wheel.cancel(timer)
            self.gone.append(timer)
        if self.gone:
            self.wheel.cancel(self.gone[pick % len(self.gone)])

    def advance(self, now: int) -> list[Timer]:
        fired = self.wheel.advance(now)
        self.now = max(self.now, now)
        found = {id(timer): (deadline, number) for deadline, number, _, timer in self.waiting}
        order = [found[id(timer)] for timer in fired]  # a KeyError: cancelled, fired before, or unknown
        assert len(set(order)) == len(order), "fired twice"
        assert all(deadline <= self.now for deadline, _ in order), "early"
        deadlines = [deadline for deadline, _ in order]
        assert deadlines == sorted(deadlines), "out of order"
        gone = set(order)
        self.waiting = [each for each in self.waiting if each[:2] not in gone]
        assert all(latest > self.now for _, _, latest, _ in self.waiting), "late by a tick or more"
        assert not any(timer.waiting for timer in fired)
        self.gone += fired
        return fired

    def check(self) -> None:
        assert len(self.wheel) == len(self.waiting)
        assert all(timer.waiting for *_, timer in self.waiting)
        due = self.wheel.next()
        if due is None:
            assert not self.waiting, "lost"
            return
        assert self.waiting
        assert due <= max(self.now, min(latest for _, _, latest, _ in self.waiting)), "next is too late"

    def follow(self) -> None:
        """Do as a loop does: sleep until next, advance, and find nothing a moment before."""
        due = self.wheel.next()
        if due is None:
            return
        if due > self.now:
            assert self.advance(due - 1) == [], "due before next said so"
            assert self.wheel.next() == due
        before = self.wheel.next()
        fired = self.advance(due)
        after = self.wheel.next()
        assert fired or after is None or (before is not None and after > before), "woken for nothing"


@given(st.sampled_from([0, 5, EPOCH, EPOCH + 7]), st.sampled_from([1, 7, 10]), steps)
@settings(max_examples=400, deadline=None)
@example(now=5, tick=10, script=[("advance", 3), ("add", -1), ("next", 0)])
def test_agrees_with_a_sorted_list(now: int, tick: int, script: list[tuple[str, int]]) -> None:
    model = Model(now, tick)
    for what, number in script:
        if what == "add":
            model.add(max(0, model.now + number))
        elif what == "cancel":
            model.cancel(number)
        elif what == "advance":
            model.advance(max(0, model.now + number))
        else:
            model.follow()
        model.check()
    # Followed to its end, it gives back every timer, in a few wake-ups each.
    left = len(model.waiting)
    wakes = 0
    while model.waiting:
        model.follow()
        model.check()
        wakes += 1
    assert wakes <= 6 * left
    assert model.wheel.next() is None
    assert len(model.wheel) == 0


@given(st.integers(0, 3 * YEAR), st.lists(durations, min_size=1, max_size=30), st.integers(1, 50))
@settings(max_examples=200, deadline=None)
def test_one_leap_gives_what_many_steps_give(start: int, spans: list[int], count: int) -> None:
    leaping, stepping = Wheel(start), Wheel(start)
    for number, span in enumerate(spans):
        leaping.add(start + span, None, number)
        stepping.add(start + span, None, number)
    end = start + max(spans) + 10
    stepped: list[Timer] = []
    for step in range(1, count + 1):
        stepped += stepping.advance(start + (end - start) * step // count)
    leapt = leaping.advance(end)
    assert [timer.payload for timer in leapt] == [timer.payload for timer in stepped]
    # ... and both are the plain sort: by deadline, and by order of adding where deadlines are equal.
    assert [timer.payload for timer in leapt] == sorted(range(len(spans)), key=lambda number: spans[number])


def test_a_hundred_thousand_timers_over_years() -> None:
    dice = random.Random(3)
    wheel = Wheel(EPOCH)
    kept: dict[int, int] = {}
    for number in range(100_000):
        deadline = EPOCH + int(3 * YEAR * dice.random() ** 4)
        timer = wheel.add(deadline, None, number)
        if number % 4 == 0:
            wheel.cancel(timer)
        else:
            kept[number] = deadline
    assert len(wheel) == len(kept)
    now = EPOCH
    while len(kept) > 0:
        before, now = now, now + YEAR // 50
        for timer in wheel.advance(now):
            assert isinstance(timer.payload, int)
            assert before - 10 < kept.pop(timer.payload) == timer.deadline <= now
    assert now <= EPOCH + 3 * YEAR + YEAR // 50
    assert wheel.next() is None


def test_a_loop_that_follows_next_is_on_time_every_time() -> None:
    dice = random.Random(4)
    wheel = Wheel(EPOCH)
    deadlines = sorted(EPOCH + int(YEAR * dice.random() ** 3) for _ in range(3_000))
    for deadline in deadlines:
        wheel.add(deadline, None, None)
    seen: list[int] = []
    while (due := wheel.next()) is not None:
        for timer in wheel.advance(due):
            assert timer.deadline <= due < timer.deadline + 10
            seen.append(timer.deadline)
    assert seen == deadlines


def test_empty_years_cost_nothing() -> None:
    """Counted in steps, not in time: the wheel looks at slots in use alone."""
    wheel = Wheel(EPOCH)
    for span in (40, 20 * 86_400_000, YEAR - 1_000):
        wheel.add(EPOCH + span, None, span)
    steps = 0
    while (due := wheel.next()) is not None:
        wheel.advance(due)
        steps += 1
    assert steps <= 3 * 5


def test_equal_deadlines_keep_the_order_of_adding_across_cascades() -> None:
    wheel = Wheel(EPOCH)
    deadline = EPOCH + YEAR
    wheel.add(deadline, None, 0)
    for number, before in enumerate((86_400_000, 700_000, 3_000, 500, 15), start=1):
        assert wheel.advance(deadline - before) == []
        wheel.add(deadline, None, number)
    assert [timer.payload for timer in wheel.advance(deadline + 9)] == [0, 1, 2, 3, 4, 5]


def test_time_does_not_go_back() -> None:
    wheel = Wheel(EPOCH)
    wheel.add(EPOCH + 100, None, "later")
    assert wheel.advance(EPOCH + 50) == []
    assert wheel.advance(0) == []
    wheel.add(EPOCH + 40, None, "past")
    assert [timer.payload for timer in wheel.advance(EPOCH - 1_000)] == ["past"]
    assert wheel.next() == EPOCH + 100
    assert [timer.payload for timer in wheel.advance(EPOCH + 100)] == ["later"]


def test_the_past_is_due_at_once() -> None:
    wheel = Wheel(EPOCH + 3)
    wheel.add(EPOCH + 3, None, "now")
    wheel.add(0, None, "long ago")
    due = wheel.next()
    assert due is not None
    assert due <= EPOCH + 3
    assert [timer.payload for timer in wheel.advance(EPOCH + 3)] == ["long ago", "now"]


def test_cancelling_what_fired_or_was_cancelled_is_harmless() -> None:
    wheel = Wheel(0)
    first, second = wheel.add(10, None, 1), wheel.add(10, None, 2)
    wheel.cancel(first)
    wheel.cancel(first)
    assert wheel.advance(10) == [second]
    third = wheel.add(20, None, 3)
    wheel.cancel(first)
    wheel.cancel(second)
    assert wheel.advance(20) == [third]


class Heavy:
    """Something whose end can be seen."""


def test_memory_of_a_cancelled_timer_is_returned_at_once() -> None:
    gc.disable()
    try:
        wheel = Wheel(EPOCH)
        heavy = Heavy()
        gone = weakref.ref(heavy)
        neighbour = wheel.add(EPOCH + 30_000, None, None)
        timer = wheel.add(EPOCH + 30_000, None, heavy)
        wheel.cancel(timer)
        del heavy, timer
        assert gone() is None
        wheel.cancel(neighbour)
        assert not any(wheel._buckets)
        assert not any(wheel._occupied)
    finally:
        gc.enable()


def test_fired_timers_are_let_go() -> None:
    gc.disable()
    try:
        wheel = Wheel(EPOCH)
        heavy = Heavy()
        gone = weakref.ref(heavy)
        wheel.add(EPOCH + YEAR, None, heavy)
        del heavy
        assert len(wheel.advance(EPOCH + 2 * YEAR)) == 1
        assert gone() is None
    finally:
        gc.enable()


def test_timers_are_out_of_the_collectors_sight() -> None:
    wheel = Wheel(EPOCH)
    timer = wheel.add(EPOCH + 1, Heavy(), [1])
    assert not gc.is_tracked(timer)


def test_beyond_the_horizon_is_refused() -> None:
    wheel = Wheel(0)
    with pytest.raises(ValueError, match="horizon"):
        wheel.add(HORIZON * 10 + 1, None, None)
    wheel.add((HORIZON - 1) * 10, None, None)
    assert len(wheel.advance((HORIZON - 1) * 10)) == 1
