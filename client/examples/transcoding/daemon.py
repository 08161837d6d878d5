"""The daemon: started, killed, started again on the same store."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from children import Child, Children

START_PATIENCE = 30.0


class Broken(Exception):
    """The site cannot go on. The message says why."""


class Daemon:
    """On a Unix socket. `events` has what its log said last of each kind of event."""

    def __init__(self, children: Children, store: Path, socket: Path) -> None:
        self.url = f"unix:{socket}"
        self.wanted = False
        """Whether it should be running; if it then does not, something went wrong."""
        self.events: dict[str, dict[str, Any]] = {}
        self._children = children
        self._command = [
            *(sys.executable, "-m", "ropewayd", "--data-dir", str(store)),
            *("--listen", self.url, "--http", "none", "--log-format", "json"),
        ]
        self._child: Child | None = None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running and "ready" in self.events

    async def start(self) -> None:
        """Start it; it is ready when this returns. Raises Broken."""
        self.events = {}
        ready = asyncio.Event()

        def heard(said: dict[str, Any]) -> None:
            self.events[said["event"]] = said
            if said["event"] == "ready":
                ready.set()

        self._child = await self._children.start("ropewayd", self._command, heard, speaks="stderr")
        is_ready = asyncio.create_task(ready.wait())
        await asyncio.wait(
            [is_ready, self._child.ended], timeout=START_PATIENCE, return_when=asyncio.FIRST_COMPLETED
        )
        is_ready.cancel()
        if not self.running:
            raise Broken("the daemon did not start; see logs/ropewayd.log")
        self.wanted = True

    async def kill(self) -> None:
        """kill -9."""
        assert self._child is not None
        self.wanted = False
        self._child.kill()
        await self._child.ended

    async def stop(self) -> int:
        """Let it drain; gives its exit code."""
        assert self._child is not None
        self.wanted = False
        self._child.stop()
        return await self._child.ended
