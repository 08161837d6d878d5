"""What happens when the peer is gone, slow or hostile; and what is asked again, and what never is."""

import asyncio
import re
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

import ropeway
from ropeway import link as linking
from ropeway.wire import ELEMENTS_LIMIT, FRAME_LIMIT
from tests.clients.peer import Peer, Shelf, error, pack_frame, reached, set_timeout
from tests.daemon import PATIENCE

PING, CREATE, GET, SEND, RECEIVE, DELETE, CHANGE = 1, 10, 13, 20, 21, 22, 23
LIMITS = {"frame": 1000, "requests": 5, "bytes": 5000, "batch": 10}
GREETING = {
    "protocol": "ropeway",
    "versions": [1, 1],
    "server": "peer/1",
    "nonce": bytes(32),
    "keys": False,
    "limits": LIMITS,
}


def raw(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


# Hostile peers.


@pytest.mark.parametrize(
    "greeting",
    [
        raw(b"\xc1"),
        struct.pack(">I", 0),
        struct.pack(">I", FRAME_LIMIT),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        pack_frame([0, 0, {}]),
        pack_frame([0, 0, GREETING | {"protocol": "other"}]),
        pack_frame([0, 0, GREETING | {"versions": [2, 3]}]),
        pack_frame([0, 0, GREETING | {"nonce": b"short"}]),
        pack_frame([0, 0, GREETING | {"limits": LIMITS | {"requests": 0}}]),
        pack_frame([5, 0, GREETING]),
        pack_frame("hello"),
        raw(b"\x91" * 60000),
        raw(b"\xdd\xff\xff\xff\xff"),
    ],
)
async def test_what_does_not_greet_as_a_daemon_is_refused(peer: Peer, greeting: bytes) -> None:
    peer.greeting = greeting
    with pytest.raises(ropeway.ProtocolError):
        await ropeway.connect(peer.url, timeout=5).open()


HOSTILE = {
    "a frame over the limit": struct.pack(">I", FRAME_LIMIT + 1),
    "a frame of no bytes": struct.pack(">I", 0),
    "no msgpack": raw(b"\xc1"),
    "bytes after the value": raw(b"\x93\x01\x00\xc0\xc0"),
    "text that is no UTF-8": raw(b"\x93\x01\x00\xa1\xff"),
    "an array that claims millions": raw(b"\x93\x01\x00\xdd\x00\xff\xff\xff" + b"\xc0" * 100),
    "nested arrays that claim much": raw(b"\x93\x01\x00" + b"\xdc\xff\xff" * 500),
    "more elements than any answer has": raw(b"\x93\x01\x00" + msgpack.packb([None] * (ELEMENTS_LIMIT + 1))),
    "deep nesting": raw(b"\x91" * 100_000),
    "an answer nobody asked for": pack_frame([4_000_000, 0, {}]),
    "no answer at all": pack_frame({"a": 1}),
    "an error of another shape": pack_frame([2, 1, "broken"]),
    "a third kind of answer": pack_frame([2, 7, None]),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
async def test_bytes_that_are_not_the_protocol_end_the_connection_and_not_the_broker(
    peer: Peer, broker: ropeway.Broker, data: bytes
) -> None:
    jobs = await broker.create_queue("jobs")
    peer.deaf = {SEND}
    sending = asyncio.create_task(jobs.send("a"))
    await peer.until(lambda: SEND in peer.names())
    peer.say(data)
    with pytest.raises(ropeway.ConnectionLost, match="may or may not"):
        await sending
    await broker.ping()
    assert peer.connections == 2


WRONG_RESULTS: dict[str, tuple[int, Any]] = {
    "ids of the wrong length": (SEND, [b"short"]),
    "ids for two": (SEND, [bytes(16), bytes(16)]),
    "nil for an id": (SEND, [None]),
    "a map for a list": (SEND, {}),
    "an error that is none": (SEND, [["code"]]),
    "messages that are none": (RECEIVE, [["a"]]),
    "a message id of the wrong length": (RECEIVE, [[b"id", b"h", "body", 1, 1, 1, None]]),
    "a map for messages": (RECEIVE, {}),
    "a list of attributes": (GET, [1]),
}


@pytest.mark.parametrize(("action", "result"), WRONG_RESULTS.values(), ids=WRONG_RESULTS.keys())
async def test_a_result_of_the_wrong_shape_is_a_protocol_error(
    peer: Peer, broker: ropeway.Broker, action: int, result: object
) -> None:
    jobs = await broker.create_queue("jobs")
    peer.script[action] = lambda params: (0, result)
    calls: dict[int, Callable[[], Awaitable[object]]] = {
        SEND: lambda: jobs.send("a"),
        RECEIVE: jobs.receive,
        GET: jobs.attributes,
    }
    with pytest.raises(ropeway.ProtocolError):
        await calls[action]()
    await broker.ping()


async def test_frames_may_come_in_any_pieces(peer: Peer, broker: ropeway.Broker) -> None:
    jobs = await broker.create_queue("jobs")
    peer.deaf = {RECEIVE}
    waiting = asyncio.create_task(jobs.receive(2))
    await peer.until(lambda: RECEIVE in peer.names())
    messages = [[bytes(16), b"h", "x" * 200_000, 1, 1, 1, None]] * 2
    answer = pack_frame([peer.asked[-1].id, 0, messages])
    for first in range(12):
        peer.say(answer[first : first + 1])
        await asyncio.sleep(0)
    peer.say(answer[12:])
    assert [len(each.body) for each in await waiting] == [200_000] * 2


# Who may come in.


async def test_a_key_is_proved_by_both_sides(peer: Peer) -> None:
    peer.keys = {"me": "geheim"}
    async with ropeway.connect(peer.url, key="me", secret="geheim") as broker:
        await broker.ping()
    assert "geheim" not in repr([each.params for each in peer.asked])
    with pytest.raises(ropeway.AccessDenied):
        await ropeway.connect(peer.url, key="me", secret="guess").open()
    with pytest.raises(ropeway.AccessDenied, match="none was given"):
        await ropeway.connect(peer.url).open()


async def test_a_daemon_that_cannot_prove_the_secret_is_refused(peer: Peer) -> None:
    peer.keys = {"me": "geheim"}
    peer.proves = False
    with pytest.raises(ropeway.AccessDenied, match="did not prove"):
        await ropeway.connect(peer.url, key="me", secret="geheim").open()
    peer.keys = {}
    with pytest.raises(ropeway.AccessDenied, match=r"did not prove.*requires no keys"):
        await ropeway.connect(peer.url, key="me", secret="geheim").open()


async def test_what_the_daemon_says_instead_of_a_greeting_is_raised(peer: Peer) -> None:
    peer.greeting = pack_frame([0, 1, ["OverLimit", "too many connections", None]])
    with pytest.raises(ropeway.OverLimit, match="too many connections"):
        await ropeway.connect(peer.url).open()


async def test_no_daemon_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ropeway.ConnectionFailed, match=re.escape(f"unix:{tmp_path}/none")):
        await ropeway.connect(f"unix:{tmp_path}/none").open()


async def test_a_peer_that_says_nothing_is_given_up(peer: Peer) -> None:
    peer.greeting = b""
    with pytest.raises(ropeway.ConnectionFailed, match="no daemon answered"):
        await ropeway.connect(peer.url, timeout=0.05).open()


# What is asked again.


async def test_what_may_be_repeated_is_repeated_on_the_next_connection(
    peer: Peer, broker: ropeway.Broker
) -> None:
    jobs = await broker.create_queue("jobs")
    await jobs.send("a")
    peer.cut_on = {PING, CREATE, GET, RECEIVE, DELETE, CHANGE}
    await broker.ping()
    await broker.create_queue("jobs")
    await jobs.attributes()
    [message] = await jobs.receive()
    await message.extend(10)
    await message.delete()
    assert [each for each in peer.names() if each != 0] == [
        CREATE,
        SEND,
        *(each for action in (PING, CREATE, GET, RECEIVE, CHANGE, DELETE) for each in (action, action)),
    ]
    assert peer.connections == 7


@pytest.mark.parametrize("name", ["send", "purge", "delete"])
async def test_what_may_not_be_repeated_is_not(peer: Peer, broker: ropeway.Broker, name: str) -> None:
    jobs = await broker.create_queue("jobs")
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "send": lambda: jobs.send("a"),
        "purge": jobs.purge,
        "delete": jobs.delete,
    }
    peer.cut_on = {11, 15, SEND}
    with pytest.raises(ropeway.ConnectionLost, match="may or may not"):
        await calls[name]()
    await broker.ping()
    assert len([each for each in peer.names() if each in {11, 15, SEND}]) == 1


