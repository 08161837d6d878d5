"""An idle daemon is given its queues and its polls, and each poll is renewed when it ends."""

from pathlib import Path

import pytest

from bench.contestants import Daemon
from bench.idle import idle
from bench.wire import QUEUE, RopewayWire, UnexpectedAnswer, call, dial


def test_polls_are_renewed_as_they_end(tmp_path: Path) -> None:
    server = Daemon().start(tmp_path / "server")
    try:
        quiet = idle(server, queues=3, polls=5, seconds=0.5, poll_ms=100)
    finally:
        server.stop()
    assert (quiet.queues, quiet.polls) == (3, 5)
    assert quiet.renewals >= 5
    assert quiet.seconds >= 0.5
    assert quiet.share > 0


def test_a_poll_that_brings_a_message_is_no_idle_daemon(tmp_path: Path) -> None:
    server = Daemon().start(tmp_path / "server")
    try:
        with dial(server.port) as connection:
            wire = RopewayWire("idle-0")
            wire.greet(connection)
            wire.create(connection)
            call(connection, wire, wire.send(1, [b"somebody is at work"]))
        with pytest.raises(UnexpectedAnswer):
            idle(server, queues=1, polls=1, seconds=0.5, poll_ms=100)
        with dial(server.port) as connection:
            wire = RopewayWire(QUEUE)
            wire.greet(connection)
            assert wire.left(connection) == 0
    finally:
        server.stop()
