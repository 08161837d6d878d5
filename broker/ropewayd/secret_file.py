"""Files that hold one secret: a password, a key.

Nobody but its owner may read one, unless it is in the directory where the service manager keeps secrets for
this process alone: it sets their modes. A secret is in no message and no log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ropewayd.exits import Misconfigured
from ropewayd.sources import read_private

MAX_BYTES: Final = 65_536


def read_secret(path: Path, blame: str, credentials_directory: str | None) -> str:
    """What is in the file, without the line's end. `blame` begins a sentence on it. Raises Misconfigured."""
    content = read_private(path, blame, MAX_BYTES, "it holds a secret", credentials_directory)
    try:
        secret = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Misconfigured(f"{blame}: {path} is not text") from None
    if not secret:
        raise Misconfigured(f"{blame}: {path} is empty")
    return secret
