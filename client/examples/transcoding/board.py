"""What there is to see of a run: its state for the live picture, and its events, in a pipe as plain lines."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pool import Hand

EVENTS_KEPT = 12


@dataclass(frozen=True)
class Event:
    """`after` is in seconds since the start."""

    after: float
    who: str
    what: str


@dataclass(frozen=True)
class Depth:
    """The numbers of messages in a queue."""

    visible: int
    in_flight: int
    delayed: int

    @property
    def empty(self) -> bool:
        return not (self.visible or self.in_flight or self.delayed)


class Board:
    """`plain` prints each event as it comes."""

    def __init__(self, *, plain: bool) -> None:
        self.plain = plain
        self.phase = "starting"
        self.files = 0
        self.indexed: set[str] = set()
        self.depths: dict[str, Depth] = {}
        self.daemon_up = False
        self.hands: Sequence[Hand] = ()
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._begun = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._begun

    def tell(self, who: str, what: str) -> None:
        """Something happened."""
        self.events.append(Event(self.elapsed, who, what))
        if self.plain:
            now = datetime.now().astimezone().strftime("%H:%M:%S.%f")[:-5]
            say(f"{now}  {who:<9}  {what}")


class Listener(logging.Handler):
    """Puts on the board what the client library logs."""

    def __init__(self, board: Board) -> None:
        super().__init__()
        self._board = board

    def emit(self, record: logging.LogRecord) -> None:
        self._board.tell("client", record.getMessage())


def say(line: str = "") -> None:
    """Print a line. Once nobody reads them any more, the program ends as if it were asked to."""
    try:
        print(line.encode(errors="replace").decode(), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGTERM)
