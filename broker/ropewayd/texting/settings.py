"""The limits on what is kept of telephone numbers, with what each is for."""

from __future__ import annotations

import msgspec

from ropewayd.vocabulary.names import DEFAULT_ACCOUNT, DEFAULT_REGION


class TextingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """See the module."""

    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    sandbox: bool = False
    """Whether text messages go to verified numbers alone."""
    opted_out: frozenset[str] = frozenset()
    """Numbers that get none from anybody, whatever accounts say."""
    max_accounts: int = 1_000
    """Accounts, each in one region, that something is kept of."""
    max_opted_out: int = 100_000
    """Numbers that one of them keeps as opted out."""
    max_sandbox_numbers: int = 10
    """Numbers of its sandbox (AWS's ten)."""
