"""The limits on mobile applications, with what each is for."""

from __future__ import annotations

import msgspec

from ropewayd.vocabulary.names import DEFAULT_ACCOUNT, DEFAULT_REGION


class MobileLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers. AWS states none for these; each one is held in memory."""

    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    max_applications: int = 1_000
    """Platform applications at one time."""
    max_endpoints: int = 1_000_000
    """Endpoints at one time, of all applications."""
