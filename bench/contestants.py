"""The servers that a scenario compares, each started by itself on a fresh data directory.

Both are processes of this interpreter, both listen on TCP on the loopback, both answer when their journal is
on disk. What they print goes to a file beside their data, and is shown when they fail.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.httpwire import ENVIRON, HttpWire
from bench.kinds import BARE, FIFO, HTTP, NOTHING, ROPEWAY, open_wire
from bench.wire import CREATE, QUEUE, RopewayWire, call, dial

START_SECONDS = 30.0
STOP_SECONDS = 20.0
RETRY_SECONDS = 0.002


class ContestantFailed(Exception):
    """A server or a load did not start, died, or did not stop."""


def cpu_seconds(pid: int) -> float:
    """The processor time that a process of this user has used, all threads, to the nanosecond.

    It is the process's CPU clock, numbered as Linux numbers it: /proc counts in hundredths of a second.
    """
    return time.clock_gettime((~pid << 3) | 2)


def rss_bytes(pid: int) -> int:
    """The memory that a process has resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def peak_rss_bytes(pid: int) -> int:
    """The most memory that a process has had resident since it began."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def written_bytes(pid: int) -> int:
    """What a process has had written to disk: whole pages, as the kernel counts them."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    kind: str
    consumer_commits: int
    """Commits in a consumer's cycle of receive and delete. Consumers keep as many requests outstanding for
    each as producers do for their one: with fewer they starve, with more they poll an empty queue."""
    log: Path
    start_seconds: float
    """From the process's start to its first answer."""
    queue: str = QUEUE
    helpers: Sequence[subprocess.Popen[bytes]] = ()
    """Processes that were started for it, and end after it."""

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return cpu_seconds(self.process.pid)

    def left(self) -> int:
        """How many messages it still holds."""
        connection, wire = open_wire(self.kind, self.port, self.queue)
        with connection:
            return wire.left(connection)

    def stop(self) -> None:
        """Ends it in the orderly way. Raises ContestantFailed when it had ended already, or does not."""
        if self.process.poll() is not None:
            self.kill()
            raise ContestantFailed(
                f"the server ended with status {self.process.returncode}:\n{self.last_words()}"
            )
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise ContestantFailed(f"the server did not stop in {STOP_SECONDS:.0f} s") from None
        finally:
            self.kill()

    def ask(self, action: int, **parameters: Any) -> Any:
        """One request of Ropeway's own, beside the load, and its answer."""
        with dial(self.port) as connection:
            wire = RopewayWire()
            wire.greet(connection)
            return call(connection, wire, wire.request(1, action, parameters))

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        for process in (self.process, *self.helpers):
            process.kill()
            process.wait()

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


class Contestant(Protocol):
    """A server that can be started."""

    name: str

    def start(self, directory: Path) -> Server:
        """Starts it with its data in a directory of its own, and waits for its first answer."""


class BareLoop:
    """The yardstick."""

    name = "bare loop"

    def start(self, directory: Path) -> Server:
        data, log = fresh(directory)
        return listening([sys.executable, "-m", "bench.bareloop", "--data", str(data)], log, BARE)


class Nothing:
    """The yardstick for HTTP: aiohttp's own empty POST handler. It keeps nothing."""

    name = "empty handler"

    def start(self, directory: Path) -> Server:
        _, log = fresh(directory)
        return listening([sys.executable, "-m", "bench.nothing"], log, NOTHING)


def listening(
    command: list[str], log: Path, kind: str, prepare: Callable[[int], None] | None = None
) -> Server:
    """A server that prints its port. `prepare`: what it needs before it can say what it holds."""
    began = time.perf_counter()
    process = launch(command, log)
    port = 0
    while port == 0:
        wait_a_little(process, log, began)
        said = re.match(r"listening (\d+)\n", log.read_text())
        port = int(said[1]) if said else 0
    server = Server(process, port, kind, 1, log, 0.0)
    if prepare is not None:
        prepare(port)
    server.left()
    server.start_seconds = time.perf_counter() - began
    return server


