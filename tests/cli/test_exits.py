"""How commands end: codes, one line on standard error, and never a traceback."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ropeway.cli import command
from tests.certificate import self_signed
from tests.cli.conftest import COMMAND, Cli
from tests.daemon import PATIENCE, Daemon

KEY, SECRET = "worker", "correct horse battery staple"


@pytest.mark.parametrize(
    "words",
    [
        ("pong",),
        ("queue", "frob"),
        ("send",),
        ("send", "q"),
        ("send", "q", "x", "--file", "y"),
        ("send", "q", "x", "--lines"),
        ("send", "q", "x", "--delay", "soon"),
        ("send", "q", "x", "-a", "a=String:1", "-a", "a=String:2"),
        ("receive", "q", "--max", "0"),
        ("receive", "q", "--file", "f", "--max", "2"),
        ("receive", "q", "--raw", "--json"),
        ("ping", "--url", "http://127.0.0.1"),
        ("ping", "--url", "ropeways://127.0.0.1?ca=/no/such/file"),
        ("ping", "--timeout", "0"),
        ("completion", "tcsh"),
    ],
)
def test_wrong_usage_is_two_and_says_where_help_is(
    words: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    assert command.run(words) == 2
    said = capfd.readouterr()
    assert said.out == ""
    first, *hint = said.err.splitlines()
    assert first.startswith("ropeway: ")
    assert len(hint) <= 1


def test_nobody_there_is_four(cli: Cli, tmp_path: Path) -> None:
    done = cli.run("ping", "--url", f"unix:{tmp_path}/none")
    assert done.returncode == 4
    first, hint = done.stderr.decode().splitlines()
    assert first == f"ropeway: cannot connect to unix:{tmp_path}/none: No such file or directory"
    assert "ROPEWAY_URL" in hint
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = cli.run("ping", "--url", f"ropeway://127.0.0.1:{port}")
    assert done.returncode == 4
    assert b"Connection refused\n" in done.stderr


def test_somebody_who_says_nothing_is_four(cli: Cli, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        done = cli.run("ping", "--url", f"unix:{tmp_path / 's'}", "--timeout", "100ms")
    assert done.returncode == 4
    assert b"within 0.1 s" in done.stderr


@pytest.mark.needs("openssl")
def test_tls_on_one_side_alone_or_an_untrusted_certificate_says_what_to_change(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "DNS:localhost")

    def end(url: str) -> tuple[str, str]:
        done = Cli(url).run("ping", "--timeout", "500ms")
        assert done.returncode == 4
        first, hint = done.stderr.decode().splitlines()
        return first, hint

    flags = ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    with Daemon(tmp_path, *flags, listen=["127.0.0.1:0"]) as daemon:
        address = daemon.addresses[0]
        assert "ropeways://" in end(f"ropeway://{address}")[1]
        first, hint = end(f"ropeways://{address}")
        assert first.endswith("certificate verify failed: self-signed certificate")
        assert "?ca=FILE" in hint
        assert "the certificate names" in end(f"ropeways://{address}?ca={certificate}")[1]
    with Daemon(tmp_path, listen=["127.0.0.1:0"]) as daemon:
        assert "ropeway://" in end(f"ropeways://{daemon.addresses[0]}")[1]


def test_ping_says_how_long_it_took(cli: Cli) -> None:
    answer = json.loads(cli.ok("ping", "--json"))
    assert answer["address"] == cli.environ["ROPEWAY_URL"]
    assert answer["milliseconds"] > 0
    assert cli.ok("ping").split("\t")[0] == cli.environ["ROPEWAY_URL"]


def test_ping_can_wait_for_a_daemon_to_start(tmp_path: Path) -> None:
    cli = Cli(f"unix:{tmp_path / 'socket'}")
    waiting = cli.start("ping", "--wait", "1m")
    with Daemon(tmp_path):
        out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, err) == (0, b"")
    assert out


def test_options_may_stand_before_the_command_or_after_it(cli: Cli) -> None:
    url = cli.environ["ROPEWAY_URL"]
    elsewhere = {"ROPEWAY_URL": "unix:/nowhere"}
    for words in (("--url", url, "--json", "ping"), ("ping", "--url", url, "--json")):
        done = cli.run(*words, environ=elsewhere)
        assert done.returncode == 0
        assert json.loads(done.stdout)["address"] == url


def test_a_reader_that_stops_reading_is_quiet(cli: Cli) -> None:
    for words in (("--help",), ("ping",)):
        reader, writer = os.pipe()
        os.close(reader)
        done = cli.start(*words, stdout=writer)
        os.close(writer)
        _, err = done.communicate(timeout=PATIENCE)
        assert (done.returncode, err) == (-signal.SIGPIPE, b""), words


def test_a_full_disk_is_five(cli: Cli) -> None:
    with Path("/dev/full").open("wb") as full:
        done = cli.run("ping", stdout=full.fileno())
    assert done.returncode == 5
    assert done.stderr == b"ropeway: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_it_says_what_to_install(missing: str) -> None:
    hide = (
        "import importlib.util as u, sys; found = u.find_spec\n"
        f"u.find_spec = lambda name: None if name == {missing!r} else found(name)\n"
        "from ropeway.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, check=False)
    assert done.returncode == 2
    hint = "pip install '.[cli]' in a clone of Ropeway"
    assert done.stderr.decode() == f"ropeway: {missing} is missing: {hint}\n"


def test_the_environment_has_the_key_and_no_output_has_the_secret(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'{KEY} = "{SECRET}"\n')
    keys.chmod(0o600)
    with Daemon(tmp_path, "--keys-file", str(keys)) as daemon:
        cli = Cli(daemon.url)
        none = cli.run("ping")
        wrong = cli.run("ping", environ={"ROPEWAY_KEY": KEY, "ROPEWAY_SECRET": SECRET + "!"})
        half = cli.run("ping", environ={"ROPEWAY_KEY": KEY})
        right = cli.run("ping", environ={"ROPEWAY_KEY": KEY, "ROPEWAY_SECRET": SECRET})
    assert [done.returncode for done in (none, wrong, half, right)] == [1, 1, 2, 0]
    assert b"AccessDenied" in none.stderr
    assert b"ROPEWAY_SECRET" in none.stderr
    assert b"AccessDenied" in wrong.stderr
    for done in (none, wrong, half, right):
        assert SECRET.encode() not in done.stdout + done.stderr


def test_a_secret_among_the_arguments_is_refused(cli: Cli) -> None:
    done = cli.run("ping", "--url", f"ropeway://{KEY}:hunter2@127.0.0.1")
    assert done.returncode == 2
    assert b"ROPEWAY_SECRET" in done.stderr
    assert b"hunter2" not in done.stderr


def test_rich_is_not_imported_where_nothing_is_drawn(cli: Cli) -> None:
    queue = cli.queue()
    for words in (("queue", "list"), ("send", queue, "x"), ("receive", queue)):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *COMMAND[1:], *words],
            env=cli.environ,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0
        assert b"ropeway.cli" in done.stderr
        assert b" rich" not in done.stderr
