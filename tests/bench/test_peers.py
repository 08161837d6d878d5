"""The wires of other brokers: answers are matched with requests by their order, however they are cut."""

import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.contestants import Server
from bench.kinds import open_wire
from bench.peers import beanstalkd, rabbitmq, redis
from bench.peers.beanstalkd import BeanstalkdWire
from bench.peers.nats import NatsWire
from bench.peers.ordered import InOrder
from bench.peers.rabbitmq import RabbitWire
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


def rabbit_acks(number: int, *, upwards: bool) -> bytes:
    return rabbitmq.method(rabbitmq.ACK, struct.pack(">QB", number, upwards))


def rabbit_pushes(tag: int, message_id: bytes, body: bytes) -> bytes:
    delivery = rabbitmq.short("load") + struct.pack(">QB", tag, 0) + rabbitmq.short("") * 2
    header = struct.pack(">HHQHBB", 60, 0, len(body), rabbitmq.WITH_MODE_AND_ID, 2, 16) + message_id
    halves = [body[: len(body) // 2], body[len(body) // 2 :]] if body else []
    frames = [rabbitmq.frame(rabbitmq.BODY, half) for half in halves]
    return b"".join([rabbitmq.method(rabbitmq.DELIVER, delivery), rabbitmq.frame(2, header), *frames])


READ = rabbitmq.method(rabbitmq.FLOW_OK, b"\1")
X, Y, Z = (letter * 16 for letter in (b"x", b"y", b"z"))
RABBIT_SAYS = (
    rabbit_acks(2, upwards=False)  # of slot 3, which has another
    + rabbitmq.method(rabbitmq.QOS_OK, b"")
    + rabbit_acks(3, upwards=True)
    + rabbitmq.method(rabbitmq.CONSUMING, rabbitmq.short("load"))
    + rabbit_pushes(1, X, READ)  # a body that looks like an answer
    + rabbit_pushes(2, Y, b"")
    + rabbit_pushes(3, Z, b"z")
    + READ
    + READ
)


@given(st.lists(st.integers(0, len(RABBIT_SAYS)), max_size=9).map(sorted))
def test_rabbitmq_is_understood_however_it_comes(cuts: list[int]) -> None:
    wire = RabbitWire("bench")
    ids = []
    for slot, bodies in ((3, [b"a", b"b"]), (4, [b"c"])):
        sent = wire.renewed(wire.send(slot, bodies))
        ids += [sent[at - 16 : at] for at in range(len(sent)) if sent[at : at + 2] == b"\xce\x03"]
    assert len(set(ids)) == 3
    assert wire.renewed(wire.receive(1, 2)).endswith(rabbitmq.method(rabbitmq.FLOW, b"\1"))
    wire.renewed(wire.delete(5, [0]))
    assert wire.renewed(wire.receive(2, 2)) == b""  # the answer to the delete will do
    answers = []
    for begin, end in zip([0, *cuts], [*cuts, len(RABBIT_SAYS)], strict=True):
        answers += wire.answers(RABBIT_SAYS[begin:end])
    said = dict[int, list[object]]()
    for slot, status, result in answers:
        assert status == 0
        said.setdefault(slot, []).append(result)
    assert (said[3], said[4], said[5]) == ([ids[:2]], [ids[2:]], [None])
    # Where the bytes were cut, a receive has had less, and the other the rest.
    assert sorted([*said[1][0], *said[2][0]])[:2] == [(X, 1), (Y, 2)]  # type: ignore[misc]


def test_rabbitmq_has_nothing_when_it_has_read_that_it_was_asked() -> None:
    wire = RabbitWire("bench")
    wire.renewed(wire.receive(1, 2))
    assert wire.answers(rabbitmq.method(rabbitmq.QOS_OK, b"")) == []
    assert wire.answers(READ) == [(1, 0, [])]


@pytest.mark.parametrize("name", [(20, 40), (10, 50), (60, 120)])  # channel, connection closed; nack
def test_a_refusal_of_rabbitmq_ends_the_run(name: tuple[int, int]) -> None:
    with pytest.raises(UnexpectedAnswer):
        RabbitWire("bench").answers(rabbitmq.method(name, bytes(9)))


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
    assert all(process.poll() is not None for process in (server.process, *server.helpers))


def cycle(server: Server) -> None:
    connection, wire = open_wire(server.kind, server.port)
    with connection:
        sent = wire.sent_ids(call(connection, wire, wire.send(1, [b"a", b"b"])))
        assert server.left() == 2
        until = time.monotonic() + 10
        received: list[bytes] = []
        while len(received) < 2 and time.monotonic() < until:  # a server that pushes may not have done so yet
            ids, handles = wire.ids_and_handles(call(connection, wire, wire.receive(1, 2)))
            received += ids
            if handles:
                call(connection, wire, wire.delete(1, handles))
        assert received == sent
        assert server.left() == 0
        assert not call(connection, wire, wire.receive(1, 2))
