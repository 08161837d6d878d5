"""`ropeway store`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

from ropeway.cli.store import amplification
from tests.cli.conftest import Cli


def test_figures_for_a_script(cli: Cli) -> None:
    queue = cli.queue()
    cli.fill(queue, *["x" * 100] * 50)
    found = dict(line.split("\t") for line in cli.ok("store", "show").splitlines())
    assert int(found["messages"]) >= 50
    assert int(found["last_lsn"]) > 0
    assert int(found["batch_bytes"]) > 5000
    assert float(found["write_amplification"]) > 1
    shown = json.loads(cli.ok("store", "show", "--json"))
    assert shown.keys() == found.keys()
    assert shown["messages_in_memory"] + shown["messages_on_disk"] == shown["messages"]


def test_figures_for_people(cli: Cli) -> None:
    with cli.terminal("store", "show", environ={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for("write amplification")
        assert terminal.wait() == 0


def test_a_backup(cli: Cli, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    path, lsn = cli.ok("store", "backup", str(target)).strip().split("\t")
    assert path == str(target)
    assert int(lsn) > 0
    assert (target / "ropeway.db").exists()
    done = cli.run("store", "backup", str(target))
    assert done.returncode == 1
    assert b"is there already, and a backup makes a new directory" in done.stderr
    done = cli.run("store", "backup", "copy")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"copy is not an absolute path" in done.stderr
    answer = json.loads(cli.ok("store", "backup", str(tmp_path / "other"), "--json"))
    assert answer["target"] == str(tmp_path / "other")
    assert answer["last_lsn"] == int(lsn)


def test_what_is_written_for_a_byte() -> None:
    assert amplification({}) is None
    assert amplification({"batch_bytes": 100, "log_bytes": 250, "folded_bytes": 75}) == 3.25