@pytest.mark.parametrize("name", ["jobs.fifo", "jobs"])
async def test_a_send_that_the_daemon_would_recognise_is_repeated(
    peer: Peer, broker: ropeway.Broker, name: str
) -> None:
    await broker.create_queue(name)
    jobs = broker.queue(name, exactly_once=True)
    peer.cut_on = {SEND}
    sent = await jobs.send_many(["a", ropeway.Outgoing("b", group="g", deduplication_id="7")])
    first, again = (each["entries"] for each in peer.params(SEND))
    assert first == again
    assert "token" in first[0]
    assert "token" not in first[1]
    assert len(sent) == 2
    # Each message has a token of its own.
    await jobs.send("c")
    assert peer.params(SEND)[-1]["entries"][0]["token"] != first[0]["token"]


async def test_a_send_of_which_nothing_was_written_waits_for_the_next_connection(
    peer: Peer, broker: ropeway.Broker
) -> None:
    jobs = await broker.create_queue("jobs")
    await peer.stop()
    await asyncio.sleep(0)
    await reached(lambda: not broker.link.connected)
    sending = asyncio.create_task(jobs.send("a"))
    await asyncio.sleep(0)
    await peer.start()
    await sending
    assert [each.body for each in peer.queues["jobs"].messages] == ["a"]


