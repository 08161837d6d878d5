"""How the running daemon comes to its end: a signal, a failure of the kernel, or a broken rule of its own.

Rule 1  The first SIGTERM or SIGINT asks for a drain. The second ends the process at once: what was
        acknowledged is on disk by design, and what was not, nobody was promised.
Rule 2  A broken assertion anywhere in the loop ends the daemon, since its memory can no longer be trusted.
        Other exceptions of one connection are told and survived.
"""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
from typing import Any

from ropewayd.exits import CONFIGURATION, CORRUPT, IO, SOFTWARE, Exit
from ropewayd.logs import log
from ropewayd.store.protocol import Corrupt, Fenced, Newer, StoreError, Unusable

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Ending:
    """Waits for the end. `asked` resolves with the signal's name, or with the exception that forces it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.asked: asyncio.Future[str] = loop.create_future()
        for each in SIGNALS:
            loop.add_signal_handler(each, self._signalled, each)
        loop.set_exception_handler(self._uncaught)

    def release(self) -> None:
        """Let the signals and the loop be as they were."""
        for each in SIGNALS:
            self._loop.remove_signal_handler(each)
        self._loop.set_exception_handler(None)

    def fail(self, error: BaseException) -> None:
        """The daemon cannot go on."""
        if not self.asked.done():
            self.asked.set_exception(error)
            self.asked.exception()  # seen: it is told at the end, by whoever waits

    def give_up(self, sentence: str, code: int) -> None:
        """End the process now, from wherever we are."""
        log.error(sentence, exit_code=code)
        os._exit(code)

    def _signalled(self, number: signal.Signals) -> None:
        if self.asked.done():
            self.give_up(f"{number.name} again: ending at once", 128 + number)
        self.asked.set_result(number.name)

    def _uncaught(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        sentence = str(context.get("message", "uncaught")).partition("\n")[0]
        if error is None:
            log.error(sentence)
            return
        log.error(sentence, error=type(error).__name__, where=where(error))
        log.debug("traceback", lines=frames(error))
        if isinstance(error, AssertionError):
            self.fail(error)


def exit_for(error: BaseException) -> Exit:
    """The exit code and sentence for what ended the daemon."""
    if isinstance(error, Exit):
        return error
    sentence = str(error).strip() or type(error).__name__
    if isinstance(error, Corrupt | Newer):
        return Exit(CORRUPT, sentence)
    if isinstance(error, Unusable | Fenced):
        return Exit(CONFIGURATION, sentence)
    if isinstance(error, StoreError | OSError):
        return Exit(IO, sentence)
    # The message of any other exception may hold what nobody should read in a log.
    said = f": {sentence[:200]}" if isinstance(error, AssertionError) else ""
    return Exit(SOFTWARE, f"internal error, please report it: {type(error).__name__} at {where(error)}{said}")


def where(error: BaseException) -> str:
    """File and line where an exception was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    return f"{last[0].filename.rpartition('/')[2]}:{last[0].lineno}" if last else "an unknown place"


def frames(error: BaseException) -> list[str]:
    """The way to an exception, without its message."""
    return [
        f"{each.filename}:{each.lineno} {each.name}" for each in traceback.extract_tb(error.__traceback__)
    ]
