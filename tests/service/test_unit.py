"""conf/ropeway.service: what systemd's own tools say of it, and that it fits the daemon."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ropewayd.exits import CONFIGURATION, CORRUPT
from ropewayd.settings import Daemon as DaemonSettings
from ropewayd.settings import Http, Protocol

CONF = Path(__file__).parents[2] / "conf"
UNIT = CONF / "ropeway.service"
WORST = 2.0


def values(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def installed(tmp_path: Path) -> list[Path]:
    """The units, with a program that exists here in the place of the one that an installation makes."""
    copies = []
    for unit in (UNIT, CONF / "ropeway.socket"):
        copy = tmp_path / unit.name
        copy.write_text(unit.read_text().replace("/opt/ropeway/bin/ropewayd", sys.executable))
        copies.append(copy)
    return copies


@pytest.mark.needs("systemd-analyze")
def test_the_sandbox_is_tight() -> None:
    done = analyze("security", "--offline=true", f"--threshold={WORST * 10:.0f}", UNIT)
    assert done.returncode == 0, done.stdout
    score = re.search(r"Overall exposure level for ropeway\.service: ([0-9.]+)", done.stdout)
    assert score is not None
    assert float(score[1]) <= WORST


@pytest.mark.needs("systemd-analyze")
def test_the_units_are_sound(tmp_path: Path) -> None:
    done = analyze("verify", *installed(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.needs("systemd-analyze")
def test_an_unsound_unit_would_be_noticed(tmp_path: Path) -> None:
    service, _ = installed(tmp_path)
    service.write_text(service.read_text().replace("WatchdogSec=", "WatchDogSec="))
    assert "WatchDogSec" in analyze("verify", service).stderr


def test_it_fits_the_daemon() -> None:
    assert values("Type") == ["notify"]
    assert values("Restart") == ["on-failure"]
    assert values("RestartPreventExitStatus") == [f"{CORRUPT} {CONFIGURATION}"]
    assert values("DynamicUser") == ["yes"]
    assert values("StateDirectory") == ["ropeway"]
    assert int(values("StartLimitBurst")[0]) > 0
    assert int(values("WatchdogSec")[0]) > 0
    assert float(values("TimeoutStopSec")[0]) > DaemonSettings().drain_timeout
    assert int(values("LimitNOFILE")[0]) > Protocol().max_connections + Http().max_connections
    (command,) = values("ExecStart")
    assert command.startswith("/opt/ropeway/bin/ropewayd ")
    assert "--data-dir %S/ropeway" in command