async def test_behind_a_full_socket_sends_wait_and_survive_a_cut(tmp_path: Path) -> None:
    """The peer reads nothing: some sends are on their way, and the others must not be called lost."""
    reading = asyncio.Event()
    served = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer)
        if len(served) > 1:
            return await peer._serve(reader, writer)
        writer.write(pack_frame([0, 0, GREETING | {"limits": peer.limits}]))
        (length,) = struct.unpack(">I", await reader.readexactly(4))
        request_id = msgpack.unpackb(await reader.readexactly(length))[0]
        writer.write(pack_frame([request_id, 0, {"version": 1, "proof": None}]))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await reading.wait()
        writer.transport.abort()
        return None

    peer = Peer(tmp_path / "deaf")
    server = await asyncio.start_unix_server(serve, peer.path, limit=1000)
    async with ropeway.connect(peer.url, timeout=20) as broker:
        bodies = [f"{index:03} " + "x" * 500_000 for index in range(30)]
        peer.queues["jobs"] = Shelf({})
        sends = [asyncio.create_task(broker.queue("jobs").send(body)) for body in bodies]
        await reached(lambda: broker.link._out and broker.link._waiting)
        reading.set()
        results = await asyncio.gather(*sends, return_exceptions=True)
    server.close()
    lost = [body for body, result in zip(bodies, results, strict=True) if not isinstance(result, str)]
    assert all(isinstance(each, str | ropeway.ConnectionLost) for each in results)
    assert 0 < len(lost) < len(bodies)
    arrived = [each.body for each in peer.queues["jobs"].messages]
    assert sorted(arrived) == sorted(set(bodies) - set(lost))
    for task in peer._tasks:
        task.cancel()


async def test_an_unavailable_daemon_is_asked_again_until_the_deadline(
    peer: Peer, broker: ropeway.Broker
) -> None:
    jobs = await broker.create_queue("jobs")
    answers = [error("ServiceUnavailable"), error("ServiceUnavailable")]
    peer.script[SEND] = lambda params: answers.pop() if answers else None
    await jobs.send("a")
    assert peer.names().count(SEND) == 3
    peer.script[SEND] = lambda params: error("ServiceUnavailable", "stopping")
    async with ropeway.connect(peer.url, timeout=0.2) as hasty:
        with pytest.raises((ropeway.ServiceUnavailable, ropeway.DeadlineExceeded)):
            await hasty.queue("jobs").send("a")


async def test_every_call_has_a_deadline(peer: Peer) -> None:
    peer.deaf = {PING, SEND, RECEIVE}
    async with ropeway.connect(peer.url) as broker:
        set_timeout(broker, 0.05)
        with pytest.raises(ropeway.DeadlineExceeded, match="no answer to Ping within"):
            await broker.ping()
    async with ropeway.connect(peer.url) as broker:
        set_timeout(broker, 0.05)
        with pytest.raises(TimeoutError, match="may or may not"):
            await broker.queue("jobs").send("a")
    async with ropeway.connect(peer.url) as broker:
        set_timeout(broker, 0.05)
        with pytest.raises(ropeway.DeadlineExceeded):
            await broker.queue("jobs").receive(wait=0.05)


async def test_after_a_deadline_in_silence_the_next_call_gets_a_new_connection(peer: Peer) -> None:
    peer.deaf = {PING}
    async with ropeway.connect(peer.url) as broker:
        set_timeout(broker, 0.05)
        with pytest.raises(ropeway.DeadlineExceeded):
            await broker.ping()
        set_timeout(broker, PATIENCE)
        peer.deaf = set()
        await broker.ping()
        assert peer.connections == 2


async def test_an_absent_daemon_is_sought_until_the_deadline(peer: Peer) -> None:
    async with ropeway.connect(peer.url, timeout=0.2) as broker:
        await peer.stop()
        with pytest.raises(ropeway.DeadlineExceeded, match=r"cannot connect|closed the connection"):
            await broker.ping()
        set_timeout(broker, PATIENCE)
        await peer.start()
        await broker.ping()


async def test_a_key_that_no_longer_counts_fails_the_calls_that_wait(peer: Peer) -> None:
    peer.keys = {"me": "geheim"}
    async with ropeway.connect(peer.url, key="me", secret="geheim") as broker:
        peer.keys = {"me": "changed"}
        peer.cut()
        with pytest.raises(ropeway.AccessDenied):
            await broker.ping()


