"""Whatever a peer sends, or does not: it is told why, nobody else notices, and memory stays as it was."""

import contextlib
import resource
import select
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewayd.protocols.catalogue import ACTIONS
from ropewayd.vocabulary.errors import catalogue
from tests.daemon import Daemon
from tests.protocols.peer import (
    HELLO,
    INVALID_TIMESTAMP,
    MIB,
    Peer,
    frame,
    pack,
    peak,
    resident,
    short,
    unharmed,
)

CREATE, ATTRIBUTES, SEND, RECEIVE = 10, 13, 20, 21


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("hostile")) as daemon:
        yield daemon


def huge(head: int) -> bytes:
    """A request whose parameters claim four thousand million elements or bytes."""
    return frame(b"\x93\x02\x14" + bytes([head]) + b"\xff\xff\xff\xff")


NO_FRAMES = {
    "a frame without bytes": (b"\0\0\0\0", "1 to 16777216 bytes; this one says 0"),
    "a frame too long": (b"\x01\0\0\1" + b"x" * 100, "1 to 16777216 bytes; this one says 16777217"),
    "a frame of four gigabytes": (b"\xff" * 4 + b"x" * 100_000, "this one says 4294967295"),
    "text": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "this one says 1195725856"),
    "no msgpack": (frame(b"\xc1"), "invalid opcode"),
    "an integer": (frame(5), "expected `array`"),
    "a map": (frame({"id": 2, "action": 1}), "expected `array`"),
    "nil": (frame(None), "expected `array`"),
    "too short an array": (frame([2]), "at least length 2"),
    "an empty array": (frame([]), "at least length 2"),
    "an id of text": (frame(["2", 1, {}]), "expected `int`"),
    "an action of text": (frame([2, "Ping", {}]), "expected `int`"),
    "id 0": (frame([0, 1, {}]), "between 1 and 4294967295"),
    "id -1": (frame([-1, 1, {}]), "between 1 and 4294967295"),
    "id 2^32": (frame([1 << 32, 1, {}]), "between 1 and 4294967295"),
    "two values in a frame": (frame(pack([2, 1, {}]) * 2), "trailing"),
    "a value that goes on": (frame(pack([2, 1, {"a": "b" * 50}])[:-1]), "truncated"),
    "a deep nest": (frame(b"\x93\x02\x14" + b"\x91" * 1_000_000 + b"\xc0"), "recursion"),
    "a deep nest of maps": (frame(b"\x93\x02\x14" + b"\x81\xa1a" * 1_000_000 + b"\xc0"), "recursion"),
    "an array that claims much": (huge(0xDD), "truncated"),
    "a map that claims much": (huge(0xDF), "truncated"),
    "a text that claims much": (huge(0xDB), "truncated"),
    "bytes that claim much": (huge(0xC6), "truncated"),
    "an extension that claims much": (huge(0xC9), "truncated"),
}


@pytest.mark.parametrize(("data", "why"), NO_FRAMES.values(), ids=NO_FRAMES)
def test_what_is_no_request_ends_the_connection_with_a_word(daemon: Daemon, data: bytes, why: str) -> None:
    with unharmed(daemon), Peer(daemon.addresses[0]) as peer:
        peer.send(data)
        [[request, status, error]] = list(peer.rest())
        assert (request, status, error[0], error[2]) == (0, 1, "MalformedRequest", None)
        assert why.lower() in error[1].lower()


@pytest.mark.parametrize("data", [data for data, _ in NO_FRAMES.values()], ids=NO_FRAMES)
def test_nor_does_it_before_hello(daemon: Daemon, data: bytes) -> None:
    with unharmed(daemon), Peer(daemon.addresses[0], hello=False) as peer:
        peer.send(data)
        [[_, status, error]] = list(peer.rest())
        assert (status, error[0]) == (1, "MalformedRequest")


