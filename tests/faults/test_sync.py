"""A real daemon whose syncs fail, or are slow: it says so and exits, and a restart has all that was
acknowledged."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bench.shim import compiled
from ropewayd.exits import CLEAN, IO
from tests.daemon import PATIENCE, Daemon, Ended
from tests.service.wire import CREATE_QUEUE, RECEIVE, Wire

pytestmark = pytest.mark.needs("gcc")

QUEUE = "jobs"
MESSAGES = 12
GONE = (EOFError, OSError, RuntimeError)
"""The connection has ended, or the answer was an error: either way it was not acknowledged."""


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("shim"))


def daemon_with(shim: Path, directory: Path, **environ: object) -> Daemon:
    return Daemon(
        directory, environ={"LD_PRELOAD": str(shim), **{name: str(value) for name, value in environ.items()}}
    )


def work(address: str) -> tuple[list[str], list[str]]:
    """Send until it goes no further; give the bodies that were acknowledged, and those that were tried."""
    acknowledged: list[str] = []
    tried: list[str] = []
    try:
        with Wire(address) as wire:
            wire.call(CREATE_QUEUE, {"queue": QUEUE})
            for number in range(MESSAGES):
                tried.append(f"job {number} {'x' * 3000}")
                wire.send(QUEUE, tried[-1])
                acknowledged.append(tried[-1])
    except GONE:
        pass
    return acknowledged, tried


def hold(shim: Path, directory: Path, acknowledged: list[str], tried: list[str]) -> None:
    """All that was acknowledged is there once, and nothing that was never sent."""
    with (
        daemon_with(shim, directory) as daemon,
        Wire(daemon.addresses[0]) as wire,
    ):
        wire.call(CREATE_QUEUE, {"queue": QUEUE})
        found = wire.receive(QUEUE, max_messages=1000)
    assert sorted(set(found)) == sorted(found)
    assert set(acknowledged) <= set(found) <= set(tried)


def fail_at(shim: Path, directory: Path, number: int) -> tuple[int, str]:
    """A daemon's life whose sync of this number fails; give its exit code and its last words."""
    directory.mkdir()
    daemon = daemon_with(shim, directory, SYNC_FAIL_AT=number)
    acknowledged: list[str] = []
    tried: list[str] = []
    try:
        daemon.start()
        acknowledged, tried = work(daemon.addresses[0])
        code = daemon.stop() if len(acknowledged) == MESSAGES else daemon.wait()
    except Ended:
        code = daemon.wait()
    hold(shim, directory, acknowledged, tried)
    return code, daemon.said + " ".join(line["event"] for line in daemon.log if line["level"] == "error")


def judge(code: int, said: str) -> None:
    assert "Traceback" not in said
    assert code in {CLEAN, IO}, said
    if code == IO:
        assert "The disk failed" in said


@pytest.mark.parametrize("number", [2, 14])
def test_a_sync_that_fails_ends_the_daemon(shim: Path, tmp_path: Path, number: int) -> None:
    code, said = fail_at(shim, tmp_path / "daemon", number)
    judge(code, said)
    assert code == IO, said


def test_a_daemon_that_has_failed_waits_for_no_peer(shim: Path, tmp_path: Path) -> None:
    """Who waits is told, as far as he reads; the drain's patience is for stops that somebody asked for."""
    flag = tmp_path / "fail"
    environ = {"LD_PRELOAD": str(shim), "SYNC_FAIL_FILE": str(flag)}
    with (
        Daemon(tmp_path, "--drain-timeout", "3600", http="127.0.0.1:0", environ=environ) as daemon,
        Wire(daemon.addresses[0]) as sender,
        Wire(daemon.addresses[0]),
        Wire(daemon.addresses[0]) as waiting,
        Wire(daemon.addresses[0]) as deaf,
        socket.create_connection(("127.0.0.1", int(daemon.endpoint.rpartition(":")[2])), PATIENCE) as half,
    ):
        for queue in (QUEUE, "empty"):
            sender.call(CREATE_QUEUE, {"queue": queue})
        sender.send(QUEUE, *["x" * 1_000_000] * 5)
        for _ in range(5):
            deaf.ask(RECEIVE, {"queue": QUEUE, "max_messages": 5, "visibility_timeout": 0})
        half.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n")
        asked = waiting.ask(RECEIVE, {"queue": "empty", "wait": 20_000})
        waiting.call(CREATE_QUEUE, {"queue": "empty"})  # when this is answered, the poll waits
        flag.touch()
        with pytest.raises(GONE):
            sender.send(QUEUE, "x")
        number, status, error = waiting.take()
        assert (number, status, error[0]) == (asked, 1, "ServiceUnavailable")
        assert daemon.wait() == IO
    assert "The disk failed" in daemon.log[-1]["event"]


@pytest.mark.proof
def test_each_sync_fails_in_turn(shim: Path, tmp_path: Path) -> None:
    codes = []
    for number in range(1, 200):
        code, said = fail_at(shim, tmp_path / str(number), number)
        judge(code, said)
        codes.append(code)
        if code == CLEAN and codes[-3:] == [CLEAN] * 3:
            break
    assert codes.count(IO) > 15, codes
    assert codes[-1] == CLEAN, codes


def test_slow_syncs_are_waited_for(shim: Path, tmp_path: Path) -> None:
    daemon = daemon_with(shim, tmp_path, SYNC_SLOW_MS=30, SYNC_COUNT=tmp_path / "count")
    with daemon:
        acknowledged, tried = work(daemon.addresses[0])
    assert daemon.code == CLEAN
    assert acknowledged == tried
    assert len(acknowledged) == MESSAGES
    # One at a time: each had a sync of its own.
    assert int((tmp_path / "count").read_text()) > MESSAGES
    hold(shim, tmp_path, acknowledged, tried)
