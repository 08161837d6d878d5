"""An endpoint as a log may tell it: whom it names, and nothing that lets one in."""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "****"

_USER: Final = re.compile(r"\A([a-z]+://)[^/?#]*@", re.IGNORECASE)
_QUERY: Final = re.compile(r"[?#].*\Z", re.DOTALL)
_SHOWN: Final = 4
"""Digits of a telephone number."""


def without_secrets(protocol: str, endpoint: str) -> str:
    """A URL without its user and its query, of a telephone number the last digits, all else as it is."""
    if protocol in ("http", "https"):
        return _QUERY.sub(f"?{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", endpoint))
    return f"{HIDDEN}{endpoint[-_SHOWN:]}" if protocol == "sms" else endpoint