@pytest.mark.parametrize("data", [data for data, _ in NO_FRAMES.values()], ids=NO_FRAMES)
def test_a_connection_cut_in_the_middle_of_it_is_gone(daemon: Daemon, data: bytes) -> None:
    with unharmed(daemon):
        for end in {1, 3, 4, 5, len(data) // 2, len(data) - 1}:
            with Peer(daemon.addresses[0]) as peer:
                peer.send(data[:end])


def test_why_is_read_over_tcp_too_although_the_peer_goes_on_sending(tmp_path: Path) -> None:
    tcp = Daemon(tmp_path, listen=["127.0.0.1:0"])
    with tcp as daemon, unharmed(daemon), Peer(daemon.addresses[0]) as peer:
        peer.socket.sendall(b"\xff" * 16 * MIB)  # and its writes do not fail before it has read that
        [[_, _, error]] = list(peer.rest())
        assert error[0] == "MalformedRequest"


def test_a_frame_before_hello_is_a_small_one(daemon: Daemon) -> None:
    with unharmed(daemon), Peer(daemon.addresses[0], hello=False) as peer:
        peer.send((4097).to_bytes(4, "big"))
        [[_, _, error]] = list(peer.rest())
        assert error[0] == "MalformedRequest"
        assert "1 to 4096 bytes; this one says 4097" in error[1]


def test_a_large_request_may_follow_hello_without_waiting(daemon: Daemon) -> None:
    with Peer(daemon.addresses[0], hello=False) as peer:
        peer.say(HELLO, [2, 1, {"unknown": b"x" * MIB}])
        assert [peer.take()[:2], peer.take()] == [[1, 0], [2, 0, {}]]


@pytest.mark.parametrize(
    ("hello", "code", "field"),
    [
        ([1, 1, {}], "MalformedRequest", None),
        ([1, RECEIVE, {"queue": "q"}], "MalformedRequest", None),
        ([1, 0, {}], "MissingParameter", "version"),
        ([1, 0], "MissingParameter", "version"),
        ([1, 0, []], "InvalidParameterValue", None),
        ([1, 0, {"version": 2}], "InvalidParameterValue", "version"),
        ([1, 0, {"version": "1"}], "InvalidParameterValue", "version"),
        ([1, 0, {"version": 1, "client": "x" * 201}], "InvalidParameterValue", "client"),
        ([1, 0, {"version": 1, "nonce": b"short"}], "InvalidParameterValue", "nonce"),
        ([1, 0, {"version": 1, "proof": "x" * 32}], "InvalidParameterValue", "proof"),
        ([1, 0, {"version": 1, "key": "x" * 129}], "InvalidParameterValue", "key"),
        (b"\x93\x01\x00\x82\xa7version\x01\xa6client\xa1\xff", "InvalidParameterValue", None),
    ],
)  # fmt: skip
def test_a_wrong_hello_is_told_its_field_and_let_go(
    daemon: Daemon, hello: Any, code: str, field: str | None
) -> None:
    with unharmed(daemon), Peer(daemon.addresses[0], hello=False) as peer:
        peer.say(hello, [2, CREATE, {"queue": "not-to-be"}])
        [[request, status, error]] = list(peer.rest())
        assert (request, status, error[0], error[2]) == (1, 1, code, field)
        assert field is None or field in error[1]
    with Peer(daemon.addresses[0]) as peer:
        peer.say([2, ATTRIBUTES, {"queue": "not-to-be"}])
        assert peer.take()[2][0] == "QueueDoesNotExist"


def test_hello_comes_once_and_unknown_actions_are_told(daemon: Daemon) -> None:
    with unharmed(daemon), Peer(daemon.addresses[0]) as peer:
        peer.say([2, 0, {"version": 1}], [3, 99, {}], [4, -1, {"due": []}], [5, 2**63, None], [6, 1, {}])
        answers = [peer.take() for _ in range(5)]
        assert [answer[0] for answer in answers] == [2, 3, 4, 5, 6]
        assert [answer[2][0] for answer in answers[:4]] == ["InvalidAction"] * 4
        assert "99" in answers[1][2][1]
        assert answers[4] == [6, 0, {}]


def test_what_a_newer_client_says_besides_is_ignored(daemon: Daemon) -> None:
    with Peer(daemon.addresses[0], hello=False) as peer:
        peer.say(
            [1, 0, {"version": 1, "shiny": [1, {"a": None}]}, "more"], [2, 1, {"new": 1.5}, 5, "and more"]
        )
        assert [peer.take()[:2], peer.take()] == [[1, 0], [2, 0, {}]]
        peer.say([3, CREATE, {"queue": "newer", "shiny": msgpack.ExtType(5, b"x")}, None])
        assert peer.take()[:2] == [3, 0]


def test_ids_are_the_clients_business_within_their_range(daemon: Daemon) -> None:
    with unharmed(daemon), Peer(daemon.addresses[0]) as peer:
        peer.say([7, 1, {}], [7, CREATE, {"queue": "ids"}], [7, 1, {}], [1, 1, {}], [(1 << 32) - 1, 1, {}])
        answers = [peer.take() for _ in range(5)]
        assert sorted(answer[0] for answer in answers) == [1, 7, 7, 7, (1 << 32) - 1]
        assert all(answer[1] == 0 for answer in answers)


NOT_EVEN_WRONG = [
    None, True, 1.5, float("nan"), -1, 2**63, 2**64 - 1, -(2**63), "", "x" * 300, b"", b"\xff" * 40, [], [[]],
    {}, {"a": {}}, {1: 1}, [None] * 1001, ["x"] * 3, {"queue": "q"}, msgpack.ExtType(5, b"x"),
    msgpack.Timestamp(5, 5), INVALID_TIMESTAMP,
]  # fmt: skip


NAMING = ("queue", "queues", "source", "task", "token", "topic", "subscription", "number", "password")
"""Fields that name what may not be there, or is another."""


def wrong_requests() -> Iterator[tuple[int, str, Any]]:
    """(action, field, parameters) with each field of each action of each wrong type."""
    good: dict[str, Any] = {
        "queue": "q",
        "topic": "q",
        "endpoint": "q",
        "subscription": "arn:aws:sns:us-east-1:000000000000:q:00000000-0000-0000-0000-000000000000",
        "queues": ["q"],
        "source": "q",
        "task": "t",
        "attributes": {},
        "entries": [{"body": "x"}],
        "handles": [b"x"],
        "token": "00",
        "tags": {"k": "v"},
        "keys": ["k"],
        "label": "l",
        "target": "a directory",
        "accounts": ["1" * 12],
        "actions": ["*"],
        "number": "+4930123456",
        "password": "123456",
        "body": "x",
    }
    for code, kind in ACTIONS.items():
        fields = msgspec.structs.fields(kind)
        assert {field.name for field in fields if field.required} <= set(good), f"{kind} needs an example"
        for each in fields:
            for value in NOT_EVEN_WRONG:
                parameters = {field.name: good[field.name] for field in fields if field.name in good}
                yield code, each.name, parameters | {each.name: value}


def test_each_field_of_each_action_with_each_wrong_type(daemon: Daemon) -> None:
    requests = list(enumerate(wrong_requests(), 2))
    assert len(requests) > 300
    known = set(catalogue())
    with unharmed(daemon), Peer(daemon.addresses[0]) as peer:
        for at in range(0, len(requests), 100):
            part = dict(requests[at : at + 100])
            peer.say(*([asked, code, params] for asked, (code, _, params) in part.items()))
            for _ in range(len(part)):
                asked, status, result = peer.take()
                _, field, _ = part.pop(asked)
                errors = [result] if status else [each for each in result if isinstance(each, list)]
                for code, message, at_fault in errors:
                    assert code in known - {"InternalFailure", "MalformedRequest"}
                    if code != "QueueDoesNotExist":
                        assert at_fault.partition("[")[0].partition(".")[0] in {field, *NAMING}, message


@pytest.mark.parametrize("body", NOT_EVEN_WRONG, ids=repr)
def test_a_body_of_another_type_is_refused_alone(daemon: Daemon, body: Any) -> None:
    if isinstance(body, str | bytes) and body:
        return
    with unharmed(daemon), Peer(daemon.addresses[0]) as peer:
        peer.say([2, CREATE, {"queue": "bodies"}])
        assert peer.take()[1] == 0
        peer.say([3, SEND, {"queue": "bodies", "entries": [{"body": "x"}, {"body": body}, {"body": b"x"}]}])
        first, (code, message, field), third = peer.take()[2]
        assert (type(first), type(third)) == (bytes, bytes)
        assert code == "InvalidMessageContents"
        assert field == "entries[1].body"
        assert field in message


def test_a_length_that_lies_ends_with_the_frames_time(tmp_path: Path) -> None:
    with short(tmp_path, frame_timeout=0.3) as daemon, unharmed(daemon), Peer(daemon.addresses[0]) as peer:
        peer.send(b"\0\0\0\x64" + pack([2, 1, {}]))
        [[_, _, error]] = list(peer.rest())
        assert "did not end within 300 ms" in error[1]


def test_a_byte_at_a_time_ends_with_the_frames_time(tmp_path: Path) -> None:
    with short(tmp_path, frame_timeout=0.3) as daemon, unharmed(daemon), Peer(daemon.addresses[0]) as peer:
        for byte in frame([2, 1, {"unknown": "x" * 10_000}]):
            peer.send(bytes([byte]))
            if select.select([peer.socket], [], [], 0.02)[0]:
                break
        [[_, _, error]] = list(peer.rest())
        assert "did not end within 300 ms" in error[1]


@pytest.mark.parametrize("said", [b"", b"\0", b"\0\0\0\x14", frame(HELLO)[:-1]])
def test_no_hello_in_time(tmp_path: Path, said: bytes) -> None:
    with short(tmp_path, handshake_timeout=0.5) as daemon, Peer(daemon.addresses[0], hello=False) as peer:
        peer.send(said)
        [[_, _, error]] = list(peer.rest())
        assert "Hello did not come within 500 ms" in error[1]


@pytest.mark.needs("openssl")
def test_no_tls_in_time(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    flags = ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    flags += ["--protocol-handshake-timeout", "1"]
    both = Daemon(tmp_path, *flags, listen=[f"unix:{tmp_path / 's'}", "127.0.0.1:0"])
    with both as daemon, unharmed(daemon):
        host, _, port = daemon.addresses[1].rpartition(":")
        silent = socket.create_connection((host, int(port)), 30)
        plain = socket.create_connection((host, int(port)), 30)
        with silent, plain:
            plain.sendall(frame(HELLO))
            for each in (silent, plain):
                with contextlib.suppress(ConnectionResetError):
                    while each.recv(1000):  # TLS may have a word to say
                        pass
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((host, int(port)), 30) as tcp, context.wrap_socket(tcp) as tls:
            stream = tls.makefile("rb")
            assert b"ropeway" in stream.read(int.from_bytes(stream.read(4), "big"))
            tls.sendall(b"\xff" * 10_000)
            assert b"MalformedRequest" in stream.read()
            stream.close()


def test_one_connection_too_many(tmp_path: Path) -> None:
    with short(tmp_path, max_connections=3) as daemon:
        peers = [Peer(daemon.addresses[0]) for _ in range(3)]
        for _ in range(10):
            with Peer(daemon.addresses[0], hello=False, greeted=False) as refused:
                [[request, status, error]] = list(refused.rest())
                assert (request, status, error[0]) == (0, 1, "OverLimit")
                assert "3 connections" in error[1]
        peers.pop().close()
        peers[0].say([2, 1, {}])
        assert peers[0].take() == [2, 0, {}]
        with unharmed(daemon):
            peers.pop().close()
        peers.pop().close()


def test_two_thousand_connections(tmp_path: Path) -> None:
    count = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * count + 200
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
    with Daemon(tmp_path) as daemon, unharmed(daemon) as bystander:
        rounds = []
        for _ in range(3):
            peers = [Peer(daemon.addresses[0], hello=False, greeted=False) for _ in range(count)]
            for n, peer in enumerate(peers):
                # Some say nothing, some begin to, some do, and wait.
                peer.send((b"", frame(HELLO)[:7], frame(HELLO), frame(HELLO) + frame([2, 1, {}]))[n % 4])
            for peer in peers[3::4]:
                assert [peer.take()[0], peer.take()[0], peer.take()] == [0, 1, [2, 0, {}]]
            bystander.call(1, {})
            for peer in peers:
                peer.close()
            bystander.call(1, {})
            rounds.append(resident(daemon))
        assert rounds[-1] - rounds[0] < 8 * MIB
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_requests_than_allowed_wait_unread(tmp_path: Path) -> None:
    with short(tmp_path, max_requests=5) as daemon, unharmed(daemon) as bystander:
        bystander.call(CREATE, {"queue": "jobs"})
        with Peer(daemon.addresses[0]) as peer:
            polls = [[asked, RECEIVE, {"queue": "jobs", "wait": 20_000}] for asked in range(2, 7)]
            peer.say(*polls, *([asked, 1, {}] for asked in range(7, 5007)))
            bystander.call(1, {})
            bystander.send("jobs", "for the first poll")
            answers = [peer.take() for _ in range(5001)]
            assert answers[0][0] == 2
            assert answers[0][2][0][2] == "for the first poll"
            assert [answer[0] for answer in answers[1:]] == list(range(7, 5007))


def test_more_bytes_than_allowed_wait_unread(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"max_frame": 2 * MIB, "max_request_bytes": 2 * MIB}
    with short(tmp_path, **limits) as daemon, unharmed(daemon) as bystander:
        bystander.call(CREATE, {"queue": "jobs"})
        with Peer(daemon.addresses[0]) as peer:
            # What counts is the frame, so unknown fields do too.
            poll = {"queue": "jobs", "wait": 20_000, "unknown": b"x" * (400 << 10)}
            peer.say(*([asked, RECEIVE, poll] for asked in range(2, 8)))
            peer.say([8, 1, {}])
            bystander.call(1, {})
            bystander.send("jobs", "one")
            assert peer.take()[0] == 2
            assert peer.take()[0] == 8


def received(bystander: Any, queue: str) -> int:
    """How often its one message was handed out; this is one time more."""
    count: int = bystander.call(RECEIVE, {"queue": queue, "visibility_timeout": 0})[0][4]
    return count


def until_nobody_else_receives(bystander: Any, queue: str) -> int:
    quiet, last = 0, received(bystander, queue)
    while quiet < 5:
        now = received(bystander, queue)
        quiet, last = (quiet + 1 if now == last + 1 else 0), now
    return last


def test_a_peer_that_never_reads_is_not_read_and_takes_no_messages(tmp_path: Path) -> None:
    polls, receives = 20, 300
    with short(tmp_path, max_unsent=2 * MIB) as daemon, unharmed(daemon) as bystander:
        for queue in ("big", "later"):
            bystander.call(CREATE, {"queue": queue})
        bystander.call(SEND, {"queue": "big", "entries": [{"body": b"x" * MIB}]})
        bystander.call(RECEIVE, {"queue": "big", "visibility_timeout": 0})
        with Peer(daemon.addresses[0]) as peer:
            ids = iter(range(2, 10_000))
            peer.say(*([next(ids), RECEIVE, {"queue": "later", "wait": 20_000}] for _ in range(polls)))
            # The same message again and again: it is visible again at once.
            again = {"queue": "big", "visibility_timeout": 0}
            peer.say(*([next(ids), RECEIVE, again] for _ in range(receives)))
            taken = until_nobody_else_receives(bystander, "big")
            assert taken < 60, "it was given more than it may leave untaken"
            assert resident(daemon) < 256 * MIB
            # Its long polls are over: what comes now is for those who read.
            bystander.send("later", "for somebody who reads")
            assert bystander.receive("later") == ["for somebody who reads"]
            # And when it reads after all, it gets every answer.
            answers = [peer.take() for _ in range(polls + receives)]
            assert len({answer[0] for answer in answers}) == polls + receives
            assert [len(a[2]) for a in sorted(answers)] == [0] * polls + [1] * receives


def test_a_peer_that_never_reads_is_cut_in_the_end(tmp_path: Path) -> None:
    with short(tmp_path, max_unsent=2 * MIB, write_timeout=0.5) as daemon, unharmed(daemon) as bystander:
        bystander.call(CREATE, {"queue": "big"})
        bystander.call(SEND, {"queue": "big", "entries": [{"body": b"x" * MIB}]})
        with Peer(daemon.addresses[0]) as peer:
            receive = {"queue": "big", "visibility_timeout": 0}
            peer.say(*([asked, RECEIVE, receive] for asked in range(2, 102)))
            gone = select.poll()
            gone.register(peer.socket, select.POLLHUP | select.POLLERR)
            assert gone.poll(60_000)


def test_a_long_poll_whose_client_is_gone_takes_no_message(daemon: Daemon) -> None:
    with unharmed(daemon) as bystander:
        bystander.call(CREATE, {"queue": "polled"})
        for n in range(50):
            with Peer(daemon.addresses[0]) as peer:
                polls = (
                    [asked, RECEIVE, {"queue": "polled", "wait": 20_000}] for asked in range(2, 2 + n % 7)
                )
                peer.say(*polls)
                if n % 2:
                    peer.send(b"\0\0\0")
                bystander.call(1, {})
            for _ in range(2):
                bystander.call(1, {})  # a turn of the daemon's loop, in which it sees the end
            bystander.send("polled", f"message {n}")
            [message] = bystander.call(RECEIVE, {"queue": "polled"})
            assert (message[2], message[4]) == (f"message {n}", 1)
            bystander.call(22, {"queue": "polled", "handles": [message[1]]})


def full_frame(asked: int) -> bytes:
    head = bytes([0x93]) + pack(asked) + bytes([1]) + b"\x81\xa7unknown\xc6"
    size = 16 * MIB - len(head) - 4
    return frame(head + size.to_bytes(4, "big") + bytes(size))


def bomb(asked: int) -> bytes:
    """Sixteen million empty maps where a body should be."""
    head = bytes([0x93]) + pack(asked) + b"\x14\x82\xa5queue\xa1q\xa7entries\x91\x81\xa4body\xdd"
    size = 16 * MIB - len(head) - 4
    return frame(head + size.to_bytes(4, "big") + b"\x80" * size)


@pytest.mark.parametrize("make", [full_frame, bomb])
def test_memory_is_flat_under_frames_of_sixteen_mebibytes(
    tmp_path: Path, make: Callable[[int], bytes]
) -> None:
    with Daemon(tmp_path) as daemon, unharmed(daemon):
        with Peer(daemon.addresses[0]) as peer:
            seen = []
            for asked in range(2, 62):
                peer.send(make(asked))
                assert peer.take()[0] == asked
                seen.append(resident(daemon))
        # The allocator keeps the room of one frame for the next from some frame on. Half a MiB that stays of
        # each frame is more than that.
        assert max(seen) - min(seen) < 24 * MIB
        assert peak(daemon) < 200 * MIB


def test_a_frame_that_is_begun_on_many_connections_costs_what_was_sent(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, unharmed(daemon):
        before = resident(daemon)
        peers = [Peer(daemon.addresses[0]) for _ in range(100)]
        for peer in peers:
            peer.send((16 * MIB).to_bytes(4, "big") + b"\x93\x02\x14")
        peers[0].close()
        assert resident(daemon) - before < 16 * MIB
        for peer in peers[1:]:
            peer.close()


GOOD = [
    frame(HELLO), frame([2, CREATE, {"queue": "fuzz", "attributes": {"delay": 0}}]),
    frame([3, SEND, {"queue": "fuzz", "entries": [{"body": "x", "attributes": {"a": ["Number", "1"]}},
                                                  {"body": b"y", "delay": 5}]}]),
    frame([4, RECEIVE, {"queue": "fuzz", "max_messages": 5, "wait": 1}]),
    frame([5, 22, {"queue": "fuzz", "handles": [bytes(36), b"x"]}]),
    frame([6, 23, {"queue": "fuzz", "entries": [{"handle": bytes(36), "visibility_timeout": 5}]}]),
    frame([7, 12, {"prefix": "f", "limit": 3}]), frame([8, 13, {"queue": "fuzz"}]), frame([9, 1, {}]),
]  # fmt: skip


@st.composite
def nearly_good(draw: st.DrawFn) -> bytes:
    """A good conversation with a few bytes changed, put in, taken out or doubled."""
    data = bytearray(b"".join([GOOD[0], *draw(st.lists(st.sampled_from(GOOD), max_size=8))]))
    first = draw(st.sampled_from([0, len(GOOD[0])]))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(first, max(first, len(data) - 1)))
        match draw(st.integers(0, 4)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                data[at:at] = draw(st.binary(max_size=8))
            case 2:
                del data[at : at + draw(st.integers(1, 8))]
            case 3:
                data[at:at] = data[at : at + draw(st.integers(1, 30))]
            case 4:
                data[at : at + 1] = bytes([draw(st.sampled_from([0x80, 0x90, 0xC0, 0xC1, 0xDD, 0xDF, 0xFF]))])
    return bytes(data)


@settings(max_examples=300)
@given(nearly_good(), st.lists(st.integers(1, 200), max_size=5))
def test_nearly_good_conversations_harm_nobody(daemon: Daemon, data: bytes, cuts: list[int]) -> None:
    with Peer(daemon.addresses[0], hello=False) as peer:
        for cut in cuts:
            peer.send(data[:cut])
            data = data[cut:]
        peer.send(data)
        peer.socket.shutdown(socket.SHUT_WR)
        for asked, status, result in peer.rest():
            assert status in {0, 1}
            assert isinstance(asked, int)
            assert status == 0 or result[0] in catalogue()


def test_after_all_that_the_daemon_has_nothing_to_complain_of(daemon: Daemon) -> None:
    with unharmed(daemon):
        pass
