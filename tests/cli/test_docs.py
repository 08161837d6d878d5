"""docs/cli.md and --help say what is so."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ropeway.cli import exits
from ropeway.cli.command import root

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(commands(root, "ropeway"))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_is_in_the_docs(path: str) -> None:
    assert path in TEXT
    for option in COMMANDS[path].params:
        if isinstance(option, click.Option):
            assert max(option.opts, key=len) in TEXT, option.opts


@pytest.mark.parametrize("path", COMMANDS)
def test_the_help_of_every_command_has_examples_that_can_be_typed(path: str) -> None:
    command = COMMANDS[path]
    assert command.epilog is not None
    examples = re.findall(r"(?:^  |\| |\$\()(ropeway [^|>)\n]*)", command.epilog, re.MULTILINE)
    assert any(example.startswith(path) for example in examples)
    for example in examples:
        known = set(re.findall(r" (--[a-z-]+)", example))
        options = {opt for each in COMMANDS.values() for param in each.params for opt in param.opts}
        assert known <= options, example


def test_every_exit_code_is_in_the_docs() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    codes |= {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    table = TEXT.partition("## Exit codes")[2].partition("##")[0]
    listed = {
        int(code)
        for cell in re.findall(r"^\| ([0-9, ]+) \|", table, re.MULTILINE)
        for code in cell.split(",")
    }
    assert listed == codes


def test_the_ranges_are_those_of_the_docs() -> None:
    for name, allowed in exits.RANGES.items():
        assert f"| `--{name.replace('_', '-')}` | {allowed} |" in TEXT
