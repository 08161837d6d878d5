"""The wires of other brokers: answers are matched with requests by their order, however they are cut."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.contestants import Server
from bench.peers import beanstalkd, redis
from bench.peers.beanstalkd import BeanstalkdWire
from bench.peers.ordered import InOrder
from bench.peers.redis import RedisWire
from bench.peers.servers import PEERS, Peer
from bench.wire import Answer, UnexpectedAnswer, Wire, call, dial

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
    wires: dict[str, Callable[[], Wire]] = {
        redis.KIND: lambda: RedisWire("bench"),
        beanstalkd.KIND: BeanstalkdWire,
    }
    wire = wires[server.kind]()
    with dial(server.port) as connection:
        sent = wire.sent_ids(call(connection, wire, wire.send(1, [b"a", b"b"])))
        assert server.left() == 2
        ids, handles = wire.ids_and_handles(call(connection, wire, wire.receive(1, 2)))
        assert ids == sent
        call(connection, wire, wire.delete(1, handles))
        assert server.left() == 0
