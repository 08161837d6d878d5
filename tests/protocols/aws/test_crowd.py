"""Thousands of long polls and idle connections at once: what each costs, and that the others are served."""

import json
import resource
import selectors
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.protocols.aws.raw import Http
from tests.protocols.peer import resident

POLLS = 10_000
IDLE = 2000
EACH = 32 << 10
"""Bytes that a connection with a waiting call may cost the daemon."""


@pytest.fixture
def open_files() -> Iterator[None]:
    """Let this process have the file descriptors that it needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = POLLS + IDLE + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"the system lets a process have {hard} open files, and {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answered(peers: list[Http], most: int) -> list[Http]:
    """The first so many that have an answer to take."""
    found: dict[Http, None] = {}
    with selectors.PollSelector() as selector:
        for peer in peers:
            selector.register(peer.socket, selectors.EVENT_READ, peer)
        while len(found) < most:
            found |= dict.fromkeys(key.data for key, _ in selector.select())
    return list(found)[:most]


@pytest.mark.proof
def test_thousands_of_long_polls_wait_in_line_and_nobody_notices(tmp_path: Path, open_files: None) -> None:
    with Daemon(tmp_path, http="127.0.0.1:0") as daemon, Http(daemon.endpoint) as healthy:
        url = healthy.json("CreateQueue", {"QueueName": "crowd"}).json["QueueUrl"]
        before = resident(daemon)
        poll = json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20}).encode()
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.ReceiveMessage"}
        idle = [Http(daemon.endpoint) for _ in range(IDLE)]
        polls = []
        for _ in range(POLLS):
            peer = Http(daemon.endpoint)
            peer.send(peer.request("POST", "/", headers, poll))
            polls.append(peer)
        try:
            end = time.monotonic() + 20
            while f"\nropeway_long_polls {POLLS}" not in healthy.ask("GET", "/metrics").text:
                assert time.monotonic() < end, "the first waits no longer, and the last does not wait yet"
            assert resident(daemon) - before < (POLLS + IDLE) * EACH
            for first in range(0, 100, 10):
                entries = [{"Id": str(n), "MessageBody": str(first + n)} for n in range(10)]
                sent = healthy.json("SendMessageBatch", {"QueueUrl": url, "Entries": entries})
                assert len(sent.json["Successful"]) == 10
            # Each message is one poll's, and each poll has one.
            got = [peer.take().json["Messages"] for peer in answered(polls, 100)]
            assert sorted(int(message["Body"]) for [message] in got) == list(range(100))
            assert healthy.ask("GET", "/health").status == 200
        finally:
            for peer in [*idle, *polls]:
                peer.close()
    assert daemon.code == 0