async def test_the_reason_that_the_daemon_gives_for_hanging_up_is_raised(
    peer: Peer, broker: ropeway.Broker
) -> None:
    peer.deaf = {PING}
    pinging = asyncio.create_task(broker.ping())
    await peer.until(lambda: PING in peer.names())
    peer.say(pack_frame([0, 1, ["MalformedRequest", "that was too much", None]]))
    with pytest.raises(ropeway.MalformedRequest, match="too much"):
        await pinging


# Flow control.


async def test_no_more_requests_are_out_than_the_daemon_allows(peer: Peer) -> None:
    peer.limits["requests"] = 3
    async with ropeway.connect(peer.url) as broker:
        peer.deaf = {PING}
        pings = [asyncio.create_task(broker.ping()) for _ in range(10)]
        await peer.until(lambda: peer.names().count(PING) == 3)
        for each in peer.asked[1:4]:
            peer.say(pack_frame([each.id, 0, {}]))
        peer._outstanding[1] -= 3
        await peer.until(lambda: peer.names().count(PING) == 6)
        peer.deaf = set()
        for each in peer.asked[4:7]:
            peer.say(pack_frame([each.id, 0, {}]))
        peer._outstanding[1] -= 3
        await asyncio.gather(*pings)
    assert peer.most_outstanding == 3


async def test_no_more_bytes_are_out_than_the_daemon_allows(peer: Peer) -> None:
    peer.limits |= {"bytes": 10_000, "frame": 6_000}
    async with ropeway.connect(peer.url) as broker:
        jobs = await broker.create_queue("jobs")
        peer.deaf = {SEND}
        sends = [asyncio.create_task(jobs.send("x" * 4000)) for _ in range(5)]
        await peer.until(lambda: peer.names().count(SEND) == 2)
        for index in range(2, 6):
            # Each answer lets one more out, and never two.
            asked = [each for each in peer.asked if each.action == SEND][index - 2]
            peer.say(pack_frame([asked.id, 0, [bytes(16)]]))
            if index < 5:
                await peer.until(lambda index=index: peer.names().count(SEND) == index + 1)  # type: ignore[misc]
                assert len(broker.link._out) == 2
        last = peer.asked[-1]
        peer.say(pack_frame([last.id, 0, [bytes(16)]]))
        await asyncio.gather(*sends)
        with pytest.raises(ropeway.InvalidParameterValue, match="over the 6004 bytes"):
            await jobs.send("x" * 7000)


# What is left behind.


async def test_closing_fails_what_waits_and_leaves_nothing(peer: Peer) -> None:
    before = asyncio.all_tasks()
    peer.deaf = {PING}
    async with ropeway.connect(peer.url) as broker:
        pinging = asyncio.create_task(broker.ping())
        await peer.until(lambda: PING in peer.names())
    with pytest.raises(ropeway.BrokerClosed):
        await pinging
    with pytest.raises(ropeway.BrokerClosed):
        await broker.ping()
    await peer.until(lambda: not peer._writers)
    assert {each for each in asyncio.all_tasks() - before if "_serve" not in repr(each)} == set()


async def test_closing_while_it_looks_for_the_daemon_ends_at_once(peer: Peer) -> None:
    broker = ropeway.connect(peer.url, timeout=60)
    await broker.open()
    before = asyncio.all_tasks()
    await peer.stop()
    pinging = asyncio.create_task(broker.ping())
    await reached(lambda: broker.link._connector)
    await broker.close()
    with pytest.raises(ropeway.BrokerClosed):
        await pinging
    assert asyncio.all_tasks() <= before
    await peer.start()  # for the fixture


async def test_a_broker_is_opened_once(broker: ropeway.Broker) -> None:
    with pytest.raises(RuntimeError):
        await broker.open()


async def test_the_ids_of_requests_go_round_and_skip_those_that_are_out(
    peer: Peer, broker: ropeway.Broker
) -> None:
    jobs = await broker.create_queue("jobs")
    waiting = asyncio.create_task(jobs.receive(wait=20))
    await peer.until(lambda: RECEIVE in peer.names())
    out = peer.asked[-1].id
    connection = broker.link._connection
    assert connection is not None
    connection._last_id = 2**32 - 2
    for _ in range(out + 1):
        await broker.ping()
    ids = [each.id for each in peer.asked if each.action == PING]
    assert ids == [2**32 - 1, *(each for each in range(1, out + 2) if each != out)]
    await jobs.send("a")
    assert len(await waiting) == 1


def test_reconnecting_backs_off() -> None:
    delays = [linking.RECONNECT.delay(failures) for failures in range(1, 2000)]
    assert 0.02 < delays[0] <= 0.05
    assert max(delays) <= 5
    assert all(each >= 2.5 for each in delays[10:])
    assert len(set(delays)) > 1900
