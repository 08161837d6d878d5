"""Receipt handles: made by this store or worth nothing."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewayd.queues.handle import KEY_SIZE, SIZE, Handles

KEY = bytes(range(KEY_SIZE))
PLACE = st.tuples(
    st.integers(0, 2**32 - 1), st.integers(0, 2**41 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**63 - 1)
)


@given(PLACE)
def test_what_was_made_is_read(place: tuple[int, int, int, int]) -> None:
    assert Handles(KEY).read(Handles(KEY).make(*place)) == place


@given(PLACE, st.integers(0, SIZE * 8 - 1))
def test_one_bit_makes_it_worthless(place: tuple[int, int, int, int], bit: int) -> None:
    handles = Handles(KEY)
    handle = bytearray(handles.make(*place))
    handle[bit // 8] ^= 1 << bit % 8
    assert handles.read(bytes(handle)) is None


@given(PLACE)
def test_another_store_s_handle_is_worthless(place: tuple[int, int, int, int]) -> None:
    assert Handles(os.urandom(KEY_SIZE)).read(Handles(KEY).make(*place)) is None


@pytest.mark.parametrize("garbage", [b"", b"x", b"x" * SIZE, b"x" * (SIZE + 1), "text", None, 5, ["x"]])
def test_garbage_is_no_handle(garbage: object) -> None:
    assert Handles(KEY).read(garbage) is None
