"""Where a daemon is, and who asks: one parsed URL.

`ropeway://[key:secret@]host[:port]`, `ropeways://...` for TLS, `unix:PATH`. A secret is never in a repr or
message.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

DEFAULT_URL = "ropeway://127.0.0.1:4565"
DEFAULT_PORT = 4565


@dataclass(frozen=True)
class Address:
    """A place to connect to. `path` is set for a Unix socket, `host` and `port` otherwise."""

    host: str = ""
    port: int = DEFAULT_PORT
    path: str | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    key: str | None = None
    secret: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ropeways' if self.tls else 'ropeway'}://{host}:{self.port}"


def parse(
    url: str | None = None,
    *,
    key: str | None = None,
    secret: str | None = None,
    ca_file: str | os.PathLike[str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Address:
    """The address that a URL means; without one, $ROPEWAY_URL, and without that the daemon's default on
    loopback.

    A key and secret given apart win over those in the URL. Raises ValueError for a URL that cannot be
    understood.
    """
    text = url if url is not None else os.environ.get("ROPEWAY_URL") or DEFAULT_URL
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        path = "/" + path.lstrip("/") if path.startswith("//") else path
        if not path:
            raise ValueError("a unix: URL needs a path, as in unix:/run/ropeway/ropeway.sock")
        _check_credentials(key, secret)
        return Address(path=path, key=key, secret=secret)
    parts = urlsplit(text)
    if parts.scheme not in ("ropeway", "ropeways"):
        raise ValueError("a URL starts with ropeway://, ropeways:// or unix:")
    if not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(f"a URL is {parts.scheme}://[key:secret@]host[:port], without a path")
    options = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    unknown = options.keys() - {"ca"}
    if unknown:
        raise ValueError(f"unknown option in the URL: {', '.join(sorted(unknown))}; the only one is ca=FILE")
    if key is None and secret is None and parts.username is not None:
        key, secret = unquote(parts.username), unquote(parts.password or "")
    _check_credentials(key, secret)
    ca = ca_file if ca_file is not None else options.get("ca", [None])[-1]
    if parts.scheme == "ropeway":
        if ca is not None or tls is not None:
            raise ValueError("TLS options need a ropeways:// URL")
    elif tls is None:
        tls = ssl.create_default_context(cafile=ca)
    return Address(host=parts.hostname, port=parts.port or DEFAULT_PORT, tls=tls, key=key, secret=secret)


def _check_credentials(key: str | None, secret: str | None) -> None:
    if (key is None) != (secret is None) or key == "" or secret == "":
        raise ValueError("a key and its secret come together, and neither is empty")
