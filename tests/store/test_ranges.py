from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ropewayd.store.ranges import Ranges

SPANS = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: (min(pair), max(pair)))
STEPS = st.lists(st.tuples(st.booleans(), SPANS), max_size=30)


def keys(spans: list[tuple[int, int]]) -> set[int]:
    return {key for first, last in spans for key in range(first, last + 1)}


@given(steps=STEPS, window=SPANS)
def test_it_is_a_set_of_integers(steps: list[tuple[bool, tuple[int, int]]], window: tuple[int, int]) -> None:
    ranges, model, disk = Ranges(), set[int](), set[tuple[int, int]]()
    for add, span in steps:
        change = ranges.add(*span) if add else ranges.remove(*span)
        model = model | keys([span]) if add else model - keys([span])
        # What a change says, written down, is what memory has.
        assert disk >= set(change.gone)
        disk = disk - set(change.gone) | set(change.came)
        assert sorted(disk) == list(ranges)
    assert keys(list(ranges)) == model
    assert [key in ranges for key in range(45)] == [key in model for key in range(45)]
    assert keys(list(ranges.gaps(*window))) == keys([window]) - model
    bounds = list(ranges)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(bounds))
