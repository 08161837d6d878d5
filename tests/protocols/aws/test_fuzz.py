"""Nearly right requests in great number: there is always an answer, and it is never the daemon's fault."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon import Daemon
from tests.protocols.aws.fuzz import Fuzz
from tests.protocols.aws.raw import Answer, Http

FINE = {200, 400, 403, 404, 405, 413}


TOGETHER = 16
"""Connections with a request each, so that they share commits."""


def fuzz(daemon: Daemon, seed: int, requests: int) -> int:
    """Send so many requests of this seed; gives how many were taken for what they said."""
    made, good = Fuzz(seed), 0
    peers = [Http(daemon.endpoint) for _ in range(TOGETHER)]
    try:
        for name, given in (("fuzz", {}), ("fuzz.fifo", {"FifoQueue": "true"})):
            peers[0].json("CreateQueue", {"QueueName": name, "Attributes": given})
        for _ in range(requests // TOGETHER):
            asked = [made.request(peer.host) for peer in peers]
            for peer, request in zip(peers, asked, strict=True):
                peer.send(request)
            for place, (peer, request) in enumerate(zip(list(peers), asked, strict=True)):
                answer = take(peer, request)
                good += answer.status == 200
                if answer.headers.get("connection") == "close":
                    peer.close()
                    peers[place] = Http(daemon.endpoint)
    finally:
        for peer in peers:
            peer.close()
    return good


def take(peer: Http, request: bytes) -> Answer:
    try:
        answer = peer.take()
    except EOFError:
        pytest.fail(f"no answer to {request!r}")
    assert answer.status in FINE, (request, answer.status, answer.body)
    assert "x-amzn-requestid" in answer.headers, request
    assert b"Traceback" not in answer.body
    return answer


def healthy(daemon: Daemon) -> None:
    with Http(daemon.endpoint) as http:
        assert http.ask("GET", "/health").status == 200
    assert daemon.code is None
    assert not daemon.said
    assert [line for line in daemon.log if line["level"] in {"error", "critical"}] == []


def test_nothing_is_the_daemon_s_fault(daemon: Daemon) -> None:
    good = sum(fuzz(daemon, seed, 320) for seed in range(10))
    healthy(daemon)
    assert good > 320  # a good part of it is right, or nothing would be reached


@pytest.mark.proof
def test_nothing_is_the_daemon_s_fault_in_a_hundred_thousand_requests(tmp_path: Path) -> None:
    with Daemon(tmp_path, http="127.0.0.1:0") as daemon:

        @given(st.integers(0, 2**64))
        @settings(max_examples=500)
        def all_of_them(seed: int) -> None:
            fuzz(daemon, seed, 208)

        all_of_them()
        healthy(daemon)
