"""A real daemon in a process of its own, for tests of any floor.

    with Daemon(tmp_path) as daemon:          # on a Unix socket in tmp_path, data in tmp_path/data
        connect(daemon.url)
        daemon.kill()                         # as a crash
        daemon.start()                        # recovers
    assert daemon.code == 0                   # leaving the block drains it

What the daemon says is in `daemon.log`, one dict a line; what is not JSON (a failure before the log is set
up) is in `daemon.said`.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PATIENCE = 60.0
"""Seconds to wait for a thing that should take a moment; a busy machine is no failure."""


class Ended(Exception):
    """The daemon ended where it should have become ready. Carries its exit code and words."""


class Daemon:
    """`listen` replaces the Unix socket, `http` says where the AWS face is, nowhere by itself; `arguments`
    are more flags, `environ` more variables."""

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        listen: Sequence[str] | None = None,
        http: str | None = "none",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = directory / "data"
        self.log: list[dict[str, Any]] = []
        self.said = ""
        self.process: subprocess.Popen[bytes] | None = None
        listen = [f"unix:{directory / 'socket'}"] if listen is None else listen
        self.command = [
            sys.executable,
            "-m",
            "ropewayd",
            "--data-dir",
            str(self.data_dir),
            "--log-format",
            "json",
        ]
        self.command += [word for each in listen for word in ("--listen", each)]
        self.command += [] if http is None else ["--http", http]
        self.command += arguments
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("ROPEWAY_")}
        self.environ |= environ or {}
        self._news = threading.Condition()
        self._reader: threading.Thread | None = None

    @property
    def addresses(self) -> list[str]:
        """Where it listens, with the real ports, as the last ready line says."""
        return list(self.events("ready")[-1]["addresses"])

    @property
    def url(self) -> str:
        """The first address as the client takes it."""
        first = self.addresses[0]
        return first if first.startswith("unix:") else f"ropeway://{first}"

    @property
    def endpoint(self) -> str:
        """Where the AWS face is, as an endpoint_url."""
        return f"http://{self.events('ready')[-1]['http'][0]}"

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        assert self.process is not None
        return self.process.poll()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of the log with this event."""
        return [line for line in self.log if line["event"] == name]

    def launch(self, **popen: Any) -> Daemon:
        """Start the process and wait for nothing. `popen` goes to subprocess.Popen."""
        assert self.process is None or self.process.poll() is not None, "it runs already"
        self.process = subprocess.Popen(
            self.command, env=self.environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **popen
        )
        atexit.register(self.process.kill)  # a test that failed in the middle leaves nothing behind
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        return self

    def start(self, **popen: Any) -> Daemon:
        """Start the process and wait until it is ready. Raises Ended."""
        before = len(self.events("ready"))
        self.launch(**popen)
        self.wait_for(lambda: len(self.events("ready")) > before)
        return self

    def wait_for(self, seen: Callable[[], object]) -> None:
        """Wait until `seen()` holds, looking at each line that the daemon says. Raises Ended."""
        with self._news:
            assert self._news.wait_for(lambda: seen() or not self._reads, PATIENCE), f"said only {self.log}"
            if not seen():
                raise Ended(f"ended with {self.wait()}: {self.said or self.log[-1:]}")

    @property
    def _reads(self) -> bool:
        return (
            self._reader is not None
            and self.process is not None
            and self.process.stderr is not None
            and (not self.process.stderr.closed)
        )

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end and its last words; gives the exit code (negative: the signal that killed it)."""
        assert self.process is not None
        code = self.process.wait(PATIENCE)
        assert self._reader is not None
        if threading.current_thread() is not self._reader:
            self._reader.join(PATIENCE)
        return code

    def stop(self) -> int:
        """Drain it; gives the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """As a crash."""
        self.signal(signal.SIGKILL)
        self.wait()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with self._news:
                try:
                    self.log.append(json.loads(line))
                except ValueError:
                    self.said += line.decode(errors="replace")
                self._news.notify_all()
        with self._news:
            process.stderr.close()
            self._news.notify_all()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is None or self.process.poll() is not None:
            if self.process is not None:
                self.wait()
        elif kind is None:
            self.stop()
        else:
            self.kill()
