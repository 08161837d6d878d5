"""`ropewayd store check`, `store show` and `doctor` as an operator meets them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ropeway.sync
from tests.daemon import Daemon
from tests.service.test_command import run

POLICY = '{"Statement":{"Effect":"Deny","Principal":"*","Action":"*"}}'


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    """A daemon that was killed with a backlog, in-flight and delayed messages."""
    daemon = Daemon(
        tmp_path_factory.mktemp("daemon"),
        environ={"ROPEWAY_KERNEL_TAIL_BYTES": "1048576", "ROPEWAY_STORE_RESERVE_BYTES": "65536"},
    )
    daemon.start()
    with ropeway.sync.connect(daemon.url) as broker:
        jobs = broker.create_queue("jobs", visibility_timeout=600)
        for at in range(20):
            jobs.send_many([f"{at} {number}".ljust(1000) for number in range(100)])
        for message in jobs.receive(max_messages=30)[:10]:
            message.delete()
        mail = broker.create_queue("mail", policy=POLICY)
        mail.send("later", delay=600)
        mail.send("now")
    daemon.kill()
    return daemon


COUNTS = [("jobs", 1970, 20, 0), ("mail", 1, 0, 1)]


def test_check(killed: Daemon) -> None:
    said = run("store", "check", str(killed.data_dir))
    assert (said.returncode, said.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in said.stdout.splitlines()]
    assert lines[-1] == "nothing is damaged"
    assert any(line.startswith("jobs 1 1,970 20 0 ") for line in lines)
    found = json.loads(run("store", "check", str(killed.data_dir), "--json").stdout)
    assert (found["ok"], found["clean"], found["damage"]) == (True, False, [])
    queues = [(each["name"], each["visible"], each["in_flight"], each["delayed"]) for each in found["queues"]]
    assert queues == COUNTS
    jobs = found["queues"][0]
    assert jobs["in_records"] > 0
    assert jobs["in_records"] + jobs["in_journal"] == 1990


def test_show(killed: Daemon) -> None:
    said = run("store", "show", str(killed.data_dir))
    assert (said.returncode, said.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in said.stdout.splitlines()]
    assert "format 3" in lines
    assert "state not closed: the next start recovers" in lines
    assert "jobs 1 1,970 20 0" in lines
    assert "reserve 64.0 KiB" in lines
    assert f"mail policy {POLICY}" in lines
    found = json.loads(run("store", "show", str(killed.data_dir), "--json").stdout)
    queues = [
        (each["name"], *(each["attributes"][of] for of in ("visible", "in_flight", "delayed")))
        for each in found["queues"]
    ]
    assert queues == COUNTS
    assert found["queues"][0]["attributes"]["visibility_timeout"] == 600_000
    assert found["journal"]["rows"] == found["journal"]["last"] - found["journal"]["first"] + 1
    assert found["last_lsn"] == found["journal"]["last"]
    assert found["journal"]["kept"] > 0
    assert found["files"]["database"] == (killed.data_dir / "ropeway.db").stat().st_size
    assert found["owner"].startswith("ropewayd/")


def test_a_daemon_that_runs_is_named(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        assert daemon.process is not None
        for look in ("check", "show"):
            said = run("store", look, str(daemon.data_dir))
            assert (said.returncode, said.stdout) == (78, "")
            assert f"pid {daemon.process.pid}, ropewayd/" in said.stderr
            assert said.stderr.count("\n") == 1
        with ropeway.sync.connect(daemon.url) as broker:
            broker.create_queue("jobs").send("still here")
    assert daemon.code == 0
    said = run("store", "check", str(daemon.data_dir))
    assert (said.returncode, said.stderr) == (0, "")
    assert "closed in order" in said.stdout


def test_damage_is_named_and_has_a_code_of_its_own(killed: Daemon, tmp_path: Path) -> None:
    shutil.copytree(killed.data_dir, tmp_path / "data")
    with Daemon(tmp_path) as daemon:
        pass
    database = daemon.data_dir / "ropeway.db"
    body = b"3 33".ljust(1000)
    content = database.read_bytes()
    assert body in content
    database.write_bytes(content.replace(body, body.replace(b"3 33", b"3 37")))
    said = run("store", "check", str(daemon.data_dir))
    assert said.returncode == 65
    assert said.stderr.startswith(f"ropewayd: {daemon.data_dir} is damaged: Journal row ")
    damage = (
        "which says messages 301 to 400 of queue jobs (number 1), is damaged: its checksum does not match."
    )
    assert damage in said.stderr
    assert "damaged: Journal row " in said.stdout
    found = json.loads(run("store", "check", str(daemon.data_dir), "--json").stdout)
    assert (found["ok"], found["damages"]) == (False, 1)
    assert found["queues"][0]["visible"] is None
    assert found["queues"][0]["in_records"] > 1000


def test_a_log_that_is_gone(killed: Daemon, tmp_path: Path) -> None:
    (tmp_path / "ropeway.db").write_bytes((killed.data_dir / "ropeway.db").read_bytes())
    for look in ("check", "show"):
        said = run("store", look, str(tmp_path), "--json")
        assert said.returncode == 65
        assert "ropeway.db-wal is missing" in said.stderr
        assert "ropeway.db-wal is missing" in json.loads(said.stdout)["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["store"], "store | doctor --help"),
        (["store", "check"], "DIR"),
        (["store", "mend", "x"], "mend"),
        (["store", "check", "/nowhere/at/all"], "/nowhere/at/all is not there"),
        (["doctor", "a", "b"], "unrecognized arguments: b"),
        (["doctor", "--config", "/nowhere"], "cannot read the settings in /nowhere"),
        (["--log-level", "debug", "doctor"], "doctor comes first"),
    ],
)
def test_a_fault_is_one_line_and_exit_code_78(arguments: list[str], said: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 78
    if said != "store | doctor --help":
        assert said in ended.stderr
    assert ended.stderr.startswith("ropewayd: ")
    assert ended.stderr.count("\n") == 1


def test_help() -> None:
    assert "store check" in run("--help").stdout
    for arguments in (["store", "--help"], ["store", "check", "--help"], ["doctor", "--help"]):
        assert run(*arguments).returncode == 0


def test_doctor(tmp_path: Path) -> None:
    said = run("doctor", ROPEWAY_DATA_DIR=str(tmp_path))
    verdicts = {line.split()[0] for line in said.stdout.splitlines()}
    assert verdicts <= {"ok", "warn", "fail"}
    assert said.returncode == ("fail" in verdicts)
    found = json.loads(run("doctor", str(tmp_path), "--json").stdout)
    assert found["directory"] == str(tmp_path)
    assert found["syncs"]["writes"] > 0
    assert found["syncs"]["p50"] <= found["syncs"]["p99"]
    assert list(tmp_path.iterdir()) == []


def test_doctor_fails_where_nothing_can_be_kept(tmp_path: Path) -> None:
    said = run("doctor", str(tmp_path / "a" / "b"))
    assert said.returncode == 1
    assert "neither is its parent" in said.stdout


def test_doctor_beside_a_daemon(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        found = json.loads(run("doctor", str(daemon.data_dir), "--json").stdout)
        assert found["syncs"]["writes"] > 0
    assert daemon.code == 0


def test_progress_is_for_terminals(killed: Daemon) -> None:
    master, slave = os.openpty()
    command = [sys.executable, "-m", "ropewayd", "store", "check", str(killed.data_dir)]
    done = subprocess.run(command, stderr=slave, capture_output=False, stdout=subprocess.PIPE, check=False)
    os.close(slave)
    seen = os.read(master, 100_000).decode()
    os.close(master)
    assert done.returncode == 0
    assert "[" in seen
    assert seen.endswith("\r\x1b[K")
    assert b"\x1b" not in done.stdout


def test_what_waits_for_subscribers_and_telephones_is_no_damage(tmp_path: Path) -> None:
    """It is in queues that no list has: each start of a check looks for them all the same."""
    with Daemon(tmp_path, "--sms-gateway", "http://127.0.0.1:9/") as daemon:  # nobody is there
        with ropeway.sync.connect(daemon.url) as broker:
            news = broker.create_topic("news", data_protection_policy="{}")
            news.subscribe("+4930123456")
            news.publish("to subscribers")
            broker.phones().send("+4930123456", "to a number")
            broker.phones().add_to_sandbox("+4930123457")
            broker.phones().set(default_sender_id="Weather")
        daemon.kill()
        found = json.loads(run("store", "check", str(daemon.data_dir), "--json").stdout)
        assert (found["ok"], found["damage"]) == (True, [])
        counts = sorted(each["in_records"] + each["in_journal"] for each in found["queues"])
        assert counts == [1, 2]
        daemon.start()
