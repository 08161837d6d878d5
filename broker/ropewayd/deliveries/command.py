"""A program of this machine that is run for a delivery: JSON on its standard input, no shell.

Rule 1  It gets nothing of the daemon but its input: an environment of the few variables in KEPT, no open
        files, / as its directory, and a session of its own.
Rule 2  It has so much time, and what is left of its session then, or when it has ended, is killed.
Rule 3  Of what it writes the beginning is kept, the rest read and dropped, so that it never waits for us.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import Final

import msgspec

KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""Variables of the daemon's environment that a program gets."""
MAX_OUTPUT: Final = 16 * 1024
LAST_WORDS: Final = 1.0
"""Seconds to read what is left in the pipe of a program that has ended."""


class Ended(msgspec.Struct, frozen=True):
    """How a program ended: its exit code (negative: the signal), None if its time was over."""

    code: int | None
    output: str


async def run(argv: tuple[str, ...], given: bytes, timeout: float) -> Ended:  # noqa: ASYNC109 - as of a process
    """Run it to its end. Raises OSError where it cannot be started."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: os.environ[name] for name in KEPT if name in os.environ},
        cwd="/",
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    output = bytearray()
    reading = asyncio.create_task(_read(process.stdout, output))
    writing = asyncio.create_task(_write(process.stdin, given))
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await process.wait()
        code = process.returncode
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        writing.cancel()
        await asyncio.wait({reading, writing}, timeout=LAST_WORDS)
        reading.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await process.wait()
    return Ended(code, output.decode("utf-8", "replace"))


async def _write(pipe: asyncio.StreamWriter, given: bytes) -> None:
    with suppress(OSError):  # a program need not read it
        pipe.write(given)
        await pipe.drain()
    with suppress(OSError):
        pipe.close()
        await pipe.wait_closed()


async def _read(pipe: asyncio.StreamReader, output: bytearray) -> None:
    with suppress(OSError):
        while chunk := await pipe.read(65_536):
            output += chunk[: MAX_OUTPUT - len(output)]
