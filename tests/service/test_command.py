"""The command line: help, version, `config`, and what is said without the extra."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ropewayd import __version__
from ropewayd.settings import catalogue, example

BROKER = Path(__file__).parents[2] / "broker"


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ROPEWAY_")}
    return subprocess.run(
        [sys.executable, "-m", "ropewayd", *arguments],
        env=clean | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_version() -> None:
    assert run("--version").stdout == f"ropewayd {__version__}\n"


def test_help_has_every_flag_and_examples() -> None:
    said = run("--help").stdout
    assert "examples:" in said
    for setting in catalogue().values():
        if setting.flag:
            assert f"  {setting.flag} " in said


def test_config_shows_what_is_in_force_and_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "ropeway.toml"
    file.write_text("[queues]\nmax_queues = 5\n")
    given = ("config", "--config", str(file), "--log-level", "debug")
    said = run(*given, ROPEWAY_DATA_DIR="/srv/x")
    assert (said.returncode, said.stderr) == (0, "")
    lines = {" ".join(line.split()) for line in said.stdout.splitlines()}
    assert f"max_queues = 5 # {file}, line 2" in lines
    assert 'level = "debug" # --log-level' in lines
    assert 'data_dir = "/srv/x" # ROPEWAY_DATA_DIR' in lines
    assert "drain_timeout = 10 # default" in lines
    shown = json.loads(run(*given, "--json", ROPEWAY_DATA_DIR="/srv/x").stdout)
    assert list(shown) == list(catalogue())
    assert shown["queues.max_queues"] == {"value": 5, "origin": f"{file}, line 2"}
    assert shown["daemon.data_dir"] == {"value": "/srv/x", "origin": "ROPEWAY_DATA_DIR"}


def test_config_prints_an_example() -> None:
    assert run("config", "--example").stdout == example()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nonsense"], "unknown flag --nonsense; see"),
        (
            ["--protocol-max-frames=4"],
            "unknown flag --protocol-max-frames; did you mean --protocol-max-frame?",
        ),
        (["--listen"], "--listen"),
        (["--data", "x"], "unknown flag --data; did you mean --data-dir?"),
        (["obey"], "obey"),
        (["--json"], "command config"),
        (["--example"], "command config"),
        (["--keys-secrets", "a:b"], "unknown flag --keys-secrets"),
        (["config", "--account", "x"], "daemon.account (--account)"),
        (["config", "--config", "/nowhere"], "cannot read the settings in /nowhere"),
    ],
)
def test_a_fault_is_one_line_and_exit_code_78(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 78
    assert done.stdout == ""
    assert done.stderr.startswith("ropewayd: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_its_extra_it_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "ropewayd"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(BROKER)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert done.stderr == (
        "ropewayd: uvloop, msgpack, msgspec, aiosqlite, structlog, httptools, aiohttp missing: "
        "pip install '.[broker]' in a clone of Ropeway\n"
    )


def test_a_pipe_that_closes_early_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "ropewayd", "config"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