class Daemon:
    """Ropeway, as a user starts it; `options` are added to its command line, `environ` to its environment."""

    name = "ropeway"

    def __init__(self, *options: str, name: str = name, environ: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._options = options
        self._environ = environ or {}

    def start(self, directory: Path) -> Server:
        fresh(directory)
        server = self.restart(directory)
        server.ask(CREATE, queue=QUEUE)
        return server

    def restart(self, directory: Path) -> Server:
        """Starts it on the data that it has in a directory, and waits for its first answer."""
        port, began, process, log, connection = self._launched(directory, http=False)
        with connection:
            RopewayWire().greet(connection)
        return Server(process, port, ROPEWAY, 2, log, time.perf_counter() - began)

    def _launched(
        self, directory: Path, *, http: bool
    ) -> tuple[int, float, subprocess.Popen[bytes], Path, socket.socket]:
        """A port of it, when it began, its process, its log, and a first connection to that port."""
        data, log = places(directory)
        ports = {"--listen": free_port(), "--http": free_port()}
        command = [sys.executable, "-m", "ropewayd", "--data-dir", str(data)]
        for flag, port in ports.items():
            command += [flag, f"127.0.0.1:{port}"]
        began = time.perf_counter()
        process = launch([*command, *self._options], log, self._environ)
        port = ports["--http" if http else "--listen"]
        while True:
            wait_a_little(process, log, began)
            with contextlib.suppress(ConnectionRefusedError):
                return port, began, process, log, dial(port)


class FifoDaemon(Daemon):
    """Ropeway with a FIFO queue instead of a standard one; `attributes`: those that the queue has besides."""

    queue = f"{QUEUE}.fifo"

    def __init__(
        self,
        *options: str,
        name: str = Daemon.name,
        environ: Mapping[str, str] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(*options, name=name, environ=environ)
        self._attributes = {"fifo": True, **(attributes or {})}

    def start(self, directory: Path) -> Server:
        server = super().start(directory)
        server.ask(CREATE, queue=self.queue, attributes=self._attributes)
        server.kind, server.queue = FIFO, self.queue
        return server


class HttpDaemon(Daemon):
    """Ropeway by its AWS face. It verifies signatures, unless told not to."""

    def __init__(
        self, *, name: str = "ropeway", verifies: bool = True, environ: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(name=name, environ={**(ENVIRON if verifies else {}), **(environ or {})})

    def start(self, directory: Path) -> Server:
        fresh(directory)
        server = self.restart(directory)
        create_by_http(server.port)
        return server

    def restart(self, directory: Path) -> Server:
        port, began, process, log, connection = self._launched(directory, http=True)
        connection.close()
        # A connection has one request outstanding: with more of them, producers and consumers would differ.
        return Server(process, port, HTTP, 1, log, time.perf_counter() - began)


def create_by_http(port: int) -> None:
    """The queue, where SQS's protocol is all that a server speaks."""
    with dial(port) as connection:
        HttpWire(port).create(connection)


def fresh(directory: Path) -> tuple[Path, Path]:
    """An empty data directory that only its owner can read, and a path for a log beside it."""
    data, log = places(directory)
    data.mkdir(mode=0o700, parents=True)
    return data, log


def places(directory: Path) -> tuple[Path, Path]:
    """Where a server's data and its log are."""
    return directory / "data", directory / "log"


def launch(
    command: list[str], log: Path, environ: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A process whose output goes to a file."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environ or {})},
        )


def wait_a_little(process: subprocess.Popen[bytes], log: Path, began: float) -> None:
    """Between two looks at whether a server has started. Raises ContestantFailed when it will not."""
    time.sleep(RETRY_SECONDS)
    if process.poll() is not None:
        raise ContestantFailed(f"the server ended with status {process.returncode}:\n{log.read_text()}")
    if time.perf_counter() - began > START_SECONDS:
        process.kill()
        process.wait()
        raise ContestantFailed(f"the server did not start in {START_SECONDS:.0f} s:\n{log.read_text()}")


def free_port() -> int:
    """A port of the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
