"""The load's codec cuts frames wherever the network did, and writes requests that mean what they should."""

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from bench.wire import DELETE, RECEIVE, SEND, RopewayWire, framed

answers = st.lists(
    st.tuples(st.integers(1, 2**32 - 1), st.integers(0, 1), st.lists(st.binary(max_size=40), max_size=4)),
    max_size=6,
)


@given(answers, st.data())
def test_answers_come_whole_however_they_arrive(
    sent: list[tuple[int, int, list[bytes]]], data: st.DataObject
) -> None:
    stream = b"".join(framed(msgpack.packb(answer)) for answer in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    wire = RopewayWire()
    read = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        read += wire.answers(stream[begin:end])
    assert [tuple(answer) for answer in read] == sent


def test_requests_are_frames_of_what_the_protocol_says() -> None:
    wire = RopewayWire("jobs", 250)
    handles = [b"a" * 40, b"b" * 40]
    parts = {
        wire.send(7, [b"x", b"y"]): [7, SEND, {"queue": "jobs", "entries": [{"body": b"x"}, {"body": b"y"}]}],
        wire.receive(8, 10): [8, RECEIVE, {"queue": "jobs", "max_messages": 10, "wait": 250}],
        wire.delete(900, handles): [900, DELETE, {"queue": "jobs", "handles": handles}],
    }
    for request, meaning in parts.items():
        assert int.from_bytes(request[:4], "big") == len(request) - 4
        assert msgpack.unpackb(request[4:]) == meaning
