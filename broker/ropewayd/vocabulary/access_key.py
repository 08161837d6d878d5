"""An access key, as every protocol knows it: who knows its secret is let in, for its account."""

from __future__ import annotations

import msgspec


class AccessKey(msgspec.Struct, frozen=True):
    """One key. Its id is what it is found by."""

    secret: str
    account: str
    token: str = ""
    """The session token that a signed request must name as well, if there is one."""

    def __repr__(self) -> str:
        return f"AccessKey(account={self.account!r})"  # a secret is in no message
