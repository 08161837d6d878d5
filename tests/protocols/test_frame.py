"""A stream is cut into the same frames whatever pieces it comes in, and holds no more than what came."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewayd.protocols.binary.frame import Frames, FrameTooLong, frame

payloads = st.lists(st.binary(min_size=1, max_size=50), max_size=12)
pieces = st.lists(st.integers(1, 60), max_size=60)


def split(data: bytes, sizes: list[int]) -> list[bytes]:
    found = []
    for size in sizes:
        found.append(data[:size])
        data = data[size:]
    return [piece for piece in [*found, data] if piece]


@given(payloads, pieces)
def test_any_pieces_give_the_same_frames(payloads: list[bytes], sizes: list[int]) -> None:
    frames, got = Frames(50), []
    stream = b"".join(map(frame, payloads))
    for piece in split(stream, sizes):
        frames.feed(piece)
        got += list(frames.cut())
        assert frames.partial == (frames.pending > 0)
    assert got == payloads
    assert frames.pending == 0


@given(payloads, pieces, st.integers(1, 3))
def test_what_is_not_taken_stays(payloads: list[bytes], sizes: list[int], at_once: int) -> None:
    frames, got = Frames(50), []
    for piece in split(b"".join(map(frame, payloads)), sizes):
        frames.feed(piece)
        for taken, payload in enumerate(frames.cut(), 1):
            got.append(payload)
            if taken == at_once:
                break
    while frames.pending:
        got += list(frames.cut())
    assert got == payloads


@given(st.binary(max_size=300), pieces)
def test_any_bytes_give_frames_or_the_one_error(data: bytes, sizes: list[int]) -> None:
    frames, seen = Frames(50), 0
    with contextlib.suppress(FrameTooLong):
        for piece in split(data, sizes):
            frames.feed(piece)
            for payload in frames.cut():
                assert data[seen + 4 : seen + 4 + len(payload)] == payload
                assert 1 <= len(payload) <= 50
                seen += 4 + len(payload)
            assert frames.pending <= len(data) - seen


@pytest.mark.parametrize(
    ("length", "fits"), [(0, False), (1, True), (50, True), (51, False), (2**32 - 1, False)]
)
def test_a_length_beyond_the_limit_is_told_by_the_header_alone(length: int, fits: bool) -> None:
    frames = Frames(50)
    frames.feed(length.to_bytes(4, "big"))
    if fits:
        assert list(frames.cut()) == []
        assert frames.partial
    else:
        with pytest.raises(FrameTooLong, match=rf"1 to 50 bytes; this one says {length}"):
            list(frames.cut())


def test_a_frame_before_one_that_can_never_be_whole_is_had() -> None:
    frames = Frames(50)
    frames.feed(frame(b"good") + b"\xff\xff\xff\xff")
    cut = frames.cut()
    assert next(cut) == b"good"
    with pytest.raises(FrameTooLong):
        next(cut)


def test_the_limit_counts_from_when_it_is_set() -> None:
    frames = Frames(10)
    frames.feed(frame(b"first") + frame(b"x" * 40))
    got = []
    for payload in frames.cut():
        got.append(payload)
        frames.limit = 50
    assert got == [b"first", b"x" * 40]


def test_many_tiny_pieces_are_joined() -> None:
    frames = Frames(1 << 20)
    for byte in frame(b"x" * 5000)[:-1]:
        frames.feed(bytes([byte]))
        assert list(frames.cut()) == []
    assert len(frames._pieces) <= 1024
    frames.feed(b"x")
    assert list(frames.cut()) == [b"x" * 5000]
