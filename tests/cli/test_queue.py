"""`ropeway queue`: what scripts get from it, and what people are asked."""

import json
import signal

import pytest

import ropeway
from tests.cli.conftest import Cli


def test_a_queue_is_made_once(cli: Cli) -> None:
    assert cli.ok("queue", "create", "once", "--visibility-timeout", "5m") == "once\tcreated\n"
    assert cli.ok("queue", "create", "once", "--visibility-timeout", "300") == "once\texists\n"
    answer = json.loads(cli.ok("queue", "create", "once", "--json"))
    assert answer == {"queue": "once", "arn": "arn:aws:sqs:us-east-1:000000000000:once", "created": False}


def test_a_queue_that_differs_is_an_error_with_its_code(cli: Cli) -> None:
    queue = cli.queue(delay=5)
    done = cli.run("queue", "create", queue, "--delay", "6s")
    assert done.returncode == 1
    first, second = done.stderr.decode().splitlines()
    assert first.startswith("ropeway: QueueNameExists: ")
    assert f"ropeway queue show {queue}" in second
    assert done.stdout == b""


def test_settings_are_shown_as_they_were_given(cli: Cli) -> None:
    given = {
        "visibility-timeout": "12h",
        "delay": "1.5s",
        "retention-period": "14d",
        "receive-wait-time": "20",
        "maximum-message-size": "256KiB",
    }
    queue = "given"
    options = (word for name, value in given.items() for word in ("--" + name, value))
    assert cli.ok("queue", "create", queue, *options) == "given\tcreated\n"
    shown = json.loads(cli.ok("queue", "show", queue, "--json"))
    assert shown["queue"] == queue
    assert shown["visibility_timeout"] == 43200
    assert shown["delay"] == 1.5
    assert shown["retention_period"] == 1209600
    assert shown["receive_wait_time"] == 20
    assert shown["maximum_message_size"] == 262144
    assert shown["created_at"].endswith("Z")
    plain = dict(line.split("\t") for line in cli.ok("queue", "show", queue).splitlines())
    assert plain == {name: str(value) for name, value in shown.items()}


def test_set_changes_only_what_is_named(cli: Cli) -> None:
    queue = cli.queue(delay=5)
    assert cli.ok("queue", "set", queue, "--visibility-timeout", "1m") == ""
    assert json.loads(cli.ok("queue", "set", queue, "--retention-period", "1d", "--json")) == {"queue": queue}
    shown = json.loads(cli.ok("queue", "show", queue, "--json"))
    assert (shown["delay"], shown["visibility_timeout"], shown["retention_period"]) == (5, 60, 86400)


def test_set_needs_something_to_set(cli: Cli) -> None:
    done = cli.run("queue", "set", cli.queue())
    assert done.returncode == 2
    assert b"at least one setting" in done.stderr


def test_a_value_out_of_range_is_refused_with_the_range(cli: Cli) -> None:
    done = cli.run("queue", "set", cli.queue(), "--delay", "16m")
    assert done.returncode == 1
    assert b"ropeway: InvalidAttributeValue: " in done.stderr
    assert b"delay is 0s to 15m" in done.stderr


def test_the_list_has_a_line_for_each_queue_with_its_numbers(cli: Cli) -> None:
    cli.make("another")
    names = ["list-a", "list-b", "list-c"]
    for name in names:
        cli.make(name)
    cli.fill("list-b", "one", "two", ropeway.Outgoing("later", delay=600))
    cli.take("list-b", 1)
    assert cli.ok("queue", "list", "list-") == "list-a\t0\t0\t0\nlist-b\t1\t1\t1\nlist-c\t0\t0\t0\n"
    records = [json.loads(line) for line in cli.ok("queue", "list", "list-", "--json").splitlines()]
    assert records[1] == {"queue": "list-b", "visible": 1, "in_flight": 1, "delayed": 1}
    assert cli.ok("queue", "list", "list-", "--names").splitlines() == names
    assert set(names) < set(cli.ok("queue", "list", "--names").splitlines())
    assert cli.ok("queue", "list", "no-such-prefix") == ""


def test_in_a_pipe_purge_and_delete_do_not_ask(cli: Cli) -> None:
    queue = cli.queue()
    cli.fill(queue, "x")
    assert cli.ok("queue", "purge", queue) == ""
    assert cli.numbers(queue) == (0, 0, 0)
    assert cli.ok("queue", "delete", queue) == ""
    done = cli.run("queue", "delete", queue)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[0] == f"ropeway: QueueDoesNotExist: There is no queue '{queue}'."


@pytest.mark.parametrize("command", ["purge", "delete"])
def test_on_a_terminal_it_asks_and_says_what_is_at_stake(cli: Cli, command: str) -> None:
    queue = cli.queue()
    cli.fill(queue, "one", "two")
    for keys, code in (("n\n", 1), ("\x03", -signal.SIGINT), ("\x04", 1)):
        with cli.terminal("queue", command, queue) as terminal:
            terminal.wait_for("all 2 messages")
            terminal.wait_for("[y/N]")
            terminal.press(keys)
            assert terminal.wait() == code
            assert "Traceback" not in terminal.shown
            assert ("Nothing was changed." in terminal.shown) == (code == 1)
        assert cli.numbers(queue) == (2, 0, 0)
    with cli.terminal("queue", command, queue) as terminal:
        terminal.wait_for("[y/N]")
        terminal.press("y\n")
        assert terminal.wait() == 0
    remains = cli.ok("queue", "list", queue)
    assert remains == (f"{queue}\t0\t0\t0\n" if command == "purge" else "")


@pytest.mark.parametrize("command", ["purge", "delete"])
def test_yes_skips_the_question(cli: Cli, command: str) -> None:
    queue = cli.queue()
    with cli.terminal("queue", command, queue, "--yes") as terminal:
        assert terminal.wait() == 0
        assert "[y/N]" not in terminal.shown


def test_a_terminal_gets_tables(cli: Cli) -> None:
    cli.make("drawn")
    with cli.terminal("queue", "list", "drawn", environ={"NO_COLOR": "1"}) as terminal:
        assert terminal.wait() == 0
        heading, row = terminal.shown.splitlines()
        assert heading.split() == ["queue", "visible", "in", "flight", "delayed"]
        assert row.split() == ["drawn", "0", "0", "0"]
    with cli.terminal("queue", "show", "drawn", environ={"NO_COLOR": "1"}) as terminal:
        assert terminal.wait() == 0
        assert "retention period           4d\n" in terminal.shown
    with cli.terminal("queue", "list", "nothing-like-it") as terminal:
        assert terminal.wait() == 0
        assert "ropeway queue create" in terminal.shown


def test_a_queue_of_another_account_is_called_by_its_arn(cli: Cli) -> None:
    arn = "arn:aws:sqs:eu-1:111111111111:mine"
    cli.ok("queue", "create", arn)
    cli.ok("send", arn, "x")
    assert cli.ok("queue", "list", "--account", "111111111111", "--region", "eu-1") == f"{arn}\t1\t0\t0\n"
    assert arn not in cli.ok("queue", "list", "--names")
    assert cli.ok("receive", arn, "--delete") == "x\n"
