"""Keys without a gap are dropped as ranges: no key more, and none less."""

from hypothesis import given
from hypothesis import strategies as st

from ropewayd.store.records import _RUN, _runs

PIECES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4 * _RUN)), max_size=12)
"""How far the next piece begins behind the last one, and how long it is."""


def laid_out(pieces: list[tuple[int, int]]) -> list[int]:
    keys: list[int] = []
    at = 0
    for gap, length in pieces:
        at += gap
        keys += range(at, at + length)
        at += length
    return keys


@given(PIECES)
def test_runs_and_the_others_are_the_keys(pieces: list[tuple[int, int]]) -> None:
    keys = laid_out(pieces)
    runs, alone = _runs(keys)
    found = sorted([*alone, *(key for first, last in runs for key in range(first, last + 1))])
    assert found == keys


@given(PIECES)
def test_what_is_long_is_a_run(pieces: list[tuple[int, int]]) -> None:
    keys = laid_out(pieces)
    runs, alone = _runs(keys)
    assert all(last - first + 1 >= _RUN for first, last in runs)
    assert (
        len(alone) <= len(keys) - sum(length // _RUN > 0 for _, length in pieces if length >= 2 * _RUN) * _RUN
    )
