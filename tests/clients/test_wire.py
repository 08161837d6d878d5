"""Frames in any pieces, and what a hostile peer may make the library allocate."""

import struct
import tracemalloc
from contextlib import suppress
from itertools import pairwise

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ropeway
from ropeway import wire


def raw(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


@given(st.lists(st.binary(min_size=1, max_size=300)), st.data())
def test_frames_are_the_same_in_whatever_pieces_they_come(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(raw, frames))
    cuts = data.draw(st.lists(st.integers(0, len(stream))))
    cutter = wire.Cutter(300)
    found = []
    for first, after in pairwise([0, *sorted(cuts), len(stream)]):
        found += [bytes(each) for each in cutter.feed(stream[first:after])]
    assert found == frames


@pytest.mark.parametrize("length", [0, 301, 2**32 - 1])
def test_a_length_out_of_range_is_refused_before_its_bytes_come(length: int) -> None:
    cutter = wire.Cutter(300)
    assert [bytes(each) for each in cutter.feed(raw(b"a"))] == [b"a"]
    with pytest.raises(ropeway.ProtocolError, match=f"a frame of {length} bytes"):
        list(cutter.feed(struct.pack(">I", length)))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_protocol_error(data: bytes) -> None:
    with suppress(ropeway.ProtocolError):
        wire.read_answer(wire.unpack(data))


def test_a_full_answer_is_taken_and_a_longer_one_is_not() -> None:
    assert wire.unpack(msgpack.packb([None] * wire.BATCH_LIMIT)) == (None,) * wire.BATCH_LIMIT
    with pytest.raises(ropeway.ProtocolError):
        wire.unpack(msgpack.packb([None] * (wire.ELEMENTS_LIMIT + 1)))
    with pytest.raises(ropeway.ProtocolError):
        wire.unpack(msgpack.packb({str(index): None for index in range(wire.ELEMENTS_LIMIT + 1)}))


@pytest.mark.parametrize(
    "data",
    [
        b"\xdd\x00\xff\xff\xff" + bytes(1_000_000),
        (b"\xdd\x00\x00\xff\xff" * 2000).ljust(100_000, b"\xc0"),
        (b"\xdf\x00\x00\xff\xff\xa1a" * 2000).ljust(100_000, b"\xc0"),
        b"\x91" * 1_000_000,
        b"\xc9\xff\xff\xff\xff\x05",
        b"\xdb\xff\xff\xff\xff",
    ],
    ids=["a long array", "nested arrays", "nested maps", "deep nesting", "an extension", "text"],
)
def test_claims_cost_no_memory(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ropeway.ProtocolError):
            wire.unpack(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=40))
def test_a_batch_of_packed_entries_is_what_packing_it_whole_gives(handles: list[bytes]) -> None:
    joined = wire.batch_payload(
        wire.Action.DeleteMessage, "jobs", "handles", [wire.pack(each) for each in handles]
    )
    assert joined == wire.payload(wire.Action.DeleteMessage, {"queue": "jobs", "handles": handles})
    framed = wire.frame(2**32 - 1, joined)
    assert len(framed) <= len(joined) + wire.FRAME_OVERHEAD
    assert msgpack.unpackb(framed[4:]) == [2**32 - 1, 22, {"queue": "jobs", "handles": handles}]


def test_proofs_of_the_two_sides_differ_and_depend_on_everything() -> None:
    given = ("client", "secret", "key", bytes(32), b"\1" * 32)
    others = [
        ("server", *given[1:]),
        (given[0], "other", *given[2:]),
        (*given[:2], "other", *given[3:]),
        (*given[:3], b"\2" * 32, given[4]),
        (*given[:4], b"\2" * 32),
    ]
    assert len({wire.proof(*each) for each in [given, *others]}) == 6
