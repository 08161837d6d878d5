"""A daemon and the command `ropeway`, as a script would run it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import logging
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar, Unpack
from unittest import mock

import pytest

import ropeway
from ropeway.cli import command
from tests.cli.terminal import Terminal
from tests.daemon import PATIENCE, Daemon

COMMAND = (sys.executable, "-m", "ropeway")
T = TypeVar("T")
Done = subprocess.CompletedProcess[bytes]


def line(process: subprocess.Popen[bytes]) -> bytes:
    """The next line that it prints."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    assert ready, "it prints nothing"
    return process.stdout.readline()


@contextlib.contextmanager
def standing_in(streams: Sequence[int]) -> Iterator[None]:
    """Put these descriptors in the place of standard input, output and error."""
    logger = logging.getLogger("ropeway")
    heard = logger.handlers[:], logger.propagate
    before = [os.dup(number) for number in range(3)]
    try:
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        with (
            open(0, closefd=False) as stdin,
            open(1, "w", closefd=False) as stdout,
            open(2, "w", closefd=False) as stderr,
            mock.patch.multiple(sys, stdin=stdin, stdout=stdout, stderr=stderr),
        ):
            yield
    finally:
        for number, descriptor in enumerate(before):
            os.dup2(descriptor, number)
            os.close(descriptor)
        logger.handlers[:], logger.propagate = heard


class Cli:
    """The command, with a daemon to talk to."""

    def __init__(self, url: str) -> None:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("ROPEWAY_", "_"))}
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
            plain.pop(name, None)
        self.environ = plain | {"ROPEWAY_URL": url, "TERM": "xterm-256color", "TZ": "UTC"}
        self._numbers = itertools.count(1)

    def run(
        self,
        *words: str,
        stdin: bytes = b"",
        environ: dict[str, str] | None = None,
        stdout: int | None = None,
    ) -> Done:
        """To its end, with files in place of pipes, and in this process: a new one takes far longer."""
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            given.write(stdin)
            given.seek(0)
            streams = (given.fileno(), out.fileno() if stdout is None else stdout, err.fileno())
            with (
                standing_in(streams),
                mock.patch.dict(os.environ, self.environ | (environ or {}), clear=True),
            ):
                code = command.run(words)
            out.seek(0)
            err.seek(0)
            return Done(words, code, out.read(), err.read())

    def ok(self, *words: str, stdin: bytes = b"") -> str:
        """What it prints, if all goes well and nothing is said on standard error."""
        done = self.run(*words, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, b""), done
        text: str = done.stdout.decode()
        return text

    def start(self, *words: str, command: Sequence[str] = COMMAND, **more: Any) -> subprocess.Popen[bytes]:
        """In the background; in pipes."""
        streams: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | more
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [*command, *words], env=self.environ, bufsize=0, **streams
        )
        atexit.register(process.kill)  # a test that failed in the middle leaves nothing behind
        return process

    def terminal(self, *words: str, environ: dict[str, str] | None = None, **popen: Any) -> Terminal:
        """On a terminal."""
        return Terminal([*COMMAND, *words], self.environ | (environ or {}), **popen)

    def queue(self, **settings: Unpack[ropeway.QueueSettings]) -> str:
        """The name of a new queue."""
        name = f"q{next(self._numbers)}"
        self.make(name, **settings)
        return name

    def make(self, name: str, **settings: Unpack[ropeway.QueueSettings]) -> None:
        """A queue of this name."""
        self.ask(lambda broker: broker.create_queue(name, **settings))

    def fill(self, queue: str, *messages: str | bytes | ropeway.Outgoing) -> None:
        """Send these."""
        self.ask(lambda broker: broker.queue(queue).send_many(messages))

    def numbers(self, queue: str) -> tuple[int, int, int]:
        """How many messages are visible, in flight and delayed."""
        shown = self.ask(lambda broker: broker.queue(queue).attributes())
        return shown["visible"], shown["in_flight"], shown["delayed"]

    def take(self, queue: str, count: int = 1000) -> list[ropeway.Message]:
        """The visible messages, hidden from now on."""
        return self.ask(lambda broker: broker.queue(queue).receive(count, wait=0))

    def ask(self, question: Callable[[ropeway.Broker], Awaitable[T]]) -> T:
        """What the daemon says, by way of the library."""

        async def asked() -> T:
            async with ropeway.connect(self.environ["ROPEWAY_URL"]) as broker:
                return await question(broker)

        return asyncio.run(asked())


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One for a module: its tests use queues of their own."""
    with Daemon(tmp_path_factory.mktemp("d")) as running:
        yield running


@pytest.fixture(scope="module")
def cli(daemon: Daemon) -> Cli:
    return Cli(daemon.url)
