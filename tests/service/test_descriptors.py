"""File descriptors: the limit is raised, and where there are too few the store has its own all the same."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewayd.descriptors import BESIDE, make_room
from tests.daemon import Daemon
from tests.protocols.aws.raw import Http
from tests.protocols.peer import Peer

FILES = 100


@pytest.fixture
def _descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("_descriptors")
def test_the_limit_on_open_files_is_raised_as_far_as_it_goes(capfd: pytest.CaptureFixture[str]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    assert make_room(300) == 300
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (364, hard)
    assert make_room(100) == 100
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (364, hard)
    assert "open files" not in capfd.readouterr().out
    assert make_room(1_000_000_000) == hard - BESIDE
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    assert "open files" in capfd.readouterr().out


def test_where_there_are_too_few_connections_are_refused_and_nothing_else_is(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, http="127.0.0.1:0")
    daemon.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES)))
    try:
        [said] = [line for line in daemon.log if "open files" in line["event"]]
        assert (said["level"], said["connections"]) == ("warning", FILES - BESIDE)
        half = (FILES - BESIDE) // 2
        peers = [Peer(daemon.addresses[0]) for _ in range(half)]
        clients = [Http(daemon.endpoint) for _ in range(half)]
        assert [each.ask("GET", "/health").status for each in clients] == [200] * half
        for _ in range(50):
            with Peer(daemon.addresses[0], hello=False, greeted=False) as refused:
                [[_, status, error]] = list(refused.rest())
                assert (status, error[0]) == (1, "OverLimit")
            with Http(daemon.endpoint) as late:
                assert late.ended()
        url = clients[0].json("CreateQueue", {"QueueName": "there"}).json["QueueUrl"]
        assert clients[0].json("SendMessage", {"QueueUrl": url, "MessageBody": "x"}).status == 200
        for peer in peers:
            peer.close()
        for client in clients:
            client.close()
    finally:
        assert daemon.stop() == 0
