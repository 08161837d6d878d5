"""A transport that is not there."""

from __future__ import annotations

from typing import Any


class Transport:
    """What a connection does to its transport, and what the peer has taken of it."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.writes = 0
        self.unsent = 0
        self.reading = True
        self.closed = self.aborted = self.ended = False
        self.high = 0
        self.peer: Any = ""
        self.connection: Any = None

    def fate(self) -> set[str]:
        return {name for name in ("ended", "closed", "aborted") if getattr(self, name)}

    def get_extra_info(self, name: str) -> Any:
        return {"peername": self.peer, "sslcontext": None}[name]

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data
        self.writes += 1

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reading = False  # twice is once, as it is with the loops' own

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True
