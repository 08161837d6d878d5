"""Looking at messages and tagging queues from the command line."""

import json

import ropeway
from tests.cli.conftest import Cli


def test_a_look_receives_nothing(cli: Cli) -> None:
    queue = cli.queue(visibility_timeout=600)
    cli.fill(queue, "a\tb\nc", b"\xff", ropeway.Outgoing("late", delay=600))
    cli.take(queue, 1)
    before = cli.numbers(queue)
    rows = [line.split("\t") for line in cli.ok("queue", "peek", queue).splitlines()]
    assert [(row[1], row[3], row[4]) for row in rows] == [
        ("in_flight", "1", "a b c"),
        ("visible", "0", "(1 byte)"),
        ("delayed", "0", "late"),
    ]
    assert cli.numbers(queue) == before
    late = json.loads(cli.ok("queue", "peek", queue, "--state", "delayed", "--json"))
    assert (late["body"], late["state"]) == ("late", "delayed")
    after = cli.ok("queue", "peek", queue, "--after", rows[0][0], "--max", "1", "--younger", "1h")
    assert after.split("\t")[0] == rows[1][0]
    assert cli.ok("queue", "peek", queue, "--older", "1h") == ""
    assert cli.ok("queue", "peek", queue, "--group", "none") == ""
    with cli.terminal("queue", "peek", queue, environ={"NO_COLOR": "1"}) as terminal:
        assert terminal.wait() == 0
        assert "in flight" in terminal.shown
        assert "visible in" in terminal.shown


def test_a_queue_is_tagged_and_untagged(cli: Cli) -> None:
    queue = cli.queue()
    assert cli.ok("queue", "tag", queue, "team=a", "note=x=y") == ""
    assert cli.ok("queue", "tag", queue) == "team\ta\nnote\tx=y\n"
    cli.ok("queue", "untag", queue, "note", "never")
    assert json.loads(cli.ok("queue", "tag", queue, "--json")) == {"team": "a"}
    assert cli.run("queue", "tag", queue, "nonsense").returncode == 2
