"""What one peer of the AWS face may cost, with what each limit is for. Bytes, numbers, milliseconds."""

from __future__ import annotations

import msgspec


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a peer controls is bounded by one of these."""

    max_connections: int = 16_000
    max_header: int = 16 << 10
    """Bytes of the request line, and of each header."""
    max_headers: int = 100
    max_body: int = 2 << 20
    """Bytes of a body, packed or unpacked. A batch of a mebibyte can be longer as JSON."""
    max_parameters: int = 2_000
    """Parameters of one request of the Query protocol, and strings of a JSON one."""
    header_timeout: int = 10_000
    """From the first byte of a request to the end of its headers."""
    body_timeout: int = 30_000
    """From the end of the headers to the end of the body."""
    idle_timeout: int = 75_000
    """A connection without a request for so long is closed."""
    write_timeout: int = 30_000
    """A peer that does not take its answer within this is cut off."""
    skew: int = 900_000
    """How far a signature's time may be from ours, either way."""
    public_url: str = ""
    """What QueueUrls begin with; empty: as the client called us."""
    origins: tuple[str, ...] = ()
    """Web origins that may call, besides those of this machine; `*` is all."""
    hosts: tuple[str, ...] = ()
    """Names under which a GET without a signature is answered, besides addresses and names without dots."""
    metrics: str = "local"
    """Who sees /metrics where access keys are asked for: `local` is this machine, `all` everyone."""
    slow_call: int = 1_000
    """A call that takes longer, its wait apart, is told at level warning."""
    log_calls: bool = False
    """Whether each call has a line in the log, at level debug."""
