"""Move tasks: what the daemon tells of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ropeway.errors import ProtocolError
from ropeway.units import moment


@dataclass(frozen=True)
class MoveTask:
    """One task that empties a dead-letter queue. Numbers are of messages."""

    status: str
    """RUNNING, COMPLETED, CANCELLED or FAILED."""
    source: str
    """The dead-letter queue's ARN."""
    moved: int
    to_move: int
    """How many were there when it began."""
    started_at: datetime
    task: bytes | None = field(default=None, repr=False)
    """What it can be cancelled by, while it is running."""
    destination: str | None = None
    """The ARN of the queue that it moves them to; None: each to where it came from."""
    rate: int | None = None
    """Messages a second that were asked for."""
    reason: str | None = None
    """Why it failed."""

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.status == "RUNNING"


def read_task(told: object) -> MoveTask:
    """Raises ProtocolError."""
    match told:
        case {
            "status": str(status),
            "source": str(source),
            "moved": int(moved),
            "to_move": int(to_move),
            "started_at": int(started_at),
            **more,
        }:
            task, destination = more.get("task"), more.get("destination")
            rate, reason = more.get("max_messages_per_second"), more.get("reason")
            return MoveTask(
                status,
                source,
                moved,
                to_move,
                moment(started_at),
                task if isinstance(task, bytes) else None,
                destination if isinstance(destination, str) else None,
                rate if isinstance(rate, int) else None,
                reason if isinstance(reason, str) else None,
            )
    raise ProtocolError("the daemon told a move task in the wrong shape")
