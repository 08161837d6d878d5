"""What a FIFO queue leaves to the disk where memory is short.

Stubs stay, for an open group may be anywhere among them, but no more than HELD_STUBS. So its messages are
looked at in rounds, a piece at a time: looking at all of them at once would hold everybody up. What is looked
at is paid for by what was written.

What a receive has just read, to look for an open group behind many that are blocked, stays for a while,
however much it is: two queues would else take each other's pages away for ever, and find nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from .memory import Memory
from .message import OVERHEAD, VISIBLE, Message

HELD_STUBS = 120_000
"""Messages of a FIFO queue that memory knows at most where it is short. It must know those that are looked
through, and what AWS looks through are so many."""
LEAST, MOST = 500, 4000
"""Messages looked at at one time."""
_LOOKS = 16
"""For each that was written, within that."""
_LOOKING = 10_000
"""Milliseconds within which the page after one is read, or nobody looks any more."""


class Sweep:
    """See the module: one queue's round."""

    __slots__ = ("_at", "_keep", "_looked_through", "_looked_until", "_round")

    def __init__(self) -> None:
        self._round: list[int] = []
        self._at = 0
        self._keep = 0
        self._looked_through = self._looked_until = 0

    def looked(self, through: int, now: int) -> None:
        """A page was read, for somebody who looks through the messages up to this one."""
        self._looked_through, self._looked_until = through, now + _LOOKING

    def go_on(
        self,
        messages: Mapping[int, Message],
        keep_bytes: int,
        written: int,
        memory: Memory,
        lsn: int,
        now: int,
    ) -> list[Message]:
        """Look at some more, and leave bodies to the disk that it has as of `lsn`, but for those of a head
        window of about `keep_bytes`. Gives the messages that are to leave altogether."""
        if self._at >= len(self._round):
            self._round, self._at, self._keep = list(messages), 0, keep_bytes
        end = min(len(self._round), self._at + max(LEAST, min(MOST, _LOOKS * written)))
        keep, freed = min(self._keep, keep_bytes), 0
        looked = self._looked_through if now < self._looked_until else 0
        gone: list[Message] = []
        for place in range(self._at, end):
            message = messages.get(self._round[place])
            if message is None:
                continue
            keep -= message.size + OVERHEAD
            if place >= HELD_STUBS and message.on_disk(lsn) and message.sequence > looked:
                gone.append(message)
            elif keep < 0 and message.state == VISIBLE and 0 < message.stored <= lsn and not message.stub:
                freed += message.lighten()
        self._at, self._keep = end, keep
        memory.used -= freed
        return gone

    def stop(self) -> None:
        """Another round begins next time: the messages are others."""
        self._round, self._at = [], 0
