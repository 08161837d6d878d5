"""The processes that the demo starts. Each says what it does in lines of JSON, on one of its streams.

Rule 1: each has a process group of its own, so that Ctrl-C reaches the demo alone and a kill -9 takes a
worker's ffmpeg along. Rule 2: whatever happens, `Children.kill_all` leaves none behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

Heard = Callable[[dict[str, Any]], None]
"""Is called with each line."""


class Child:
    """Made by `Children.start`."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self.ended: asyncio.Task[int] = asyncio.create_task(process.wait())
        """Its exit code; negative: the signal that killed it."""

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    def stop(self) -> None:
        """Ask it to finish, as a service manager does."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """kill -9, with all that it started."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


class Children:
    """Starts processes, keeps their logs in `logs`, and ends them all."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: dict[Child, asyncio.Task[None]] = {}

    async def start(
        self, name: str, command: Sequence[str], heard: Heard, *, speaks: Literal["stdout", "stderr"]
    ) -> Child:
        """`speaks` is the stream with the lines of JSON. What else it says goes to its log."""
        with (self._logs / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=DEVNULL,
                stdout=PIPE if speaks == "stdout" else log,
                stderr=PIPE if speaks == "stderr" else log,
                env={key: value for key, value in os.environ.items() if not key.startswith("ROPEWAY_")},
                process_group=0,
            )
        child = Child(name, process)
        stream = process.stdout if speaks == "stdout" else process.stderr
        assert stream is not None
        self._children[child] = asyncio.create_task(self._listen(child, stream, heard))
        return child

    async def kill_all(self) -> int:
        """How many were still running."""
        running = [child for child in self._children if child.running]
        for child in running:
            child.kill()
        for child, listener in self._children.items():
            await child.ended
            await listener
        return len(running)

    async def _listen(self, child: Child, stream: asyncio.StreamReader, heard: Heard) -> None:
        with (self._logs / f"{child.name}.log").open("ab") as log:
            async for line in stream:
                log.write(line)
                try:
                    said = json.loads(line)
                except ValueError:
                    continue
                heard(said)
