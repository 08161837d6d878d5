"""HTTP itself: what peers may do to it, and that nobody else notices."""

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import PATIENCE, Daemon
from tests.protocols.aws.raw import JSON, Http

SEND = {"Content-Type": JSON, "X-Amz-Target": "AmazonSQS.SendMessage"}
LIST = {"Content-Type": JSON, "X-Amz-Target": "AmazonSQS.ListQueues"}


@pytest.fixture
def url(http: Http) -> str:
    made: str = http.json("CreateQueue", {"QueueName": "http"}).json["QueueUrl"]
    http.json("PurgeQueue", {"QueueUrl": made})
    return made


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon whose patience and limits are small."""
    flags = [
        *("--http-header-timeout", "0.3", "--http-body-timeout", "0.3", "--http-idle-timeout", "1"),
        *("--http-write-timeout", "0.5", "--http-max-connections", "20", "--http-max-header", "2048"),
        *("--http-max-body", "2097152"),
    ]
    with Daemon(tmp_path_factory.mktemp("hasty"), *flags, http="127.0.0.1:0") as running:
        yield running


def body_of(url: str, text: str = "x") -> bytes:
    return json.dumps({"QueueUrl": url, "MessageBody": text}).encode()


# What must work


def test_many_requests_on_one_connection_at_once_are_answered_in_order(http: Http, url: str) -> None:
    bodies = [f"pipelined {n}" for n in range(50)]
    http.send(b"".join(http.request("POST", "/", SEND, body_of(url, each)) for each in bodies))
    assert [http.take().status for _ in bodies] == [200] * len(bodies)
    got: list[str] = []
    while len(got) < len(bodies):
        said = http.json("ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": 10})
        got += [message["Body"] for message in said.json["Messages"]]
    assert got == bodies


def test_a_client_that_asks_first_is_told_to_go_on(http: Http, url: str) -> None:
    body = body_of(url)
    head = http.request("POST", "/", SEND | {"Expect": "100-continue", "Content-Length": str(len(body))})
    http.send(head)
    assert http._line() == "HTTP/1.1 100 Continue"
    http.send(body)
    assert http._line() == ""
    assert http.take().status == 200


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_bodies_may_be_packed(http: Http, url: str, pack: Any) -> None:
    coding = "gzip" if pack is gzip.compress else "deflate"
    said = http.ask("POST", "/", SEND | {"Content-Encoding": coding}, pack(body_of(url)))
    assert said.status == 200, said.body


def test_bodies_may_come_in_chunks(http: Http, url: str) -> None:
    body = body_of(url)
    head = [f"{name}: {value}" for name, value in (SEND | {"Transfer-Encoding": "chunked"}).items()]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    lines = ["POST / HTTP/1.1", f"Host: {http.host}", *head]
    http.send("\r\n".join(lines).encode() + b"\r\n\r\n" + chunks)
    assert http.take().status == 200


def test_health_and_heads_and_methods(http: Http) -> None:
    assert http.ask("GET", "/health").json == {"status": "ok"}
    assert (http.ask("HEAD", "/").status, http.ask("HEAD", "/health").status) == (200, 200)
    for method in ("PUT", "DELETE", "PATCH"):
        said = http.ask(method, "/")
        assert (said.status, said.headers["allow"]) == (405, "GET, POST, HEAD, OPTIONS")


# Browsers


def test_a_page_of_this_machine_may_call(http: Http, url: str) -> None:
    origin = {"Origin": "http://localhost:3000"}
    asked = origin | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-amz-target",
    }
    beforehand = http.ask("OPTIONS", "/", asked)
    assert beforehand.status == 200
    assert beforehand.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert beforehand.headers["access-control-allow-headers"] == "x-amz-target"
    said = http.json("SendMessage", {"QueueUrl": url, "MessageBody": "x"}, headers=origin)
    assert (said.status, said.headers["access-control-allow-origin"]) == (200, "http://localhost:3000")
    assert "x-amzn-query-error" in said.headers["access-control-expose-headers"]


def test_a_page_of_elsewhere_may_not(http: Http, url: str) -> None:
    origin = {"Origin": "https://evil.example"}
    assert "access-control-allow-origin" not in http.ask("OPTIONS", "/", origin).headers
    said = http.json("SendMessage", {"QueueUrl": url, "MessageBody": "x"}, headers=origin)
    assert (said.status, said.headers["x-amzn-query-error"]) == (403, "AccessDenied;Sender")
    # A page in a frame can have no origin at all, wherever it is from.
    assert http.json("ListQueues", {}, headers={"Origin": "null"}).status == 403
    # A form needs no question beforehand: it is the call itself that is refused.
    form = b"Action=SendMessage&MessageBody=x"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert http.ask("POST", "/000000000000/http", origin | kind, form).status == 403
    assert http.json("ReceiveMessage", {"QueueUrl": url}).json == {}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("localhost:4566", 200), ("127.0.0.1:4566", 200), ("[::1]:4566", 200), ("queues:4566", 200)),
        *(("queues.localhost", 200), ("evil.example", 403), ("evil.example:4566", 403), ("1.2.3.evil", 403)),
    ],
)
def test_a_name_that_was_made_to_lead_here_gets_nothing_by_get(http: Http, host: str, status: int) -> None:
    assert http.ask("GET", "/?Action=ListQueues", {"Host": host}).status == status


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.1:1", 200), ("prometheus", 200), ("evil.example", 403)]
)
def test_nor_the_metrics(http: Http, host: str, status: int) -> None:
    assert http.ask("GET", "/metrics", {"Host": host}).status == status


def test_names_that_the_settings_give_are_answered(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--http-hosts", "queues.example", http="127.0.0.1:0") as daemon:
        for host, status in (
            ("queues.example:4566", 200),
            ("Queues.Example", 200),
            ("x.queues.example", 403),
        ):
            with Http(daemon.endpoint) as http:
                for path in ("/metrics", "/?Action=ListQueues"):
                    assert http.ask("GET", path, {"Host": host}).status == status
    with (
        Daemon(tmp_path, "--http-metrics", "all", http="127.0.0.1:0") as daemon,
        Http(daemon.endpoint) as http,
    ):
        assert http.ask("GET", "/metrics", {"Host": "evil.example"}).status == 200


# What must not work


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: +5"],
        ["Content-Length: 5, 5"],
        ["Content-Length: -1"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding : chunked"],
        ["X-Folded: a", " b"],
        ["Content-Length : 5"],
        ["No colon"],
    ],
)
def test_what_two_servers_could_read_in_two_ways_is_refused_and_ends_the_connection(
    daemon: Daemon, lines: list[str]
) -> None:
    with Http(daemon.endpoint) as peer:
        head = ["POST / HTTP/1.1", f"Host: {peer.host}", *lines]
        smuggled = peer.request("POST", "/", LIST, b"{}")
        peer.send("\r\n".join(head).encode() + b"\r\n\r\n0\r\n\r\n" + smuggled)
        assert peer.take().status == 400
        assert peer.ended()


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01" * 50,
        b"{}\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(daemon: Daemon, data: bytes) -> None:
    with Http(daemon.endpoint) as peer:
        peer.send(data)
        assert peer.take().status == 400
        assert peer.ended()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"no gzip at all"),
        ("gzip", gzip.compress(b"{}")[:-1]),
        ("gzip", gzip.compress(b"{}") + b"more"),
        ("br", b"{}"),
        ("gzip", gzip.compress(b" " * (64 << 20))),
    ],
    ids=["nothing", "cut", "more", "unknown", "bomb"],
)
def test_what_cannot_be_unpacked(daemon: Daemon, coding: str, body: bytes) -> None:
    with Http(daemon.endpoint) as peer:
        said = peer.ask("POST", "/", LIST | {"Content-Encoding": coding}, body)
        assert said.status == (413 if len(body) > 10_000 else 400)


def test_a_host_that_is_none_gets_no_queue_url(http: Http) -> None:
    said = http.json("CreateQueue", {"QueueName": "host"}, headers={"Host": 'a"b<c>'})
    assert said.status == 400


def test_slow_heads_slow_bodies_and_silence_end(hasty: Daemon) -> None:
    with Http(hasty.endpoint) as slow_head, Http(hasty.endpoint) as slow_body, Http(hasty.endpoint) as silent:
        slow_head.send(b"POST / HTTP/1.1\r\nHost: x\r\n")
        slow_body.send(slow_body.request("POST", "/", LIST | {"Content-Length": "50"}, b"{"))
        assert slow_head.ended()
        assert slow_body.take().status == 408
        assert slow_body.ended()
        assert silent.ended()


def test_a_connection_is_idle_only_after_its_answer(hasty: Daemon) -> None:
    with Http(hasty.endpoint) as peer:
        url = peer.json("CreateQueue", {"QueueName": "idle"}).json["QueueUrl"]
        # A poll that waits longer than idle_timeout is no idle connection.
        assert peer.json("ReceiveMessage", {"QueueUrl": url, "WaitTimeSeconds": 2}).json == {}


def test_what_is_too_large_is_told_so(hasty: Daemon) -> None:
    with Http(hasty.endpoint) as peer:
        said = peer.ask("POST", "/", LIST | {"Content-Length": str(3 << 20)})
        assert said.status == 413
        assert peer.ended()
    with Http(hasty.endpoint) as peer:
        head = [
            "POST / HTTP/1.1",
            "Host: x",
            "X-Amz-Target: AmazonSQS.ListQueues",
            "Transfer-Encoding: chunked",
        ]
        peer.send("\r\n".join(head).encode() + b"\r\n\r\n")

        def pour() -> None:
            try:
                for _ in range(48):
                    peer.send(b"10000\r\n" + b" " * 65536 + b"\r\n")
            except OSError:
                return

        pouring = threading.Thread(target=pour)
        pouring.start()
        assert peer.take().status == 413
        pouring.join()
    for headers in ({"X-Long": "x" * 5000}, {f"X-{n}": "x" for n in range(200)}):
        with Http(hasty.endpoint) as peer:
            assert peer.ask("POST", "/", LIST | headers, b"{}").status == 400
            assert peer.ended()


def test_a_peer_that_takes_nothing_is_cut_off(hasty: Daemon) -> None:
    with Http(hasty.endpoint) as healthy, Http(hasty.endpoint) as peer:
        url = healthy.json("CreateQueue", {"QueueName": "large"}).json["QueueUrl"]
        healthy.json("SendMessage", {"QueueUrl": url, "MessageBody": "x" * (1 << 20)})
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asked = json.dumps({"QueueUrl": url, "VisibilityTimeout": 0}).encode()
        peer.send(peer.request("POST", "/", LIST | {"X-Amz-Target": "AmazonSQS.ReceiveMessage"}, asked) * 20)

        def connections() -> str:
            [line] = [
                line
                for line in healthy.ask("GET", "/metrics").text.splitlines()
                if line.startswith("ropeway_connections") and "http" in line
            ]
            return line.rpartition(" ")[2]

        end = time.monotonic() + PATIENCE
        while float(connections()) > 1:
            assert time.monotonic() < end


def test_connections_beyond_the_limit_are_closed_and_others_go_on(hasty: Daemon) -> None:
    held = [Http(hasty.endpoint) for _ in range(20)]
    try:
        assert held[0].ask("GET", "/health").status == 200
        with Http(hasty.endpoint) as late:
            assert late.ended()
        assert held[0].ask("GET", "/health").status == 200
    finally:
        for each in held:
            each.close()


def waiting(daemon: Daemon, polls: int) -> None:
    """Wait until so many long polls wait."""
    end = time.monotonic() + PATIENCE
    with Http(daemon.endpoint) as watcher:
        while f"\nropeway_long_polls {polls}" not in watcher.ask("GET", "/metrics").text:
            assert time.monotonic() < end


def test_a_client_that_leaves_its_long_poll_takes_no_message(daemon: Daemon, http: Http, url: str) -> None:
    poll = {"QueueUrl": url, "WaitTimeSeconds": 20}
    body = json.dumps(poll).encode()
    leaving = [Http(daemon.endpoint) for _ in range(5)]
    for each in leaving:
        each.send(each.request("POST", "/", LIST | {"X-Amz-Target": "AmazonSQS.ReceiveMessage"}, body))
    waiting(daemon, 5)
    for each in leaving:
        each.close()
    waiting(daemon, 0)
    # Whoever asks now waits behind them all.
    http.send(http.request("POST", "/", LIST | {"X-Amz-Target": "AmazonSQS.ReceiveMessage"}, body))
    with Http(daemon.endpoint) as sender:
        sender.json("SendMessage", {"QueueUrl": url, "MessageBody": "for the one who stays"})

    assert [message["Body"] for message in http.take().json["Messages"]] == ["for the one who stays"]


def test_a_stop_answers_the_long_polls(tmp_path: Path) -> None:
    with Daemon(tmp_path, http="127.0.0.1:0") as daemon, Http(daemon.endpoint) as peer:
        url = peer.json("CreateQueue", {"QueueName": "stop"}).json["QueueUrl"]
        body = json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20}).encode()
        peer.send(peer.request("POST", "/", LIST | {"X-Amz-Target": "AmazonSQS.ReceiveMessage"}, body))
        with Http(daemon.endpoint) as other:
            assert other.json("ListQueues", {}).status == 200  # the poll has been read
        with Http(daemon.endpoint) as idle:
            assert idle.ask("GET", "/health").status == 200
            assert daemon.stop() == 0
            assert peer.take().body == b"{}"
            assert idle.ended()


def test_the_daemon_had_nothing_to_complain_of(daemon: Daemon, hasty: Daemon) -> None:
    for each in (daemon, hasty):
        assert each.code is None
        assert not each.said
        assert [line for line in each.log if line["level"] in {"error", "critical"}] == []
