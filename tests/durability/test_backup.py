"""`ropeway store backup` of a daemon under load, a kill in its midst, and the way back."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import ropeway.sync
from tests.daemon import PATIENCE, Daemon
from tests.durability.deaths import CLIENTS, SPILLING, drain, grow
from tests.durability.load import QUEUE
from tests.service.test_command import run

Noted = dict[str, set[str]]


def backup(daemon: Daemon, target: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ropeway", "--url", daemon.url, "store", "backup", str(target)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def noted(notes: list[Path]) -> Noted:
    """What the clients have written down by now."""
    found: Noted = {"S": set(), "T": set(), "D": set(), "R": set()}
    for path in notes:
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                found[line[0]].add(line[2:-1])
    return found


def test_the_way_there_and_back(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, environ=SPILLING)
    target = tmp_path / "monday"
    with daemon:
        with ropeway.sync.connect(daemon.url) as broker:
            queue = broker.create_queue(QUEUE, visibility_timeout=5)
            # More than one piece of records, and some of it spilled.
            for at in range(4):
                queue.send_many([f"before.{at}.{number}." + "x" * 3000 for number in range(200)])
        notes = [tmp_path / f"client-{seed}" for seed in range(CLIENTS)]
        clients = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.durability.load", daemon.url, str(path), str(seed)]
            )
            for seed, path in enumerate(notes)
        ]
        try:
            for note in notes:
                grow([note], 1)
            grow(notes, 20_000)
            # A kill in the midst of one: it leaves something that is no store, and the daemon is well.
            killed = backup(daemon, target)
            making = target.with_name("monday.incomplete")
            patience = time.monotonic() + PATIENCE
            while not (making / "ropeway.db").exists():
                assert time.monotonic() < patience, "it does not begin"
                time.sleep(0.0005)
            daemon.kill()
            killed.communicate(timeout=PATIENCE)
            assert killed.returncode != 0
            daemon.start()
            assert not target.exists()
            assert making.is_dir()
            grow(notes, 5_000)
            again = backup(daemon, target)
            said = again.communicate(timeout=PATIENCE)[1].decode()
            assert again.returncode == 1
            assert "monday.incomplete is there already" in said
            shutil.rmtree(making)
            # And one that comes to its end, while the clients go on.
            before = noted(notes)
            whole = backup(daemon, target)
            said = whole.communicate(timeout=PATIENCE)[1].decode()
            assert whole.returncode == 0, said
            after = noted(notes)
            grow(notes, 5_000)
        finally:
            for client in clients:
                client.terminate()
            codes = [client.wait(PATIENCE) for client in clients]
        assert codes == [0] * CLIENTS
        with ropeway.sync.connect(daemon.url) as broker:
            figures = broker.show_store()
        assert figures["last_lsn"] > 0
        assert figures["log_bytes"] + figures["folded_bytes"] > figures["batch_bytes"] > 0
    checked = run("store", "check", str(target))
    assert (checked.returncode, checked.stderr) == (0, "")
    # The way back, as docs/durability.md says it.
    daemon.data_dir.rename(tmp_path / "away")
    target.rename(daemon.data_dir)
    with daemon:
        left = set(drain(daemon.url))
    later = {f"before.{at}.{number}." + "x" * 3000 for at in range(4) for number in range(200)}
    lost = (before["S"] | later) - left - after["T"]
    assert not lost, f"{len(lost)} acknowledged messages are gone, {sorted(lost)[:3]}"
    returned = before["D"] & left
    assert not returned, f"{len(returned)} deleted messages are back, {sorted(returned)[:3]}"
    assert len(before["S"]) > 20
    assert len(before["D"]) > 5


def test_a_stop_does_not_wait_for_a_backup(tmp_path: Path) -> None:
    """It is given up, and nothing of it is left."""
    with Daemon(tmp_path, environ=SPILLING) as daemon:
        with ropeway.sync.connect(daemon.url) as broker:
            queue = broker.create_queue("jobs")
            for _ in range(30):
                queue.send_many(["x" * 100_000] * 10)
        making = backup(daemon, tmp_path / "copy")
        patience = time.monotonic() + PATIENCE
        while not (tmp_path / "copy.incomplete").exists() and making.poll() is None:
            assert time.monotonic() < patience, "it does not begin"
            time.sleep(0.0005)
        assert daemon.stop() == 0
        making.communicate(timeout=PATIENCE)
    assert (tmp_path / "copy").exists() == (making.returncode == 0)
    assert not (tmp_path / "copy.incomplete").exists()
