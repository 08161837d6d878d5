"""docs/pipeline.md: each of its commands does and prints what stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.cli.conftest import Cli
from tests.cli.walk import walked

TEXT = (Path(__file__).parents[2] / "docs" / "pipeline.md").read_text()


def test_an_ordered_pipeline_with_a_poison_message(cli: Cli) -> None:
    steps = walked(TEXT)
    assert len(steps) > 10
    ids: list[str] = []
    for command, printed in steps:
        name, *words = shlex.split(command)
        assert name == "ropeway"
        said = cli.ok(*words)
        pattern = ".*".join(re.escape(part) for part in printed.split("…"))
        assert re.fullmatch(pattern, said), (command, said)
        if words[0] == "send":
            ids.append(said)
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_who_forgets_the_group_is_told_the_option(cli: Cli) -> None:
    cli.make("ordered.fifo", fifo=True)
    done = cli.run("send", "ordered.fifo", "a")
    assert done.returncode == 1
    assert b"--group GROUP" in done.stderr
