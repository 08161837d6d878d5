"""A terminal for a program: a pseudo-terminal whose screen a test reads and whose keys it presses."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from tests.daemon import PATIENCE

OWN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0)
os.close(int(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Makes the terminal that of the session, so that Ctrl-C reaches the program, and becomes the program."""


class Terminal:
    """Runs a program with all three standard streams on the terminal; `popen` may put one elsewhere."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], **popen: Any) -> None:
        self.shown = ""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        streams = {"stdin": slave, "stdout": slave, "stderr": slave} | popen

        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", OWN_TERMINAL, str(slave), *command],
            env=dict(environ),
            start_new_session=True,
            pass_fds=(slave,),
            **streams,
        )
        os.close(slave)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, text: str) -> None:
        """Read until this is on the screen."""
        ends_at = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert self._read(ends_at), f"{text!r} is not in {self.shown!r}"

    def peek(self, seconds: float) -> None:
        """Read what comes within this time."""
        self._read(time.monotonic() + seconds)

    def wait(self) -> int:
        """Read to the end; gives the exit code."""
        ends_at = time.monotonic() + PATIENCE
        while self._read(ends_at):
            pass
        return self.process.wait(PATIENCE)

    def _read(self, ends_at: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, ends_at - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # nobody has the other end any more
            return False
        self.shown += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        with contextlib.suppress(OSError):
            os.close(self._master)
