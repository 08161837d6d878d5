"""What one peer may cost, with what each limit is for. Bytes, numbers, milliseconds."""

from __future__ import annotations

import msgspec

from ropewayd.vocabulary.action import MAX_BATCH


class BinaryLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a peer controls is bounded by one of these."""

    max_connections: int = 16_000
    max_frame: int = 16 << 20
    """Bytes of one frame, either way."""
    max_requests: int = 1024
    """Requests of one connection without an answer; beyond it the connection is not read."""
    max_request_bytes: int = 32 << 20
    """Their bytes; beyond it the connection is not read."""
    max_batch: int = MAX_BATCH
    max_unsent: int = 8 << 20
    """Bytes of answers that a peer has not taken; beyond it the connection is not read."""
    handshake_timeout: int = 10_000
    """From the connection to the end of Hello."""
    frame_timeout: int = 30_000
    """From the first byte of a frame to its last."""
    write_timeout: int = 30_000
    """A peer with unsent answers that takes nothing for so long is cut."""
    idle_timeout: int = 3_600_000
    """A connection without a request for so long, and with none waiting, is closed."""
