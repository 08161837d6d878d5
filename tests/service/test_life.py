"""A real daemon from start to stop: readiness, draining, signals, restarts."""

import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.service.wire import CREATE_QUEUE, RECEIVE, SEND, Wire

LONG_POLL = {"queue": "jobs", "wait": 20_000}


def test_it_says_start_ready_and_stop_and_nothing_else(tmp_path: Path) -> None:
    listen = ["127.0.0.1:0", f"unix:{tmp_path / 'socket'}"]
    with Daemon(tmp_path, listen=listen) as daemon:
        for address in daemon.addresses:
            with Wire(address) as wire:
                assert wire.greeting["protocol"] == "ropeway"
    assert daemon.code == 0
    assert daemon.said == ""
    start, ready, stop = daemon.log
    assert (start["event"], ready["event"], stop["event"]) == ("start", "ready", "stop")
    assert start["addresses"] == listen
    assert start["store"] == str(daemon.data_dir)
    assert {"version", "records", "batches", "events", "seconds"} <= set(start)
    assert ready["addresses"][0].startswith("127.0.0.1:")
    assert ready["addresses"][1] == listen[1]
    assert stop["reason"] == "SIGTERM"


def test_files_are_private_and_the_socket_goes_with_the_daemon(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        path = tmp_path / "socket"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(daemon.data_dir.stat().st_mode) == 0o700
        assert {stat.S_IMODE(each.stat().st_mode) for each in daemon.data_dir.iterdir()} == {0o600}
    assert not path.exists()


def test_time_passes_in_the_daemon(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, Wire(daemon.addresses[0]) as wire:
        wire.call(CREATE_QUEUE, {"queue": "jobs"})
        assert wire.receive("jobs", wait=50) == []
        wire.call(SEND, {"queue": "jobs", "entries": [{"body": "late", "delay": 50}]})
        assert wire.receive("jobs", wait=20_000, visibility_timeout=50) == ["late"]
        assert wire.receive("jobs", wait=20_000) == ["late"]


@pytest.mark.parametrize("how", ["drain", "kill"])
def test_a_restart_finds_what_was_acknowledged(tmp_path: Path, how: str) -> None:
    with Daemon(tmp_path) as daemon:
        with Wire(daemon.addresses[0]) as wire:
            wire.call(CREATE_QUEUE, {"queue": "jobs"})
            wire.send("jobs", "one", "two", "three")
            assert wire.receive("jobs", visibility_timeout=43_200_000) == ["one"]
        if how == "drain":
            assert daemon.stop() == 0
        else:
            daemon.kill()
        daemon.start()
        with Wire(daemon.addresses[0]) as wire:
            assert wire.receive("jobs", max_messages=10) == ["two", "three"]
    start = daemon.events("start")[-1]
    assert start["records"] + start["events"] > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_long_polls_and_closes_connections(tmp_path: Path, number: signal.Signals) -> None:
    with Daemon(tmp_path) as daemon, Wire(daemon.addresses[0]) as wire, Wire(daemon.addresses[0]) as silent:
        wire.call(CREATE_QUEUE, {"queue": "jobs"})
        asked = wire.ask(RECEIVE, LONG_POLL)
        wire.receive("jobs")  # answered after the poll was taken in
        daemon.signal(number)
        assert wire.take() == [asked, 0, []]
        with pytest.raises(EOFError):
            wire.take()
        with pytest.raises(EOFError):
            silent.take()
        assert daemon.wait() == 0
    assert daemon.events("stop")[0]["reason"] == number.name


def test_a_stop_finishes_what_it_has_taken_in(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        with Wire(daemon.addresses[0]) as wire:
            wire.call(CREATE_QUEUE, {"queue": "jobs"})
            for number in range(200):
                wire.ask(SEND, {"queue": "jobs", "entries": [{"body": f"{number}"}]})
            sent = wire.take()
            daemon.signal(signal.SIGTERM)
            answers = [sent, *wire.rest()]
        assert daemon.wait() == 0
        acknowledged = sum(1 for _, status, _ in answers if status == 0)
        daemon.start()
        with Wire(daemon.addresses[0]) as wire:
            found = wire.receive("jobs", max_messages=1000)
        assert found == [f"{number}" for number in range(len(found))]
        assert len(found) >= acknowledged > 0


def test_a_peer_that_does_not_read_holds_no_stop_up(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--drain-timeout", "2") as daemon, Wire(daemon.addresses[0]) as wire:
        wire.call(CREATE_QUEUE, {"queue": "jobs"})
        for _ in range(20):
            wire.send("jobs", "x" * 1_000_000)
        for _ in range(20):
            wire.ask(RECEIVE, {"queue": "jobs", "max_messages": 1})
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    assert daemon.events("stop")[0]["seconds"] <= 2


def test_a_second_signal_ends_at_once_and_loses_nothing(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--drain-timeout", "3600", "--log-level", "debug") as daemon:
        with Wire(daemon.addresses[0]) as wire:
            wire.call(CREATE_QUEUE, {"queue": "jobs"})
            for _ in range(20):
                wire.send("jobs", "x" * 1_000_000)
            for _ in range(20):
                wire.ask(RECEIVE, {"queue": "jobs", "visibility_timeout": 0})
            daemon.signal(signal.SIGTERM)
            daemon.wait_for(lambda: daemon.events("stopping"))
            # The drain now waits for this peer, which takes no answers, for as long as half an hour.
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 128 + signal.SIGTERM
        assert "at once" in daemon.log[-1]["event"]
        daemon.start()
        with Wire(daemon.addresses[0]) as wire:
            assert sum(len(wire.receive("jobs", max_messages=5)) for _ in range(4)) == 20


def test_an_interrupt_during_the_start_is_no_traceback(tmp_path: Path) -> None:
    # It comes as soon as the daemon's own code runs; before that it is the interpreter's to speak.
    step = (
        "import importlib.util, os, runpy, signal\n"
        "find = importlib.util.find_spec\n"
        "def interrupted(name, *rest):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return find(name, *rest)\n"
        "importlib.util.find_spec = interrupted\n"
        "from ropewayd.__main__ import main\n"
        "main()\n"
    )
    daemon = Daemon(tmp_path)
    daemon.command = [sys.executable, "-c", step, *daemon.command[3:]]
    daemon.launch()
    assert daemon.wait() == -signal.SIGINT
    assert daemon.said == ""


def test_inherited_sockets_take_the_place_of_the_default_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        # LISTEN_PID must be the daemon's own: a step between, as the service manager is one.
        step = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3, inheritable=True); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
            "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
        )
        daemon = Daemon(tmp_path, listen=[])
        daemon.command = [sys.executable, "-c", step, str(listener.fileno()), *daemon.command[1:]]
        daemon.start(pass_fds=[listener.fileno()])
        assert daemon.addresses == [f"127.0.0.1:{port}"]
        with Wire(daemon.addresses[0]) as wire:
            wire.call(CREATE_QUEUE, {"queue": "jobs"})
        assert daemon.stop() == 0


def test_the_service_manager_hears_of_it_all(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)
        environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "100000"}
        with Daemon(tmp_path, environ=environ) as daemon:
            heard = [manager.recv(4096).decode() for _ in range(4)]
            daemon.signal(signal.SIGTERM)
            while not heard[-1].startswith("STOPPING=1"):
                heard.append(manager.recv(4096).decode())
    assert heard[0].startswith("EXTEND_TIMEOUT_USEC=")
    assert heard[1] == f"READY=1\nSTATUS=serving {daemon.addresses[0]}"
    assert set(heard[2:-1]) == {"WATCHDOG=1"}


def test_what_it_loads_at_start_is_kept_small() -> None:
    heavy = {"rich", "aiohttp", "click", "pygments", "difflib"}
    code = "import sys, ropewayd.daemon; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not heavy & set(loaded)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what a process has loaded")
def test_nor_does_the_aws_face_load_what_only_some_use(tmp_path: Path) -> None:
    with Daemon(tmp_path, http="127.0.0.1:0") as daemon:
        assert daemon.process is not None
        loaded = Path(f"/proc/{daemon.process.pid}/maps").read_text()
    assert "httptools" in loaded
    assert not [name for name in ("aiohttp", "yarl", "cryptography") if name in loaded]
