"""Dead letters on the command line, as somebody meets them: a poison message, a look, and its redrive."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Cli


def poison(cli: Cli, jobs: str, dead: str, body: str = "poison") -> None:
    """`jobs` with a message that nobody could handle, which is in `dead` now."""
    cli.ok("queue", "create", dead)
    cli.ok("queue", "create", jobs, "--dead-letter-queue", dead, "--max-receive-count", "2")
    cli.ok("send", jobs, body)
    for _ in range(2):
        assert cli.ok("receive", jobs, "--visibility-timeout", "0s") == body + "\n"
    assert cli.run("receive", jobs).returncode == 3
    assert cli.numbers(dead) == (1, 0, 0)


def test_a_poison_message_goes_there_and_back(cli: Cli) -> None:
    poison(cli, "there", "there-dead")
    assert cli.ok("receive", "there-dead", "--visibility-timeout", "0s") == "poison\n"
    done = json.loads(cli.ok("queue", "redrive", "there-dead", "--watch", "--json"))
    assert (done["queue"], done["status"], done["moved"]) == ("there-dead", "COMPLETED", 1)
    assert cli.ok("receive", "there", "--delete") == "poison\n"
    status, moved, to_move, destination, reason, start = cli.ok(
        "queue", "redrive", "there-dead", "--status"
    ).split("\t")
    assert (status, moved, to_move, destination, reason) == ("COMPLETED", "1", "1", "", "")
    assert start.endswith("Z\n")


def test_a_redrive_goes_where_it_is_told(cli: Cli) -> None:
    poison(cli, "told", "told-dead")
    cli.make("told-fixed")
    assert cli.ok("queue", "redrive", "told-dead", "--to", "told-fixed", "--rate", "5", "--watch") == ""
    assert cli.ok("receive", "told-fixed") == "poison\n"
    [task] = [
        json.loads(line)
        for line in cli.ok("queue", "redrive", "told-dead", "--status", "--json").splitlines()
    ]
    assert task["destination"] == "told-fixed"


def test_a_redrive_that_fails_says_why(cli: Cli) -> None:
    poison(cli, "fails", "fails-dead")
    cli.fill("fails-dead", "sent by hand")
    done = cli.run("queue", "redrive", "fails-dead", "--watch")
    assert done.returncode == 1
    assert b"CouldNotDetermineMessageSource" in done.stderr
    assert cli.numbers("fails-dead") == (1, 0, 0)


def test_a_redrive_can_be_cancelled(cli: Cli) -> None:
    poison(cli, "cancelled", "cancelled-dead")
    cli.make("cancelled-else")
    cli.fill("cancelled-dead", *(str(n) for n in range(1000)))
    assert cli.run("queue", "redrive", "cancelled-dead", "--cancel").returncode == 1
    cli.ok("queue", "redrive", "cancelled-dead", "--to", "cancelled-else", "--rate", "1")
    assert cli.run("queue", "redrive", "cancelled-dead").returncode == 1  # one at a time
    moved = int(cli.ok("queue", "redrive", "cancelled-dead", "--cancel"))
    assert 0 <= moved < 1000
    assert cli.numbers("cancelled-dead")[0] == 1001 - moved
    assert cli.ok("queue", "redrive", "cancelled-dead", "--status").startswith("CANCELLED\t")


def test_settings_are_shown_as_they_were_given(cli: Cli) -> None:
    cli.ok("queue", "create", "shown-dead", "--dead-letters-from", "shown,other")
    cli.ok("queue", "create", "shown", "--dead-letter-queue", "shown-dead")
    shown = json.loads(cli.ok("queue", "show", "shown", "--json"))
    assert (shown["dead_letter_queue"], shown["max_receive_count"]) == ("shown-dead", 10)
    assert json.loads(cli.ok("queue", "show", "shown-dead", "--json"))["dead_letters_from"] == "shown,other"
    cli.ok("queue", "set", "shown", "--dead-letter-queue", "")
    assert "dead_letter_queue" not in json.loads(cli.ok("queue", "show", "shown", "--json"))
    cli.ok("queue", "set", "shown-dead", "--dead-letters-from", "none")
    done = cli.run("queue", "set", "shown", "--dead-letter-queue", "shown-dead")
    assert done.returncode == 1
    assert b"does not allow" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("set", "--max-receive-count", "5"),
        ("set", "--dead-letter-queue", "x", "--max-receive-count", "1001"),
        ("redrive", "--status", "--cancel"),
        ("redrive", "--cancel", "--rate", "5"),
        ("redrive", "--rate", "0"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_wrong_usage(cli: Cli, words: tuple[str, ...]) -> None:
    command, *options = words
    assert cli.run("queue", command, "any", *options).returncode == 2


def test_what_is_no_dead_letter_queue_is_refused(cli: Cli) -> None:
    done = cli.run("queue", "redrive", cli.queue())
    assert done.returncode == 1
    assert b"Dead Letter Queue" in done.stderr
    assert cli.run("queue", "redrive", "nobody-there").returncode == 1
