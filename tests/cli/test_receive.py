"""`ropeway receive`: what is written out, and what becomes of the rest."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import ropeway
from tests.cli.conftest import Cli, line
from tests.daemon import PATIENCE, Daemon

BIG = 10_000
"""A body of which six fill a pipe."""


def test_by_default_a_message_stays_in_the_queue(cli: Cli) -> None:
    queue = cli.queue()
    cli.fill(queue, "one", "two")
    assert cli.ok("receive", queue) == "one\n"
    assert cli.numbers(queue) == (1, 1, 0)
    assert cli.ok("receive", queue, "--keep") == "two\n"
    assert cli.numbers(queue) == (0, 2, 0)


def test_delete_takes_it_for_good(cli: Cli) -> None:
    queue = cli.queue()
    cli.fill(queue, "one", "two", "three")
    assert cli.ok("receive", queue, "--delete") == "one\n"
    assert cli.ok("receive", queue, "--delete", "--max", "10") == "two\nthree\n"
    assert cli.numbers(queue) == (0, 0, 0)


def test_nothing_received_is_three(cli: Cli) -> None:
    queue = cli.queue()
    done = cli.run("receive", queue, "--wait", "10ms")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")
    assert cli.run("receive", "no-such-queue").returncode == 1


def test_it_waits_for_a_message(cli: Cli) -> None:
    queue = cli.queue()
    receiving = cli.start("receive", queue, "--wait", "1h", "--delete")
    cli.fill(queue, "at last")
    out, err = receiving.communicate(timeout=PATIENCE)
    assert (receiving.returncode, out, err) == (0, b"at last\n", b"")


def test_max_may_be_more_than_one_request_brings(cli: Cli) -> None:
    queue = cli.queue()
    sent = [f"message {number}" for number in range(2500)]
    cli.fill(queue, *sent)
    assert cli.ok("receive", queue, "--delete", "--max", "2300").splitlines() == sent[:2300]
    assert cli.numbers(queue) == (200, 0, 0)


def test_what_comes_round_again_ends_it(cli: Cli) -> None:
    queue = cli.queue()
    cli.fill(queue, "one", "two")
    looked = cli.ok("receive", queue, "--max", "1000000", "--visibility-timeout", "0s")
    assert looked == "one\ntwo\n"
    assert cli.numbers(queue) == (2, 0, 0)


def test_json_has_all_that_is_known_of_a_message(cli: Cli) -> None:
    queue = cli.queue()
    attributes: dict[str, tuple[str, str | bytes]] = {"n": ("Number.px", "4"), "b": ("Binary", b"\xff")}
    cli.fill(queue, ropeway.Outgoing("grüße\n", attributes=attributes), b"\x00\xff")
    first, second = map(json.loads, cli.ok("receive", queue, "--max", "2", "--json").splitlines())
    assert first["body"] == "grüße\n"
    assert first["receive_count"] == 1
    assert first["sent_at"] <= first["first_received_at"]
    assert first["attributes"]["n"] == {"type": "Number.px", "value": "4"}
    assert base64.b64decode(first["attributes"]["b"]["value"]) == b"\xff"
    assert base64.b64decode(second["body_base64"]) == b"\x00\xff"
    assert "body" not in second


def test_raw_writes_bodies_and_nothing_else(cli: Cli) -> None:
    queue = cli.queue()
    cli.fill(queue, b"\x00\xff\n", "text", b"\x1b")
    done = cli.run("receive", queue, "--max", "3", "--raw")
    assert done.stdout == b"\x00\xff\ntext\x1b"


def test_a_body_goes_to_a_file_byte_for_byte(cli: Cli, tmp_path: Path) -> None:
    queue = cli.queue()
    cli.fill(queue, b"\x00\xff\n")
    file = tmp_path / "body"
    assert cli.ok("receive", queue, "--delete", "--file", str(file)) == ""
    assert file.read_bytes() == b"\x00\xff\n"
    assert cli.run("receive", queue, "--file", str(file)).returncode == 3
    assert file.read_bytes() == b"\x00\xff\n"


def test_a_message_that_cannot_be_written_stays(cli: Cli, tmp_path: Path) -> None:
    queue = cli.queue()
    cli.fill(queue, "precious")
    done = cli.run("receive", queue, "--delete", "--file", str(tmp_path / "none" / "body"))
    assert done.returncode == 5
    assert cli.numbers(queue) == (1, 0, 0)
    with Path("/dev/full").open("wb") as full:
        done = cli.run("receive", queue, "--delete", stdout=full.fileno())
    assert done.returncode == 5
    assert cli.numbers(queue) == (1, 0, 0)


def test_what_one_command_prints_another_can_send(cli: Cli) -> None:
    here, there = cli.queue(), cli.queue()
    cli.fill(here, *(f"line {number}" for number in range(300)))
    receiving = cli.start("receive", here, "--delete", "--max", "1000")
    done = cli.run("send", there, "--lines", stdin=receiving.communicate(timeout=PATIENCE)[0])
    assert done.returncode == 0
    assert [message.body for message in cli.take(there)] == [f"line {number}" for number in range(300)]


# Interruptions.


def read_two(receiving: subprocess.Popen[bytes]) -> bytes:
    """Two messages; of those that follow, only some fit into the pipe."""
    return line(receiving) + line(receiving)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("words", [("--follow",), ("--max", "50")])
def test_an_interruption_gives_back_what_was_not_printed(
    cli: Cli, number: signal.Signals, words: tuple[str, ...]
) -> None:
    queue = cli.queue(visibility_timeout=43200)
    cli.fill(queue, *("x" * BIG for _ in range(50)))
    receiving = cli.start("receive", queue, "--delete", *words)
    two = read_two(receiving)
    receiving.send_signal(number)
    assert receiving.wait(PATIENCE) == -number  # nobody reads: the write that blocks is broken off
    out, err = receiving.communicate()
    printed = (two + out).count(b"\n")
    assert err == b""
    assert 2 <= printed < 50
    assert cli.numbers(queue) == (50 - printed, 0, 0)


DEAF = """
import runpy, signal, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
runpy.run_module("ropeway", run_name="__main__", alter_sys=True)
"""
"""The command, its signals caught by another thread: they break off no system call of the main one, as where
they come just before it begins."""


def test_an_interruption_that_comes_just_before_a_wait_ends_it(cli: Cli) -> None:
    queue = cli.queue(visibility_timeout=43200)
    cli.fill(queue, *("x" * BIG for _ in range(50)))
    receiving = cli.start("receive", queue, "--delete", "--follow", command=(sys.executable, "-c", DEAF))
    two = read_two(receiving)
    receiving.send_signal(signal.SIGINT)
    assert receiving.wait(PATIENCE) == -signal.SIGINT
    out, err = receiving.communicate()
    assert err == b""
    assert cli.numbers(queue) == (50 - (two + out).count(b"\n"), 0, 0)


def test_a_reader_that_goes_away_leaves_the_rest_in_the_queue(cli: Cli) -> None:
    queue = cli.queue(visibility_timeout=43200)
    cli.fill(queue, *("x" * BIG for _ in range(50)))
    receiving = cli.start("receive", queue, "--delete", "--follow")
    assert receiving.stdout is not None
    read_two(receiving)
    receiving.stdout.close()
    assert receiving.wait(PATIENCE) == -signal.SIGPIPE
    assert receiving.stderr is not None
    assert receiving.stderr.read() == b""
    receiving.stderr.close()
    assert receiving.stdin is not None
    receiving.stdin.close()
    visible, in_flight, _ = cli.numbers(queue)
    assert in_flight == 0
    assert 0 < visible <= 48


def test_an_interrupted_wait_swallows_nothing(cli: Cli) -> None:
    queue = cli.queue(visibility_timeout=43200)
    cli.fill(queue, "first")
    receiving = cli.start("receive", queue, "--delete", "--follow")
    assert line(receiving) == b"first\n"
    receiving.send_signal(signal.SIGINT)
    assert receiving.communicate(timeout=PATIENCE) == (b"", b"")
    assert receiving.returncode == -signal.SIGINT
    cli.fill(queue, "second")
    assert cli.numbers(queue) == (1, 0, 0)


def test_follow_goes_on_and_ends_at_max_or_when_nothing_comes(cli: Cli) -> None:
    queue = cli.queue()
    following = cli.start("receive", queue, "--follow", "--delete", "--max", "3")
    for body in ("one", "two"):
        cli.fill(queue, body)
        assert line(following).decode() == f"{body}\n"
    cli.fill(queue, "three", "four")
    out, err = following.communicate(timeout=PATIENCE)
    assert (following.returncode, out, err) == (0, b"three\n", b"")
    assert cli.ok("receive", queue, "--follow", "--delete", "--wait", "50ms") == "four\n"
    assert cli.run("receive", queue, "--follow", "--wait", "50ms").returncode == 3


def test_follow_outlives_the_daemon(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        cli = Cli(daemon.url)
        queue = cli.queue()
        cli.fill(queue, "before")
        following = cli.start("receive", queue, "--follow", "--delete", stderr=subprocess.DEVNULL)
        assert line(following) == b"before\n"
        daemon.kill()
        daemon.start()
        cli.fill(queue, "after")
        assert line(following) == b"after\n"
        following.send_signal(signal.SIGTERM)
        following.communicate(timeout=PATIENCE)
        assert following.returncode == -signal.SIGTERM


# On a terminal.


def test_a_terminal_shows_facts_and_obeys_nothing_in_a_body(cli: Cli) -> None:
    queue = cli.queue()
    cli.fill(queue, ropeway.Outgoing("\x1b[2Jgone\x07", attributes={"colour": "\x1b[31mred"}), b"\xff\xfe")
    with cli.terminal("receive", queue, "--max", "2", environ={"NO_COLOR": "1"}) as terminal:
        assert terminal.wait() == 0
    assert "\x1b" not in terminal.shown
    assert "\x07" not in terminal.shown
    assert "received 1 time" in terminal.shown
    assert "\\x1b[2Jgone\\x07" in terminal.shown
    assert "(2 bytes; --raw or --file writes them)" in terminal.shown
    assert "then back in the queue" in terminal.shown


def test_colour_is_for_terminals_that_want_it(cli: Cli) -> None:
    queue = cli.queue()
    cli.fill(queue, "x")
    for environ, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        for words in (
            ("receive", queue, "--visibility-timeout", "0"),
            ("queue", "list"),
            ("queue", "show", "?"),
        ):
            with cli.terminal(*words, environ=environ) as terminal:
                terminal.wait()
            assert ("\x1b[" in terminal.shown) == coloured, (words, environ, terminal.shown)


def test_a_progress_bar_is_for_terminals_alone(cli: Cli) -> None:
    queue = cli.queue()
    reader, writer = os.pipe()
    with cli.terminal("send", queue, "--lines", stdin=reader, stdout=subprocess.DEVNULL) as terminal:
        # Work that takes a while: the bar comes with the first line after its patience.
        while "messages sent" not in terminal.shown:
            os.write(writer, b"line\n")
            terminal.peek(0.05)
        os.close(writer)
        assert terminal.wait() == 0
    os.close(reader)
    done = cli.run("receive", queue, "--max", "100000", "--delete")
    assert (done.returncode, done.stderr) == (0, b"")


def test_several_queues_are_received_from_in_order(cli: Cli) -> None:
    urgent, jobs = cli.queue(), cli.queue()
    cli.fill(jobs, "j1", "j2")
    cli.fill(urgent, "u")
    assert cli.ok("receive", urgent, "--or", jobs, "--max", "2", "--delete") == "u\nj1\n"
    assert (cli.numbers(urgent), cli.numbers(jobs)) == ((0, 0, 0), (1, 0, 0))
    assert cli.ok("receive", urgent, "--or", jobs, "--wait", "20s", "--delete") == "j2\n"
    assert cli.run("receive", urgent, "--or", jobs).returncode == 3


def test_of_several_queues_by_weight(cli: Cli) -> None:
    first, second = cli.queue(), cli.queue()
    cli.fill(first, *("f" * 200))
    cli.fill(second, *("s" * 200))
    drawn = ""
    for _ in range(40):
        drawn += cli.ok("receive", first, "--or", second, "--weights", "1,1", "--delete")
    assert {"f", "s"} == set(drawn.split())
    for wrong in ("1", "1,0", "1,x", "1,2,3", "1,1001"):
        assert cli.run("receive", first, "--or", second, "--weights", wrong).returncode == 2
