"""`ropeway send`: what goes in is what is in the queue."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, line
from tests.daemon import Daemon

IS_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def bodies(cli: Cli, queue: str) -> list[str | bytes]:
    return [message.body for message in cli.take(queue)]


def test_an_argument_is_a_message_and_its_id_is_printed(cli: Cli) -> None:
    queue = cli.queue()
    printed = cli.ok("send", queue, "grüße aus\tder zeile")
    [message] = cli.take(queue)
    assert message.body == "grüße aus\tder zeile"
    assert printed == f"{message.id}\n"
    assert IS_ID.fullmatch(json.loads(cli.ok("send", queue, "x", "--json"))["id"])


def test_a_body_may_begin_with_a_dash(cli: Cli) -> None:
    queue = cli.queue()
    cli.ok("send", queue, "--", "-5")
    assert bodies(cli, queue) == ["-5"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"text\n", str), ("ü\r\n".encode(), str), (b"\x00\x01\xff", bytes), (b"\x1b[1m", bytes)],
)
def test_standard_input_and_files_are_sent_byte_for_byte(
    cli: Cli, tmp_path: Path, body: bytes, kind: type
) -> None:
    queue = cli.queue()
    file = tmp_path / "body"
    file.write_bytes(body)
    cli.ok("send", queue, "-", stdin=body)
    cli.ok("send", queue, "--file", str(file))
    for sent in bodies(cli, queue):
        assert (sent.encode() if isinstance(sent, str) else sent) == body
        assert type(sent) is kind


def test_text_can_be_sent_as_bytes(cli: Cli) -> None:
    queue = cli.queue()
    cli.ok("send", queue, "text", "--bytes")
    assert bodies(cli, queue) == [b"text"]


def test_attributes_and_delay_go_along(cli: Cli) -> None:
    queue = cli.queue()
    attributes = ["colour=String:red", "size=Number.px:640", "raw=Binary:AP8="]
    cli.ok("send", queue, "x", *(word for each in attributes for word in ("--attribute", each)))
    [message] = cli.take(queue)
    assert message.typed_attributes == {
        "colour": ("String", "red"),
        "size": ("Number.px", "640"),
        "raw": ("Binary", b"\x00\xff"),
    }
    cli.ok("send", queue, "later", "--delay", "15m")
    assert cli.numbers(queue) == (0, 1, 1)


def test_each_line_is_a_message_in_order(cli: Cli) -> None:
    queue = cli.queue()
    printed = cli.ok("send", queue, "--lines", stdin=b"one\n\ntwo\r\nb\xff\n\nno end")
    messages = cli.take(queue)
    assert [message.body for message in messages] == ["one", "two", b"b\xff", "no end"]
    assert printed.split() == [message.id for message in messages]


def test_many_lines_of_a_file_arrive_whole_and_once(cli: Cli, tmp_path: Path) -> None:
    queue = cli.queue()
    lines = [f"{number:06} {'x' * (number % 400)}" for number in range(5000)]
    (tmp_path / "lines").write_text("\n".join(lines) + "\n")
    printed = cli.ok("send", queue, "--lines", "--file", str(tmp_path / "lines"), "--json").splitlines()
    assert [json.loads(each)["line"] for each in printed] == list(range(1, 5001))
    found = [body for _ in range(5) for body in bodies(cli, queue)]
    assert found == lines


def test_lines_are_sent_as_they_come(cli: Cli) -> None:
    queue = cli.queue()
    sending = cli.start("send", queue, "--lines")
    assert sending.stdin is not None
    for each in (b"first\n", b"second\n"):
        sending.stdin.write(each)
        sending.stdin.flush()
        assert IS_ID.fullmatch(line(sending).decode().strip())
    assert cli.numbers(queue) == (2, 0, 0)
    sending.stdin.write(b"third")
    out, err = sending.communicate(timeout=60)
    assert (sending.returncode, err) == (0, b"")
    assert len(out.splitlines()) == 1
    assert bodies(cli, queue) == ["first", "second", "third"]


def test_an_interrupted_send_says_what_was_sent(cli: Cli) -> None:
    queue = cli.queue()
    sending = cli.start("send", queue, "--lines")
    assert sending.stdin is not None
    sending.stdin.write(b"one\n\ntwo\n")
    sending.stdin.flush()
    line(sending)
    line(sending)
    sending.send_signal(signal.SIGINT)
    assert sending.wait(60) == -signal.SIGINT
    _, err = sending.communicate()
    assert err.decode() == "ropeway: 2 messages were sent, the last from line 3\n"
    assert cli.numbers(queue) == (2, 0, 0)


def test_a_refused_line_does_not_stop_the_others(cli: Cli) -> None:
    queue = cli.queue(maximum_message_size=1024)
    done = cli.run("send", queue, "--lines", stdin=b"good\n" + b"x" * 1025 + b"\nalso good\n")
    assert done.returncode == 1
    first, last = done.stderr.decode().splitlines()
    assert first.startswith("ropeway: line 2: InvalidParameterValue: ")
    assert last == "ropeway: 1 line refused, 2 sent"
    assert len(done.stdout.splitlines()) == 2
    assert bodies(cli, queue) == ["good", "also good"]


def test_lines_for_no_queue_end_at_once(cli: Cli) -> None:
    done = cli.run("send", "no-such-queue", "--lines", stdin=b"a\n" * 100_000)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[0].startswith("ropeway: QueueDoesNotExist: ")
    assert done.stdout == b""


def test_what_is_longer_than_a_request_is_refused_and_never_cut(cli: Cli, tmp_path: Path) -> None:
    queue = cli.queue()
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(17 * 1024 * 1024)
    for words in (("--file", str(big)), ("--lines", "--file", str(big))):
        done = cli.run("send", queue, *words)
        assert done.returncode == 1
        assert b"is longer than a message can be" in done.stderr
    assert cli.numbers(queue) == (0, 0, 0)


def test_an_empty_body_is_refused_by_the_daemon(cli: Cli) -> None:
    done = cli.run("send", cli.queue(), "-")
    assert done.returncode == 1
    assert b"ropeway: InvalidMessageContents: " in done.stderr


def test_a_file_that_cannot_be_read_is_five(cli: Cli, tmp_path: Path) -> None:
    for words in (("--file", str(tmp_path / "none")), ("--lines", "--file", str(tmp_path))):
        done = cli.run("send", "q", *words)
        assert done.returncode == 5
        assert done.stderr.decode().startswith(f"ropeway: {tmp_path}")


def test_a_daemon_that_dies_leaves_a_line_to_go_on_from(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        cli = Cli(daemon.url)
        queue = cli.queue()
        sending = cli.start("send", queue, "--lines", "--timeout", "500ms")
        assert sending.stdin is not None
        sending.stdin.write(b"one\n")
        sending.stdin.flush()
        line(sending)
        daemon.kill()
        _, err = sending.communicate(b"two\n", timeout=60)
        assert sending.returncode == 4
        assert "(1 message was sent, the last from line 1)" in err.decode()
        daemon.start()
        assert cli.numbers(queue) == (1, 0, 0)


def test_a_fifo_queue_is_made_filled_and_shown(cli: Cli) -> None:
    queue = f"{cli.queue()}.fifo"
    cli.ok("queue", "create", queue, "--fifo", "--deduplication-scope", "messageGroup")
    first = cli.ok("send", queue, "paid", "--group", "g", "--deduplication-id", "1")
    assert cli.ok("send", queue, "paid again", "--group", "g", "--deduplication-id", "1") == first
    found = json.loads(cli.ok("receive", queue, "--json"))
    assert (found["body"], found["group"], found["deduplication_id"]) == ("paid", "g", "1")
    assert len(found["sequence_number"]) == 20
    shown = json.loads(cli.ok("queue", "show", queue, "--json"))
    assert (shown["fifo"], shown["deduplication_scope"]) == (True, "messageGroup")
