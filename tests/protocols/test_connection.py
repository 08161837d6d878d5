"""One connection on a transport that is not there, in virtual time: deadlines, order, and what is held."""

import asyncio
import itertools
from typing import Any, cast

import msgspec
import pytest

from ropewayd.protocols.binary.connection import LINGER, TURN, Connection
from ropewayd.protocols.binary.frame import Frames
from ropewayd.protocols.binary.server import BinaryServer
from ropewayd.protocols.binary.settings import BinaryLimits
from ropewayd.queues.actions import ListQueues
from tests.house import House, settle
from tests.protocols.peer import HELLO, frame
from tests.protocols.transport import Transport


class Line:
    """A connection and its peer."""

    def __init__(self, house: House, limits: BinaryLimits, server: BinaryServer | None = None) -> None:
        self.server = server or BinaryServer(house.kernel, limits)
        self.connection = Connection(self.server)
        self.transport = Transport()
        self.connection.connection_made(cast(asyncio.Transport, self.transport))

    async def say(self, *values: Any, raw: bytes = b"") -> None:
        self.connection.data_received(b"".join(map(frame, values)) + raw)
        await settle()

    def heard(self) -> list[Any]:
        """What came since the last look."""
        frames = Frames(1 << 24)
        frames.feed(bytes(self.transport.written))
        self.transport.written.clear()
        return [msgspec.msgpack.decode(payload) for payload in frames.cut()]

    async def hello(self) -> None:
        await self.say(HELLO)
        assert [answer[:2] for answer in self.heard()] == [[0, 0], [1, 0]]


LIMITS = BinaryLimits(
    handshake_timeout=1000, frame_timeout=2000, write_timeout=3000, idle_timeout=60_000, max_requests=4,
    max_unsent=10_000,
)  # fmt: skip


@pytest.fixture
async def line(house: House) -> Line:
    await house.create()
    line = Line(house, LIMITS)
    await line.hello()
    return line


async def test_no_hello_in_time_is_told_and_then_cut(house: House) -> None:
    line = Line(house, LIMITS)
    await house.wait(999)
    assert "ended" not in line.transport.fate()
    await house.wait(1)
    assert line.heard()[-1][2][1] == "Hello did not come within 1000 ms."
    assert "ended" in line.transport.fate()
    assert "aborted" not in line.transport.fate()
    await house.wait(LINGER)
    assert "aborted" in line.transport.fate()


async def test_a_frame_has_its_time_from_its_first_byte(house: House, line: Line) -> None:
    data = frame([2, 1, {}])
    await line.say(raw=data[:1])
    await house.wait(1500)
    await line.say(raw=data[1:2])
    await house.wait(499)
    assert "ended" not in line.transport.fate()
    await house.wait(1)
    assert line.heard()[-1][2][0] == "MalformedRequest"
    assert "ended" in line.transport.fate()


async def test_a_stream_that_never_pauses_at_a_frames_edge_is_no_slow_frame(house: House, line: Line) -> None:
    data = frame([2, 1, {}])
    await line.say(raw=data[:3])
    for _ in range(10):
        await house.wait(1500)
        await line.say(raw=data[3:] + data[:3])
    assert [answer[1] for answer in line.heard()] == [0] * 10
    assert "ended" not in line.transport.fate()
    await house.wait(2000)
    assert "ended" in line.transport.fate()


async def test_silence_is_closed_after_the_idle_time_but_a_long_poll_is_no_silence(house: House) -> None:
    await house.create()
    line = Line(house, BinaryLimits(idle_timeout=5000))
    await line.hello()
    for n in range(3):
        await line.say([2 + n, 21, {"queue": "jobs", "wait": 20_000}])
        await house.wait(20_000)
    assert len(line.heard()) == 3
    await house.wait(4999)
    assert not line.transport.fate()
    await house.wait(1)
    assert "closed" in line.transport.fate()
    assert line.heard() == []


async def test_a_ping_now_and_then_keeps_it_open(house: House, line: Line) -> None:
    for n in range(10):
        await house.wait(50_000)
        await line.say([2 + n, 1, {}])
    assert "closed" not in line.transport.fate()


async def test_who_takes_nothing_is_cut_and_who_takes_slowly_is_not(house: House, line: Line) -> None:
    await line.say([2, 1, {}])
    line.transport.unsent = 10_001
    line.connection.pause_writing()
    for _ in range(20):
        await house.wait(2_900)
        line.transport.unsent -= 100
    assert "aborted" not in line.transport.fate()
    await house.wait(6_000)
    assert "aborted" in line.transport.fate()


