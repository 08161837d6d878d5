"""Completion by Tab: commands, options, and the names of queues, without ever a complaint."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Cli
from tests.daemon import Daemon


def offered(cli: Cli, *words: str, **environ: str) -> list[str]:
    """What bash is told could be in the place of the last word."""
    asked = {
        "_ROPEWAY_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("ropeway", *words)),
        "COMP_CWORD": str(len(words)),
    }
    done = cli.run(environ=asked | environ)
    assert (done.returncode, done.stderr) == (0, b"")
    return [line.partition(",")[2] for line in done.stdout.decode().splitlines() if line]


def test_commands_and_options_are_completed(cli: Cli) -> None:
    assert offered(cli, "re") == ["receive"]
    assert offered(cli, "queue", "sh") == ["show"]
    assert offered(cli, "receive", "q", "--del") == ["--delete"]


@pytest.mark.parametrize(
    "command",
    [("queue", "show"), ("queue", "set"), ("queue", "purge"), ("queue", "delete"), ("send",), ("receive",)],
)
def test_names_of_queues_are_completed(cli: Cli, command: tuple[str, ...]) -> None:
    for name in ("tab-one", "tab-two", "other"):
        cli.make(name)
    assert offered(cli, *command, "tab-") == ["tab-one", "tab-two"]
    assert offered(cli, *command, "none-") == []


def test_the_url_on_the_line_counts(cli: Cli, tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        Cli(daemon.url).make("elsewhere")
        assert offered(cli, "--url", daemon.url, "send", "else") == ["elsewhere"]


def test_what_goes_wrong_is_not_mentioned(cli: Cli, tmp_path: Path) -> None:
    assert offered(cli, "send", "q", ROPEWAY_URL=f"unix:{tmp_path}/none") == []
    assert offered(cli, "send", "q", ROPEWAY_URL="nonsense") == []
    assert offered(cli, "send", "q", ROPEWAY_KEY="a key without its secret") == []


@pytest.mark.needs("bash")
def test_the_script_makes_bash_complete(cli: Cli, tmp_path: Path) -> None:
    cli.make("bashful")
    program = tmp_path / "ropeway"
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    ask = (
        'eval "$(ropeway completion bash)"\n'
        "COMP_WORDS=(ropeway send bashf) COMP_CWORD=2\n"
        "_ropeway_completion ropeway\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    environ = cli.environ | {"PATH": f"{tmp_path}:{cli.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", ask], env=environ, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"bashful\n", b"")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(cli: Cli, shell: str) -> None:
    assert "_ROPEWAY_COMPLETE" in cli.ok("completion", shell)
    done = cli.run("completion", environ={"SHELL": f"/usr/bin/{shell}"})
    assert done.stdout.decode() == cli.ok("completion", shell)
