"""The wires of other brokers: answers are matched with requests by their order, however they are cut."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.contestants import Server
from bench.kinds import open_wire
from bench.peers import beanstalkd, redis
from bench.peers.beanstalkd import BeanstalkdWire
from bench.peers.nats import NatsWire
from bench.peers.ordered import InOrder
from bench.peers.redis import RedisWire
from bench.peers.servers import PEERS, Peer
from bench.wire import Answer, UnexpectedAnswer, Wire, call

A, B = (redis.sixteen(entry) for entry in (b"1700-0", b"1700-1"))
REDIS_SAYS = (
    b"$6\r\n1700-0\r\n$6\r\n1700-1\r\n"  # two XADDs
    b"*1\r\n*2\r\n$5\r\nbench\r\n*1\r\n*2\r\n$6\r\n1700-0\r\n*2\r\n$1\r\nb\r\n$3\r\na\r\n\r\n"
    b":1\r\n:1\r\n"  # XACK, XDEL
    b"*-1\r\n"  # nothing there
)
BEANSTALKD_SAYS = (
    b"INSERTED 7\r\nINSERTED 8\r\n"
    b"RESERVED 7 14\r\nDELETED\r\nTIMED\r\nTIMED_OUT\r\n"  # a body that looks like answers
    b"DELETED\r\n"
    b"TIMED_OUT\r\nTIMED_OUT\r\n"
)


def conversation(wire: Wire) -> None:
    """Slot 3 sends two, slot 1 receives, slot 3 deletes, slot 2 receives."""
    handle = b"7" if isinstance(wire, BeanstalkdWire) else b"1700-0"
    for request in (
        wire.send(3, [b"a", b"b"]),
        wire.receive(1, 2),
        wire.delete(3, [handle]),
        wire.receive(2, 2),
    ):
        wire.renewed(request)


def heard(wire: Wire, said: bytes, cuts: list[int]) -> list[Answer]:
    conversation(wire)
    answers = []
    for begin, end in zip([0, *cuts], [*cuts, len(said)], strict=True):
        answers += wire.answers(said[begin:end])
    return answers


@given(st.lists(st.integers(0, len(REDIS_SAYS)), max_size=9).map(sorted))
def test_redis_is_understood_however_it_comes(cuts: list[int]) -> None:
    assert heard(RedisWire("bench"), REDIS_SAYS, cuts) == [
        (3, 0, [A, B]),
        (1, 0, [(A, b"1700-0")]),
        (3, 0, None),
        (2, 0, []),
    ]


@given(st.lists(st.integers(0, len(BEANSTALKD_SAYS)), max_size=9).map(sorted))
def test_beanstalkd_is_understood_however_it_comes(cuts: list[int]) -> None:
    seven, eight = (number.to_bytes(16, "big") for number in (7, 8))
    assert heard(BeanstalkdWire(), BEANSTALKD_SAYS, cuts) == [
        (3, 0, [seven, eight]),
        (1, 0, [(seven, b"7")]),
        (3, 0, None),
        (2, 0, []),
    ]


def nats_says(slot: int, payload: bytes, reply: bytes = b"") -> bytes:
    return b"MSG subject %d %b%d\r\n%b\r\n" % (slot, reply + b" " if reply else b"", len(payload), payload)


def nats_part(slot: int, payload: bytes, reply: bytes) -> bytes:
    headers = b"NATS/1.0\r\nNats-Batch-Id: b\r\nNats-Batch-Sequence: 1\r\n\r\n"
    total = len(headers) + len(payload)
    return b"HMSG subject %d %b %d %d\r\n%b%b\r\n" % (slot, reply, len(headers), total, headers, payload)


ACK = b"$JS.ACK.bench.workers.1.7.1.1700.0"
NO_MORE = b"NATS/1.0 404 No Messages\r\n\r\n"
NATS_SAYS = (
    b'INFO {"headers":true}\r\n'
    + nats_says(4, b'{"stream":"bench","seq":5}')
    + b"PING\r\n"
    + nats_says(1, b"MSG x 1 0\r\n", ACK)  # a body that looks like a message
    + nats_part(1, b"a", ACK)
    + b"HMSG subject 2 %d %d\r\n%b\r\n" % (len(NO_MORE), len(NO_MORE), NO_MORE)  # another slot's first
    + nats_says(3, b'{"stream":"bench","seq":8,"batch":"b","count":2}')
    + b"HMSG subject 1 %d %d\r\n%b\r\n" % (len(NO_MORE), len(NO_MORE), NO_MORE)
)


@given(st.lists(st.integers(0, len(NATS_SAYS)), max_size=9).map(sorted))
def test_nats_is_understood_however_it_comes(cuts: list[int]) -> None:
    wire = NatsWire("bench")
    requests = (wire.send(3, [b"a", b"b"]), wire.receive(1, 3), wire.receive(2, 2), wire.send(4, [b"c"]))
    for request in requests:
        assert wire.renewed(request).startswith(b"SUB _INBOX.")
        assert wire.renewed(request) == request
    answers = []
    for begin, end in zip([0, *cuts], [*cuts, len(NATS_SAYS)], strict=True):
        answers += wire.answers(NATS_SAYS[begin:end])
    assert [(slot, status) for slot, status, _ in answers] == [(4, 0), (2, 0), (3, 0), (1, 0)]
    assert wire.sent_ids(answers[0][2]) == [(5).to_bytes(16, "big")]
    sent = wire.sent_ids(answers[2][2])
    assert sent == [number.to_bytes(16, "big") for number in (7, 8)]
    assert wire.ids_and_handles(answers[3][2]) == ([sent[0]] * 2, [ACK] * 2)


def test_a_batch_of_nats_that_is_refused_has_an_error_for_an_id() -> None:
    [said] = NatsWire("bench").sent_ids([b'{"error":{"code":400},"stream":"bench","seq":0}'])
    assert said["error"] == {"code": 400}


@pytest.mark.parametrize(
    "said",
    [
        b"-ERR 'Authorization Violation'\r\n",
        b"HMSG subject 3 26 26\r\nNATS/1.0 503 Unavailable\r\n\r\n",
    ],
)
def test_a_refusal_of_nats_ends_the_run(said: bytes) -> None:
    wire = NatsWire("bench")
    wire.renewed(wire.send(3, [b"a"]))
    with pytest.raises(UnexpectedAnswer):
        wire.answers(said)


@pytest.mark.parametrize(
    ("make", "said"),
    [(lambda: RedisWire("bench"), b"-OOM no room\r\n"), (BeanstalkdWire, b"OUT_OF_MEMORY\r\n")],
)
def test_a_refusal_ends_the_run(make: Callable[[], Wire], said: bytes) -> None:
    wire = make()
    conversation(wire)
    with pytest.raises(UnexpectedAnswer):
        wire.answers(said)


def test_ids_of_all_are_as_long() -> None:
    assert len(A) == len(B) == len(beanstalkd.sixteen(b"INSERTED 7")) == 16
    assert A < B


def test_answers_wait_for_the_rest_of_their_request() -> None:
    wire = InOrder()
    assert wire.matched([]) == []


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_goes_through_a_cycle(peer: Peer, tmp_path: Path) -> None:
    if not peer.installed():
        pytest.skip(f"{peer.program} is not installed")  # nothing of Ropeway's depends on it
    server = peer.start(tmp_path / "server")
    try:
        cycle(server)
    finally:
        server.stop()


def cycle(server: Server) -> None:
    connection, wire = open_wire(server.kind, server.port)
    with connection:
        sent = wire.sent_ids(call(connection, wire, wire.send(1, [b"a", b"b"])))
        assert server.left() == 2
        ids, handles = wire.ids_and_handles(call(connection, wire, wire.receive(1, 2)))
        assert ids == sent
        call(connection, wire, wire.delete(1, handles))
        assert server.left() == 0
        assert not call(connection, wire, wire.receive(1, 2))