async def test_while_answers_are_not_taken_nothing_is_read_and_no_poll_waits(
    house: House, line: Line
) -> None:
    await line.say([2, 21, {"queue": "jobs", "wait": 20_000}])
    line.connection.pause_writing()
    await settle()
    assert line.heard() == [[2, 0, []]]
    assert not line.transport.reading
    line.connection.data_received(frame([3, 1, {}]) * 1000)  # what was on its way already
    await settle()
    assert line.heard() == []
    line.connection.resume_writing()
    heard: list[object] = []
    for _ in range(1000):  # on a busy machine it takes several turns
        await settle()
        heard += line.heard()
        if len(heard) == 1000:
            break
    assert len(heard) == 1000
    assert line.transport.reading


async def test_no_more_than_the_limit_is_outstanding(house: House, line: Line) -> None:
    poll = {"queue": "jobs", "wait": 20_000}
    await line.say(*([2 + n, 21, poll] for n in range(6)))
    assert not line.transport.reading
    assert len(house.kernel._polls) == 4
    await house.send("a")
    await settle()
    assert len(line.heard()) == 1
    assert len(house.kernel._polls) == 4
    assert not line.transport.reading
    await house.send("b", "c")
    await settle()
    assert line.transport.reading


async def test_answers_of_one_turn_leave_in_one_write(house: House, line: Line) -> None:
    before = line.transport.writes
    await line.say(*([2 + n, 1, {}] for n in range(3)))
    assert line.transport.writes == before + 1
    assert len(line.heard()) == 3


async def test_a_receive_that_waits_for_the_disk_takes_nothing_for_who_is_gone(house: House) -> None:
    await house.create()
    await house.send("kept")
    line = Line(house, LIMITS)
    await line.hello()
    # It is on disk and in no memory: a receive must read it first.
    await house.wait(60_000)
    await house.restart()
    line = Line(house, LIMITS)
    await line.hello()
    line.connection.data_received(frame([2, 21, {"queue": "jobs"}]))
    assert house.kernel._parked, "nothing was read from disk: this test shows nothing"
    line.connection.connection_lost(None)
    await settle()
    [(_, _, body, _, count, _, _)] = await house.receive()
    assert (body, count) == ("kept", 1)


async def test_one_too_many_is_told_so_in_place_of_the_greeting(house: House) -> None:
    limits = BinaryLimits(max_connections=1)
    first = Line(house, limits)
    second = Line(house, limits, first.server)
    [[request, status, error]] = second.heard()
    assert (request, status, error[0]) == (0, 1, "OverLimit")
    assert "closed" in second.transport.fate()
    second.connection.connection_lost(None)
    first.connection.connection_lost(None)
    third = Line(house, limits, first.server)
    await settle()
    assert third.heard()[0][1] == 0


async def test_after_the_end_nothing_is_done_and_nothing_is_left(house: House, line: Line) -> None:
    await line.say([0, 1, {}])
    assert line.heard()[-1][2][0] == "MalformedRequest"
    await line.say([2, 10, {"queue": "not-to-be"}])
    assert line.heard() == []
    line.connection.connection_lost(None)
    await house.wait(120_000)
    assert (await house.call(ListQueues())) == {"queues": ["jobs"], "next": None}
    assert line.server.connections == 0


async def test_a_connection_that_has_much_to_do_lets_the_others_have_their_turn(
    house: House, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("ropewayd.protocols.binary.connection.monotonic", lambda: next(ticks) * TURN * 0.6)
    other = Line(house, LIMITS, line.server)
    await other.hello()
    line.connection.data_received(b"".join(frame([2 + n, 1, {}]) for n in range(50)))
    assert len(line.connection._out) == 2
    assert not line.transport.reading
    other.connection.data_received(frame([2, 1, {}]))
    for _ in range(3):
        await asyncio.sleep(0)
    assert other.heard() == [[2, 0, {}]]
    assert len(line.heard()) < 20
    for _ in range(3):
        await settle()
    assert line.connection._frames.pending == 0
    assert line.transport.reading


@pytest.mark.parametrize(
    ("peer", "here"),
    [
        ("", True),  # a Unix socket
        (None, False),  # a transport that does not tell
        (("127.0.0.1", 5), True),
        (("127.8.9.1", 5), True),
        (("::1", 5, 0, 0), True),
        (("::ffff:127.0.0.1", 5, 0, 0), True),
        (("10.0.0.7", 5), False),
        (("::ffff:10.0.0.7", 5, 0, 0), False),
        (("fe80::1%eth0", 5, 0, 2), False),
    ],
)
async def test_what_is_for_this_machine_alone_is_refused_to_others(line: Line, peer: Any, here: bool) -> None:
    line.transport.peer = peer
    await line.say([2, 101, {"target": "/somewhere"}])
    [[_, status, error]] = line.heard()
    # This house has no service for it, so whoever may ask hears that.
    assert (status, error[0]) == (1, "InvalidAction" if here else "AccessDenied")
