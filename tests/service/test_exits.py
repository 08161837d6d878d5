"""Every way to fail ends in one clear line and its exit code, and never in a traceback."""

import resource
import signal
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewayd.ending import exit_for
from ropewayd.exits import CONFIGURATION, CORRUPT, IO, SOFTWARE, Exit
from ropewayd.store.protocol import Corrupt, Fenced, Locked, Newer, Refused, StoreError, Unknown, Unusable
from tests.daemon import Daemon, Ended
from tests.service.wire import CREATE_QUEUE, Wire


def fails(daemon: Daemon, **popen: object) -> tuple[int, str]:
    """The exit code and the one line of a daemon that does not get ready."""
    with pytest.raises(Ended):
        daemon.start(**popen)
    said = [line for line in daemon.said.splitlines() if line]
    said += [line["event"] for line in daemon.log if line["level"] == "error"]
    assert len(said) == 1, said
    assert "Traceback" not in said[0]
    assert daemon.code is not None
    return daemon.code, said[0]


def test_a_wrong_setting(tmp_path: Path) -> None:
    code, said = fails(Daemon(tmp_path, "--protocol-max-frame", "1"))
    assert code == CONFIGURATION
    assert said.startswith("ropewayd: protocol.max_frame (--protocol-max-frame) must be an integer from")


def test_a_data_directory_that_cannot_be(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "missing", listen=["127.0.0.1:0"])
    code, said = fails(daemon)
    assert code == CONFIGURATION
    assert str(daemon.data_dir) in said
    daemon = Daemon(tmp_path, listen=["127.0.0.1:0"])
    daemon.data_dir.write_text("a file")
    code, said = fails(daemon)
    assert code == CONFIGURATION
    assert str(daemon.data_dir) in said
    assert daemon.data_dir.read_text() == "a file"


def test_a_data_directory_that_another_daemon_holds(tmp_path: Path) -> None:
    with Daemon(tmp_path) as first:
        assert first.process is not None
        code, said = fails(Daemon(tmp_path, listen=["127.0.0.1:0"]))
        assert code == CONFIGURATION
        assert str(first.data_dir) in said
        assert f"pid {first.process.pid}" in said
        with Wire(first.addresses[0]) as wire:
            wire.call(CREATE_QUEUE, {"queue": "jobs"})


def test_an_address_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = fails(Daemon(tmp_path, listen=[address]))
    assert code == CONFIGURATION
    assert said == (
        f"cannot listen on {address}: the address is in use by another process; --listen names another"
    )
    with Daemon(tmp_path):
        pass


def test_an_address_for_others_without_keys(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, listen=["0.0.0.0:0"])
    code, said = fails(daemon)
    assert code == CONFIGURATION
    assert "there is no access key" in said
    assert "--keys-file" in said
    assert not daemon.data_dir.exists()


def test_nothing_to_serve(tmp_path: Path) -> None:
    config = tmp_path / "ropeway.toml"
    config.write_text("[daemon]\nlisten = []\n")
    code, said = fails(Daemon(tmp_path, "--config", str(config), listen=[]))
    assert code == CONFIGURATION
    assert said == f"daemon.listen ({config}, line 2) is empty: there is nothing to serve"


def test_a_damaged_store(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    with daemon, Wire(daemon.addresses[0]) as wire:
        wire.call(CREATE_QUEUE, {"queue": "jobs"})
        wire.send("jobs", *("a message of some length" for _ in range(100)))
        daemon.kill()
    database = daemon.data_dir / "ropeway.db"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("UPDATE journal SET events = zeroblob(length(events))")
    connection.close()
    code, said = fails(daemon)
    assert code == CORRUPT
    assert "ropeway.db" in said or "lsn" in said


def test_what_is_no_store(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.data_dir.mkdir(mode=0o700)
    (daemon.data_dir / "ropeway.db").write_bytes(b"these are not the bytes of a database" * 1000)
    code, _ = fails(daemon)
    assert code == CORRUPT


def small_files() -> None:
    """No file of this process grows beyond 2 MiB: a disk that is full, or broken."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))


def fill(wire: Wire) -> int:
    """Send until the daemon refuses or goes; gives the number of what was acknowledged."""
    for number in range(1000):
        try:
            wire.send("jobs", f"{number} " + "x" * 100_000)
        except (RuntimeError, EOFError, ConnectionError):
            return number
    raise AssertionError("the disk never failed")


def test_a_disk_that_fails_loses_nothing_acknowledged(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, "--store-reserve-bytes", "0")
    daemon.start(preexec_fn=small_files)
    with Wire(daemon.addresses[0]) as wire:
        wire.call(CREATE_QUEUE, {"queue": "jobs"})
        acknowledged = fill(wire)
    assert daemon.wait() == IO
    assert daemon.said == ""
    (line,) = [line for line in daemon.log if line["level"] == "error"]
    assert line["exit_code"] == IO
    with daemon, Wire(daemon.addresses[0]) as wire:
        found = wire.receive("jobs", max_messages=1000)
    assert acknowledged > 0
    assert [body.split()[0] for body in found[:acknowledged]] == [
        f"{number}" for number in range(acknowledged)
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Corrupt("x"), CORRUPT),
        (Newer("x"), CORRUPT),
        (Locked("x"), CONFIGURATION),
        (Unusable("x"), CONFIGURATION),
        (Fenced("x"), CONFIGURATION),
        (Refused("x"), IO),
        (Unknown("x"), IO),
        (StoreError("x"), IO),
        (OSError(5, "x"), IO),
        (Exit(70, "x"), 70),
        (AssertionError("x"), SOFTWARE),
        (KeyError("x"), SOFTWARE),
    ],
)
def test_each_error_has_its_code(error: Exception, code: int) -> None:
    found = exit_for(error)
    assert found.code == code
    assert found.sentence


def test_an_unexpected_error_says_where_and_not_what() -> None:
    def fail() -> None:
        raise ValueError("SECRET")

    raised = caught(fail)
    assert exit_for(raised).sentence.startswith(
        "internal error, please report it: ValueError at test_exits.py:"
    )
    assert "SECRET" not in exit_for(raised).sentence


def caught(action: Callable[[], None]) -> Exception:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - any is meant
        action()
    return raised.value
